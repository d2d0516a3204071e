/**
 * The contract of the event log. Every implementation passes `suite.ts`; the rest of the house
 * knows only this file.
 *
 * Promise: what `commit` acknowledged is there once, in order, after any crash. Order holds within
 * a partition; order across partitions is undefined. Readers see durable records only.
 */
import type { Position } from '@millrace/core'

/** The tenant of records that name none. */
export const DEFAULT_TENANT = 'default'
/** The type of a record that carries nothing but the passing of time. */
export const TICK_TYPE = '$tick'

/** A stream: records of one key entity, split into partitions. Declared before it is used; kept for ever. */
export interface StreamSpec {
  /** `[a-z][a-z0-9._-]*`, at most 100 characters. */
  readonly name: string
  /** Fixed at the first declaration; another number later is refused (LOG_STREAM_CONFLICT). */
  readonly partitions: number
  /** How far the watermark stays behind the greatest event time. Default 0. */
  readonly latenessMs?: number
  /** How far an event time may lie after its ingest time and still count for the watermark. Default 60,000. */
  readonly skewMs?: number
  /** Present: old records may be removed, never the newest of a partition. Absent: kept for ever. */
  readonly transient?: { readonly maxAgeMs?: number; readonly maxBytes?: number }
}

/** Personal fields of a record, encrypted with the key of one person; opaque to the log. */
export interface SealedPart {
  /** Surrogate id of the person whose key opens it. */
  readonly person: string
  readonly bytes: Uint8Array
}

/** An event to append. */
export interface NewEvent {
  readonly tenant?: string
  readonly stream: string
  readonly type: string
  /** Partition key, 1 to 512 characters. */
  readonly key: string
  /** The keys under which the record is found in `history`; `[key]` when absent. Re-keyed records carry several. */
  readonly keys?: readonly string[]
  /** Event id, 1 to 128 characters, unique in the log; ordered ids (see core `ids.ts`) are recognised fastest. */
  readonly id: string
  /** When it happened, milliseconds since the epoch. */
  readonly eventTimeMs: number
  /** True when the sender gave no time, so that `eventTimeMs` is that of arrival: the same event sent again arrives later, and its time does not count in the duplicate check. */
  readonly isTimeOfArrival?: boolean
  /** The payload as a JSON value; undefined when only `payload` is given. Must equal what `payload` decodes to when both are given; never mutated afterwards. */
  readonly data: unknown
  /** The JSON text of `data` in UTF-8, or of an envelope object whose member `data` it is; made from `data` when absent. The log may keep a reference until the commit resolves. */
  readonly payload?: Uint8Array
  /** True when `payload` is the envelope. */
  readonly isEnvelope?: boolean
  readonly headers?: Readonly<Record<string, string>>
  readonly sealed?: SealedPart
  /** True for imported records: they do not age by the wall clock. */
  readonly isHistory?: boolean
  /** Version of the definition that the payload was written under. */
  readonly definition?: string
  /** Generation of the fold that emitted it; 0 for events from outside. */
  readonly generation?: number
  /** Append only if the newest record of (stream, key) has this version: its offset plus one, 0 for none. Otherwise VERSION_CONFLICT. */
  readonly expectedVersion?: number
  /** Overrides the partition given by the key: for ticks and re-keyed records. */
  readonly partition?: number
  /** True when the caller guarantees that the id is new (made by this process or by a committed step): the duplicate check is left out and the id is not remembered. */
  readonly isUnique?: boolean
  /** Of a record that is moved here from another log: what it was given there. Neither may be less than that of the record before it. */
  readonly moved?: Pick<LogRecord, 'ingestTimeMs' | 'watermarkMs'>
}

