/** The demo's product, with the share of the first page that is given to exploration. */
import { defineApp, surface } from 'millrace'
import { product } from '../../apps/demo/src/app.ts'
import { createStatesModule } from './states.ts'

const [Clip] = product.items as [(typeof product.items)[0]]

/** The product; `explore` is the rule of the home surface that the story changes. */
export const productWith = (explore: number) =>
  defineApp({
    ...product,
    modules: [createStatesModule()],
    surfaces: {
      ...product.surfaces,
      home: surface({
        items: Clip,
        limits: [{ field: 'creator', max: 2 }],
        explore,
        description: 'The first page: clips for one person.',
      }),
    },
  })

export const EXPLORE_BEFORE = 0.2
export const EXPLORE_AFTER = 0.05

export const app = productWith(EXPLORE_BEFORE)
