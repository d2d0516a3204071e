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
export { GENERATIONS_STREAM } from './generations.ts'
export { SHARED_NAME } from './rebuild.ts'
