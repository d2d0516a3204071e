/**
 * The bytes of a split file: the records of one partition from one offset on, with their indexes.
 * Written aside, synced, then renamed: a file that has its name is whole.
 *
 *   header (64)   0 magic "MRS"  3 version  4 crc32 of 8..64  8 stream (4)  12 partition (4)
 *                16 first offset  24 created at
 *   blocks        0 length, header included (4)  4 crc32 of 8..length  8 records (4)  12 zero
 *                16 frames of records as in the journal
 *   block index   per block: position, length, first offset, ingest time of its first record
 *   key buckets   per bucket: number of its first entry (4), crc32 of its entries (4); one more at the end
 *   key entries   hash of the key (4), record counted from the first (4); sorted by both.
 *                 An entry is in the bucket of the high bits of its hash.
 *   footer (128)  0 magic "MRS"  3 version  4 crc32 of 8..128
 *                 8 first offset  16 end offset  24 position of the block index  32 blocks
 *                40 position of the buckets  48 buckets (a power of two)  56 position of the entries
 *                64 entries  72 ingest time of the first record  80 of the last
 *                88 crc32 of the block index (4)  92 crc32 of the buckets (4)
 *
 * All index parts are rebuilt from the blocks when files are merged; blocks are copied as they are.
 */
import type { Bytes } from './bytes.ts'

export const SPLIT_HEADER_BYTES = 64
export const BLOCK_HEADER_BYTES = 16
export const BLOCK_ENTRY_BYTES = 32
export const FOOTER_BYTES = 128
export const SPLIT_SUFFIX = '.split'
/** Records that one split file can number: entries are sorted as doubles of hash and record. */
export const SPLIT_RECORDS_MAX = 2 ** 20
const ENTRIES_PER_BUCKET = 128
const RECORD_BITS = 2 ** 21

/** What the footer says. */
export interface Footer {
  readonly first: number
  readonly end: number
  readonly blocksAt: number
  readonly blocks: number
  readonly bucketsAt: number
  readonly buckets: number
  readonly entriesAt: number
  readonly entries: number
  readonly firstIngestMs: number
  readonly lastIngestMs: number
  readonly blocksCrc: number
  readonly bucketsCrc: number
}

/** Fields of the footer that are doubles, in their order from byte 8. */
export const FOOTER_DOUBLES = [
  'first',
  'end',
  'blocksAt',
  'blocks',
  'bucketsAt',
  'buckets',
  'entriesAt',
  'entries',
  'firstIngestMs',
  'lastIngestMs',
] as const

/** Reads a footer whose checksum was verified. */
export function readFooter({ f64, u32 }: Bytes): Footer {
  const doubles = FOOTER_DOUBLES.map((name, index) => [name, f64[index + 1]])
  return {
    ...(Object.fromEntries(doubles) as Omit<Footer, 'blocksCrc' | 'bucketsCrc'>),
    blocksCrc: u32[22] as number,
    bucketsCrc: u32[23] as number,
  }
}

/** How many buckets so many entries are spread over. */
export function bucketCount(entries: number): number {
  let buckets = 1
  while (buckets * ENTRIES_PER_BUCKET < entries) buckets *= 2
  return buckets
}

/** The bucket of a hash. */
export function bucketOf(hash: number, buckets: number): number {
  return Math.floor((hash / 2 ** 32) * buckets)
}

/** Hash and record as one double that sorts by both. */
export function packEntry(hash: number, record: number): number {
  return hash * RECORD_BITS + record
}

export function unpackHash(entry: number): number {
  return Math.floor(entry / RECORD_BITS)
}

export function unpackRecord(entry: number): number {
  return entry % RECORD_BITS
}

/** The name of the file of a range. */
export function splitName(first: number, end: number): string {
  const digits = (offset: number): string => String(offset).padStart(16, '0')
  return `${digits(first)}-${digits(end)}${SPLIT_SUFFIX}`
}

/** The range of a file name, or undefined for any other name. */
export function rangeOf(name: string): { first: number; end: number } | undefined {
  const match = /^(\d{16})-(\d{16})\.split$/.exec(name)
  return match === null ? undefined : { first: Number(match[1]), end: Number(match[2]) }
}

/** The directory of the split files of a partition. */
export function splitDirectory(root: string, stream: number, partition: number): string {
  return `${root}/streams/${stream}/${partition}`
}
