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
export {
  silentLogger,
  type Clock,
  type Disk,
  type DiskFile,
  type Logger,
  type Random,
  type Timer,
} from './ports.ts'
export { createSeededRandom, foregroundClock, systemClock, systemRandom } from './system.ts'
export { createIdSource, deriveId, partitionOf, timeOfId } from './ids.ts'
export {
  decodePosition,
  encodePosition,
  POSITION_PATTERN,
  hasReached,
  joinPositions,
  partitionName,
  type Position,
} from './position.ts'
export { ByteReader, ByteWriter } from './bytes.ts'
export { durationMs, type Duration } from './duration.ts'
export { Backoff, type BackoffPorts } from './backoff.ts'
export { quietStack, quietText } from './quiet.ts'
export { unlikeJson } from './definition-checks.ts'
export {
  ID_PATTERN,
  bool,
  compileSchema,
  float,
  id,
  int,
  objectSchema,
  oneOf,
  text,
  timestamp,
  type Field,
  type Fields,
  type IdFields,
  type Infer,
  type JsonSchema,
  type SchemaIssue,
  type Validator,
} from './schema.ts'
export { joinPersonal, personalEvents, PersonalEvent } from './personal.ts'
export { upcastFrom, type CompatibilityLevel, type Upcaster, type Upcasters } from './upcast.ts'
export {
  event,
  item,
  person,
  signal,
  surface,
  type AppOptions,
  type ApprovalRule,
  type EventDefinition,
  type FilterName,
  type ItemDefinition,
  type ModuleReference,
  type PersonDefinition,
  type SignalDefinition,
  type SourceName,
  type StageReference,
  type SurfaceDefinition,
} from './definition.ts'
export {
  countView,
  sliding,
  tumbling,
  view,
  type AnyView,
  type FoldContext,
  type FoldEvent,
  type JoinedTables,
  type Json,
  type LatePolicy,
  type ViewDefinition,
  type WindowDefinition,
} from './view.ts'
export {
  attributeOf,
  contextOf,
  crossed,
  derive,
  featureService,
  featureView,
  kindOfColumn,
  kindOfSchema,
  type AnyFeatureService,
  type AnyFeatureView,
  type AttributeFeature,
  type ContextFeature,
  type CrossedFeature,
  type DerivedFeature,
  type FeatureRow,
  type FeatureServiceDefinition,
  type FeatureViewDefinition,
  type PairDefinition,
  type RowFeature,
  type ViewFeature,
} from './feature.ts'
export {
  isOfKind,
  kindOfValue,
  type AnyTables,
  type CustomAggregation,
  type EventValue,
  type FeatureAggregation,
  type FeatureBuilder,
  type FeatureDefinition,
  type FeatureKind,
  type FeatureValue,
  type ValueOf,
} from './feature-builder.ts'
export { tiledWindow, type FeatureWindow, type TiledWindow } from './feature-window.ts'
export {
  defineApp,
  readTime,
  timeSchema,
  type AdmittedEvent,
  type App,
  type AppStream,
  type CompiledEvent,
  type CompiledTable,
  type EventData,
  type EventNames,
  type ItemAttributes,
  type ItemNames,
  type RefusedEvent,
  type SurfaceNames,
  type ViewNames,
  type ViewValue,
} from './app.ts'
export {
  check,
  type Bounds,
  type CheckDefinition,
  type CheckRule,
  type RuleName,
  type Severity,
} from './check.ts'
export {
  compileCheck,
  type CheckCounts,
  type CheckVerdict,
  type CompiledCheck,
  type KnownItems,
} from './check-rules.ts'
export {
  fittedFingerprint,
  isUnfitted,
  preparedColumns,
  preparedService,
  stepsText,
  type FittedColumn,
  type FittedState,
  type PreparedFeature,
  type PrepareStep,
  type StepFit,
} from './prepare.ts'
export { FITTED_FORMAT } from './prepare-checks.ts'
export { ranker, type RankerDefinition } from './ranker.ts'
export {
  trainingSet,
  type LabelDefinition,
  type LabelPolicy,
  type TrainingSetDefinition,
} from './training-set.ts'
