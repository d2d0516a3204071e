import type { ProductModule } from '@millrace/product'

/** The modules whose commands exist in every project. */
export const standardModules: readonly ProductModule[] = []