/** A record as it is read. Getters may decode lazily, each once; `payload` is valid until the next read unless copied. */
export interface LogRecord {
  readonly tenant: string
  readonly stream: string
  readonly partition: number
  /** Place in the partition, from 0, without gaps. */
  readonly offset: number
  readonly type: string
  readonly key: string
  readonly keys: readonly string[]
  readonly id: string
  readonly eventTimeMs: number
  /** When the log took it, milliseconds since the epoch; never goes back within a log, even when the clock does. */
  readonly ingestTimeMs: number
  /** Watermark of the partition after this record: the greatest so far of min(event time, ingest time + skew), less the lateness. */
  readonly watermarkMs: number
  readonly definition: string
  readonly generation: number
  readonly isHistory: boolean
  /** True when its id is not remembered: `find` does not know it, and it is no duplicate of anything. */
  readonly isUnique: boolean
  readonly headers: Readonly<Record<string, string>>
  readonly sealed: SealedPart | undefined
  /** True when somebody that it names was erased: folds leave it out, and of its data only ids are certain to be there. */
  readonly isErased?: boolean
  /** The JSON text of `data` in UTF-8, also when it was appended inside an envelope. */
  readonly payload: Uint8Array
  /** The payload decoded; the same object for every reader: do not mutate. */
  readonly data: unknown
  /** Room for what declared folds are handed instead of it, made once; the log leaves it alone. */
  memo: unknown
}

/** What became of one event of a commit. */
export type AppendResult =
  | { readonly status: 'appended'; readonly partition: number; readonly offset: number }
  /** The same event (type, key, event time, data) was appended before, there. */
  | { readonly status: 'duplicate'; readonly partition: number; readonly offset: number }
  /** Refused: EVENT_CONFLICT (same id, other content) or VERSION_CONFLICT. The others of the commit are not affected. */
  | { readonly status: 'conflict'; readonly code: string; readonly reason: string }

/** A key that a processor could not fold: it waits from this offset on. */
export interface ParkedKey {
  readonly key: string
  readonly offset: number
  readonly error: string
  readonly attempts: number
}

/** What a processor did with a range of one source partition; atomic with all that it emitted. */
export interface Step {
  readonly processor: string
  /** Steps of an earlier generation than the newest committed one are refused (STEP_STALE). */
  readonly generation: number
  readonly source: { readonly stream: string; readonly partition: number }
  /**
   * The range of the step, within the durable records of the source; `from` must be the `to` of the
   * previous step of this generation on this partition, or STEP_STALE. The first one may start anywhere.
   */
  readonly from: number
  readonly to: number
  /** Records emitted, in order. Their ids are deterministic and `isUnique`. */
  readonly emitted: readonly NewEvent[]
  readonly parked?: readonly ParkedKey[]
  readonly released?: readonly string[]
  /** Of a step that is moved here from another log: the ends that it had left behind there, which are here already. */
  readonly ends?: Position
  /** Fencing token of the lease that it is made under, where processes share the log (`Leases`); LEASE_LOST when that is over. */
  readonly token?: number
}

/** How far a processor has come on one source partition, and what that meant for its targets. */
export interface StepEnd {
  readonly consumed: number
  /** End offset of every partition that this generation ever emitted to from this source partition, after its last record there. */
  readonly ends: Position
  /** The keys of this source partition that wait, after this step: parked and not released since. */
  readonly parked: readonly ParkedKey[]
}

export interface CommitRequest {
  readonly events?: readonly NewEvent[]
  readonly step?: Step
}

export interface CommitResult {
  /** One entry per event, in order. */
  readonly results: readonly AppendResult[]
  /** The least position that contains all appended (and recognised) events of this commit. */
  readonly position: Position
}

export interface ReadRequest {
  readonly stream: string
  readonly partition: number
  /** First offset wanted. */
  readonly from: number
  /** At most this many records. Default 1,000. A batch may be smaller; it is empty only at the end. */
  readonly recordsMax?: number
  /** Only the records at these offsets, ascending: those between them cost little. The batch is empty when none of them is left. */
  readonly offsets?: readonly number[]
}

export interface HistoryRequest {
  readonly stream: string
  readonly tenant?: string
  /**
   * One or more keys; their records are merged by (event time, id) when more than one, in offset
   * order for one. A key is looked for in the partition that `partitionOf` gives it.
   */
  readonly keys: readonly string[]
  /** Only records at or after this offset of their partition. Default 0. */
  readonly from?: number
  /** Only records before this offset of their partition. Default: the durable end. */
  readonly to?: number
  /** Those of several keys too in offset order, one partition after the other: nothing has to be held to be sorted. */
  readonly isByOffset?: boolean
  /** Records that the caller has at hand: they may be given in place of being read. */
  readonly known?: (partition: number, offset: number) => LogRecord | undefined
}

