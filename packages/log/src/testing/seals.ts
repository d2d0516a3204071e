/**
 * Repairs the checksums of changed files of the log, as far as their parts can still be found, so that
 * what the parsers do with content whose checksum is right is seen as well.
 */
import { crc32 } from 'node:zlib'
import { SEGMENT_HEADER_BYTES, UNIT_HEADER_BYTES, UNIT_MAGIC } from '../file/layout.ts'
import { BLOCK_ENTRY_BYTES, FOOTER_BYTES, SPLIT_HEADER_BYTES } from '../file/split-layout.ts'
import { PAGE_BYTES } from '../dedup/pages.ts'

/** A segment of the journal, or a ledger. */
export function sealUnits(input: Buffer): void {
  if (input.length < SEGMENT_HEADER_BYTES) return
  input.writeUInt32LE(crc32(input.subarray(8, SEGMENT_HEADER_BYTES)), 4)
  const salt = input.readUInt32LE(8)
  for (let at = SEGMENT_HEADER_BYTES; at + UNIT_HEADER_BYTES <= input.length;) {
    const length = input.readUInt32LE(at + 4)
    const isUnit = input.readUInt32LE(at) === UNIT_MAGIC && length >= UNIT_HEADER_BYTES
    if (isUnit && at + length <= input.length) {
      input.writeUInt32LE(crc32(input.subarray(at + 12, at + length), salt), at + 8)
      at += length
    } else at += 8
  }
}

/** A split file. */
export function sealSplit(input: Buffer): void {
  const footer = input.length - FOOTER_BYTES
  if (footer < SPLIT_HEADER_BYTES) return
  input.writeUInt32LE(crc32(input.subarray(8, SPLIT_HEADER_BYTES)), 4)
  const number = (at: number): number => input.readDoubleLE(footer + at)
  const [blocksAt, blocks, bucketsAt, buckets, entriesAt] = [24, 32, 40, 48, 56].map(number) as [number, number, number, number, number] // prettier-ignore
  const sum = (start: number, end: number, at: number): boolean => {
    const isInside = start >= 0 && start <= end && end <= footer && Number.isInteger(start)
    if (isInside) input.writeUInt32LE(crc32(input.subarray(start, end)), at)
    return isInside
  }
  for (
    let at = blocksAt;
    at >= 0 &&
    at + BLOCK_ENTRY_BYTES <= Math.min(footer, blocksAt + blocks * BLOCK_ENTRY_BYTES) &&
    Number.isInteger(at);
    at += BLOCK_ENTRY_BYTES
  ) {
    // prettier-ignore
    const position = input.readDoubleLE(at)
    const length = input.readDoubleLE(at + 8)
    if (Number.isInteger(length) && length >= 8) sum(position + 8, position + length, position + 4)
  }
  for (
    let at = bucketsAt;
    at >= 0 && at + 16 <= Math.min(footer, bucketsAt + (buckets + 1) * 8) && Number.isInteger(at);
    at += 8
  ) {
    // prettier-ignore
    sum(entriesAt + input.readUInt32LE(at) * 8, entriesAt + input.readUInt32LE(at + 8) * 8, at + 4)
  }
  sum(blocksAt, blocksAt + blocks * BLOCK_ENTRY_BYTES, footer + 88)
  sum(bucketsAt, bucketsAt + (buckets + 1) * 8, footer + 92)
  input.writeUInt32LE(crc32(input.subarray(footer + 8)), footer + 4)
}

/** A run of ids. */
export function sealPages(input: Buffer): void {
  for (let at = 0; at + PAGE_BYTES <= input.length; at += PAGE_BYTES) {
    input.writeUInt32LE(crc32(input.subarray(at + 4, at + PAGE_BYTES)), at)
  }
}

/** The manifest of the ids. */
export function sealManifest(input: Buffer): void {
  if (input.length < 10 || input[8] !== 0x0a) return
  // The checksum is of the text as it is read.
  const line = input.subarray(9, -1).toString()
  input.write(crc32(line).toString(16).padStart(8, '0'), 'latin1')
}
