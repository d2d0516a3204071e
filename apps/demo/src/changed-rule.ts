/** The demo's product with one rule of the home page changed: less of it explores. */
import { defineApp, surface } from 'millrace'
import { homeOptions, product } from './app.ts'

export const app = defineApp({
  ...product,
  surfaces: {
    ...product.surfaces,
    home: surface({ ...homeOptions, explore: 0.01 }),
  },
})
