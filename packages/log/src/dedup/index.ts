export { createMemoryDuplicateIndex } from './memory.ts'
