/**
 * The contract between the streams runtime and a fold: code that turns the records of one stream
 * into keyed state and emitted records. Declared views are compiled to it; modules with hot paths
 * implement it themselves over typed arrays.
 *
 * Determinism is the whole of it: the state after a range of records, and what was emitted on the
 * way, depend only on those records (their stored watermarks included) and on tables as of event
 * time. The journal therefore holds a step's range, emissions and parked keys, and no copy of the
 * state: after a crash the state is the newest snapshot folded forward to the last committed step
 * (docs/adr/0003-streams-runtime.md).
 */
import type { LogRecord, NewEvent } from '@millrace/log'
import type { PersonFields } from './identity/contract.ts'

/** A record to emit; the runtime gives it id, generation, partition, definition and history mark. */
export interface Emission {
  readonly stream: string
  readonly type: string
  /** Partition key; the first of `keys` when the record carries several. */
  readonly key: string
  /** All keys under which its history is found; they must fall into one partition. */
  readonly keys?: readonly string[]
  /** Event time; that of the cause when absent. */
  readonly eventTimeMs?: number
  readonly data: unknown
  /** The JSON text of `data`, when it is at hand; the fold must not change it afterwards. */
  readonly payload?: Uint8Array
  readonly headers?: NewEvent['headers']
}

/** What a fold may do to the outside while it folds. */
export interface FoldOutput {
  /** Emits a record, atomic with the step. Ignored while state is rebuilt over a range that is committed already. */
  emit(emission: Emission): void
  /**
   * Parks a key whose work in `advance` failed. The shard has restored the key to what it was before,
   * emitted nothing for it, and holds its timers until `decodeKey` is called for it.
   */
  fail(key: string, error: unknown): void
}

/** Versioned tables as a fold sees them. */
export interface TableLookup {
  /** Attributes of `id` as of `timeMs`; undefined before its first version and after a removal. Frozen by convention: never mutate it. */
  asOf(kind: string, id: string, timeMs: number): unknown
}

/** What a shard is made with. */
export interface ShardContext {
  readonly partition: number
  readonly partitions: number
  /** The tables that the definition lists. */
  readonly tables: TableLookup
  /** The only keys whose state will be asked for, when that is known: the shard need not keep that of others. */
  readonly keys?: ReadonlySet<string>
}

/** The state of a fold for one partition. Synchronous: it runs in the view loop. */
export interface FoldShard {
  /** Folds one record; changes no keys but those of the record. A throw parks (or passes) the record's keys; the runtime then restores those keys, so a half-made change does no harm. */
  fold(record: LogRecord, output: FoldOutput): void
  /** Time has come to `watermarkMs` without a record for this fold (ticks, other types): fire timers, close windows. */
  advance?(watermarkMs: number, output: FoldOutput, cause: LogRecord): void
  /**
   * True when `advance` changes no key, but for leaving out what time has made void: then the shard
   * may fold on while a snapshot is taken of it. Without it a shard with `advance` stands still.
   */
  readonly isSteadyInTime?: boolean
  /** True when time alone changes nothing that is read or encoded of a key; so it is without `advance`. */
  readonly isTimeless?: boolean
  /** Takes the effect of a record out again such that the bytes equal those of a fold without it; false when it cannot (the key is folded again). */
  invert?(record: LogRecord): boolean
  /** Folds a record at its place, whatever was folded since, such that the bytes equal those of a fold with it there; false when it cannot (the key is folded again). */
  insert?(record: LogRecord): boolean
  /** Keys that have state. */
  keys(): Iterable<string>
  /** How many, when it is known without counting. */
  keyCount?(): number
  /** Canonical bytes of a key's state; equal states give equal bytes. Undefined when the key has none. */
  encodeKey(key: string): Uint8Array | undefined
  /** Replaces a key's state by such bytes, or forgets it. */
  decodeKey(key: string, bytes: Uint8Array | undefined): void
  /** The key is parked: its timers wait until `decodeKey` is called for it. */
  hold?(key: string): void
  /** Keys that read `id` of a versioned table at or after `fromMs`: they are folded again when a version of that time arrives late. */
  readersOf?(kind: string, id: string, fromMs: number): Iterable<string>
  /** State that belongs to no key (timers by time, clocks), canonical; part of a snapshot and of the comparison of rebuilds. */
  encodeShared?(): Uint8Array
  decodeShared?(bytes: Uint8Array): void
}

/** A shard whose fold serves a versioned table. */
export interface TableShard extends FoldShard {
  asOf(id: string, timeMs: number): unknown
}

/** The record that an emission carries on under another key. */
export interface Cause {
  readonly id: string
  /** Its key in the source of the fold that emitted it. */
  readonly key: string
}

/** A fold as the runtime runs it. */
export interface FoldDefinition<Shard extends FoldShard = FoldShard> {
  /** `[a-z][a-zA-Z0-9._-]*`, at most 60 characters; names its snapshots, its steps and its metrics. */
  readonly name: string
  /** Another version is another fold: it is built anew, its emissions get a new generation. */
  readonly version: string
  /** The stream it reads. Exactly one: order across streams is undefined. */
  readonly source: string
  /** Record types that `fold` wants; others only advance time. Absent: all but ticks. */
  readonly types?: readonly string[]
  /** Streams it may emit to. */
  readonly targets?: readonly string[]
  /** True when it has no state and emits each record as it is under other keys, with its id in the header `cause`: corrections hold for what it emits, not for it. */
  readonly isRekeying?: true
  /** True when keys have histories of many thousand records: states are kept at intervals of the log (`bases.ts`), so that a key can be folded again from one of them. Of folds without timers. */
  readonly hasLongHistories?: true
  /** Of a fold that re-keys: the fields that give the new keys, by type. */
  readonly keyFields?: ReadonlyMap<string, readonly string[]>
  /** Item kinds whose versioned tables it reads as of event time. Its shards record what was read (`readersOf`). */
  readonly tables?: readonly string[]
  /** Which fields of its records name people, by type: it sees those who were merged as one person. Absent: it sees ids as they were sent. */
  readonly people?: PersonFields
  /** Keys that a record touches, all of them among `record.keys` (by which its history is found); default `record.keys`. */
  readonly keysOf?: (record: LogRecord) => readonly string[]
  readonly onFailure: 'park' | 'pass'
  /** The version before, of the same name and source: it runs until a rebuild of this one is switched to. Neither has targets. */
  readonly replaces?: FoldDefinition
  createShard(context: ShardContext): Shard
  /**
   * Of a fold that re-keys: what made it emit `record`; undefined for one that it did not emit.
   * Records of one partition of its source cause emissions in their order. With it, what is behind
   * the fold can be read as of a moment.
   */
  readonly causeOf?: (record: LogRecord) => Cause | undefined
  /** What a read of a key gives, for the comparison of two versions; undefined when it has nothing. */
  readKey?(shard: FoldShard, key: string): unknown
}

/** A key that waits. */
export interface ParkedInfo {
  readonly fold: string
  readonly partition: number
  readonly key: string
  readonly offset: number
  readonly error: string
  readonly attempts: number
  /** Records of the key that wait behind the failing one, it included. */
  readonly waiting: number
  /** When the log took the record at which it was first parked, milliseconds since the epoch. */
  readonly sinceMs: number
}
