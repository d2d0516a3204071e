/** The demo's product, with the share of the first page that is given to exploration. */
import { defineApp, surface } from 'millrace'
import { homeOptions, product } from '../../apps/demo/src/app.ts'
import { createStatesModule } from './states.ts'

/** The product; `explore` is the rule of the home surface that the story changes. */
export const productWith = (explore: number) =>
  defineApp({
    ...product,
    modules: [createStatesModule()],
    surfaces: {
      ...product.surfaces,
      home: surface({ ...homeOptions, explore }),
    },
  })

export const EXPLORE_BEFORE = 0.2
export const EXPLORE_AFTER = 0.05

export const app = productWith(EXPLORE_BEFORE)
