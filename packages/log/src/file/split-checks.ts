/** What of a split file is compared before it is used: each part against what the others say of it. */
import type { Bytes } from './bytes.ts'
import { faultOfFrame, frameField } from './frames.ts'
import { KIND } from './layout.ts'
import type { SplitFile } from './split-file.ts'
import {
  BLOCK_ENTRY_BYTES,
  BLOCK_HEADER_BYTES,
  FOOTER_BYTES,
  SPLIT_HEADER_BYTES,
} from './split-layout.ts'
import type { Footer } from './split-layout.ts'

/** True when the parts that a footer names follow each other within the file. */
export function isSoundFooter(
  footer: Footer,
  file: Pick<SplitFile, 'first' | 'end' | 'bytes'>,
): boolean {
  const { blocks, blocksAt, buckets, bucketsAt, entries, entriesAt } = footer
  const counts = [blocks, blocksAt, buckets, entries]
  return (
    footer.first === file.first &&
    footer.end === file.end &&
    counts.every(count => Number.isSafeInteger(count) && count >= 0) &&
    blocks > 0 &&
    buckets > 0 &&
    bucketsAt === blocksAt + blocks * BLOCK_ENTRY_BYTES &&
    entriesAt === bucketsAt + (buckets + 1) * 8 &&
    file.bytes - FOOTER_BYTES === entriesAt + entries * 8
  )
}

/** True when blocks follow each other, and their offsets those of the file. */
export function areBlocks(
  blocks: Float64Array,
  { first, end, blocks: count, blocksAt }: Footer,
): boolean {
  let position = SPLIT_HEADER_BYTES
  let offset = first
  for (let block = 0; block < count; block++) {
    const length = blocks[block * 4 + 1] as number
    const own = blocks[block * 4 + 2] as number
    const isNext = block === 0 ? own === offset : own > offset && Number.isSafeInteger(own)
    const isSound = length > BLOCK_HEADER_BYTES && length % 8 === 0
    if (blocks[block * 4] !== position || !isSound || !isNext) return false
    position += length
    offset = own
  }
  return position === blocksAt && offset < end
}

/** True when buckets follow each other over all entries. */
export function areBuckets(words: Uint32Array, { buckets, entries }: Footer): boolean {
  if (words[0] !== 0 || words[buckets * 2] !== entries) return false
  for (let bucket = 0; bucket < buckets; bucket++) {
    if ((words[bucket * 2] as number) > (words[bucket * 2 + 2] as number)) return false
  }
  return true
}

/** True when a block holds the records from `first` on to `next`, each within its bounds. */
export function holdsRecords(
  bytes: Bytes,
  start: number,
  { length, first, next }: { length: number; first: number; next: number },
): boolean {
  const end = start + length
  let offset = first
  for (let at = start + BLOCK_HEADER_BYTES; at < end; at += frameField.length(bytes, at)) {
    const isRecord =
      faultOfFrame(bytes, at, end) === undefined &&
      frameField.kind(bytes, at) === KIND.record &&
      frameField.offset(bytes, at) === offset++
    if (!isRecord) return false
  }
  return offset === next
}
