/**
 * Pages: everything in a run is read, checked and cached in pieces of 4096 bytes. Numbers are
 * little-endian words of 32 bits.
 *
 *   word 0     CRC-32 (zlib) of the 4092 bytes after it
 *   word 1     number of the page in its file
 *   word 2     number of the run
 *   word 3     type (high 16 bits), count of what it holds (low 16 bits)
 *   word 4...  content, by type:
 *
 *   GROUP   word 4..51    the first key of each of the up to 12 data pages that follow it (4 words each)
 *           word 52..1011 filter of all their keys: 120 blocks of 8 words
 *           word 1012     entries in the group
 *           count         data pages
 *   DATA    up to 170 entries of 6 words, sorted by key
 *   FENCE   up to 204 pairs of a key (4 words) and the page that starts with it (1 word), sorted;
 *           the page is a GROUP, or a FENCE of the level below
 *   HEAP    4080 bytes of text (in the file of texts)
 *   FOOTER  what the manifest says of the run (see manifest.ts), so that files can be checked against it
 */
import { crc32 } from 'node:zlib'
import { ENTRY_WORDS } from './memory-table.ts'

export const PAGE_BYTES = 4096
export const PAGE_WORDS = PAGE_BYTES / 4
/** Number of pages that one file can have: 1 TiB. */
export const PAGES_MAX = 2 ** 28
/** Words before the content. */
export const HEAD_WORDS = 4
export const CONTENT_BYTES = PAGE_BYTES - HEAD_WORDS * 4

export const GROUP = 1
export const DATA = 2
export const FENCE = 3
export const HEAP = 4
export const FOOTER = 5

export const DATA_ENTRIES = Math.floor((PAGE_WORDS - HEAD_WORDS) / ENTRY_WORDS)
export const GROUP_PAGES = 12
export const GROUP_ENTRIES = DATA_ENTRIES * GROUP_PAGES
export const FENCE_WORDS = 5
export const FENCES = Math.floor((PAGE_WORDS - HEAD_WORDS) / FENCE_WORDS)
export const FILTER_AT = HEAD_WORDS + GROUP_PAGES * 4
export const FILTER_BLOCKS = 120
export const GROUP_COUNT_AT = FILTER_AT + FILTER_BLOCKS * 8

/** Buffers that are kept: those of one merge of eight runs and of two writers, fences included. */
const BUFFERS_MAX = 32

/** Words and bytes of the same memory. */
export interface Memory {
  readonly words: Int32Array
  readonly bytes: Uint8Array
}

/** Memory for a number of pages. */
export function createMemory(pages: number): Memory {
  const words = new Int32Array(pages * PAGE_WORDS)
  return { words, bytes: new Uint8Array(words.buffer) }
}

/** Keeps the buffers of writers and merges for the next ones: they would otherwise be garbage of megabytes. */
export class BufferPool {
  readonly #free: Memory[] = []
  #bytes = 0

  /** Of all buffers, those in use included. */
  get memoryBytes(): number {
    return this.#bytes
  }

  /** A buffer of zeros. */
  take(pages: number): Memory {
    const at = this.#free.findIndex(memory => memory.words.length === pages * PAGE_WORDS)
    const [memory] = at < 0 ? [] : this.#free.splice(at, 1)
    if (memory !== undefined) {
      memory.words.fill(0)
      return memory
    }
    this.#bytes += pages * PAGE_BYTES
    return createMemory(pages)
  }

  /** Takes a buffer back; nobody may use it any more. */
  give(memory: Memory): void {
    if (this.#free.length < BUFFERS_MAX && memory.words.length > 0) this.#free.push(memory)
    else this.drop(memory)
  }

  /** Lets a buffer go that somebody may still use, after a failure. */
  drop(memory: Memory): void {
    this.#bytes -= memory.bytes.length
  }
}

/** Completes a page in memory: its head and its checksum. */
export function sealPage(
  memory: Memory,
  slot: number,
  facts: { page: number; run: number; type: number; count: number },
): void {
  const at = slot * PAGE_WORDS
  memory.words[at + 1] = facts.page
  memory.words[at + 2] = facts.run
  memory.words[at + 3] = (facts.type << 16) | facts.count
  memory.words[at] = checksum(memory, slot)
}

/** What is wrong with a page in memory, or undefined. */
export function faultOfPage(
  memory: Memory,
  slot: number,
  facts: { page: number; run: number },
): string | undefined {
  const at = slot * PAGE_WORDS
  if (memory.words[at] !== checksum(memory, slot)) return 'the checksum of a page does not match'
  const isOurs =
    memory.words[at + 1] === (facts.page | 0) && memory.words[at + 2] === (facts.run | 0)
  return isOurs ? undefined : 'a page belongs to another place'
}

/** The type of a page in memory. */
export function typeOf(words: Int32Array, slot: number): number {
  return (words[slot * PAGE_WORDS + 3] as number) >>> 16
}

/** How many things a page in memory holds. */
export function countOf(words: Int32Array, slot: number): number {
  return (words[slot * PAGE_WORDS + 3] as number) & 0xffff
}

function checksum(memory: Memory, slot: number): number {
  const start = slot * PAGE_BYTES
  return crc32(memory.bytes.subarray(start + 4, start + PAGE_BYTES)) | 0
}
