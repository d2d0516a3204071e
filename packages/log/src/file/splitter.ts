/**
 * Splitting: the records of a closed journal segment move to files of their partition, so that one
 * partition is read without the others, and the segment is removed.
 *
 * Any crash is harmless: a file gets its name when it is whole and synced, its range is fixed by
 * the segment, and the segment goes last. What was done is found again and left alone. Works in
 * slices, so that the loop is never held for long, and longer ones while segments wait, so that the
 * journal does not grow without end. Memory is a block and a write per partition, 8 MiB in all when
 * the blocks of all partitions fit into that.
 */
import type { Clock, Disk, Logger } from '@millrace/core'
import type { Bytes } from './bytes.ts'
import { frameField } from './frames.ts'
import type { Journal } from './journal.ts'
import { forEachKeyHash } from './key-index.ts'
import { KIND, UNIT_HEADER_BYTES } from './layout.ts'
import type { FileLogLimits } from './options.ts'
import type { JournalPart, Partition, Stream, StreamTable } from './partition.ts'
import type { Segment } from './segment.ts'
import { createSlices } from './slices.ts'
import type { Slices } from './slices.ts'
import { directoryOf, openSplit } from './split-directory.ts'
import type { SplitFile, SplitStore } from './split-file.ts'
import { SPLIT_RECORDS_MAX } from './split-layout.ts'
import { SplitWriter } from './split-writer.ts'
import { unitsOf } from './unit-cursor.ts'
import { LedgerWriter } from './unit-ledger.ts'
import type { LedgerFile } from './unit-ledger.ts'

const RECORDS_PER_CHECK = 128
const WRITE_BYTES_MAX = 1024 * 1024
const WRITE_BYTES_ALL = 8 * 1024 * 1024
/** How many times longer a slice becomes while segments wait. */
const URGENCY_MAX = 6

/** The records of one partition that a segment adds, and the files that they become. */
interface Share {
  readonly partition: Partition
  readonly part: JournalPart
  readonly directory: string
  /** Records before this offset have their keys in no chain: they are taken from the frames. */
  readonly keysFromFrames: number
  /** Partitions that the segment has records of. */
  siblings: number
  readonly files: SplitFile[]
  writer: SplitWriter | undefined
  next: number
}

/** See the head of the file. */
export class Splitter {
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #root: string
  readonly #limits: FileLogLimits
  readonly #streams: StreamTable
  readonly #store: SplitStore
  readonly #journal: Journal
  readonly #saveIds: (segment: Segment) => Promise<void>
  readonly #onLedger: (ledger: LedgerFile) => void
  readonly #queue: Segment[] = []
  readonly #directories = new Set<string>()
  readonly counters = { splitSegments: 0, splitFiles: 0, mergedFiles: 0, removedFiles: 0 }
  #running: Promise<void> | undefined
  #isStopped = false

  constructor(options: {
    disk: Disk
    clock: Clock
    logger: Logger
    root: string
    limits: FileLogLimits
    streams: StreamTable
    store: SplitStore
    journal: Journal
    saveIds: (segment: Segment) => Promise<void>
    /** The units of a segment are in this file as well, before the segment goes. */
    onLedger: (ledger: LedgerFile) => void
  }) {
    this.#disk = options.disk
    this.#clock = options.clock
    this.#logger = options.logger
    this.#root = options.root
    this.#limits = options.limits
    this.#streams = options.streams
    this.#store = options.store
    this.#journal = options.journal
    this.#saveIds = options.saveIds
    this.#onLedger = options.onLedger
  }

  /** A segment is closed and its successor has begun. */
  add(segment: Segment): void {
    this.#queue.push(segment)
    this.#start()
  }

  /** Applies the retention of transient streams. */
  retain(): void {
    this.#start()
  }

  /** Finishes the slice of work at hand and does no more. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
  }

  /** Resolves when nothing is left to do. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  /** A slice now: the more segments wait, the longer. */
  readonly #sliceMs = (): number =>
    this.#limits.sliceMs * Math.min(Math.max(this.#queue.length, 1), URGENCY_MAX)

  /** Sizes for the writer of one of `writers` files. */
  #sizes(writers: number): { blockBytes: number; writeBytes: number } {
    const writeBytes = Math.min(WRITE_BYTES_MAX, Math.floor(WRITE_BYTES_ALL / writers))
    return { blockBytes: this.#limits.blockBytes, writeBytes }
  }

  #start(): void {
    if (this.#running !== undefined || this.#isStopped) return
    this.#running = this.#run()
      .catch((error: unknown) => {
        // The segment stays where it is and is read from there; the next closed one tries again.
        this.#logger.error('a journal segment could not be split', { error })
      })
      .finally(() => {
        this.#running = undefined
      })
  }

