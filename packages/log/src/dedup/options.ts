import type { Clock, Disk, Logger, Random } from '@millrace/core'
import { PAGE_BYTES } from './pages.ts'

/** How a duplicate index is set up. */
export interface DuplicateIndexOptions {
  /** Bound of its memory. Default 64 MiB; at least 8 MiB is used. More memory means fewer and larger runs, and a larger cache. */
  readonly memoryBytesMax?: number
  /** For tests: sizes and a hash that make rare things common. The index stays exact. */
  readonly forTests?: {
    /** Keeps only so many bits of each hash, so that ids collide. */
    readonly hashBits?: number
    /** Entries of a table, a power of two. */
    readonly tableEntries?: number
    /** Pages of the cache, at least 16. */
    readonly cachePages?: number
  }
}

/** What a duplicate index needs from outside. */
export interface DuplicateIndexPorts {
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Path of its directory on the disk; nothing else may be kept there. */
  readonly directory: string
  readonly options?: DuplicateIndexOptions
}

const MIB = 1024 * 1024
const MEMORY_BYTES = 64 * MIB
const MEMORY_BYTES_MIN = 8 * MIB
/** Lookups in files that run at once. */
const SLOW_MAX = 64
/** Pages of the cache that one lookup may need at the same time, with room to spare. */
const PAGES_PER_LOOKUP = 16

/** The sizes that follow from the options. */
export function sizesOf(options: DuplicateIndexOptions = {}): {
  readonly hashBits: number
  /** Entries of a table in memory. */
  readonly tableEntries: number
  /** Bytes of text at which a table is written. */
  readonly heapBytes: number
  readonly cachePages: number
  readonly slowMax: number
} {
  const { memoryBytesMax = MEMORY_BYTES, forTests = {} } = options
  const bytes = Math.max(memoryBytesMax, MEMORY_BYTES_MIN)
  // Half is for two tables of 32 bytes an entry, 1/8 for two heaps of text, 1/16 for sorting (8
  // bytes an entry), a fixed part for the buffers of writer and merge, and the rest for pages.
  const cacheBytes = Math.min((bytes * 3) / 16, (bytes * 5) / 16 - 2.25 * MIB)
  const { cachePages = Math.floor(cacheBytes / PAGE_BYTES), hashBits = 32 } = forTests
  return {
    hashBits,
    tableEntries: forTests.tableEntries ?? 2 ** Math.floor(Math.log2(bytes / 128)),
    heapBytes: bytes / 32,
    cachePages,
    slowMax: Math.max(1, Math.min(SLOW_MAX, Math.floor(cachePages / PAGES_PER_LOOKUP))),
  }
}
