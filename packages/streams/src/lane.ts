/**
 * One fold on one partition: the only code that calls a shard.
 *
 * Promise: records are folded one at a time in log order, time comes before the record that brought
 * it, records of parked keys wait, and nothing that a failed record emitted gets out. A lane folds
 * synchronously and stops at a record that fails; restoring the keys needs the log, so the runtime
 * does it (`recovery.ts`) before the lane goes on.
 */
import { isError, quietText } from '@millrace/core'
import type { LogRecord, NewEvent, ParkedKey } from '@millrace/log'
import { TICK_TYPE } from '@millrace/log'
import { eventIdOf, withData, type Amendment, type FoldAmendments } from './amendments.ts'
import { NO_CORRECTIONS, type Corrections } from './corrections/contract.ts'
import { toEvent, type Emitter } from './emission.ts'
import type { FoldDefinition, FoldOutput, FoldShard, TableLookup } from './fold.ts'
import { asOnePerson, isElsewhere } from './identity/people.ts'

/** What a lane is made with. */
export interface LaneOptions<Shard extends FoldShard = FoldShard> {
  readonly definition: FoldDefinition<Shard>
  readonly partition: number
  readonly partitions: number
  readonly tenant: string
  readonly emitter: Emitter
  /** Generations of records that count; records of others only pass time. */
  readonly generations: ReadonlySet<number>
  readonly tables: TableLookup
  /** What was decided about records that this fold cannot fold; grows while it runs. */
  readonly amendments: FoldAmendments
  /** What was corrected, for every fold, when the lane begins. */
  readonly corrections: Corrections
  /** True when the fold sees personal data: what its code throws is kept and told without its message. */
  readonly isPersonal: boolean
  /** Where its records begin, for a lane that folds a range. Default 0. */
  readonly from?: number
  /** The keys whose state is wanted of it; default all. */
  readonly keys?: ReadonlySet<string>
}

/** A record that could not be folded: the lane stands before it until its keys are restored. */
export interface LaneFailure {
  readonly record: LogRecord
  readonly keys: readonly string[]
  /** What is told of it, as `failureText` gives it. */
  readonly reason: string
}

/** Why and where keys begin to wait. */
export interface Parking {
  readonly offset: number
  /** What is told of it, as `failureText` gives it. */
  readonly reason: string
  /** Records that wait, the failing one included. */
  readonly waiting: number
  /** When the log took the record, milliseconds since the epoch. */
  readonly sinceMs: number
}

/** A key that waits, with the keys that wait with it because they share a waiting record. */
export interface Parked {
  readonly key: string
  readonly offset: number
  error: string
  attempts: number
  waiting: number
  /** When the log took the record at which it was first parked, milliseconds since the epoch. */
  sinceMs: number
  readonly group: Set<string>
}

/** Keys that failed before under the policy `pass` are guarded by a copy; at most this many. */
const SUSPECTS_MAX = 1_000
const ERROR_LENGTH_MAX = 500

/** The text of an error as it is kept with a parked key: bounded, one line. */
export function errorText(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return text.replace(/\s+/g, ' ').toWellFormed().slice(0, ERROR_LENGTH_MAX)
}

/** A copy of a lane that is being built; it hears of late table versions like the live one. */
export interface Beside {
  readonly lane: Lane
  /** Keys that read a table of which a version came late. */
  readonly stale: Set<string>
}

/** See the head of the file. */
export class Lane<Shard extends FoldShard = FoldShard> {
  readonly options: LaneOptions<Shard>
  readonly definition: FoldDefinition<Shard>
  readonly partition: number
  shard: Shard
  /** Offset of the next record to fold. */
  consumed = 0
  watermarkMs = Number.NEGATIVE_INFINITY
  /** What its state reflects of what was corrected; one that re-keys passes corrected events on as they are. */
  corrections: Corrections
  /** Emissions caused by records before this offset are in the log already, or unwanted. */
  mutedBefore = 0
  readonly parked = new Map<string, Parked>()
  failure: LaneFailure | undefined
  /** The snapshot that is being taken: it hears of keys before they change. */
  capture: { keep(keys: readonly string[]): void } | undefined
  /** Tells the emissions of a retry from those that other keys made because of the same record. */
  salt = ''
  /** Emitted since the last step was cut, in order. */
  emitted: NewEvent[] = []
  /** Parked and released since the last step was cut. */
  readonly parkedSince = new Map<string, ParkedKey>()
  readonly releasedSince = new Set<string>()
  /** Grows with every record that may have changed the state. */
  revision = 0
  readonly counters = { folded: 0, skipped: 0, failed: 0, passed: 0, waited: 0 }
  /** Keys that the log says are parked at an offset that is folded again after a restart. */
  readonly forced = new Map<number, ParkedKey[]>()
  /** In which keys are being folded again, for as long as that takes. */
  readonly copies = new Set<Beside>()

