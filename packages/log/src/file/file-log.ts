/** The embedded log: one journal of commit units on disk, split by stream in the background. */
import type { Clock, Disk, Logger, Position, Random } from '@millrace/core'
import { checkStream, isSameStream } from '../admission.ts'
import { openDuplicateIndex } from '../dedup/index.ts'
import type { DuplicateIndex } from '../duplicates.ts'
import { logErrors } from '../errors.ts'
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
import type { Group } from './group.ts'
import { Journal } from './journal.ts'
import { limitsOf } from './options.ts'
import type { FileLogLimits, FileLogOptions } from './options.ts'
import { Partition } from './partition.ts'
import { Reader } from './reader.ts'
import { recoverJournal } from './recovery.ts'
import { createSegment } from './segment.ts'
import type { Segment } from './segment.ts'
import { createState, writeCheckpoint } from './state.ts'
import type { LogState } from './state.ts'
import { TailBudget } from './tail-budget.ts'

const READ_RECORDS_DEFAULT = 1_000
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
}

/** Opens the log in a directory, or begins one. Refuses damage (LOG_DAMAGED) and newer formats (LOG_FORMAT_UNKNOWN). */
export async function openFileLog(ports: FileLogPorts): Promise<EventLog> {
  const { disk, clock, random, logger, directory } = ports
  const limits = limitsOf(ports.options ?? {})
  const journalDirectory = `${directory}/journal`
  await disk.makeDirectory(journalDirectory)
  await syncNames(disk, journalDirectory)
  const state = createState(limits.stepsKept)
  const ids = await openDuplicateIndex({
    ...ports,
    directory: `${directory}/ids`,
    options: { memoryBytesMax: limits.idMemoryBytesMax },
  })
  const recovered = await recoverJournal({
    disk,
    logger,
    directory: journalDirectory,
    limits,
    state,
    ids,
    onCheckpoint: async () => undefined,
  })
  const { segments } = recovered
  let { spare } = recovered
  if (segments.length === 0) {
    const { firstSegmentBytes: bytes, preallocateChunkBytes: chunkBytes } = limits
    const first = spare ?? (await createSegment(ports, journalDirectory, 1, { bytes, chunkBytes }))
    segments.push(first)
    spare = undefined
  }
  const log = new FileLog({ clock, random, logger, limits, state, ids })
  const journal = new Journal({
    ports: { disk, clock, random },
    logger,
    directory: journalDirectory,
    limits,
    events: log,
    segments,
    spare,
    nextUnit: recovered.lastUnit + 1,
  })
  log.begin(journal)
  return log
}

/** Makes the names on the way to a directory durable. */
async function syncNames(disk: Disk, directory: string): Promise<void> {
  const parts = directory.split('/')
  for (let depth = 0; depth < parts.length; depth++) {
    await disk.syncDirectory(parts.slice(0, depth).join('/'))
  }
}

class FileLog implements EventLog {
  readonly capabilities: LogCapabilities = { isDurable: true, expectedVersion: true }
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #limits: FileLogLimits
  readonly #state: LogState
  readonly #ids: DuplicateIndex
  readonly #reader: Reader
  readonly #tails: TailBudget
  readonly #ends = new Map<string, number>()
  readonly #listeners = new Set<() => void>()
  #journal!: Journal
  #committer!: Committer
  #isClosed = false
  #closing: Promise<void> | undefined

  constructor(options: {
    clock: Clock
    random: Random
    logger: Logger
    limits: FileLogLimits
    state: LogState
    ids: DuplicateIndex
  }) {
    this.#clock = options.clock
    this.#logger = options.logger
    this.#limits = options.limits
    this.#state = options.state
    this.#ids = options.ids
    this.#reader = new Reader(options.state, options.limits)
    this.#tails = new TailBudget(options.limits.tailBytesMax)
    for (const partition of this.#state.streams.partitions()) {
      this.#ends.set(partition.name, partition.durableEnd)
    }
  }

  /** Starts taking commits. */
  begin(journal: Journal): void {
    this.#journal = journal
    this.#committer = new Committer({
      clock: this.#clock,
      state: this.#state,
      journal,
      ids: this.#ids,
      reader: this.#reader,
      limits: this.#limits,
    })
    if (journal.active.lastUnit > 0) return
    journal.begin(EMPTY_UNIT_BYTES)
    this.onSegment(journal.filling)
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
    const { stream, from, recordsMax = READ_RECORDS_DEFAULT } = request
    const partition = this.#state.streams.partition(stream, request.partition)
    const { start, durableEnd } = partition
    if (!(from >= start)) {
      throw logErrors.create('LOG_OFFSET_GONE', {
        stream,
        partition: partition.number,
        start,
        from,
      })
    }
    return this.#reader.read(partition, from, Math.min(durableEnd, from + Math.max(recordsMax, 1)))
  }

  async *history(request: HistoryRequest): AsyncIterable<LogRecord> {
    this.#assertOpen()
    const { partitions } = this.#state.streams.get(request.stream)
    const { tenant = DEFAULT_TENANT, keys, from = 0, to = Infinity } = request
    yield* this.#reader.history(partitions, { tenant, keys, from, to })
  }

  async find(id: string): Promise<LogRecord | undefined> {
    this.#assertOpen()
    const known = this.#ids.lookup(id)
    const place = known === 'unsure' ? await this.#ids.lookupSlow(id) : known
    if (place === undefined) return undefined
    const partition = this.#state.streams.at(place.stream)?.partitions[place.partition]
    if (partition === undefined || place.offset >= partition.durableEnd) return undefined
    return this.#reader.recordAt(partition, place.offset)
  }

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
    const streams = this.#state.streams.list().map(({ declared, partitions }) => ({
      stream: declared.name,
      partitions: partitions.map(({ start, durableEnd, durableWatermarkMs }) => ({
        start,
        end: durableEnd,
        watermarkMs: durableWatermarkMs,
      })),
      bytes: partitions.reduce((sum, partition) => sum + partition.bytes, 0),
    }))
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
        tailBytes: this.#tails.bytes,
        ids: ids.ids,
        idMemoryBytes: ids.memoryBytes,
        idRuns: ids.runs,
        slowLookups: ids.slowLookups,
      },
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
    this.#logger.error('the log takes no more events', { error })
  }

  onSegment(group: Group): void {
    writeCheckpoint(group, this.#state)
    this.#journal.end(0, this.#state.lastIngestMs)
  }

  onClosed(segment: Segment): void {
    void segment
  }

  async #close(): Promise<void> {
    await this.#committer.settled()
    if (this.#journal.failure === undefined) {
      this.#journal.begin(EMPTY_UNIT_BYTES)
      this.#journal.end(0, this.#state.lastIngestMs)
      await this.#journal.settled()
    }
    await this.#ids.close()
    await this.#journal.close()
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