export interface LogCapabilities {
  /** Survives the process. */
  readonly isDurable: boolean
  readonly expectedVersion: boolean
}

export interface StreamStats {
  readonly stream: string
  readonly partitions: readonly {
    readonly start: number
    readonly end: number
    /** -Infinity while nothing was appended. */
    readonly watermarkMs: number
  }[]
  readonly bytes: number
}

export interface LogStats {
  readonly streams: readonly StreamStats[]
  /** Bytes on disk in all, indexes included. */
  readonly bytes: number
  /** Bytes accepted and not yet durable. */
  readonly queuedBytes: number
  /** That the log takes no more events and why, when it does not: the message of LOG_READ_ONLY. */
  readonly readOnlyReason: string | undefined
  /** That the log cannot be reached now and why; what is appended meanwhile waits. */
  readonly awayReason?: string | undefined
  /** What only grows since open, by name: units, syncs, appended, duplicates, conflicts... LOG_FIGURES says what each is. */
  readonly counters: Readonly<Record<string, number>>
  /** What rises and falls, by name; LOG_FIGURES says what each is. */
  readonly gauges: Readonly<Record<string, number>>
}

/**
 * Looks for durable records by their ids; of those appended as `isUnique` it knows nothing. Of many ids
 * those that are there, in no order: far cheaper together than one after the other, and each record
 * holds no memory but its own. Time and memory grow with them: give some thousands at a time, sorted.
 */
export interface FindRecords {
  (id: string): Promise<LogRecord | undefined>
  (ids: readonly string[]): Promise<ReadonlyMap<string, LogRecord>>
}

/** The event log. At most twelve methods; differences between implementations are `capabilities`. */
export interface EventLog {
  readonly capabilities: LogCapabilities

  /** Declares streams; idempotent. Refuses another partition count than before (LOG_STREAM_CONFLICT). */
  declare(streams: readonly StreamSpec[]): Promise<void>

  /**
   * Appends events, or commits a step with what it emitted, as one atomic unit; resolves when the
   * unit is durable. Units become durable, and visible to readers, in the order of the calls.
   * Refuses with LOG_OVERLOADED (`retryAfterMs`) when too much waits, LOG_READ_ONLY after a failed
   * write or fsync or a full disk, LOG_STREAM_UNKNOWN, LOG_EVENT_INVALID.
   */
  commit(request: CommitRequest): Promise<CommitResult>

  /** Durable records of one partition in order. Refuses an offset before the start (LOG_OFFSET_GONE). */
  read(request: ReadRequest): Promise<readonly LogRecord[]>

  /** All durable records of one key, or of a set of keys, of one stream. */
  history(request: HistoryRequest): AsyncIterable<LogRecord>

  find: FindRecords

  /** Offset plus one of the newest durable record of a key (the last one of its `history`), 0 for none. UNSUPPORTED without the capability. */
  version(request: { stream: string; key: string; tenant?: string }): Promise<number>

  /** The first offset of a partition whose ingest time is at or after `timeMs`; the end when there is none. */
  seek(request: { stream: string; partition: number; timeMs: number }): Promise<number>

  /** Durable end offsets of all partitions of all streams. A live view of cheap reads; copy it to keep it. */
  ends(): Position

  /** How far a processor of a generation came on each partition of a source stream, newest step first, as far back as is kept (at least the newest). */
  steps(request: {
    processor: string
    generation: number
    stream: string
    partition: number
  }): readonly StepEnd[]

  /** Calls `listener` after durable ends advanced (coalesced, at most once per unit group); returns how to stop. */
  onAdvance(listener: () => void): () => void

  stats(): LogStats

  /** Makes all accepted units durable, releases the directory. Later calls are refused (LOG_CLOSED). */
  close(): Promise<void>
}
