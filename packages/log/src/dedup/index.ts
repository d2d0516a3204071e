export {
  openDuplicateIndex,
  type DuplicateIndexOptions,
  type DuplicateIndexPorts,
} from './disk-index.ts'
export { createMemoryDuplicateIndex } from './memory.ts'
