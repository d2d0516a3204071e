/** Reading a split file; its layout is drawn in `split-layout.ts`. Every byte used is checked first. */
import { crc32 } from 'node:zlib'
import type { DiskFile } from '@millrace/core'
import { logErrors } from '../errors.ts'
import type { LogRecord } from '../log.ts'
import { createBytes } from './bytes.ts'
import type { Bytes } from './bytes.ts'
import { FrameRecord, faultOfFrame, frameField } from './frames.ts'
import { RECORD_HEADER_BYTES, SPLIT_MAGIC } from './layout.ts'
import { readFully } from './segment.ts'
import { areBlocks, areBuckets, holdsRecords, isSoundFooter } from './split-checks.ts'
import {
  BLOCK_ENTRY_BYTES,
  BLOCK_HEADER_BYTES,
  FOOTER_BYTES,
  bucketOf,
  readFooter,
} from './split-layout.ts'
import type { Footer } from './split-layout.ts'
import type { SplitStore } from './split-store.ts'
import type { BlockFacts } from './split-writer.ts'

/** A split file that is open, with the parts of its index that stay in memory. */
interface Opened {
  readonly file: DiskFile
  readonly footer: Footer
  /** Position, length, first offset, first ingest time of each block. */
  readonly blocks: Float64Array
  /** First entry and checksum of each bucket. */
  readonly buckets: Uint32Array
}

/** Records that are being read, and how many they are. */
export interface BegunRead {
  readonly count: number
  readonly records: Promise<readonly LogRecord[]>
}

interface WantedOffsets {
  readonly offsets: readonly number[]
  readonly index: number
  readonly count: number
}

/** So many entries of a key index are read in about the time that one read more takes. */
const ENTRIES_A_READ = 2_048
/** One split file. */
export class SplitFile {
  readonly path: string
  readonly first: number
  readonly end: number
  readonly bytes: number
  readonly #store: SplitStore
  /** Name of the partition, for errors. */
  readonly #partition: string
  readonly #stream: string
  #opening: Promise<Opened> | undefined
  #users = 0
  #onIdle: (() => void) | undefined

  constructor(
    store: SplitStore,
    facts: {
      path: string
      first: number
      end: number
      bytes: number
      stream: string
      partition: string
    },
  ) {
    this.#store = store
    this.path = facts.path
    this.first = facts.first
    this.end = facts.end
    this.bytes = facts.bytes
    this.#stream = facts.stream
    this.#partition = facts.partition
  }

  get isBusy(): boolean {
    return this.#users > 0
  }

  /** Keeps the file from being removed until `release`. */
  retain(): void {
    this.#users += 1
  }

  release(): void {
    this.#users -= 1
    if (this.#users === 0) this.#onIdle?.()
  }

  /** Records from `from` to at most `to`, at least one: as many whole blocks as `readBytes` holds. */
  async read(from: number, to: number, readBytes: number): Promise<LogRecord[]> {
    return this.#using(async opened => {
      const first = blockOf(opened, from)
      let last = first
      const start = positionOf(opened, first)
      while (
        last + 1 < opened.footer.blocks &&
        firstOffsetOf(opened, last + 1) < to &&
        endOf(opened, last + 1) - start <= readBytes
      ) {
        last += 1
      }
      const bytes = await this.#blocks(opened, first, last)
      const records: LogRecord[] = []
      for (let block = first; block <= last; block++) {
        const end = endOf(opened, block) - start
        let offset = firstOffsetOf(opened, block)
        let at = positionOf(opened, block) - start + BLOCK_HEADER_BYTES
        for (; at < end && offset < to; offset++) {
          if (offset >= from) records.push(this.#recordAt(bytes, at))
          at += frameField.length(bytes, at)
        }
      }
      return records
    })
  }

