/**
 * Splitting: the records of a closed journal segment move to files of their partition, so that one
 * partition is read without the others, and the segment is removed.
 *
 * Any crash is harmless: a file gets its name when it is whole and synced, its range is fixed by
 * the segment, and the segment goes last. What was done is found again and left alone. The files are
 * written by a `SplitWork`; what readers use changes here, when they are durable.
 */
import type { Clock, Disk, Logger } from '@millrace/core'
import type { Journal } from './journal.ts'
import type { FileLogLimits } from './options.ts'
import type { Partition, Stream, StreamTable } from './partition.ts'
import type { Segment } from './segment.ts'
import { directoryOf, openSplit } from './split-directory.ts'
import type { SplitFile } from './split-file.ts'
import type { SplitStore } from './split-store.ts'
import { SPLIT_RECORDS_MAX } from './split-layout.ts'
import { LocalSplitWork } from './split-work.ts'
import type { SplitShare, SplitWork } from './split-work.ts'
import type { LedgerFile } from './unit-ledger.ts'

/** How many times longer a slice on this thread becomes while segments wait. */
const URGENCY_MAX = 6

/** See the head of the file. */
export class Splitter {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #root: string
  readonly #limits: FileLogLimits
  readonly #streams: StreamTable
  readonly #store: SplitStore
  readonly #journal: Journal
  readonly #saveIds: (segment: Segment) => Promise<void>
  readonly #onLedger: (ledger: LedgerFile) => void
  readonly #work: SplitWork
  readonly #queue: Segment[] = []
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
    /** Who writes the files. Default: this thread, in slices. */
    work: SplitWork | undefined
  }) {
    const { disk, clock } = options
    this.#clock = options.clock
    this.#logger = options.logger
    this.#root = options.root
    this.#limits = options.limits
    this.#streams = options.streams
    this.#store = options.store
    this.#journal = options.journal
    this.#saveIds = options.saveIds
    this.#onLedger = options.onLedger
    this.#work = options.work ?? new LocalSplitWork({ disk, clock, sliceMs: this.#sliceMs })
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

  /** Gives up the work at hand and does no more. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#work.stop()
    await this.#running
  }

  /** A slice now: the more segments wait, the longer. */
  readonly #sliceMs = (): number =>
    this.#limits.sliceMs * Math.min(Math.max(this.#queue.length, 1), URGENCY_MAX)

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
    const touched: Partition[] = []
    const shares: SplitShare[] = []
    for (const partition of this.#streams.partitions()) {
      const part = partition.parts.find(candidate => candidate.segment === segment)
      if (part === undefined) continue
      touched.push(partition)
      shares.push({
        stream: partition.stream.number,
        ...partition.home,
        directory: directoryOf(this.#root, partition),
        next: Math.max(part.first, partition.splitEnd),
        end: part.end,
      })
    }
    const { number, path, salt, fill } = segment
    const { blockBytes, readBytes } = this.#limits
    const written = await this.#work.split({
      root: this.#root,
      segment: { number, path, salt, fill },
      shares,
      blockBytes,
      readBytes,
      createdMs: this.#clock.nowMs(),
    })
    if (written === undefined) return undefined
    this.#onLedger(written.ledger)
    touched.forEach((partition, index) => {
      const files = (written.files[index] ?? []).map(facts =>
        openSplit(this.#store, partition, facts),
      )
      partition.splits = [...partition.splits, ...files]
      partition.parts = partition.parts.filter(part => part.segment !== segment)
      this.counters.splitFiles += files.length
    })
    return touched
  }

  /** Joins small files of a partition, so that the history of a key looks into few of them. */
  async #merge(partition: Partition): Promise<void> {
    for (;;) {
      const sources = this.#mergeable(partition)
      if (sources.length === 0 || this.#isStopped) return
      const facts = await this.#work.merge({
        stream: partition.stream.number,
        partition: partition.number,
        directory: directoryOf(this.#root, partition),
        sources: sources.map(({ path, first, end, bytes }) => ({ path, first, end, bytes })),
        blockBytes: this.#limits.blockBytes,
        createdMs: this.#clock.nowMs(),
      })
      if (facts === undefined) return
      const merged = openSplit(this.#store, partition, facts)
      partition.splits = partition.splits.flatMap(file => {
        if (file === sources[0]) return [merged]
        return sources.includes(file) ? [] : [file]
      })
      this.counters.mergedFiles += sources.length
      for (const source of sources) await source.remove()
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

/** Files of one class differ in size by less than eight times. */
function sizeClass({ bytes }: SplitFile): number {
  return Math.floor(Math.log2(bytes) / 3)
}
