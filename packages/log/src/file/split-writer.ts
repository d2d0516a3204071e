/** Writes one split file; its layout is drawn in `split-layout.ts`. */
import { crc32 } from 'node:zlib'
import type { Disk, DiskFile } from '@millrace/core'
import { createBytes } from './bytes.ts'
import type { Bytes } from './bytes.ts'
import { frameField } from './frames.ts'
import { SPLIT_MAGIC } from './layout.ts'
import type { Slices } from './slices.ts'
import {
  BLOCK_ENTRY_BYTES,
  BLOCK_HEADER_BYTES,
  FOOTER_BYTES,
  FOOTER_DOUBLES,
  SPLIT_HEADER_BYTES,
  bucketCount,
  bucketOf,
  packEntry,
  splitName,
  unpackHash,
  unpackRecord,
} from './split-layout.ts'
import type { Footer } from './split-layout.ts'

const BUCKETS_PER_CHECK = 64

/** Where a split file belongs. */
export interface SplitTarget {
  readonly directory: string
  readonly stream: number
  readonly partition: number
  readonly first: number
  readonly end: number
  readonly createdMs: number
}

/** See the head of the file. */
export class SplitWriter {
  readonly #disk: Disk
  readonly #target: SplitTarget
  readonly #blockBytes: number
  readonly #temporary: string
  #file: DiskFile | undefined
  #block: Bytes
  #at = BLOCK_HEADER_BYTES
  #records = 0
  #position = SPLIT_HEADER_BYTES
  readonly #blocks: number[] = []
  /** Blocks that are not written yet; they end at `#position`. */
  readonly #out: Buffer
  #outAt = 0
  #hashes = new Uint32Array(64)
  #numbers = new Uint32Array(64)
  #entries = 0
  #firstIngestMs = 0
  #lastIngestMs = 0
  #next: number

  /** Blocks are gathered into writes of about `writeBytes`. */
  constructor(disk: Disk, target: SplitTarget, sizes: { blockBytes: number; writeBytes: number }) {
    const { blockBytes, writeBytes } = sizes
    this.#disk = disk
    this.#target = target
    this.#blockBytes = blockBytes
    this.#next = target.first
    this.#out = Buffer.allocUnsafeSlow(Math.max(writeBytes, blockBytes))
    this.#temporary = `${target.directory}/${splitName(target.first, target.end)}.tmp`
    this.#block = createBytes(Math.min(blockBytes, 4_096) + BLOCK_HEADER_BYTES)
  }

  /** Offset of the record that it wants next. */
  get next(): number {
    return this.#next
  }

  /** True when a block is full: call `flush` before the next `add`. */
  get isFull(): boolean {
    return this.#at >= this.#blockBytes
  }

