/** The embedded log: one journal of commit units on disk, split by stream in the background. */
import type { Clock, Disk, Logger, Position, Random, Timer } from '@millrace/core'
import { checkStream, isSameStream } from '../admission.ts'
import { openDuplicateIndex } from '../dedup/index.ts'
import type { DuplicateIndex } from '../duplicates.ts'
import { logErrors } from '../errors.ts'
import { findBy } from '../find.ts'
import { DEFAULT_TENANT } from '../log.ts'
import type {
  CommitRequest,
  CommitResult,
  EventLog,
  HistoryRequest,
  LogCapabilities,
  LogRecord,
  LogStats,
  ReadRequest,
  StepEnd,
  StreamSpec,
} from '../log.ts'
import { Committer } from './committer.ts'
import { findRecords } from './finder.ts'
import { frameField, idOfFrame } from './frames.ts'
import type { Group } from './group.ts'
import { Journal } from './journal.ts'
import { limitsOf } from './options.ts'
import type { FileLogLimits, FileLogOptions } from './options.ts'
import type { Partition, StreamTable } from './partition.ts'
import { Reader } from './reader.ts'
import { recoverJournal } from './recovery.ts'
import { createSegment } from './segment.ts'
import type { Segment } from './segment.ts'
import { loadSplits } from './split-directory.ts'
import { SplitStore } from './split-store.ts'
import { HoldingDisk } from './holding-disk.ts'
import { SEGMENT_HEADER_BYTES } from './layout.ts'
import { BLOCK_HEADER_BYTES } from './split-layout.ts'
import type { SplitWork } from './split-work.ts'
import { Splitter } from './splitter.ts'
import { createState, writeCheckpoint } from './state.ts'
import type { LogState } from './state.ts'
import { TailBudget } from './tail-budget.ts'
import { listLedgers } from './unit-ledger.ts'
import type { LedgerFile } from './unit-ledger.ts'

const EMPTY_UNIT_BYTES = 64

/** What a file log needs. */
export interface FileLogPorts {
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Directory of the log, relative to the root of `disk`. Made when it is missing. */
  readonly directory: string
  readonly options?: FileLogOptions
  /** Who writes the files of closed segments; stopped with the log. Default: the main thread, in slices. */
  readonly splitWork?: SplitWork
}

/** The files that hold a log up to a durable unit; they stay until they are let go. */
export interface LogHold {
  /** The last unit that they hold. */
  readonly unit: number
  /** Its ingest time; -Infinity for a log that took nothing. */
  readonly ingestTimeMs: number
  /** The ends after it. */
  readonly position: Position
  /** Paths relative to the root of the disk, with the bytes that count; a file may be longer. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[]
  /** Lets the files go; harmless twice. */
  release(): Promise<void>
}

/** An event log of files, which can be copied while it runs. */
export interface FileEventLog extends EventLog {
  /** Names the files that hold everything durable now, and keeps them. Nothing waits for it. */
  hold(): LogHold
}

/** Opens the log in a directory, or begins one. Refuses damage (LOG_DAMAGED) and newer formats (LOG_FORMAT_UNKNOWN). */
export async function openFileLog(given: FileLogPorts): Promise<FileEventLog> {
  const disk = new HoldingDisk(given.disk, given.logger)
  const ports = { ...given, disk }
  const { directory } = ports
  const limits = limitsOf(ports.options ?? {})
  await disk.makeDirectory(`${directory}/journal`)
  await syncNames(disk, `${directory}/journal`)
  const ids = await openDuplicateIndex({
    ...ports,
    directory: `${directory}/ids`,
    options: { memoryBytesMax: limits.idMemoryBytesMax },
  })
  try {
    return await openJournal(ports, limits, ids)
  } catch (error) {
    await ids.close()
    throw error
  }
}

type HoldingPorts = FileLogPorts & { readonly disk: HoldingDisk }

