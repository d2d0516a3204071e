export {
  MillraceError,
  coreErrors,
  defineErrors,
  diskErrors,
  invariant,
  isError,
  type ErrorDetails,
  type ErrorRegistry,
  type ErrorSpec,
} from './errors.ts'
export { silentLogger, type Clock, type Disk, type DiskFile, type Logger, type Random, type Timer } from './ports.ts'
export { createSeededRandom, systemClock, systemRandom } from './system.ts'
export { createIdSource, deriveId, partitionOf, timeOfId } from './ids.ts'
export {
  decodePosition,
  encodePosition,
  hasReached,
  joinPositions,
  partitionName,
  type Position,
} from './position.ts'
