/** The product with one rule changed: less of the home page is given to exploration. */
import { EXPLORE_AFTER, productWith } from './product.ts'

export const app = productWith(EXPLORE_AFTER)
