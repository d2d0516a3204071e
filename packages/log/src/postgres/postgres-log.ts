/**
 * The log in PostgreSQL: plain rows, one transaction a group of units, any number of processes.
 *
 * Promise: the contract of the log, also between processes. Offsets have no gaps and are given in the
 * order of the commits (`schema.ts`); a commit that was answered is in the database; a connection that
 * breaks commits nothing twice (`committer.ts`); what others commit is heard of within the polling
 * interval (`tail.ts`). Time of arrival never goes back within a partition. See
 * docs/adr/0010-postgresql.md.
 */
import { isUtf8 } from 'node:buffer'
import type { Clock, Logger, Position, Random } from '@millrace/core'
import { checkEvent, checkStream, isSameStream, jsonOf } from '../admission.ts'
import type { Declared } from '../admission.ts'
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
  NewEvent,
  ReadRequest,
  StepEnd,
  StreamSpec,
} from '../log.ts'
import type { Leases } from '../leases.ts'
import { StepBook } from '../step-book.ts'
import type { StepRecord } from '../step-book.ts'
import { offsetsIn } from '../offsets.ts'
import { Catalog } from './catalog.ts'
import { Committer } from './committer.ts'
import { isLostConnection, isUnreachable, type Database } from './database.ts'
import { migrate } from './migrations.ts'
import { PostgresLeases, type LeasesPorts } from './leases.ts'
import { patiently } from './patience.ts'
import { Reader } from './reader.ts'
import { Recent } from './recent.ts'
import { logMigrations } from './schema.ts'
import { Tail } from './tail.ts'
import { Upkeep } from './upkeep.ts'

const READ_RECORDS_DEFAULT = 1_000
const QUEUE_BYTES_MAX_DEFAULT = 64 * 1024 * 1024
const RECORD_OVERHEAD_BYTES = 64
const RETRY_AFTER_MS = 50
const POLL_MS_DEFAULT = 250
const LEASE_MS_DEFAULT = 2_000
const READ_PATIENCE_MS = 30_000
/** Ids of one statement. */
const FINDS_AT_ONCE = 5_000
const NO_EMISSIONS: ReadonlyMap<string, number> = new Map()

/** What a log in PostgreSQL needs. */
export interface PostgresLogPorts {
  /** Closed by its owner, after the log. */
  readonly database: Database
  readonly clock: Clock
  /** Spreads the attempts to reach a database that is away. */
  readonly random?: Random
  readonly logger: Logger
  readonly options?: {
    /** Bytes that may wait to be committed before commits are refused (LOG_OVERLOADED). Default 64 MiB. */
    readonly queueBytesMax?: number
    /**
     * Bytes of what this process appended of late that are read from its memory. Default 16 MiB; 0: every
     * record is read from the database, as whoever checks what is there must.
     */
    readonly recentBytesMax?: number
    /** How long an append of another process may stay unheard of when notifications fail. Default 250. */
    readonly pollMs?: number
    /** How long another process that shares the log may be silent before it is taken for dead. Default 2,000. */
    readonly leaseMs?: number
    /**
     * Awaited whenever this process has entered the book of members, at the start and after it was
     * forgotten; while it rejects nothing is written. Who puts up a mark that it looks for, and then
     * calls `forgetMembers`, is followed by no commit of a process that did not see the mark.
     */
    readonly admit?: () => Promise<void>
    /** Awaited before each group is committed; a rejection makes the log read-only. For tests. */
    readonly beforeCommit?: () => Promise<void>
  }
}

/** A log that processes share, with the leases by which they share the work on it. */
export interface PostgresLog extends EventLog {
  readonly leases: Leases
  /** Sees what other processes committed before the call. */
  refresh(): Promise<void>
  /** The streams as they were declared. */
  streams(): readonly StreamSpec[]
  /** The newest step of every processor, generation and source partition. */
  stepHeads(): readonly StepRecord[]
  /**
   * Says that the log is about to be closed: what the database does not answer is given up after
   * ten seconds, so that whoever has to wait for them before the log is closed can end.
   */
  hurry(): void
}

/**
 * Opens the log in a database; makes or changes its tables when they are missing or old. A server that
 * repairs itself is waited for; one that does not answer at all is not. Refuses LOG_FORMAT_UNKNOWN.
 */