async function openJournal(
  ports: HoldingPorts,
  limits: FileLogLimits,
  ids: DuplicateIndex,
): Promise<FileEventLog> {
  const { disk, logger, directory } = ports
  const journalDirectory = `${directory}/journal`
  const state = createState(limits.stepsKept)
  const recovered = await recoverJournal({ disk, directory: journalDirectory, state, ids })
  const { segments, spare, firstUnit, lastUnit, cutBytes } = recovered
  const opened = spare === undefined ? segments : [...segments, spare]
  const store = new SplitStore({
    disk,
    names: state.names,
    openMax: limits.openFilesMax,
    blockCacheMax: limits.blockCacheMax,
  })
  try {
    if (cutBytes > 0) logger.warn('a torn tail of the journal was cut off', { cutBytes })
    await loadSplits(disk, directory, state.streams, store)
    if (ids.durableMark() < firstUnit - 1) {
      logger.warn('the index of event ids is made again', { units: firstUnit - 1 })
      await rebuildIds(state.streams, ids)
      await ids.checkpoint(lastUnit, { force: true })
    }
    const isNew = segments.length === 0
    if (isNew) {
      const { firstSegmentBytes: bytes, preallocateChunkBytes: chunkBytes } = limits
      segments.push(
        spare ?? (await createSegment(ports, journalDirectory, 1, { bytes, chunkBytes })),
      )
    }
    const { idsInserted } = recovered
    const ledgers = await listLedgers(disk, directory)
    const log = new FileLog({ ports, limits, state, ids, store, idsInserted, ledgers })
    const journal = new Journal({
      ports,
      logger,
      directory: journalDirectory,
      limits,
      events: log,
      segments,
      spare: isNew ? undefined : spare,
      nextUnit: lastUnit + 1,
      lastIngestMs: state.lastIngestMs,
    })
    log.begin(journal)
    return log
  } catch (error) {
    await store.close()
    for (const segment of opened) await segment.file.close()
    throw error
  }
}

/** Gives the duplicate index the ids of all records that left the journal. */
async function rebuildIds(streams: StreamTable, ids: DuplicateIndex): Promise<void> {
  for (const partition of streams.partitions()) {
    const border = partition.parts[0]?.first ?? partition.nextOffset
    for (const split of partition.splits) {
      for await (const { bytes } of split.blocks()) {
        const end = bytes.u32[0] as number
        for (let at = BLOCK_HEADER_BYTES; at < end; at += frameField.length(bytes, at)) {
          const offset = frameField.offset(bytes, at)
          if (offset >= border || frameField.isUnique(bytes, at)) continue
          const stream = partition.stream.number
          ids.insert(idOfFrame(bytes, at), { stream, partition: partition.number, offset })
        }
        await ids.checkpoint(ids.durableMark())
      }
    }
  }
}

/** Makes the names on the way to a directory durable. */
async function syncNames(disk: Disk, directory: string): Promise<void> {
  const parts = directory.split('/')
  for (let depth = 0; depth < parts.length; depth++) {
    await disk.syncDirectory(parts.slice(0, depth).join('/'))
  }
}

class FileLog implements FileEventLog {
  readonly capabilities: LogCapabilities = { isDurable: true, expectedVersion: true }
  readonly #limits: FileLogLimits
  readonly #state: LogState
  readonly #ids: DuplicateIndex
  readonly #reader: Reader
  readonly #tails: TailBudget
  readonly #ports: HoldingPorts
  readonly #store: SplitStore
  readonly #idsInserted: number
  /** Units of the segments that were split. */
  readonly #ledgers: LedgerFile[]
  readonly #ends = new Map<string, number>()
  readonly #listeners = new Set<() => void>()
  #journal!: Journal
  #committer!: Committer
  #splitter!: Splitter
  #retention: Timer | undefined
  #isClosed = false
  #closing: Promise<void> | undefined

  constructor(options: {
    ports: HoldingPorts
    limits: FileLogLimits
    state: LogState
    ids: DuplicateIndex
    store: SplitStore
    idsInserted: number
    ledgers: LedgerFile[]
  }) {
    this.#ports = options.ports
    this.#limits = options.limits
    this.#state = options.state
    this.#ids = options.ids
    this.#store = options.store
    this.#idsInserted = options.idsInserted
    this.#ledgers = options.ledgers
    this.#reader = new Reader(options.state, options.limits)
    this.#tails = new TailBudget(options.limits.tailBytesMax)
    for (const partition of this.#state.streams.partitions()) {
      this.#ends.set(partition.name, partition.durableEnd)
    }
  }

