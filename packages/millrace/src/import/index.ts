export { builtInApp } from './built-in.ts'
export { importErrors } from './errors.ts'
export { IMPORT_LIMITS } from './limits.ts'
export { movielensInputs } from './movielens/layouts.ts'
export { planFile, type FileOptions } from './plan.ts'
export { runImport, type ImportReport } from './run.ts'
export {
  commitWhenRoom,
  conflictReason,
  createLogSink,
  type ImportEvent,
  type ImportSink,
  type SinkResult,
} from './sink.ts'
export { listSources } from './source.ts'
export { unfinishedImports } from './state.ts'
export type { MappedInput } from './tables.ts'
export { TIME_FORMATS, readTimeText, type TimeFormat } from './time.ts'
