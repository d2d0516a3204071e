/**
 * What splitting does to files, without the log: plain data in, plain data out, so that the same
 * code runs between other work on the main thread (and under simulation) or on a thread of its own.
 *
 * Any crash is harmless: a file gets its name when it is whole and synced, and its range is fixed by
 * what asked for it, so that it is written again over itself. Memory is a block and a write per
 * partition, 8 MiB in all when the blocks of all partitions fit into that.
 */
import type { Clock, Disk } from '@millrace/core'
import type { Bytes } from './bytes.ts'
import { frameField } from './frames.ts'
import { forEachKeyHash } from './key-index.ts'
import { KIND, UNIT_HEADER_BYTES } from './layout.ts'
import { createNameTable } from './names.ts'
import { readFully } from './segment.ts'
import type { SegmentSpan } from './segment.ts'
import { createSlices } from './slices.ts'
import type { Slices } from './slices.ts'
import { SplitFile } from './split-file.ts'
import { SplitStore } from './split-store.ts'
import { SPLIT_RECORDS_MAX } from './split-layout.ts'
import { SplitWriter } from './split-writer.ts'
import { unitsOf } from './unit-cursor.ts'
import { LedgerWriter } from './unit-ledger.ts'
import type { LedgerFile } from './unit-ledger.ts'

const RECORDS_PER_CHECK = 128
const WRITE_BYTES_MAX = 1024 * 1024
const WRITE_BYTES_ALL = 8 * 1024 * 1024

/** The records of one partition in a segment that are in no file yet: `next` to `end`. */
export interface SplitShare {
  readonly stream: number
  readonly partition: number
  /** Partitions of the stream: a key is found in the one that its hash gives. */
  readonly partitions: number
  readonly directory: string
  readonly next: number
  readonly end: number
}

/** A closed segment to be split. Paths are relative to the root of the disk. */
export interface SplitJob {
  /** Directory of the log. */
  readonly root: string
  readonly segment: Omit<SegmentSpan, 'read'> & { readonly number: number }
  /** One for each partition whose records of the segment are not all in files. */
  readonly shares: readonly SplitShare[]
  readonly blockBytes: number
  readonly readBytes: number
  readonly createdMs: number
}

/** A file of records `first` to `end`. */
export interface SplitFacts {
  readonly path: string
  readonly first: number
  readonly end: number
  readonly bytes: number
}

/** What a segment became. */
export interface SplitResult {
  /** The files of each share, in order. */
  readonly files: readonly (readonly SplitFacts[])[]
  /** Its units. */
  readonly ledger: LedgerFile
}

/** Adjacent files of one partition to be joined. */
export interface MergeJob {
  readonly stream: number
  readonly partition: number
  readonly directory: string
  readonly sources: readonly SplitFacts[]
  readonly blockBytes: number
  readonly createdMs: number
}

/** Who does it. One job at a time; rejects as the disk does, and may be asked again. */
export interface SplitWork {
  /** Writes the files of a segment; resolves when they are durable under their names. Undefined when it was stopped before. */
  split(job: SplitJob): Promise<SplitResult | undefined>
  /** Joins files into one, durable under its name; the sources are left. Undefined when it was stopped before. */
  merge(job: MergeJob): Promise<SplitFacts | undefined>
  /** Gives up what is under way, which then resolves to undefined; takes no more. Resolves when no file is touched any more. */
  stop(): Promise<void>
}

/** A share while its segment is read. */
interface Progress {
  readonly share: SplitShare
  readonly files: SplitFacts[]
  writer: SplitWriter | undefined
  next: number
}

/** Splits on this thread, in slices of `sliceMs()`. */
export class LocalSplitWork implements SplitWork {
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #sliceMs: () => number
  readonly #directories = new Set<string>()
  #isStopped = false
  #running: Promise<unknown> | undefined

  constructor(ports: { disk: Disk; clock: Clock; sliceMs: () => number }) {
    this.#disk = ports.disk
    this.#clock = ports.clock
    this.#sliceMs = ports.sliceMs
  }

  split(job: SplitJob): Promise<SplitResult | undefined> {
    return this.#run(this.#split(job))
  }

  merge(job: MergeJob): Promise<SplitFacts | undefined> {
    return this.#run(this.#merge(job))
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
  }