export async function openPostgresLog(ports: PostgresLogPorts): Promise<PostgresLog> {
  const { database, clock, random, logger, options = {} } = ports
  const startedMs = clock.monotonicMs()
  const isTooLate = (error: unknown): boolean =>
    isUnreachable(error) || clock.monotonicMs() - startedMs > READ_PATIENCE_MS
  const opening = <T>(call: () => Promise<T>): Promise<T> =>
    patiently(call, { clock, random, logger, isTooLate })
  await opening(() => migrate(database, logMigrations))
  const own: { log?: SharedLog } = {}
  const leasesPorts: LeasesPorts = {
    database,
    clock,
    random,
    logger,
    leaseMs: options.leaseMs ?? LEASE_MS_DEFAULT,
    admit: options.admit ?? (async () => undefined),
    refresh: async () => own.log?.refresh(),
    notify: () => own.log?.notifyOfLeases(),
  }
  const log = new SharedLog(ports, await opening(() => PostgresLeases.enter(leasesPorts)))
  own.log = log
  await opening(() => log.load())
  log.start()
  return log
}

class SharedLog implements PostgresLog {
  readonly capabilities: LogCapabilities = { isDurable: true, expectedVersion: true }
  readonly #ports: PostgresLogPorts
  readonly #queueBytesMax: number
  readonly #catalog = new Catalog()
  readonly #steps = new StepBook()
  readonly #reader: Reader
  readonly #committer: Committer
  readonly #tail: Tail
  readonly #upkeep: Upkeep
  readonly leases: PostgresLeases
  readonly #listeners = new Set<() => void>()
  #lastIngestMs = Number.NEGATIVE_INFINITY
  #closing: Promise<void> | undefined

