export {
  planEvolution,
  type BrokenVersion,
  type DeclaredEvent,
  type EvolutionPlan,
} from './evolution.ts'
export {
  SCHEMA_STREAM,
  readSchemaHistory,
  registrationOf,
  schemaStream,
  type SchemaHistory,
  type SchemaVersion,
} from './history.ts'
export { upcastingLog, upcastingReads, type NestedEvents } from './upcasting-log.ts'
export {
  COMPATIBILITY_LEVELS,
  checkCompatibility,
  findUnreadable,
  type CompatibilityRequest,
  type SchemaFinding,
  type SchemaFormat,
  type SchemaRefusal,
} from './levels.ts'
