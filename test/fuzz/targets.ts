/** Every parser that reads what comes from outside, or from a disk. */
import type { FuzzTarget } from '@millrace/sim'
import { targets as ofLog } from '../../packages/log/src/testing/fuzz.ts'
import { targets as ofMillrace } from '../../packages/millrace/src/testing/fuzz.ts'
import { targets as ofProduct } from '../../packages/product/src/testing/fuzz.ts'
import { targets as ofStore } from '../../packages/store/src/testing/fuzz.ts'
import { targets as ofStreams } from '../../packages/streams/src/testing/fuzz.ts'

/** The targets, in the order of a whole run. */
export const targets: readonly FuzzTarget[] = [
  ...ofMillrace,
  ...ofProduct,
  ...ofLog,
  ...ofStore,
  ...ofStreams,
]