  constructor(ports: PostgresLogPorts, leases: PostgresLeases) {
    const { database, clock, random, logger, options = {} } = ports
    this.#ports = ports
    this.#queueBytesMax = options.queueBytesMax ?? QUEUE_BYTES_MAX_DEFAULT
    const catalog = this.#catalog
    const steps = this.#steps
    const recent = new Recent(options.recentBytesMax)
    this.#reader = new Reader(
      { query: (text, parameters) => this.#readPatiently(() => database.query(text, parameters)) },
      catalog,
      recent,
    )
    const onAdvance = (): void => this.#announce()
    const pollMs = options.pollMs ?? POLL_MS_DEFAULT
    this.leases = leases
    this.#tail = new Tail({
      database,
      catalog,
      steps,
      clock,
      random,
      logger,
      member: () => leases.member,
      pollMs,
      onAdvance,
      onLeases: () => leases.heard(),
    })
    this.#upkeep = new Upkeep({ database, catalog, clock, logger })
    this.#committer = new Committer({
      database,
      catalog,
      reader: this.#reader,
      recent,
      steps,
      clock,
      random,
      logger,
      leases,
      beforeCommit: options.beforeCommit ?? (async () => undefined),
      onCommitted: () => {
        this.#announce()
        this.#tail.notify()
      },
      onBehind: () => this.#tail.refresh(),
    })
  }

  /** Reads what is there; may be called again when it failed. */
  async load(): Promise<void> {
    const { database } = this.#ports
    await this.#catalog.load((text, parameters) => database.query(text, parameters))
    await this.#tail.refresh()
    await this.#upkeep.run()
  }

  start(): void {
    this.#tail.start()
    this.#upkeep.start()
    this.leases.start()
  }

  refresh(): Promise<void> {
    return this.#tail.refresh()
  }

  /** Tells the other processes that leases changed hands. */
  notifyOfLeases(): void {
    this.#tail.notify({ isOfLeases: true })
  }

  streams(): readonly StreamSpec[] {
    return this.#catalog.list().map(({ declared }) => declared)
  }

  stepHeads(): readonly StepRecord[] {
    return this.#steps.newest()
  }

  async declare(streams: readonly StreamSpec[]): Promise<void> {
    this.#assertWritable()
    const checked = streams.map(checkStream)
    const changed = checked.filter(declared => {
      const existing = this.#catalog.find(declared.name)
      return existing === undefined || !isSameStream(existing.declared, declared)
    })
    if (changed.length === 0) return
    await this.#ports.database.transaction(async query => {
      const lock = `millrace ${this.#ports.database.schema} streams`
      await query('SELECT pg_advisory_xact_lock(hashtext($1))', [lock])
      // Somebody else may have declared them meanwhile.
      await this.#catalog.load(query)
      for (const declared of changed) {
        const existing = this.#catalog.find(declared.name)
        if (existing !== undefined && isSameStream(existing.declared, declared)) continue
        await query(PUT_STREAM, columnsOf(declared))
        if (existing !== undefined) continue
        await query(PUT_PARTITIONS, [declared.name, declared.partitions])
        await query(PUT_LEASES, [declared.partitions])
      }
    })
    await this.#catalog.load((text, parameters) => this.#ports.database.query(text, parameters))
  }

  async commit(request: CommitRequest): Promise<CommitResult> {
    this.#assertWritable()
    const { events = [], step } = request
    const texts = this.#checkAll(events, request)
    const bytes = texts.reduce((sum, text) => sum + text.length + RECORD_OVERHEAD_BYTES, RECORD_OVERHEAD_BYTES) // prettier-ignore
    const { queuedBytes } = this.#committer
    if (queuedBytes > 0 && queuedBytes + bytes > this.#queueBytesMax) {
      throw logErrors.create('LOG_OVERLOADED', {
        queuedBytes,
        limitBytes: this.#queueBytesMax,
        retryAfterMs: RETRY_AFTER_MS,
      })
    }
    const nowMs = this.#ports.clock.nowMs()
    this.#lastIngestMs = Math.max(this.#lastIngestMs, this.#catalog.ingestMs, nowMs)
    if (events.length === 0 && step === undefined) return { results: [], position: new Map() }
    const ingestMs = this.#lastIngestMs
    const accepted = step === undefined ? undefined : this.#steps.accept(step, NO_EMISSIONS)
    return new Promise((resolve, reject) => {
      this.#committer.add({ request, texts, bytes, ingestMs, step: accepted, resolve, reject })
    })
  }

  async read(request: ReadRequest): Promise<readonly LogRecord[]> {
    this.#assertOpen()
    const { from, recordsMax = READ_RECORDS_DEFAULT } = request
    const partition = this.#catalog.partition(request.stream, request.partition)
    const { start, end } = partition
    if (request.offsets !== undefined && from >= start) {
      return await this.#reader.readAt(
        partition,
        offsetsIn(request.offsets, { from, to: end, recordsMax }),
      )
    }
    const records =
      from >= start
        ? await this.#reader.read(partition, from, Math.min(end, from + Math.max(recordsMax, 1)))
        : []
    const isGone = from < end && records[0]?.offset !== from
    if (!(from >= start) || isGone) {
      // Another process may have removed them a moment ago.
      if (isGone) await this.#tail.refresh()
      throw logErrors.create('LOG_OFFSET_GONE', {
        stream: request.stream,
        partition: request.partition,
        start: partition.start,
        from,
      })
    }
    return records
  }

  async *history(request: HistoryRequest): AsyncIterable<LogRecord> {
    this.#assertOpen()
    this.#catalog.stream(request.stream)
    yield* this.#reader.history(request)
  }

  readonly find = findBy(async ids => {
    this.#assertOpen()
    const found = new Map<string, LogRecord>()
    const possible = ids.filter(id => !id.includes('\u0000'))
    for (let at = 0; at < possible.length; at += FINDS_AT_ONCE) {
      const places = await this.#reader.lookUp(possible.slice(at, at + FINDS_AT_ONCE))
      for (const [id, { partition, offset, record }] of places) {
        if (record !== undefined && offset < partition.end) found.set(id, record)
      }
    }
    return found
  })

  async version(request: { stream: string; key: string; tenant?: string }): Promise<number> {
    this.#assertOpen()
    const { stream, key, tenant = DEFAULT_TENANT } = request
    return this.#reader.version(this.#catalog.home(stream, key), tenant, key)
  }

  async seek(request: { stream: string; partition: number; timeMs: number }): Promise<number> {
    this.#assertOpen()
    const partition = this.#catalog.partition(request.stream, request.partition)
    return this.#reader.seek(partition, request.timeMs)
  }

  ends(): Position {
    return this.#catalog.ends
  }

  steps(request: {
    processor: string
    generation: number
    stream: string
    partition: number
  }): readonly StepEnd[] {
    return this.#steps.endsOf(request)
  }

  onAdvance(listener: () => void): () => void {
    const entry = (): void => listener()
    this.#listeners.add(entry)
    return () => void this.#listeners.delete(entry)
  }

  stats(): LogStats {
    const streams = this.#catalog.list().map(({ declared, partitions }) => ({
      stream: declared.name,
      partitions: partitions.map(({ start, end, watermarkMs }) => ({ start, end, watermarkMs })),
      bytes: partitions.reduce((sum, partition) => sum + partition.bytes, 0),
    }))
    const payloads = streams.reduce((sum, stream) => sum + stream.bytes, 0)
    const { failure, queuedBytes, counters } = this.#committer
    return {
      streams,
      bytes: Math.max(payloads, this.#upkeep.bytes),
      queuedBytes,
      readOnlyReason: failure === undefined ? undefined : this.#committer.refusal().message,
      awayReason: this.#tail.awayReason,
      counters: { ...counters, ...this.#tail.counters, ...this.leases.counters },
      gauges: { leases: this.leases.held, isNotified: this.#tail.isHearing ? 1 : 0 },
    }
  }

  hurry(): void {
    this.#committer.hurry()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#committer.close()
    await this.leases.close()
    await this.#upkeep.stop()
    await this.#tail.close()
  }

  /** Refuses the whole request before anything of it got a place; gives the text of every record. */
  #checkAll(events: readonly NewEvent[], { step }: CommitRequest): (string | Uint8Array)[] {
    const texts: (string | Uint8Array)[] = []
    const check = (event: NewEvent, index: number): void => {
      const { declared } = this.#catalog.stream(event.stream)
      checkEvent(event, index, declared.partitions)
      const reason = unstorable(event)
      if (reason !== undefined) throw logErrors.create('LOG_EVENT_INVALID', { index, reason })
      texts.push(textOf(event, index))
    }
    events.forEach(check)
    step?.emitted.forEach((event, index) => {
      if (event.expectedVersion !== undefined) {
        const reason = 'a step cannot emit with an expected version'
        throw logErrors.create('LOG_EVENT_INVALID', { index, reason })
      }
      check(event, index)
    })
    if (step !== undefined) {
      const { stream, partition } = step.source
      // Whoever stands for leases commits under them alone.
      if (this.leases.isStanding && step.token === undefined) {
        throw logErrors.create('LEASE_LOST', { partition })
      }
      this.#steps.check(step, this.#catalog.partition(stream, partition).end)
    }
    return texts
  }

  /** A reader waits while the database fails over; in the end it is told that it is away (DATABASE_AWAY). */
  async #readPatiently<T>(read: () => Promise<T>): Promise<T> {
    const { clock, random, logger } = this.#ports
    const startedMs = clock.monotonicMs()
    const isTooLate = (): boolean =>
      this.#closing !== undefined ||
      this.#committer.isTooLate() ||
      clock.monotonicMs() - startedMs > READ_PATIENCE_MS
    try {
      return await patiently(read, { clock, random, logger, isTooLate })
    } catch (error) {
      if (!isLostConnection(error)) throw error
      const seconds = Math.round((clock.monotonicMs() - startedMs) / 1_000)
      throw logErrors.create('DATABASE_AWAY', { seconds }, error)
    }
  }

  #announce(): void {
    // In turns of their own: a listener that throws is the fault of its owner, not of the log.
    for (const listener of this.#listeners) queueMicrotask(listener)
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw logErrors.create('LOG_CLOSED')
  }

  #assertWritable(): void {
    this.#assertOpen()
    if (this.#committer.failure !== undefined) throw this.#committer.refusal()
  }
}