  async #run(): Promise<void> {
    await new Promise<void>(resolve => this.#clock.soon(resolve))
    for (;;) {
      const segment = this.#queue[0]
      if (segment === undefined || this.#isStopped) break
      const touched = await this.#split(segment)
      if (touched === undefined) return
      await this.#saveIds(segment)
      await this.#journal.remove(segment)
      this.#queue.shift()
      this.counters.splitSegments += 1
      for (const partition of touched) await this.#merge(partition)
    }
    await this.#retainAll()
  }

  /** Writes the files of a segment and lets readers use them; undefined when it was stopped. */
  async #split(segment: Segment): Promise<readonly Partition[] | undefined> {
    const slices = createSlices(this.#clock, this.#sliceMs)
    const shares = new Map<number, Share>()
    for (const partition of this.#streams.partitions()) {
      const part = partition.parts.find(candidate => candidate.segment === segment)
      if (part === undefined) continue
      const directory = directoryOf(this.#root, partition)
      const next = Math.max(part.first, partition.splitEnd)
      shares.set(shareName(partition.stream.number, partition.number), {
        partition,
        part,
        directory,
        siblings: 1,
        keysFromFrames: part.isPending ? part.first + part.recovered : part.first,
        files: [],
        writer: undefined,
        next,
      })
    }
    for (const share of shares.values()) share.siblings = shares.size
    const ledger = new LedgerWriter(this.#disk, this.#root, segment)
    try {
      for await (const { bytes, unit } of unitsOf(segment, this.#limits.readBytes)) {
        await this.#takeUnit(shares, bytes, unit, slices)
        if (this.#isStopped) return undefined
        ledger.take(bytes, unit)
        if (ledger.isFull) await ledger.flush()
      }
      for (const share of shares.values()) await this.#closeFile(share, slices)
      this.#onLedger(await ledger.finish())
    } finally {
      for (const { writer } of shares.values()) await writer?.abandon()
      await ledger.abandon()
    }
    for (const directory of this.#dirty(shares)) await this.#disk.syncDirectory(directory)
    for (const { partition, part, files } of shares.values()) {
      partition.splits = [...partition.splits, ...files]
      partition.parts = partition.parts.filter(candidate => candidate !== part)
      this.counters.splitFiles += files.length
    }
    return [...shares.values()].map(share => share.partition)
  }

  async #takeUnit(
    shares: ReadonlyMap<number, Share>,
    bytes: Bytes,
    unit: { at: number; length: number },
    slices: Slices,
  ): Promise<void> {
    const end = unit.at + unit.length
    let sinceCheck = 0
    for (let at = unit.at + UNIT_HEADER_BYTES; at < end; at += frameField.length(bytes, at)) {
      if (frameField.kind(bytes, at) !== KIND.record) continue
      const stream = frameField.stream(bytes, at)
      const share = shares.get(shareName(stream, frameField.partition(bytes, at))) as Share
      // Behind a crash that came between writing the files and removing the segment.
      if (frameField.offset(bytes, at) !== share.next) continue
      share.writer ??= await this.#openFile(share)
      const { writer } = share
      writer.add(bytes, at)
      if (share.next < share.keysFromFrames) {
        forEachKeyHash(bytes, at, share.partition, hash => writer.addKeyOfLast(hash))
      }
      share.next += 1
      if (share.writer.isFull) await share.writer.flush()
      if (share.next === this.#fileEnd(share)) await this.#closeFile(share, slices)
      sinceCheck += 1
      if (sinceCheck % RECORDS_PER_CHECK === 0 && slices.isOver()) await slices.pause()
    }
    if (slices.isOver()) await slices.pause()
  }

  /** Where the file that holds the next record of a share ends. */
  #fileEnd({ part, partition, files }: Share): number {
    const first = files.at(-1)?.end ?? Math.max(part.first, partition.splitEnd)
    return Math.min(part.end, first + SPLIT_RECORDS_MAX)
  }

  async #openFile(share: Share): Promise<SplitWriter> {
    await this.#makeDirectory(share.directory)
    const { stream, number } = share.partition
    const target = {
      directory: share.directory,
      stream: stream.number,
      partition: number,
      first: share.next,
      end: this.#fileEnd(share),
      createdMs: this.#clock.nowMs(),
    }
    return new SplitWriter(this.#disk, target, this.#sizes(share.siblings))
  }

  async #closeFile(share: Share, slices: Slices): Promise<void> {
    const { writer, part, partition } = share
    if (writer === undefined) return
    const first = share.files.at(-1)?.end ?? Math.max(part.first, partition.splitEnd)
    const add = (hash: number, record: number): void => {
      const offset = part.first + record
      if (offset >= first && offset < share.next) writer.addKey(hash, offset - first)
    }
    part.chains.forEach(add)
    // When it was made while the segment was being split, the frames gave these keys already.
    if (share.keysFromFrames === part.first) part.older?.forEach(add)
    if (slices.isOver()) await slices.pause()
    const { path, bytes } = await writer.finish(slices)
    share.writer = undefined
    share.files.push(openSplit(this.#store, partition, { path, first, end: share.next, bytes }))
  }

  #dirty(shares: ReadonlyMap<number, Share>): Set<string> {
    const dirty = new Set<string>()
    for (const { files, directory } of shares.values()) if (files.length > 0) dirty.add(directory)
    return dirty
  }

  async #makeDirectory(directory: string): Promise<void> {
    if (this.#directories.has(directory)) return
    await this.#disk.makeDirectory(directory)
    const parts = directory.split('/')
    for (let depth = parts.length - 1; depth >= parts.length - 3; depth--) {
      await this.#disk.syncDirectory(parts.slice(0, depth).join('/'))
    }
    this.#directories.add(directory)
  }

  /** Joins small files of a partition, so that the history of a key looks into few of them. */
  async #merge(partition: Partition): Promise<void> {
    for (;;) {
      const sources = this.#mergeable(partition)
      if (sources.length === 0 || this.#isStopped) return
      const first = (sources[0] as SplitFile).first
      const end = (sources.at(-1) as SplitFile).end
      const directory = directoryOf(this.#root, partition)
      const { stream, number } = partition
      const createdMs = this.#clock.nowMs()
      const target = { directory, stream: stream.number, partition: number, first, end, createdMs }
      const writer = new SplitWriter(this.#disk, target, this.#sizes(1))
      const slices = createSlices(this.#clock, this.#sliceMs)
      try {
        await this.#copy(sources, writer, slices)
        const { path, bytes } = await writer.finish(slices)
        await this.#disk.syncDirectory(directory)
        const merged = openSplit(this.#store, partition, { path, first, end, bytes })
        partition.splits = partition.splits.flatMap(file => {
          if (file === sources[0]) return [merged]
          return sources.includes(file) ? [] : [file]
        })
      } catch (error) {
        await writer.abandon()
        throw error
      }
      this.counters.mergedFiles += sources.length
      for (const source of sources) await source.remove()
    }
  }

  async #copy(sources: readonly SplitFile[], writer: SplitWriter, slices: Slices): Promise<void> {
    const first = (sources[0] as SplitFile).first
    for (const source of sources) {
      for await (const { bytes, facts } of source.blocks()) {
        await writer.copyBlock(bytes.u8.subarray(0, bytes.u32[0]), facts)
        if (slices.isOver()) await slices.pause()
      }
      for await (const keys of source.keys()) {
        for (let entry = 0; entry < keys.length; entry += 2) {
          const offset = source.first + (keys[entry + 1] as number)
          writer.addKey(keys[entry] as number, offset - first)
        }
        if (slices.isOver()) await slices.pause()
      }
    }
  }

  /** The newest files of a partition that are of one size class or smaller, when there are enough. */
  #mergeable({ splits, stream }: Partition): readonly SplitFile[] {
    const { mergeFiles, splitFileBytesMax } = this.#limits
    const { maxBytes = Infinity } = stream.declared.transient ?? {}
    const bytesMax = Math.min(splitFileBytesMax, maxBytes / stream.partitions.length / mergeFiles)
    const newest = splits.at(-1)
    if (newest === undefined) return []
    let bytes = 0
    let start = splits.length
    while (start > 0) {
      const file = splits[start - 1] as SplitFile
      const isTooLong = newest.end - file.first > SPLIT_RECORDS_MAX
      if (sizeClass(file) > sizeClass(newest) || bytes + file.bytes > bytesMax || isTooLong) break
      bytes += file.bytes
      start -= 1
    }
    return splits.length - start >= mergeFiles ? splits.slice(start) : []
  }

  async #retainAll(): Promise<void> {
    for (const stream of this.#streams.list()) {
      if (stream.declared.transient === undefined) continue
      for (const partition of stream.partitions) await this.#retain(stream, partition)
    }
  }

  /** Removes the oldest files of a partition that its stream no longer keeps; never its newest record. */
  async #retain(stream: Stream, partition: Partition): Promise<void> {
    const { maxAgeMs = Infinity, maxBytes = Infinity } = stream.declared.transient ?? {}
    for (;;) {
      const [oldest] = partition.splits
      if (oldest === undefined || oldest.end >= partition.durableEnd || this.#isStopped) return
      const isOld = (await oldest.lastIngestMs()) < this.#clock.nowMs() - maxAgeMs
      if (!isOld && partition.bytes <= maxBytes / stream.partitions.length) return
      partition.start = oldest.end
      partition.splits = partition.splits.slice(1)
      this.counters.removedFiles += 1
      await oldest.remove()
    }
  }
}

function shareName(stream: number, partition: number): number {
  return stream * 65_536 + partition
}

/** Files of one class differ in size by less than eight times. */
function sizeClass({ bytes }: SplitFile): number {
  return Math.floor(Math.log2(bytes) / 3)
}