  #run<T>(work: Promise<T>): Promise<T> {
    // Who asked hears of a failure; `stop` only waits for the end.
    this.#running = work.catch(() => undefined)
    return work
  }

  async #split(job: SplitJob): Promise<SplitResult | undefined> {
    const slices = createSlices(this.#clock, this.#sliceMs)
    const all = job.shares.map((share): Progress => ({
      share,
      files: [],
      writer: undefined,
      next: share.next,
    }))
    const byPlace = new Map(
      all.map(progress => [placeOf(progress.share.stream, progress.share.partition), progress]),
    )
    const ledgers = new LedgerWriter(this.#disk, job.root, job.segment)
    const file = await this.#disk.open(job.segment.path, 'read')
    let ledger: LedgerFile
    try {
      const read: SegmentSpan['read'] = (target, position) => readFully(file, target, position)
      for await (const { bytes, unit } of unitsOf({ ...job.segment, read }, job.readBytes)) {
        await this.#takeUnit(job, byPlace, bytes, unit, slices)
        if (this.#isStopped) return undefined
        ledgers.take(bytes, unit)
        if (ledgers.isFull) await ledgers.flush()
      }
      ledger = await ledgers.finish()
    } finally {
      for (const { writer } of all) await writer?.abandon()
      await ledgers.abandon()
      await file.close()
    }
    const written = all.filter(({ files }) => files.length > 0)
    for (const directory of new Set(written.map(({ share }) => share.directory))) {
      await this.#disk.syncDirectory(directory)
    }
    return { files: all.map(({ files }) => files), ledger }
  }

  async #takeUnit(
    job: SplitJob,
    byPlace: ReadonlyMap<number, Progress>,
    bytes: Bytes,
    unit: { at: number; length: number },
    slices: Slices,
  ): Promise<void> {
    const end = unit.at + unit.length
    let sinceCheck = 0
    for (let at = unit.at + UNIT_HEADER_BYTES; at < end; at += frameField.length(bytes, at)) {
      if (frameField.kind(bytes, at) !== KIND.record) continue
      const place = placeOf(frameField.stream(bytes, at), frameField.partition(bytes, at))
      const progress = byPlace.get(place)
      // Its files were written before, and then the segment was not removed.
      if (progress === undefined || frameField.offset(bytes, at) !== progress.next) continue
      progress.writer ??= await this.#openFile(job, progress)
      const { writer, share } = progress
      writer.add(bytes, at)
      forEachKeyHash(bytes, at, share, hash => writer.addKeyOfLast(hash))
      progress.next += 1
      if (writer.isFull) await writer.flush()
      if (progress.next === fileEnd(progress)) await closeFile(progress, writer, slices)
      sinceCheck += 1
      if (sinceCheck % RECORDS_PER_CHECK === 0 && slices.isOver()) await slices.pause()
    }
    if (slices.isOver()) await slices.pause()
  }

  async #openFile(job: SplitJob, progress: Progress): Promise<SplitWriter> {
    const { stream, partition, directory } = progress.share
    await this.#makeDirectory(directory)
    const { blockBytes, createdMs, shares } = job
    const writeBytes = Math.min(WRITE_BYTES_MAX, Math.floor(WRITE_BYTES_ALL / shares.length))
    const first = progress.next
    const target = { directory, stream, partition, first, end: fileEnd(progress), createdMs }
    return new SplitWriter(this.#disk, target, { blockBytes, writeBytes })
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

  async #merge(job: MergeJob): Promise<SplitFacts | undefined> {
    const { stream, partition, directory, sources, blockBytes, createdMs } = job
    const first = (sources[0] as SplitFacts).first
    const end = (sources.at(-1) as SplitFacts).end
    const target = { directory, stream, partition, first, end, createdMs }
    const sizes = { blockBytes, writeBytes: WRITE_BYTES_MAX }
    const writer = new SplitWriter(this.#disk, target, sizes)
    const store = new SplitStore({
      disk: this.#disk,
      names: createNameTable(),
      openMax: 1,
      blockCacheMax: 0,
    })
    const slices = createSlices(this.#clock, this.#sliceMs)
    const owner = { stream: `${stream}`, partition: directory }
    try {
      for (const source of sources) {
        await this.#copy(new SplitFile(store, { ...source, ...owner }), writer, first, slices)
        if (!this.#isStopped) continue
        await writer.abandon()
        return undefined
      }
      const { path, bytes } = await writer.finish(slices)
      await this.#disk.syncDirectory(directory)
      return { path, first, end, bytes }
    } catch (error) {
      await writer.abandon()
      throw error
    } finally {
      await store.close()
    }
  }

  async #copy(
    source: SplitFile,
    writer: SplitWriter,
    first: number,
    slices: Slices,
  ): Promise<void> {
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

/** Where the file that holds the next record of a share ends. */
function fileEnd({ share, files }: Progress): number {
  return Math.min(share.end, (files.at(-1)?.end ?? share.next) + SPLIT_RECORDS_MAX)
}

async function closeFile(progress: Progress, writer: SplitWriter, slices: Slices): Promise<void> {
  const { files, share, next } = progress
  const first = files.at(-1)?.end ?? share.next
  const { path, bytes } = await writer.finish(slices)
  progress.writer = undefined
  files.push({ path, first, end: next, bytes })
}

function placeOf(stream: number, partition: number): number {
  return stream * 65_536 + partition
}
