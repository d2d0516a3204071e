export { Slices } from './slices.ts'
export { streamsErrors } from './errors.ts'
export { openStreams } from './runtime.ts'
export type { StreamsOptions, StreamsSettings } from './options.ts'
export type { FoldHandle, FoldStatus, Streams } from './streams.ts'
export type {
  Emission,
  FoldDefinition,
  FoldOutput,
  FoldShard,
  ParkedInfo,
  ShardContext,
  TableLookup,
  TableShard,
} from './fold.ts'
export { AMENDED_TYPE, AMENDMENTS_STREAM, eventIdOf, type Amendment } from './amendments.ts'
export {
  CORRECTED_TYPE,
  CORRECTIONS_STREAM,
  layerCorrections,
  NO_CORRECTIONS,
  type CorrectedEvent,
  type Correction,
  type CorrectionAction,
  type CorrectionData,
  type Corrections,
} from './corrections/contract.ts'
export { ERASED_REASON, SO_ALREADY } from './corrections/reasons.ts'
export type {
  AddedEvent,
  Branch,
  BranchChanges,
  Branches,
  BranchEstimate,
  BranchFold,
  BranchLimits,
  BranchPeople,
  BranchRequest,
  BranchState,
  BranchViewReader,
  BranchWorld,
  CompareRequest,
  EstimatedFold,
  FieldDifference,
  FoldDifferences,
  FoldWaiting,
} from './branches/contract.ts'
export type {
  AffectedFold,
  CorrectionControl,
  CorrectionProgress,
  CorrectionResult,
  CorrectionSet,
  ListedCorrection,
  RequestedCorrection,
} from './corrections/control.ts'
export {
  IDENTIFIED_TYPE,
  PERSON,
  type IdentityData,
  type IdentityLink,
  type PersonEvent,
  type PersonFields,
} from './identity/contract.ts'
export type { Identities, IdentityResult, IdentitySet } from './identity/control.ts'
export { personEvents, personFields } from './identity/fields.ts'
export {
  correctionsOf,
  decisionsOf,
  openBuilder,
  type Builder,
  type BuildJob,
  type BuildTarget,
  type DifferencesSink,
  type OpenBuilder,
} from './rebuilds/builder.ts'
export { joinComparisons, NO_ROWS, type Comparison, type Difference } from './rebuilds/compare.ts'
export { REBUILDS_STREAM } from './rebuilds/events.ts'
export type {
  Cause,
  CauseEffect,
  CauseKind,
  Causes,
  CausesRequest,
  ChangedField,
  ChangedKey,
  ChangedRate,
  Rate,
} from './causes/contract.ts'
export { ranked as rankedCauses } from './causes/values.ts'
export { openCounted, type CountedRecords } from './known/counted.ts'
export { hashText, type Lanes } from './emission-id.ts'
export { KnownPass, type KnownLog, type KnownRequest } from './known/pass.ts'
export { emissionIdOf, findCause, type CauseSearch } from './past/cause.ts'
export type { Moment } from './past/moment.ts'
export { Places } from './past/places.ts'
export type {
  Change,
  Changes,
  ChangesRequest,
  NotedRequest,
  Past,
  PastRequest,
  PastState,
} from './past/past.ts'
export type { Rebuilds, RebuildStatus } from './rebuilds/contract.ts'
export type { Replayed, ReplayRequest } from './rebuilds/replay.ts'
export { GENERATIONS_STREAM, OUTSIDE } from './generations.ts'
export { SHARED_NAME } from './rebuild.ts'
export { openSweep, type Sweep } from './sweep.ts'
export { startTicker, type TickerOptions } from './ticker.ts'
export { compileViews, sourceOf, viewFoldName, type CompiledViews } from './views/compile.ts'
export {
  createViewReader,
  type PastValue,
  type PastViewReader,
  type ViewReader,
  type ViewValue,
  type WindowValue,
} from './views/reader.ts'
export { eventOf } from './views/context.ts'
export { keyIn, keysIn } from './views/plan.ts'
export { TableReads } from './views/reads.ts'
export { rekeyedStream } from './views/rekey.ts'
export { VersionedTable, tableFold, tableFoldName } from './views/table-shard.ts'