  readonly #types: ReadonlySet<string> | undefined
  readonly #suspects = new Set<string>()
  readonly #output: FoldOutput
  #cause: LogRecord | undefined
  #ordinal = 0
  #isFolding = false

  constructor(options: LaneOptions<Shard>) {
    this.options = options
    this.definition = options.definition
    this.partition = options.partition
    this.corrections = options.definition.isRekeying === true ? NO_CORRECTIONS : options.corrections
    this.shard = this.createShard()
    const { types } = options.definition
    this.#types = types === undefined ? undefined : new Set(types)
    this.#output = {
      emit: emission => {
        const cause = this.#cause as LogRecord
        const ordinal = this.#ordinal++
        const event = toEvent(options.emitter, emission, cause, ordinal, this.salt)
        if (cause.offset >= this.mutedBefore) this.emitted.push(event)
      },
      fail: (key, error) => {
        this.counters.failed += 1
        if (this.definition.onFailure === 'pass') {
          this.counters.passed += 1
          return
        }
        // Work that fails behind the fold of a record leaves that record folded.
        const { offset, ingestTimeMs: sinceMs } = this.#cause as LogRecord
        const at = this.#isFolding ? offset + 1 : offset
        this.park([key], { offset: at, reason: this.failureText(error), waiting: 0, sinceMs })
      },
    }
  }

  createShard(): Shard {
    const { definition, partition, partitions, tables, keys } = this.options
    const context = { partition, partitions, tables }
    return definition.createShard(keys === undefined ? context : { ...context, keys })
  }

  /** What may be told of an error of the fold's own code. */
  failureText(error: unknown): string {
    return this.options.isPersonal ? quietText(error) : errorText(error)
  }

  /** What may be told of an error that stopped the lane: the runtime's own are safe to quote. */
  stopText(error: unknown): string {
    return isError(error) ? errorText(error) : this.failureText(error)
  }

  /** Forgets everything: it is folded again from the start. */
  reset(): void {
    this.shard = this.createShard()
    this.consumed = 0
    this.corrections = this.corrections.at(Infinity)
    this.watermarkMs = Number.NEGATIVE_INFINITY
    this.parked.clear()
    this.failure = undefined
    this.emitted = []
    this.parkedSince.clear()
    this.releasedSince.clear()
  }

  /** Goes on at `offset`: the records before are gone. */
  skipTo(offset: number): void {
    this.consumed = offset
  }

  /** An empty lane beside this one: same fold, same partition, silent; of `keys` alone, when they are given. */
  createBeside(keys?: ReadonlySet<string>): Lane<Shard> {
    const options = { ...this.options, corrections: this.corrections }
    const lane = new Lane(keys === undefined ? options : { ...options, keys })
    lane.mutedBefore = Infinity
    return lane
  }

  keysOf(record: LogRecord): readonly string[] {
    return this.definition.keysOf?.(record) ?? record.keys
  }

  /** True when `fold` is called for such a record. */
  wants(record: LogRecord): boolean {
    return this.takes(record) && !this.#isVoid(record)
  }

  /** The same if nothing was corrected. */
  takes(record: LogRecord): boolean {
    const { type } = record
    if (this.#types === undefined ? type === TICK_TYPE : !this.#types.has(type)) return false
    if (this.#amendmentOf(record)?.kind === 'skip') return false
    return this.options.generations.has(record.generation) && record.tenant === this.options.tenant
  }

  /** The record as it is folded: with other data when that was decided; for this fold before all. */
  amended(record: LogRecord): LogRecord {
    const { canonical } = this.corrections
    const counted = this.#counted(record)
    return canonical === undefined
      ? counted
      : asOnePerson(counted, this.definition.people, canonical)
  }

  #counted(record: LogRecord): LogRecord {
    const amendment = this.#amendmentOf(record)
    if (amendment?.kind === 'fix') return withData(record, amendment.data)
    const correction = this.corrections.of(record)
    return correction?.action === 'correct' ? withData(record, correction.data) : record
  }

  /**
   * Folds `records` from index `start` to `end`; `consumed` follows. Stops before a record that
   * fails, which is then in `failure`.
   */
  run(records: readonly LogRecord[], start: number, end: number): void {
    let index = start
    for (; index < end; index++) {
      if (!this.#step(this.amended(records[index] as LogRecord))) break
    }
    if (index > start) this.consumed = (records[index - 1] as LogRecord).offset + 1
  }

  /** Tells the shard that time has come to `record`'s watermark. */
  advanceTo(record: LogRecord): void {
    if (record.watermarkMs <= this.watermarkMs) return
    this.watermarkMs = record.watermarkMs
    if (this.shard.advance === undefined) return
    this.#begin(record)
    this.shard.advance(record.watermarkMs, this.#output, record)
    this.revision += 1
  }

  /** Tells the shard that time has come to `watermarkMs`, which records of other keys brought; `cause` is the record to blame. */
  passTime(watermarkMs: number, cause: LogRecord): void {
    if (watermarkMs <= this.watermarkMs) return
    this.watermarkMs = watermarkMs
    if (this.shard.advance === undefined) return
    this.#begin(cause)
    this.shard.advance(watermarkMs, this.#output, cause)
  }

  /** Folds one record outside of `run`, for refolding; throws what the fold throws. */
  foldOne(record: LogRecord): void {
    this.#begin(record)
    this.#call(record)
  }

  /** Gives a key another state. */
  replaceKey(key: string, bytes: Uint8Array | undefined): void {
    this.capture?.keep([key])
    this.shard.decodeKey(key, bytes)
  }

  /** Keys that failed again after they were released: as `found` beside this lane, and as long as they wait already. */
  parkAgain(found: readonly Parked[], before: ReadonlyMap<string, Parked>): void {
    for (const entry of found) {
      const { attempts = 0, sinceMs = entry.sinceMs } = before.get(entry.key) ?? {}
      const again = { ...entry, attempts: attempts + 1, sinceMs, group: new Set([entry.key]) }
      this.parked.set(entry.key, again)
      this.shard.hold?.(entry.key)
      this.#noteParked(again)
    }
    for (const { group } of found) this.#unite(new Set(group))
    this.revision += 1
  }

  /** Parks keys: they wait from `offset` on; they share their fate from now on. */
  park(keys: readonly string[], { offset, reason: error, waiting, sinceMs }: Parking): void {
    const group = new Set<string>()
    for (const key of keys) {
      const known = this.parked.get(key)
      if (known === undefined) {
        const entry = { key, offset, error, attempts: 1, waiting, sinceMs, group }
        this.parked.set(key, entry)
        this.shard.hold?.(key)
        this.#noteParked(entry)
      } else {
        known.waiting += waiting
        for (const other of known.group) group.add(other)
      }
      group.add(key)
    }
    this.#unite(group)
    this.revision += 1
  }

  /** Puts a key back among the parked, as a snapshot or the log has it. */
  restoreParked(
    entry: ParkedKey,
    { waiting, sinceMs }: Pick<Parking, 'waiting' | 'sinceMs'>,
    group: readonly string[] = [],
  ): void {
    const { key, offset, error, attempts } = entry
    this.parked.set(key, { key, offset, error, attempts, waiting, sinceMs, group: new Set([key]) })
    this.shard.hold?.(key)
    const united = new Set<string>([key])
    for (const other of group) {
      for (const member of this.parked.get(other)?.group ?? []) united.add(member)
    }
    this.#unite(united)
  }

  /** Keys that wait together, as a snapshot has them. */
  regroup(keys: readonly string[]): void {
    this.#unite(new Set(keys))
  }

  /** Takes the place of `before`: what waits here and not there, or the other way, goes to the next step. */
  takeParkedFrom(before: Lane): void {
    this.parkedSince.clear()
    this.releasedSince.clear()
    for (const [key, { offset, error, attempts }] of this.parked) {
      if (before.parked.get(key)?.offset !== offset) {
        this.parkedSince.set(key, { key, offset, error, attempts })
      }
    }
    for (const key of before.parked.keys()) {
      if (!this.parked.has(key)) this.releasedSince.add(key)
    }
  }

  /** The keys are no longer parked. */
  release(keys: Iterable<string>): void {
    for (const key of keys) {
      if (!this.parked.delete(key)) continue
      this.parkedSince.delete(key)
      this.releasedSince.add(key)
    }
    this.revision += 1
  }

  /** Leaves the failed record behind: parks its keys, or passes it. The keys are restored by now. */
  leaveFailure(): void {
    const failure = this.failure
    if (failure === undefined) return
    this.failure = undefined
    this.counters.failed += 1
    if (this.definition.onFailure === 'park') {
      const { offset, ingestTimeMs: sinceMs } = failure.record
      this.park(failure.keys, { offset, reason: failure.reason, waiting: 1, sinceMs })
    } else {
      this.#pass(failure.keys)
    }
    this.consumed = failure.record.offset + 1
  }

  /** True for a record that is retracted or held, and for one of a person who is another one now. */
  #isVoid(record: LogRecord): boolean {
    const { corrections, definition } = this
    const correction = corrections.of(record)
    if (correction !== undefined && correction.action !== 'correct') return true
    return isElsewhere(record, definition.people, corrections.canonical)
  }

  #amendmentOf(record: LogRecord): Amendment | undefined {
    const { amendments } = this.options
    return amendments.size === 0 ? undefined : amendments.get(eventIdOf(record))
  }

  #step(record: LogRecord): boolean {
    if (this.forced.size > 0) this.#parkTimers(record)
    if (record.watermarkMs > this.watermarkMs) this.advanceTo(record)
    if (!this.wants(record)) {
      this.counters.skipped += 1
      return true
    }
    if (this.forced.size > 0) this.#parkForced(record)
    if (this.parked.size > 0 && this.#waits(record)) return true
    this.capture?.keep(this.keysOf(record))
    if (this.#suspects.size > 0) {
      const suspect = this.keysOf(record).find(key => this.#suspects.has(key))
      if (suspect !== undefined) return this.#foldGuarded(record)
    }
    this.#begin(record)
    const emitted = this.emitted.length
    try {
      this.#call(record)
    } catch (error) {
      this.emitted.length = emitted
      this.failure = { record, keys: this.keysOf(record), reason: this.failureText(error) }
      return false
    }
    this.counters.folded += 1
    this.revision += 1
    return true
  }

  #call(record: LogRecord): void {
    this.#isFolding = true
    try {
      this.shard.fold(record, this.#output)
    } finally {
      this.#isFolding = false
    }
  }

  #begin(record: LogRecord): void {
    if (this.#cause === record) return
    this.#cause = record
    this.#ordinal = 0
  }

  #waits(record: LogRecord): boolean {
    const keys = this.keysOf(record)
    const waiting = keys.find(key => this.parked.has(key))
    if (waiting === undefined) return false
    this.counters.waited += 1
    const blocker = this.parked.get(waiting) as Parked
    const { offset, ingestTimeMs: sinceMs } = record
    this.park(keys, { offset, reason: `it waits for key ${blocker.key}`, waiting: 1, sinceMs })
    return true
  }

  /** Folds a record of a key that failed before, with a copy of its state at hand. */
  #foldGuarded(record: LogRecord): boolean {
    const copies = this.keysOf(record).map(key => [key, this.shard.encodeKey(key)] as const)
    const emitted = this.emitted.length
    this.#begin(record)
    try {
      this.#call(record)
      this.counters.folded += 1
    } catch {
      this.emitted.length = emitted
      for (const [key, bytes] of copies) this.shard.decodeKey(key, bytes)
      this.counters.failed += 1
      this.counters.passed += 1
    }
    this.revision += 1
    return true
  }

  #pass(keys: readonly string[]): void {
    this.counters.passed += 1
    for (const key of keys) {
      if (this.#suspects.size < SUSPECTS_MAX) this.#suspects.add(key)
    }
  }

  #noteParked(entry: Parked): void {
    const at = Math.max(this.consumed, this.#cause?.offset ?? 0)
    if (at < this.mutedBefore) return
    const { key, offset, error, attempts } = entry
    this.parkedSince.set(key, { key, offset, error, attempts })
    this.releasedSince.delete(key)
  }

  #unite(group: Set<string>): void {
    for (const key of group) {
      const entry = this.parked.get(key)
      if (entry === undefined || entry.group === group) continue
      this.parked.set(key, { ...entry, group })
    }
  }

  /** After a restart: a key whose timer failed at this record is parked before time passes. */
  #parkTimers(record: LogRecord): void {
    const entries = this.forced.get(record.offset)
    if (entries === undefined) return
    const own = this.wants(record) ? this.keysOf(record) : []
    const since = { waiting: 0, sinceMs: record.ingestTimeMs }
    for (const entry of entries) if (!own.includes(entry.key)) this.restoreParked(entry, since)
    if (own.length === 0) this.forced.delete(record.offset)
  }

  /** After a restart: the keys that the log says were parked at this record are parked again, whatever the fold would do now. */
  #parkForced(record: LogRecord): void {
    const entries = this.forced.get(record.offset)
    if (entries === undefined) return
    this.forced.delete(record.offset)
    const own = this.keysOf(record)
    const since = { waiting: 0, sinceMs: record.ingestTimeMs }
    for (const entry of entries) {
      if (own.includes(entry.key)) this.restoreParked(entry, since, own)
    }
  }
}
