export { openDuplicateIndex } from './disk-index.ts'
export { createMemoryDuplicateIndex } from './memory.ts'
export type { DuplicateIndexOptions, DuplicateIndexPorts } from './options.ts'
