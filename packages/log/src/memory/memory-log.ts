/**
 * The log in memory: the double in everybody's tests and the model that the durable log is compared
 * with. It favours being obviously right over being fast. Nothing survives the process.
 */
import { partitionName, partitionOf } from '@millrace/core'
import type { Clock, Position } from '@millrace/core'
import {
  checkEvent,
  checkStream,
  differenceOf,
  eventConflict,
  isSameStream,
  jsonOf,
  tenantKey,
  versionConflict,
} from '../admission.ts'
import { logErrors } from '../errors.ts'
import { findBy } from '../find.ts'
import { DEFAULT_TENANT } from '../log.ts'
import type {
  AppendResult,
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
import type { StepRecord } from '../step-book.ts'
import { offsetsIn } from '../offsets.ts'
import { createMemoryStore, createRecord, dropPending, eventsOf, retain } from './memory-store.ts'
import type { MemoryPartition, MemoryStore, MemoryStream } from './memory-store.ts'

const READ_RECORDS_DEFAULT = 1_000
const QUEUE_BYTES_MAX_DEFAULT = 64 * 1024 * 1024
const RECORD_OVERHEAD_BYTES = 64
const RETRY_AFTER_MS = 50

export interface MemoryLogOptions {
  readonly clock: Clock
  /** What an earlier log left; a new one when absent. Opening it closes its earlier log. */
  readonly store?: MemoryStore
  /** Bytes that may wait to become durable before commits are refused (LOG_OVERLOADED). Default 64 MiB. */
  readonly queueBytesMax?: number
  /** Stands for the fsync of a durable log: awaited before a group of units counts as durable; a rejection makes the log read-only. */
  readonly sync?: () => Promise<void>
}

/** A log in memory. Commits become durable in groups, as in the file log, one turn of the microtask queue later. */
export function openMemoryLog(options: MemoryLogOptions): EventLog {
  return new MemoryLog(options)
}

class MemoryLog implements EventLog {
  readonly capabilities: LogCapabilities = { isDurable: false, expectedVersion: true }
  readonly #clock: Clock
  readonly #store: MemoryStore
  readonly #queueBytesMax: number
  readonly #sync: () => Promise<void>
  readonly #ends = new Map<string, number>()
  readonly #listeners = new Set<() => void>()
  readonly #counters = { units: 0, syncs: 0, appended: 0, duplicates: 0, conflicts: 0, steps: 0 }
  #queuedBytes = 0
  #flushing: Promise<void> | undefined
  #isClosed = false
  #refusal: Error | undefined

  constructor(options: MemoryLogOptions) {
    this.#clock = options.clock
    this.#store = options.store ?? createMemoryStore()
    this.#queueBytesMax = options.queueBytesMax ?? QUEUE_BYTES_MAX_DEFAULT
    this.#sync = options.sync ?? (async () => undefined)
    this.#store.owner = this
    const lost = logErrors.create('LOG_CLOSED')
    for (const unit of dropPending(this.#store)) unit.reject(lost)
    for (const stream of this.#store.streams.values()) this.#showEnds(stream)
  }

  async declare(streams: readonly StreamSpec[]): Promise<void> {
    this.#assertWritable()
    const checked = streams.map(checkStream)
    for (const declared of checked) {
      const existing = this.#store.streams.get(declared.name)
      if (existing !== undefined) isSameStream(existing.declared, declared)
    }
    for (const declared of checked) {
      const existing = this.#store.streams.get(declared.name)
      if (existing !== undefined) {
        existing.declared = declared
        continue
      }
      const partitions = Array.from({ length: declared.partitions }, createPartition)
      const stream: MemoryStream = { declared, partitions }
      this.#store.streams.set(declared.name, stream)
      this.#showEnds(stream)
    }
  }

  async commit(request: CommitRequest): Promise<CommitResult> {
    this.#assertWritable()
    const { events = [], step } = request
    const bytes = this.#checkAll(events, request)
    if (this.#queuedBytes > 0 && this.#queuedBytes + bytes > this.#queueBytesMax) {
      throw logErrors.create('LOG_OVERLOADED', {
        queuedBytes: this.#queuedBytes,
        limitBytes: this.#queueBytesMax,
        retryAfterMs: RETRY_AFTER_MS,
      })
    }
    this.#store.lastIngestMs = Math.max(this.#store.lastIngestMs, this.#clock.nowMs())
    const placed: LogRecord[] = []
    const ids: string[] = []
    const results: AppendResult[] = []
    const position = new Map<string, number>()
    const emitted = new Map<string, number>(step?.ends)
    let mustWait = step !== undefined
    for (const { event, isEmitted } of eventsOf(events, step)) {
      const result = this.#admit(event, isEmitted, placed, ids)
      if (!isEmitted) results.push(result)
      if (result.status === 'conflict') continue
      const name = partitionName(event.stream, result.partition)
      const end = result.offset + 1
      if (end > (position.get(name) ?? 0)) position.set(name, end)
      if (isEmitted) emitted.set(name, end)
      if (end > (this.#ends.get(name) ?? 0)) mustWait = true
    }
    const stepRecord = step === undefined ? undefined : this.#store.steps.accept(step, emitted)
    if (mustWait) await this.#enqueue(bytes, placed, ids, stepRecord)
    return { results, position }
  }

  async read(request: ReadRequest): Promise<readonly LogRecord[]> {
    this.#assertOpen()
    const { from, recordsMax = READ_RECORDS_DEFAULT } = request
    const partition = this.#partitionOf(request.stream, request.partition)
    if (!(from >= partition.start)) {
      const { stream } = request
      const { start } = partition
      throw logErrors.create('LOG_OFFSET_GONE', {
        stream,
        partition: request.partition,
        start,
        from,
      })
    }
    if (request.offsets !== undefined) {
      const wanted = offsetsIn(request.offsets, { from, to: partition.durableEnd, recordsMax })
      return wanted.map(offset => partition.records[offset - partition.start] as LogRecord)
    }
    const to = Math.min(from + Math.max(recordsMax, 1), partition.durableEnd)
    return partition.records.slice(from - partition.start, Math.max(to, from) - partition.start)
  }

  async *history(request: HistoryRequest): AsyncIterable<LogRecord> {
    this.#assertOpen()
    const { partitions, declared } = this.#streamOf(request.stream)
    const { tenant = DEFAULT_TENANT, from = 0, to = Infinity, isByOffset = false } = request
    const found = new Set<LogRecord>()
    for (const key of request.keys) {
      const partition = partitions[partitionOf(key, declared.partitions)] as MemoryPartition
      const end = Math.min(to, partition.durableEnd)
      for (const record of partition.byKey.get(tenantKey(tenant, key)) ?? []) {
        if (record.offset >= from && record.offset < end) found.add(record)
      }
    }
    const records = [...found]
    if (request.keys.length > 1) records.sort(isByOffset ? compareByOffset : compareByTime)
    yield* records
  }

  readonly find = findBy(async ids => {
    this.#assertOpen()
    const found = new Map<string, LogRecord>()
    for (const id of ids) {
      const place = this.#store.ids.get(id)
      if (place === undefined) continue
      const end = this.#ends.get(partitionName(place.stream, place.partition)) ?? 0
      if (place.offset < end && place.record !== undefined) found.set(id, place.record)
    }
    return found
  })

  async version(request: { stream: string; key: string; tenant?: string }): Promise<number> {
    this.#assertOpen()
    const { stream, key, tenant = DEFAULT_TENANT } = request
    const { partitions, declared } = this.#streamOf(stream)
    const partition = partitions[partitionOf(key, declared.partitions)] as MemoryPartition
    const records = partition.byKey.get(tenantKey(tenant, key)) ?? []
    return (records.findLast(record => record.offset < partition.durableEnd)?.offset ?? -1) + 1
  }

  async seek(request: { stream: string; partition: number; timeMs: number }): Promise<number> {
    this.#assertOpen()
    const partition = this.#partitionOf(request.stream, request.partition)
    const visible = partition.records.slice(0, partition.durableEnd - partition.start)
    const index = visible.findIndex(record => record.ingestTimeMs >= request.timeMs)
    return index === -1 ? partition.durableEnd : partition.start + index
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
    return this.#store.steps.endsOf(request)
  }

  onAdvance(listener: () => void): () => void {
    const entry = (): void => listener()
    this.#listeners.add(entry)
    return () => void this.#listeners.delete(entry)
  }

  stats(): LogStats {
    const streams = [...this.#store.streams.values()].map(({ declared, partitions }) => ({
      stream: declared.name,
      partitions: partitions.map(({ start, durableEnd, watermarkMs }) => ({
        start,
        end: durableEnd,
        watermarkMs,
      })),
      bytes: partitions.reduce((sum, partition) => sum + partition.bytes, 0),
    }))
    return {
      streams,
      bytes: streams.reduce((sum, stream) => sum + stream.bytes, 0),
      queuedBytes: this.#queuedBytes,
      readOnlyReason: this.#refusal?.message,
      counters: { ...this.#counters },
      gauges: {},
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#flushing
  }

  /** Refuses the whole request before anything of it got a place; returns its size in bytes. */
  #checkAll(events: readonly NewEvent[], { step }: CommitRequest): number {
    let bytes = RECORD_OVERHEAD_BYTES
    for (const { event, index, isEmitted } of eventsOf(events, step)) {
      const stream = this.#streamOf(event.stream)
      checkEvent(event, index, stream.declared.partitions)
      if (isEmitted && event.expectedVersion !== undefined) {
        const reason = 'a step cannot emit with an expected version'
        throw logErrors.create('LOG_EVENT_INVALID', { index, reason })
      }
      bytes += sizeOf(event, index)
    }
    if (step !== undefined) {
      const source = this.#partitionOf(step.source.stream, step.source.partition)
      this.#store.steps.check(step, source.durableEnd)
    }
    return bytes
  }

  /** Gives an event its place, or says why not. */
  #admit(event: NewEvent, isEmitted: boolean, placed: LogRecord[], ids: string[]): AppendResult {
    const isUnique = isEmitted || event.isUnique === true
    const known = isUnique ? undefined : this.#store.ids.get(event.id)
    if (known !== undefined) {
      const reason = known.record === undefined ? undefined : differenceOf(event, known.record)
      if (reason !== undefined) {
        this.#counters.conflicts += 1
        return eventConflict(event.id, reason)
      }
      this.#counters.duplicates += 1
      return { status: 'duplicate', partition: known.partition, offset: known.offset }
    }
    const { declared, partitions } = this.#streamOf(event.stream)
    const number = event.partition ?? partitionOf(event.key, declared.partitions)
    if (event.expectedVersion !== undefined) {
      const home = partitions[partitionOf(event.key, declared.partitions)] as MemoryPartition
      const newest = home.byKey.get(tenantKey(event.tenant ?? DEFAULT_TENANT, event.key))?.at(-1)
      const actual = (newest?.offset ?? -1) + 1
      if (actual !== event.expectedVersion) {
        this.#counters.conflicts += 1
        return versionConflict(event, actual)
      }
    }
    const record = this.#place(
      event,
      declared,
      number,
      partitions[number] as MemoryPartition,
      isUnique,
    )
    placed.push(record)
    if (!isUnique) {
      ids.push(event.id)
      const { stream } = event
      this.#store.ids.set(event.id, { stream, partition: number, offset: record.offset, record })
    }
    return { status: 'appended', partition: number, offset: record.offset }
  }

  #place(
    event: NewEvent,
    declared: MemoryStream['declared'],
    number: number,
    partition: MemoryPartition,
    isUnique: boolean,
  ): LogRecord {
    const ingestTimeMs = event.moved?.ingestTimeMs ?? this.#store.lastIngestMs
    const reached =
      event.moved?.watermarkMs ??
      Math.min(event.eventTimeMs, ingestTimeMs + declared.skewMs) - declared.latenessMs
    partition.watermarkMs = Math.max(partition.watermarkMs, reached)
    const offset = partition.start + partition.records.length
    const { watermarkMs } = partition
    const record = createRecord(event, {
      partition: number,
      offset,
      ingestTimeMs,
      watermarkMs,
      isUnique,
    })
    const size = sizeOf(event, 0)
    partition.records.push(record)
    partition.sizes.push(size)
    partition.bytes += size
    for (const key of new Set(record.keys)) {
      if (partitionOf(key, declared.partitions) !== number) continue
      const name = tenantKey(record.tenant, key)
      const sameKey = partition.byKey.get(name)
      if (sameKey === undefined) partition.byKey.set(name, [record])
      else sameKey.push(record)
    }
    return record
  }

  #enqueue(
    bytes: number,
    placed: readonly LogRecord[],
    ids: readonly string[],
    step: StepRecord | undefined,
  ): Promise<void> {
    this.#queuedBytes += bytes
    this.#counters.units += 1
    return new Promise((resolve, reject) => {
      this.#store.pending.push({ bytes, placed, ids, step, resolve, reject })
      this.#flushing ??= this.#flush()
    })
  }

  async #flush(): Promise<void> {
    // Commits of the same turn gather into one group, as they do while a real sync is running.
    await Promise.resolve()
    try {
      while (this.#store.pending.length > 0 && this.#store.owner === this) {
        const group = [...this.#store.pending]
        await this.#sync()
        if (this.#store.owner !== this) break
        this.#settle(group)
        for (const unit of group) unit.resolve()
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      const refusal = logErrors.create('LOG_READ_ONLY', { reason }, error)
      this.#refusal = refusal
      for (const unit of this.#store.pending) unit.reject(refusal)
    }
    this.#flushing = undefined
  }

  #settle(group: MemoryStore['pending']): void {
    this.#counters.syncs += 1
    this.#store.pending.splice(0, group.length)
    const touched = new Set<MemoryStream>()
    for (const unit of group) {
      this.#queuedBytes -= unit.bytes
      this.#counters.appended += unit.placed.length
      for (const record of unit.placed) {
        const stream = this.#streamOf(record.stream)
        touched.add(stream)
        const partition = stream.partitions[record.partition] as MemoryPartition
        partition.durableEnd = record.offset + 1
        this.#ends.set(partitionName(record.stream, record.partition), partition.durableEnd)
      }
      if (unit.step !== undefined) {
        this.#counters.steps += 1
        this.#store.steps.settle(unit.step)
      }
    }
    for (const stream of touched) {
      if (stream.declared.transient !== undefined) retain(this.#store, stream, this.#clock.nowMs())
    }
    // In turns of their own: a listener that throws is the fault of its owner, not of the log.
    for (const listener of this.#listeners) queueMicrotask(listener)
  }

  #showEnds(stream: MemoryStream): void {
    stream.partitions.forEach((partition, number) => {
      this.#ends.set(partitionName(stream.declared.name, number), partition.durableEnd)
    })
  }

  #streamOf(name: string): MemoryStream {
    const stream = this.#store.streams.get(name)
    if (stream === undefined) throw logErrors.create('LOG_STREAM_UNKNOWN', { stream: name })
    return stream
  }

  #partitionOf(name: string, number: number): MemoryPartition {
    const { partitions } = this.#streamOf(name)
    const partition = partitions[number]
    if (partition !== undefined) return partition
    const last = partitions.length - 1
    throw logErrors.create('LOG_PARTITION_UNKNOWN', { stream: name, partition: number, last })
  }

  #assertOpen(): void {
    if (this.#isClosed || this.#store.owner !== this) throw logErrors.create('LOG_CLOSED')
  }

  #assertWritable(): void {
    this.#assertOpen()
    if (this.#refusal !== undefined) throw this.#refusal
  }
}

function createPartition(): MemoryPartition {
  return {
    start: 0,
    records: [],
    sizes: [],
    bytes: 0,
    durableEnd: 0,
    watermarkMs: Number.NEGATIVE_INFINITY,
    byKey: new Map(),
  }
}

function sizeOf(event: NewEvent, index: number): number {
  const payload = event.payload?.length ?? jsonOf(event.data, index).length
  return RECORD_OVERHEAD_BYTES + event.id.length + event.key.length + payload
}

function compareByOffset(a: LogRecord, b: LogRecord): number {
  return a.partition - b.partition || a.offset - b.offset
}

function compareByTime(a: LogRecord, b: LogRecord): number {
  if (a.eventTimeMs !== b.eventTimeMs) return a.eventTimeMs - b.eventTimeMs
  if (a.id !== b.id) return a.id < b.id ? -1 : 1
  return a.partition - b.partition || a.offset - b.offset
}
