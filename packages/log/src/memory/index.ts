export { openMemoryLog, type MemoryLogOptions } from './memory-log.ts'
export { createMemoryStore, type MemoryStore } from './memory-store.ts'