  /** Copies the frame of the next record. */
  add(source: Bytes, at: number): void {
    const length = frameField.length(source, at)
    if (this.#at + length > this.#block.u8.length) {
      const grown = createBytes(Math.max(this.#at + length, this.#block.u8.length * 2))
      this.#block.u8.copy(grown.u8, 0, 0, this.#at)
      this.#block = grown
    }
    source.u8.copy(this.#block.u8, this.#at, at, at + length)
    this.#lastIngestMs = frameField.ingestTimeMs(source, at)
    if (this.#next === this.#target.first) this.#firstIngestMs = this.#lastIngestMs
    this.#at += length
    this.#records += 1
    this.#next += 1
  }

  /** Notes a key of a record, counted from the first of the file. */
  addKey(hash: number, record: number): void {
    if (this.#entries === this.#hashes.length) {
      this.#hashes = grow(this.#hashes)
      this.#numbers = grow(this.#numbers)
    }
    this.#hashes[this.#entries] = hash
    this.#numbers[this.#entries] = record
    this.#entries += 1
  }

  /** Notes a key of the record that was added last. */
  addKeyOfLast(hash: number): void {
    this.addKey(hash, this.#next - 1 - this.#target.first)
  }

  /** Writes the block. */
  async flush(): Promise<void> {
    if (this.#records === 0) return
    const { u8, u32, f64 } = this.#block
    u32[0] = this.#at
    u32[2] = this.#records
    u32[3] = 0
    u32[1] = crc32(u8.subarray(8, this.#at))
    const firstOffset = frameField.offset(this.#block, BLOCK_HEADER_BYTES)
    const firstIngestMs = f64[(BLOCK_HEADER_BYTES >> 3) + 7] as number
    await this.#writeBlock(u8.subarray(0, this.#at), firstOffset, firstIngestMs)
    this.#at = BLOCK_HEADER_BYTES
    this.#records = 0
  }

  /** Copies a whole block of another file of the partition, whose checksum was verified. */
  async copyBlock(block: Buffer, facts: BlockFacts): Promise<void> {
    if (this.#next === this.#target.first) this.#firstIngestMs = facts.firstIngestMs
    await this.#writeBlock(block, facts.firstOffset, facts.firstIngestMs)
    this.#lastIngestMs = facts.lastIngestMs
    this.#next = facts.endOffset
  }

  async #writeBlock(block: Buffer, firstOffset: number, firstIngestMs: number): Promise<void> {
    if (this.#outAt + block.length > this.#out.length) await this.#writeOut()
    if (block.length > this.#out.length) {
      const file = await this.#open()
      await file.write(block, 0, block.length, this.#position)
    } else {
      block.copy(this.#out, this.#outAt)
      this.#outAt += block.length
    }
    this.#blocks.push(this.#position, block.length, firstOffset, firstIngestMs)
    this.#position += block.length
  }

  async #writeOut(): Promise<void> {
    if (this.#outAt === 0) return
    const file = await this.#open()
    await file.write(this.#out, 0, this.#outAt, this.#position - this.#outAt)
    this.#outAt = 0
  }

  /** Writes the indexes, makes all of it durable and gives the file its name. The directory is synced by the caller. */
  async finish(slices: Slices): Promise<{ path: string; bytes: number }> {
    await this.flush()
    await this.#writeOut()
    const file = await this.#open()
    const blocksAt = this.#position
    const blocks = Buffer.from(Float64Array.from(this.#blocks).buffer)
    const { buckets, entries } = await this.#sortedKeys(slices)
    const bucketsAt = blocksAt + blocks.length
    const entriesAt = bucketsAt + buckets.length
    const footer = this.#footer({
      first: this.#target.first,
      end: this.#next,
      blocksAt,
      blocks: blocks.length / BLOCK_ENTRY_BYTES,
      bucketsAt,
      buckets: buckets.length / 8 - 1,
      entriesAt,
      entries: this.#entries,
      firstIngestMs: this.#firstIngestMs,
      lastIngestMs: this.#lastIngestMs,
      blocksCrc: crc32(blocks),
      bucketsCrc: crc32(buckets),
    })
    const rest = Buffer.concat([blocks, buckets, entries, footer])
    await file.write(rest, 0, rest.length, blocksAt)
    await file.sync()
    await file.close()
    this.#file = undefined
    const path = this.#temporary.slice(0, -'.tmp'.length)
    await this.#disk.rename(this.#temporary, path)
    return { path, bytes: blocksAt + rest.length }
  }

  /** Forgets the file. */
  async abandon(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
    await this.#disk.remove(this.#temporary)
  }

  async #open(): Promise<DiskFile> {
    if (this.#file !== undefined) return this.#file
    await this.#disk.remove(this.#temporary)
    const file = await this.#disk.open(this.#temporary, 'create')
    this.#file = file
    const header = createBytes(SPLIT_HEADER_BYTES)
    header.u8.fill(0)
    header.u32[0] = SPLIT_MAGIC
    header.u32[2] = this.#target.stream
    header.u32[3] = this.#target.partition
    header.f64[2] = this.#target.first
    header.f64[3] = this.#target.createdMs
    header.u32[1] = crc32(header.u8.subarray(8))
    await file.write(header.u8, 0, SPLIT_HEADER_BYTES, 0)
    return file
  }

  #footer(footer: Footer): Buffer {
    const bytes = createBytes(FOOTER_BYTES)
    bytes.u8.fill(0)
    FOOTER_DOUBLES.forEach((name, index) => {
      bytes.f64[index + 1] = footer[name]
    })
    bytes.u32[22] = footer.blocksCrc
    bytes.u32[23] = footer.bucketsCrc
    bytes.u32[0] = SPLIT_MAGIC
    bytes.u32[1] = crc32(bytes.u8.subarray(8))
    return bytes.u8
  }

  /** A counting sort into buckets, then each bucket on its own: no single step is long. */
  async #sortedKeys(slices: Slices): Promise<{ buckets: Buffer; entries: Buffer }> {
    const count = bucketCount(this.#entries)
    const starts = new Uint32Array(count + 1)
    for (let entry = 0; entry < this.#entries; entry++) {
      const bucket = bucketOf(this.#hashes[entry] as number, count)
      starts[bucket + 1] = (starts[bucket + 1] as number) + 1
    }
    for (let bucket = 0; bucket < count; bucket++) {
      starts[bucket + 1] = (starts[bucket + 1] as number) + (starts[bucket] as number)
    }
    if (slices.isOver()) await slices.pause()
    const sorted = new Float64Array(this.#entries)
    const fill = starts.slice()
    for (let entry = 0; entry < this.#entries; entry++) {
      const hash = this.#hashes[entry] as number
      const bucket = bucketOf(hash, count)
      const place = fill[bucket] as number
      sorted[place] = packEntry(hash, this.#numbers[entry] as number)
      fill[bucket] = place + 1
    }
    const buckets = new Uint32Array((count + 1) * 2)
    const entries = createBytes(this.#entries * 8)
    for (let bucket = 0; bucket < count; bucket++) {
      if (bucket % BUCKETS_PER_CHECK === 0 && slices.isOver()) await slices.pause()
      const from = starts[bucket] as number
      const to = starts[bucket + 1] as number
      const run = sorted.subarray(from, to).sort()
      for (let index = 0; index < run.length; index++) {
        entries.u32[(from + index) * 2] = unpackHash(run[index] as number)
        entries.u32[(from + index) * 2 + 1] = unpackRecord(run[index] as number)
      }
      buckets[bucket * 2] = from
      buckets[bucket * 2 + 1] = crc32(entries.u8.subarray(from * 8, to * 8))
    }
    buckets[count * 2] = this.#entries
    return {
      buckets: Buffer.from(buckets.buffer),
      entries: entries.u8.subarray(0, this.#entries * 8),
    }
  }
}

/** What is known of a block that is copied. */
export interface BlockFacts {
  readonly firstOffset: number
  readonly endOffset: number
  readonly firstIngestMs: number
  readonly lastIngestMs: number
}

function grow(array: Uint32Array): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(array.length * 2)
  grown.set(array)
  return grown
}
