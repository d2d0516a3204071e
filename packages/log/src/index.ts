export { logErrors } from './errors.ts'
export { LOG_FIGURES } from './figures.ts'
export { findBy, findThrough } from './find.ts'
export { isJsonEqual } from './json-equal.ts'
export type { Candidacy, LeaseInfo, Leases, MemberInfo } from './leases.ts'
export {
  DEFAULT_TENANT,
  TICK_TYPE,
  type AppendResult,
  type CommitRequest,
  type CommitResult,
  type EventLog,
  type FindRecords,
  type HistoryRequest,
  type LogCapabilities,
  type LogRecord,
  type LogStats,
  type NewEvent,
  type ParkedKey,
  type ReadRequest,
  type SealedPart,
  type Step,
  type StepEnd,
  type StreamSpec,
  type StreamStats,
} from './log.ts'
export type { DuplicateIndex, Place } from './duplicates.ts'
export {
  commandOf,
  livingOwner,
  lockDirectory,
  makeDirectory,
  readOwner,
  type DirectoryLock,
  type LockOwner,
  type ProcessIdentity,
} from './lock.ts'
export { StreamFollower, type RecordReader } from './stream-follower.ts'