  /**
   * Begins to read the records at ascending offsets from index `index` on that blocks hold which follow
   * one another, at least one: as many as `readBytes` holds. They keep no memory but their own.
   */
  async beginAt(offsets: readonly number[], index: number, readBytes: number): Promise<BegunRead> {
    return this.#using(async opened => {
      const first = blockOf(opened, offsets[index] as number)
      const start = positionOf(opened, first)
      let last = first
      let count = 1
      for (; index + count < offsets.length; count++) {
        const offset = offsets[index + count] as number
        if (offset >= this.end) break
        if (last + 1 === opened.footer.blocks || offset < firstOffsetOf(opened, last + 1)) continue
        const isNext = last + 2 >= opened.footer.blocks || offset < firstOffsetOf(opened, last + 2)
        if (!isNext || endOf(opened, last + 1) - start > readBytes) break
        last += 1
      }
      const wanted = { offsets, index, count }
      return { count, records: this.#readRun({ first, last, readBytes }, wanted) }
    })
  }

  async #readRun(
    { first, last, readBytes }: { readonly first: number; readonly last: number; readonly readBytes: number }, // prettier-ignore
    wanted: WantedOffsets,
  ): Promise<LogRecord[]> {
    return this.#using(async opened => {
      if (first === last) {
        const bytes = await this.#blocks(opened, first, last)
        return this.#copies(opened, { bytes, first, last }, wanted)
      }
      const size = endOf(opened, last) - positionOf(opened, first)
      return await this.#store.withScratch(Math.max(size, readBytes), async bytes => {
        await this.#readBlocks(opened, first, last, bytes)
        return this.#copies(opened, { bytes, first, last }, wanted)
      })
    })
  }

  /** Some records of blocks of which the checksums fit, copied to a buffer of their own. */
  #copies(
    opened: Opened,
    {
      bytes,
      first,
      last,
    }: { readonly bytes: Bytes; readonly first: number; readonly last: number },
    wanted: WantedOffsets,
  ): LogRecord[] {
    const { offsets, index, count } = wanted
    const start = positionOf(opened, first)
    const places: number[] = []
    let size = 0
    for (let block = first; block <= last; block++) {
      const end = endOf(opened, block) - start
      let offset = firstOffsetOf(opened, block)
      let at = positionOf(opened, block) - start + BLOCK_HEADER_BYTES
      for (; at < end && places.length < count; offset++) {
        const length = frameField.length(bytes, at)
        const isWanted = offset === offsets[index + places.length]
        const isSound =
          frameField.offset(bytes, at) === offset &&
          (isWanted ? faultOfFrame(bytes, at, end) === undefined : length >= RECORD_HEADER_BYTES)
        if (!isSound) throw this.#damaged(start + at, 'a block', opened, block)
        if (isWanted) {
          places.push(at)
          size += length
        }
        at += length
      }
    }
    // Offsets that no block holds would be asked for again and again.
    if (places.length < count) throw this.#damaged(start, 'a block', opened, first)
    const own = createBytes(size)
    let to = 0
    return places.map(at => {
      const from = to
      to += frameField.length(bytes, at)
      bytes.u8.copy(own.u8, from, at, at + to - from)
      return this.#recordAt(own, from)
    })
  }

  #recordAt(bytes: Bytes, at: number): LogRecord {
    return new FrameRecord(bytes, at, this.#stream, this.#store.names)
  }

  /** Offsets of records with a key of one of these hashes: of each, ascending. */
  async offsetsOf(hashes: readonly number[]): Promise<number[][]> {
    return this.#using(async opened => {
      const { footer } = opened
      const isWhole = hashes.length * ENTRIES_A_READ >= footer.entries
      if (!isWhole) {
        const found: number[][] = []
        for (const hash of hashes) {
          const { from, to } = bucketAt(opened, hash)
          const size = (to - from) * 8
          const own = await this.#store.withScratch(size, async entries => {
            await readFully(opened.file, entries.u8.subarray(0, size), footer.entriesAt + from * 8)
            return this.#entriesOf(opened, hash, { entries, base: from })
          })
          found.push(own)
        }
        return found
      }
      const size = footer.entries * 8
      return await this.#store.withScratch(size, async entries => {
        await readFully(opened.file, entries.u8.subarray(0, size), footer.entriesAt)
        return hashes.map(hash => this.#entriesOf(opened, hash, { entries, base: 0 }))
      })
    })
  }

  /** What a part of the key index, which begins with entry `base`, says of a hash. */
  #entriesOf(
    opened: Opened,
    hash: number,
    { entries, base }: { readonly entries: Bytes; readonly base: number },
  ): number[] {
    const { bucket, from, to } = bucketAt(opened, hash)
    if (from === to) return []
    const damaged = (): Error => this.#damaged(opened.footer.entriesAt + from * 8, 'its key index')
    const bytes = entries.u8.subarray((from - base) * 8, (to - base) * 8)
    if (crc32(bytes) !== opened.buckets[bucket * 2 + 1]) throw damaged()
    const found: number[] = []
    for (let entry = from - base; entry < to - base; entry++) {
      if (entries.u32[entry * 2] !== hash) continue
      const offset = this.first + (entries.u32[entry * 2 + 1] as number)
      if (offset >= this.end) throw damaged()
      found.push(offset)
    }
    return found
  }

  /** Between which offsets of the file the first record at or after a time of arrival is. */
  async timeRange(timeMs: number): Promise<{ low: number; high: number }> {
    return this.#using(async opened => {
      const { footer } = opened
      if (footer.lastIngestMs < timeMs) return { low: this.end, high: this.end }
      if (footer.firstIngestMs >= timeMs) return { low: this.first, high: this.first }
      let low = 0
      let high = footer.blocks
      while (low < high) {
        const middle = (low + high) >> 1
        if ((opened.blocks[middle * 4 + 3] as number) >= timeMs) high = middle
        else low = middle + 1
      }
      const from = firstOffsetOf(opened, Math.max(low - 1, 0))
      const to = low < footer.blocks ? firstOffsetOf(opened, low) : this.end - 1
      return { low: from, high: to }
    })
  }

  /** When its newest record arrived. */
  async lastIngestMs(): Promise<number> {
    return this.#using(async ({ footer }) => footer.lastIngestMs)
  }

  /** Every block in order, verified. */
  async *blocks(): AsyncGenerator<{ bytes: Bytes; facts: BlockFacts }, void> {
    this.retain()
    try {
      const opened = await this.#opened()
      for (let block = 0; block < opened.footer.blocks; block++) {
        const bytes = await this.#load(opened, block, block)
        const isLast = block + 1 === opened.footer.blocks
        yield {
          bytes,
          facts: {
            firstOffset: firstOffsetOf(opened, block),
            endOffset: isLast ? this.end : firstOffsetOf(opened, block + 1),
            firstIngestMs: opened.blocks[block * 4 + 3] as number,
            lastIngestMs: opened.footer.lastIngestMs,
          },
        }
      }
    } finally {
      this.release()
    }
  }

  /** Every entry of the key index: hash and record counted from the first. */
  async *keys(): AsyncGenerator<Uint32Array, void> {
    this.retain()
    try {
      const { file, footer, buckets } = await this.#opened()
      const entries = createBytes(footer.entries * 8)
      await readFully(file, entries.u8, footer.entriesAt)
      for (let bucket = 0; bucket < footer.buckets; bucket++) {
        const from = buckets[bucket * 2] as number
        const to = buckets[bucket * 2 + 2] as number
        const part = entries.u8.subarray(from * 8, to * 8)
        if (crc32(part) !== buckets[bucket * 2 + 1] && from < to) {
          throw this.#damaged(footer.entriesAt + from * 8, 'its key index')
        }
        yield entries.u32.subarray(from * 2, to * 2)
      }
    } finally {
      this.release()
    }
  }

  /** Closes the file; the next use opens it again. */
  async shut(): Promise<void> {
    const opening = this.#opening
    this.#opening = undefined
    // A file that could not be opened has told its reader why.
    const opened = await opening?.catch(() => undefined)
    await opened?.file.close()
  }

  /** Removes the file once nobody reads it. */
  async remove(): Promise<void> {
    if (this.#users > 0) await new Promise<void>(resolve => (this.#onIdle = resolve))
    this.#store.forget(this)
    await this.shut()
    await this.#store.disk.remove(this.path)
  }

  async #using<T>(use: (opened: Opened) => Promise<T>): Promise<T> {
    this.retain()
    try {
      return await use(await this.#opened())
    } finally {
      this.release()
    }
  }

  async #opened(): Promise<Opened> {
    this.#opening ??= this.#openFile()
    const opening = this.#opening
    // A failure is told below; until then others may have to be closed, to make room.
    opening.catch(() => undefined)
    await this.#store.used(this)
    try {
      return await opening
    } catch (error) {
      if (this.#opening === opening) this.#opening = undefined
      throw error
    }
  }

  async #openFile(): Promise<Opened> {
    const file = await this.#store.disk.open(this.path, 'read')
    try {
      const tail = createBytes(FOOTER_BYTES)
      const footerAt = this.bytes - FOOTER_BYTES
      const count = await readFully(file, tail.u8, footerAt)
      const isWhole =
        count === FOOTER_BYTES &&
        tail.u32[0] === SPLIT_MAGIC &&
        tail.u32[1] === crc32(tail.u8.subarray(8))
      if (!isWhole) throw this.#damaged(footerAt, 'its footer')
      const footer = readFooter(tail)
      if (!isSoundFooter(footer, this)) throw this.#damaged(footerAt, 'its footer')
      const blocks = createBytes(footer.blocks * BLOCK_ENTRY_BYTES)
      const buckets = createBytes((footer.buckets + 1) * 8)
      await readFully(file, blocks.u8, footer.blocksAt)
      await readFully(file, buckets.u8, footer.bucketsAt)
      if (crc32(blocks.u8) !== footer.blocksCrc) throw this.#damaged(footer.blocksAt, 'its index')
      if (crc32(buckets.u8) !== footer.bucketsCrc)
        throw this.#damaged(footer.bucketsAt, 'its index')
      if (!areBlocks(blocks.f64, footer)) throw this.#damaged(footer.blocksAt, 'its index')
      if (!areBuckets(buckets.u32, footer)) throw this.#damaged(footer.bucketsAt, 'its index')
      return { file, footer, blocks: blocks.f64, buckets: buckets.u32 }
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** A single block through the cache; several straight from the file. */
  async #blocks(opened: Opened, first: number, last: number): Promise<Bytes> {
    if (first !== last) return this.#load(opened, first, last)
    return this.#store.block(`${this.path}#${first}`, () => this.#load(opened, first, last))
  }

  /** Blocks of which every record is what was written. */
  async #load(opened: Opened, first: number, last: number): Promise<Bytes> {
    const start = positionOf(opened, first)
    const bytes = createBytes(endOf(opened, last) - start)
    await this.#readBlocks(opened, first, last, bytes)
    for (let block = first; block <= last; block++) {
      const at = positionOf(opened, block) - start
      const next = block + 1 === opened.footer.blocks ? this.end : firstOffsetOf(opened, block + 1)
      const facts = { length: lengthOf(opened, block), first: firstOffsetOf(opened, block), next }
      if (!holdsRecords(bytes, at, facts)) {
        throw this.#damaged(start + at, 'a block', opened, block)
      }
    }
    return bytes
  }

  /** Reads blocks and compares their checksums. */
  async #readBlocks(opened: Opened, first: number, last: number, bytes: Bytes): Promise<void> {
    const start = positionOf(opened, first)
    await readFully(opened.file, bytes.u8.subarray(0, endOf(opened, last) - start), start)
    for (let block = first; block <= last; block++) {
      const at = positionOf(opened, block) - start
      const length = lengthOf(opened, block)
      const isWhole =
        bytes.u32[at >> 2] === length &&
        bytes.u32[(at >> 2) + 1] === crc32(bytes.u8.subarray(at + 8, at + length))
      if (!isWhole) throw this.#damaged(start + at, 'a block', opened, block)
    }
  }

  #damaged(at: number, what: string, opened?: Opened, block = 0): Error {
    const isLast = opened !== undefined && block + 1 === opened.footer.blocks
    const from = opened === undefined ? this.first : firstOffsetOf(opened, block)
    const to = opened === undefined || isLast ? this.end : firstOffsetOf(opened, block + 1)
    return logErrors.create('LOG_DAMAGED', {
      file: this.path,
      at,
      reason: `${what} is not what was written`,
      affected: `${this.#partition} from offset ${from} to ${to - 1}`,
      goOn: `read ${this.#partition} from offset ${to} on`,
    })
  }
}

/** The bucket of a hash, and its entries. */
function bucketAt(
  { footer, buckets }: Opened,
  hash: number,
): { readonly bucket: number; readonly from: number; readonly to: number } {
  const bucket = bucketOf(hash, footer.buckets)
  const [from, to] = [buckets[bucket * 2] as number, buckets[bucket * 2 + 2] as number]
  return { bucket, from, to }
}

function positionOf({ blocks }: Opened, block: number): number {
  return blocks[block * 4] as number
}

function lengthOf({ blocks }: Opened, block: number): number {
  return blocks[block * 4 + 1] as number
}

function endOf(opened: Opened, block: number): number {
  return positionOf(opened, block) + lengthOf(opened, block)
}

function firstOffsetOf({ blocks }: Opened, block: number): number {
  return blocks[block * 4 + 2] as number
}

function blockOf(opened: Opened, offset: number): number {
  let low = 0
  let high = opened.footer.blocks - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (firstOffsetOf(opened, middle) <= offset) low = middle
    else high = middle - 1
  }
  return low
}