const PUT_STREAM = `
INSERT INTO $schema.streams
  (name, number, partitions, lateness_ms, skew_ms, is_transient, max_age_ms, max_bytes)
VALUES ($1, (SELECT coalesce(max(number), 0) + 1 FROM $schema.streams), $2, $3, $4, $5, $6, $7)
ON CONFLICT (name) DO UPDATE SET lateness_ms = excluded.lateness_ms, skew_ms = excluded.skew_ms,
  is_transient = excluded.is_transient, max_age_ms = excluded.max_age_ms,
  max_bytes = excluded.max_bytes`

const PUT_PARTITIONS = `
INSERT INTO $schema.partitions (number, stream, partition)
SELECT (SELECT coalesce(max(number), 0) FROM $schema.partitions) + 1 + p, $1, p
FROM generate_series(0, $2::integer - 1) p`

const PUT_LEASES = `
INSERT INTO $schema.leases (partition) SELECT generate_series(0, $1::integer - 1)
ON CONFLICT (partition) DO NOTHING`

function columnsOf(declared: Declared): (string | number | boolean | null)[] {
  const { name, partitions, latenessMs, skewMs, transient } = declared
  const limits = [transient?.maxAgeMs ?? null, transient?.maxBytes ?? null]
  return [name, partitions, latenessMs, skewMs, transient !== undefined, ...limits]
}

/** Why PostgreSQL cannot hold an event that other logs can: its text has no character U+0000. */
function unstorable(event: NewEvent): string | undefined {
  const { key, id, type, tenant = '', definition = '', keys = [] } = event
  for (const text of [key, id, type, tenant, definition, ...keys]) {
    if (text.includes('\u0000')) return 'a name in it holds U+0000, which PostgreSQL cannot store'
  }
  return event.payload?.includes(0) === true ? 'its payload holds a zero byte' : undefined
}

function textOf(event: NewEvent, index: number): string | Uint8Array {
  const { payload } = event
  if (payload === undefined) return jsonOf(event.data, index)
  // What is no UTF-8 is kept as every reader would decode it.
  return isUtf8(payload) ? payload : Buffer.from(payload).toString('utf8')
}
