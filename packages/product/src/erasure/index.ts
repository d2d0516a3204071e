export { erasureErrors } from './errors.ts'
export type { Erasure } from './book.ts'
export type { Erasures, ErasureRequest } from './erasures.ts'
export {
  ERASURES_STREAM,
  type ErasedType,
  type ErasedView,
  type ErasureReport,
  type Remainder,
} from './events.ts'
export { createErasure } from './module.ts'
