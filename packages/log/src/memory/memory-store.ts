/** What a memory log holds; it outlives the log that opened it, so that tests can reopen it. */
import { DEFAULT_TENANT } from '../log.ts'
import type { LogRecord, NewEvent, Step } from '../log.ts'
import { dataOf, tenantKey } from '../admission.ts'
import type { Declared } from '../admission.ts'
import { StepBook } from '../step-book.ts'
import type { StepRecord } from '../step-book.ts'

/** One partition: records from `start` on, of which those before `durableEnd` are visible. */
export interface MemoryPartition {
  start: number
  records: LogRecord[]
  /** Bytes of each record, beside `records`. */
  sizes: number[]
  bytes: number
  durableEnd: number
  watermarkMs: number
  /** Records by tenant and key, for those whose home this partition is. */
  readonly byKey: Map<string, LogRecord[]>
}

export interface MemoryStream {
  declared: Declared
  readonly partitions: readonly MemoryPartition[]
}

/** Where the record of an id is; `record` is undefined once retention removed it. */
export interface MemoryPlace {
  readonly stream: string
  readonly partition: number
  readonly offset: number
  record: LogRecord | undefined
}

/** One commit that is not durable yet. */
export interface PendingUnit {
  readonly bytes: number
  readonly placed: readonly LogRecord[]
  readonly ids: readonly string[]
  readonly step: StepRecord | undefined
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export interface MemoryStore {
  readonly streams: Map<string, MemoryStream>
  readonly ids: Map<string, MemoryPlace>
  readonly pending: PendingUnit[]
  steps: StepBook
  lastIngestMs: number
  /** Which opening owns the store; an earlier owner is closed. */
  owner: object | undefined
}

/** An empty store. Open it again with `openMemoryLog` to see what a restart would find. */
export function createMemoryStore(): MemoryStore {
  return {
    streams: new Map(),
    ids: new Map(),
    pending: [],
    steps: new StepBook(),
    lastIngestMs: Number.NEGATIVE_INFINITY,
    owner: undefined,
  }
}

/** Forgets what no acknowledged commit holds, as a crash does; returns the units that are lost. */
export function dropPending(store: MemoryStore): readonly PendingUnit[] {
  const lost = store.pending.splice(0)
  for (const unit of lost) for (const id of unit.ids) store.ids.delete(id)
  for (const stream of store.streams.values()) {
    for (const partition of stream.partitions) {
      const kept = partition.durableEnd - partition.start
      for (const record of partition.records.splice(kept)) unindex(partition, record)
      for (const size of partition.sizes.splice(kept)) partition.bytes -= size
      const newest = partition.records.at(-1)
      if (newest !== undefined) partition.watermarkMs = newest.watermarkMs
      else if (partition.durableEnd === 0) partition.watermarkMs = Number.NEGATIVE_INFINITY
    }
  }
  const steps = new StepBook()
  for (const step of store.steps.durable()) steps.restore(step)
  store.steps = steps
  return lost
}

function unindex(partition: MemoryPartition, record: LogRecord): void {
  for (const key of new Set(record.keys)) {
    const name = tenantKey(record.tenant, key)
    const rest = (partition.byKey.get(name) ?? []).filter(other => other !== record)
    if (rest.length === 0) partition.byKey.delete(name)
    else partition.byKey.set(name, rest)
  }
}

/** Removes records that the retention of their stream no longer keeps; never the newest. */
export function retain(store: MemoryStore, stream: MemoryStream, nowMs: number): void {
  const { maxAgeMs = Infinity, maxBytes = Infinity } = stream.declared.transient ?? {}
  for (const partition of stream.partitions) {
    let removed = 0
    while (partition.start + removed < partition.durableEnd - 1) {
      const record = partition.records[removed] as LogRecord
      const isOld = record.ingestTimeMs < nowMs - maxAgeMs
      if (!isOld && partition.bytes <= maxBytes / stream.partitions.length) break
      unindex(partition, record)
      const place = store.ids.get(record.id)
      if (place?.record === record) place.record = undefined
      partition.bytes -= partition.sizes[removed] as number
      removed += 1
    }
    partition.records.splice(0, removed)
    partition.sizes.splice(0, removed)
    partition.start += removed
  }
}

const NO_HEADERS: Readonly<Record<string, string>> = {}

/** The record of an event that got its place. */
export function createRecord(
  event: NewEvent,
  place: Pick<LogRecord, 'partition' | 'offset' | 'ingestTimeMs' | 'watermarkMs' | 'isUnique'>,
): LogRecord {
  const data = dataOf(event)
  let payload: Uint8Array | undefined
  return {
    tenant: event.tenant ?? DEFAULT_TENANT,
    stream: event.stream,
    ...place,
    type: event.type,
    key: event.key,
    keys: event.keys ?? [event.key],
    id: event.id,
    eventTimeMs: event.eventTimeMs,
    definition: event.definition ?? '',
    generation: event.generation ?? 0,
    isHistory: event.isHistory ?? false,
    headers: event.headers ?? NO_HEADERS,
    sealed: event.sealed,
    data,
    memo: undefined,
    get payload() {
      payload ??= Buffer.from(JSON.stringify(data), 'utf8')
      return payload
    },
  }
}

/** Every event of a request with whether it is remembered by its id. */
export function* eventsOf(
  events: readonly NewEvent[],
  step: Step | undefined,
): Iterable<{ event: NewEvent; index: number; isEmitted: boolean }> {
  for (let index = 0; index < events.length; index++) {
    yield { event: events[index] as NewEvent, index, isEmitted: false }
  }
  if (step === undefined) return
  for (let index = 0; index < step.emitted.length; index++) {
    yield { event: step.emitted[index] as NewEvent, index, isEmitted: true }
  }
}
