export { CELL_STATUS, CELL_STATUSES, createCellRow, type CellRow } from './cell-row.ts'
export {
  compileFeatures,
  featureFoldName,
  type CompiledFeatures,
  type KeyValues,
} from './compile.ts'
export { featuresErrors } from './errors.ts'
export { FeatureShard } from './feature-shard.ts'
export { KeyedState, type KeyedStatePorts, type KeyState } from './keyed-state.ts'
export { planView, type FeaturePlan, type PlannedFeature, type TileGroup } from './plan.ts'
export {
  createFeatureReader,
  type FeatureReader,
  type FeatureRows,
  type FeatureStreams,
  type RowEntities,
  type RowsOfKind,
  type RowsRequest,
} from './reader.ts'
export { planService, type ServicePlan } from './row-plan.ts'
export {
  checkServed,
  noteServed,
  type Mismatch,
  type NotedFold,
  type ParityCheck,
  type Served,
} from './served.ts'
export type { TimeSpan } from './window-partial.ts'