  /** Starts taking commits. */
  begin(journal: Journal): void {
    const { disk, clock, logger, directory, splitWork } = this.#ports
    this.#journal = journal
    this.#committer = new Committer({
      clock,
      state: this.#state,
      journal,
      ids: this.#ids,
      reader: this.#reader,
      limits: this.#limits,
      idsUnsaved: this.#idsInserted,
    })
    this.#splitter = new Splitter({
      disk,
      clock,
      logger,
      root: directory,
      limits: this.#limits,
      streams: this.#state.streams,
      store: this.#store,
      journal,
      work: splitWork,
      saveIds: async segment => {
        if (this.#ids.durableMark() < segment.lastUnit) await this.#committer.saveIds()
      },
      onLedger: ledger => {
        if (!this.#ledgers.some(({ path }) => path === ledger.path)) this.#ledgers.push(ledger)
      },
    })
    if (journal.active.lastUnit === 0) {
      journal.begin(EMPTY_UNIT_BYTES)
      this.onSegment(journal.filling)
    }
    for (const segment of journal.segments.slice(0, -1)) this.#splitter.add(segment)
    this.#retain()
  }

  async declare(streams: readonly StreamSpec[]): Promise<void> {
    this.#assertWritable()
    const changed = streams.map(checkStream).filter(declared => {
      const existing = this.#state.streams.find(declared.name)
      return existing === undefined || !isSameStream(existing.declared, declared)
    })
    if (changed.length === 0) return
    await this.#committer.declare(changed)
    for (const { name } of changed) {
      for (const partition of this.#state.streams.get(name).partitions) {
        this.#ends.set(partition.name, partition.durableEnd)
      }
    }
  }

  async commit(request: CommitRequest): Promise<CommitResult> {
    this.#assertWritable()
    return this.#committer.commit(request)
  }

  async read(request: ReadRequest): Promise<readonly LogRecord[]> {
    this.#assertOpen()
    const { stream, from } = request
    const partition = this.#state.streams.partition(stream, request.partition)
    const { start } = partition
    if (!(from >= start)) {
      throw logErrors.create('LOG_OFFSET_GONE', {
        stream,
        partition: partition.number,
        start,
        from,
      })
    }
    return await this.#reader.serve(partition, request)
  }

  async *history(request: HistoryRequest): AsyncIterable<LogRecord> {
    this.#assertOpen()
    const { partitions } = this.#state.streams.get(request.stream)
    const { tenant = DEFAULT_TENANT, from = 0, to = Infinity, isByOffset = false } = request
    yield* this.#reader.history(partitions, { ...request, tenant, from, to, isByOffset })
  }

  readonly find = findBy(async ids => {
    this.#assertOpen()
    return await findRecords({ state: this.#state, index: this.#ids, reader: this.#reader }, ids)
  })

  async version(request: { stream: string; key: string; tenant?: string }): Promise<number> {
    this.#assertOpen()
    const { stream, key, tenant = DEFAULT_TENANT } = request
    const partition = this.#homeOf(stream, key)
    return this.#reader.version(partition, tenant, key, partition.durableEnd)
  }

  async seek(request: { stream: string; partition: number; timeMs: number }): Promise<number> {
    this.#assertOpen()
    const partition = this.#state.streams.partition(request.stream, request.partition)
    return this.#reader.seek(partition, request.timeMs)
  }

  ends(): Position {
    return this.#ends
  }

  steps(request: {
    processor: string
    generation: number
    stream: string
    partition: number
  }): readonly StepEnd[] {
    return this.#state.steps.endsOf(request)
  }

  onAdvance(listener: () => void): () => void {
    const entry = (): void => listener()
    this.#listeners.add(entry)
    return () => void this.#listeners.delete(entry)
  }

  stats(): LogStats {
    const streams = this.#state.streams.stats()
    const ids = this.#ids.stats()
    const journalBytes = this.#journal.segments.reduce(
      (sum, segment) => sum + Math.max(segment.capacity, segment.fill),
      0,
    )
    const { failure } = this.#journal
    return {
      streams,
      bytes: streams.reduce((sum, stream) => sum + stream.bytes, journalBytes + ids.diskBytes),
      queuedBytes: this.#committer.queuedBytes,
      readOnlyReason: failure === undefined ? undefined : this.#journal.refusal().message,
      counters: {
        ...this.#journal.counters,
        ...this.#committer.counters,
        ...this.#splitter.counters,
        slowLookups: ids.slowLookups,
      },
      gauges: {
        journalSegments: this.#journal.segments.length,
        tailBytes: this.#tails.bytes,
        ids: ids.ids,
        idMemoryBytes: ids.memoryBytes,
        idRuns: ids.runs,
      },
    }
  }

  hold(): LogHold {
    this.#assertOpen()
    const release = this.#ports.disk.hold()
    const segments = this.#journal.segments
      .filter(({ isLeaving, durableTo }) => !isLeaving && durableTo > SEGMENT_HEADER_BYTES)
      .map(({ path, durableTo }) => ({ path, bytes: durableTo }))
    const splits = [...this.#state.streams.partitions()].flatMap(({ splits: files }) =>
      files.map(({ path, bytes }) => ({ path, bytes })),
    )
    const ledgers = this.#ledgers.map(({ path, bytes }) => ({ path, bytes }))
    return {
      unit: this.#journal.durableUnit,
      ingestTimeMs: this.#journal.durableIngestMs,
      position: new Map(this.#ends),
      files: [...ledgers, ...splits, ...segments],
      release,
    }
  }

  close(): Promise<void> {
    this.#isClosed = true
    this.#closing ??= this.#close()
    return this.#closing
  }

  onDurable(group: Group): void {
    for (const { partition, end, watermarkMs, tailBytes } of group.advances) {
      partition.durableEnd = end
      partition.durableWatermarkMs = watermarkMs
      this.#ends.set(partition.name, end)
      this.#tails.add(partition, end, tailBytes)
    }
    for (const step of group.steps) this.#state.steps.settle(step)
    // In turns of their own: a listener that throws is the fault of its owner, not of the log.
    for (const listener of this.#listeners) queueMicrotask(listener)
  }

  onFailed(error: unknown): void {
    this.#ports.logger.error('the log takes no more events', { error })
  }

  onSegment(group: Group): void {
    writeCheckpoint(group, this.#state)
    this.#journal.end(0, this.#state.lastIngestMs)
  }

  onClosed(segment: Segment): void {
    this.#splitter.add(segment)
  }

  #retain(): void {
    this.#splitter.retain()
    this.#retention = this.#ports.clock.after(this.#limits.retentionEveryMs, () => this.#retain())
  }

  async #close(): Promise<void> {
    this.#retention?.cancel()
    await this.#splitter.stop()
    await this.#committer.settled()
    if (this.#journal.failure === undefined) {
      this.#journal.begin(EMPTY_UNIT_BYTES)
      this.#journal.end(0, this.#state.lastIngestMs)
      await this.#journal.settled()
      await this.#saveIds()
    }
    await this.#ids.close()
    await this.#store.close()
    await this.#journal.close()
  }

  /** Only saves time: what is not saved is taken from the journal on the next opening. */
  async #saveIds(): Promise<void> {
    if (this.#journal.failure !== undefined) return
    try {
      await this.#committer.saveIdsOnClose()
    } catch (error) {
      this.#ports.logger.warn('the ids could not be saved on close', { error })
    }
  }

  #homeOf(stream: string, key: string): Partition {
    return this.#state.streams.home(stream, key)
  }

  #assertOpen(): void {
    if (this.#isClosed) throw logErrors.create('LOG_CLOSED')
  }

  #assertWritable(): void {
    this.#assertOpen()
    if (this.#journal.failure !== undefined) throw this.#journal.refusal()
  }
}
