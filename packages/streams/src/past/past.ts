/**
 * Reading the past of one key: its state at a moment, and what changed it between two. Both fold the
 * history of the key beside the live state, in slices, and keep nothing.
 *
 * The answer is what the log says now of that moment: decisions on dead letters, and rows of tables,
 * which came later for an earlier event, count from the moment when they arrived or where the event
 * that they amend stands. The cost is that of the key's own records before the moment, whatever else
 * the log holds.
 */
import { isError, partitionName, type Position } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import { causesOf } from '../causes/causes.ts'
import type { Causes, CausesRequest } from '../causes/contract.ts'
import type { CausesPorts } from '../causes/span.ts'
import type { Corrections } from '../corrections/contract.ts'
import { streamsErrors } from '../errors.ts'
import type { FoldShard } from '../fold.ts'
import type { Lane } from '../lane.ts'
import type { FoldRunner } from '../runner.ts'
import { canonicalText } from '../views/canonical.ts'
import type { Bound } from './bound.ts'
import { foldToBound, type FoldedKey, type Watcher } from './fold-to-bound.ts'
import {
  assertKept,
  instantOf,
  reachedInstant,
  recordBefore,
  type Instant,
  type Moment,
  type PastPorts,
} from './moment.ts'
import { boundOfPerson } from './people.ts'
import { Places } from './places.ts'
import { PastTables } from './tables.ts'

/** Which state is asked for. */
export interface PastRequest {
  readonly fold: string
  readonly key: string
  readonly at: Moment
  /** How long to wait for folds that have not come to the moment. Default 5,000. */
  readonly timeoutMs?: number
}

/** The state of one key at a moment. */
export interface PastState<Shard extends FoldShard = FoldShard> {
  /** Holds this key alone. */
  readonly shard: Shard
  /** True when the key waits for a repair since before the moment. */
  readonly isParked: boolean
  /** Watermark of the key's partition at the moment; -Infinity before its first record. */
  readonly watermarkMs: number
  /** The moment, in terms of the streams that come from outside. */
  readonly position: Position
  /** How many records the state was made of. */
  readonly records: number
}

/** Which state is asked for, of a moment at which it was noted what the live one reflected. */
export interface NotedRequest {
  readonly fold: string
  readonly key: string
  /** Consumed ends of the fold's own source, re-keyed or not, and of the sources of the tables that it reads. */
  readonly position: Position
  /** How many records of corrections it reflected. */
  readonly corrected: number
}

/** Which changes are asked for. */
export interface ChangesRequest extends Omit<PastRequest, 'at'> {
  /** Default: before the first record. */
  readonly from?: Moment
  readonly to: Moment
  /** Go on behind this change: the `next` of the page before. */
  readonly after?: number
  /** At most so many records. */
  readonly limit: number
}

/** What changed a value: a record of the key, or the passing of time (a timer, the end of a window). */
export type Change = {
  /** What a read gave before, and what it gives after; undefined for no value. */
  readonly before: unknown
  readonly after: unknown
} & (
  | { readonly kind: 'record'; readonly record: LogRecord }
  /** Time had come to `watermarkMs`. */
  | { readonly kind: 'time'; readonly watermarkMs: number }
)

/** Changes in the order in which they were folded. */
export interface Changes {
  readonly changes: readonly Change[]
  /** Undefined at the end. */
  readonly next: number | undefined
  /** True when the key waits for a repair since before `to`: what came behind that changed nothing. */
  readonly isParked: boolean
}

/** Reads of the past of a key. They fold beside the live state, in slices, and change nothing. */
export interface Past {
  /**
   * The state of a key at a moment. Throws FOLD_UNKNOWN; MOMENT_AHEAD for one that has not been,
   * MOMENT_EMPTY for one before the first record that the fold reads, MOMENT_GONE where the stream
   * has lost its first records, MOMENT_UNSUPPORTED where it is re-keyed by code that does not tell
   * causes; POSITION_NOT_REACHED; PAST_BUSY when too many reads of the past wait.
   */
  state<Shard extends FoldShard = FoldShard>(request: PastRequest): Promise<PastState<Shard>>
  /** The state of a key as the live one was when its offsets were noted, with the corrections that it reflected. Throws FOLD_UNKNOWN, MOMENT_GONE, PAST_BUSY. */
  noted<Shard extends FoldShard = FoldShard>(request: NotedRequest): Promise<PastState<Shard>>
  /** What changed the value of a key between two moments, in pages. Throws as `state`, and REPLAY_INVALID for a range that ends before it begins. */
  changes(request: ChangesRequest): Promise<Changes>
  /** What changed between two moments, of a key or of all together, and why. Throws as `changes`, and CAUSES_TOO_LARGE. */
  causes(request: CausesRequest): Promise<Causes>
}

const TIMEOUT_MS_DEFAULT = 5_000
/** Reads under way together: other work waits for one slice of each. */
const PLACES = 4
const WAITING_MAX = 256

/** Reads the past of the folds of a runtime. */
export function createPast(ports: CausesPorts, runnerOf: (fold: string) => FoldRunner): Past {
  const places = new Places({ places: PLACES, waitingMax: WAITING_MAX })
  return {
    state: async <Shard extends FoldShard>(request: PastRequest) => {
      const runner = runnerOf(request.fold)
      const instant = await reachedInstant(ports, runner, request.at, askedOf(runner, request))
      const state = await places.run(() => pastState(ports, runner, request.key, instant))
      return state as PastState<Shard>
    },
    noted: async <Shard extends FoldShard>(request: NotedRequest) => {
      const state = await places.run(() => notedState(ports, runnerOf(request.fold), request))
      return state as PastState<Shard>
    },
    async changes(request) {
      const runner = runnerOf(request.fold)
      const instant = await reachedInstant(ports, runner, request.to, askedOf(runner, request))
      return await places.run(() => changesOf(ports, runner, request, instant))
    },
    causes: request => places.run(() => causesOf(ports, runnerOf(request.fold), request)),
  }
}

async function pastState(
  ports: PastPorts,
  runner: FoldRunner,
  key: string,
  instant: Instant,
): Promise<PastState> {
  const { partition } = runner.laneOf(key).lane
  const bound = await boundOfPerson(ports, runner, partition, instant)
  const { shard, isParked, records } = await foldWithTables(ports, { runner, instant }, key, bound)
  return {
    shard,
    isParked,
    watermarkMs: bound.watermarkMs,
    position: instant.position,
    records,
  }
}

async function notedState(
  ports: PastPorts,
  runner: FoldRunner,
  { key, position, corrected }: NotedRequest,
): Promise<PastState> {
  const { partition } = runner.laneOf(key).lane
  const { source } = runner.definition
  await assertKept(ports.log, source, partition)
  const to = position.get(partitionName(source, partition)) ?? 0
  const last = await recordBefore(ports.log, source, partition, to)
  const watermarkMs = last?.watermarkMs ?? Number.NEGATIVE_INFINITY
  const bound = { to, known: to, watermarkMs, has: () => true }
  const instant = { position, timeMs: Number.NEGATIVE_INFINITY }
  const corrections = runner.laneOf(key).lane.corrections.at(corrected)
  const at = { runner, instant, corrections }
  const { shard, isParked, records } = await foldWithTables(ports, at, key, bound)
  return { shard, isParked, watermarkMs, position, records }
}

async function changesOf(
  ports: PastPorts,
  runner: FoldRunner,
  request: ChangesRequest,
  instant: Instant,
): Promise<Changes> {
  const { key, from } = request
  const { partition } = runner.laneOf(key).lane
  const bound = await boundOfPerson(ports, runner, partition, instant)
  const start = from && (await startOf(ports, runner, partition, { from, to: instant }))
  let watcher: ChangeWatcher | undefined
  const createWatcher = (): Watcher =>
    (watcher = new ChangeWatcher(runner.definition.readKey, request, start))
  const at = { runner, instant }
  const { shard, isParked } = await foldWithTables(ports, at, key, bound, createWatcher)
  return { ...(watcher as ChangeWatcher).finish(shard, bound.watermarkMs), isParked }
}

function askedOf(
  runner: FoldRunner,
  { key, timeoutMs = TIMEOUT_MS_DEFAULT }: Pick<PastRequest, 'key' | 'timeoutMs'>,
): { readonly partitions: readonly number[]; readonly timeoutMs: number } {
  return { partitions: [runner.laneOf(key).lane.partition], timeoutMs }
}

/** Where changes begin; undefined when nothing had arrived then. Throws REPLAY_INVALID for one behind the end. */
async function startOf(
  ports: PastPorts,
  runner: FoldRunner,
  partition: number,
  { from, to }: { readonly from: Moment; readonly to: Instant },
): Promise<Bound | undefined> {
  try {
    const first = await instantOf(ports, runner, from)
    for (const [name, offset] of first.position) {
      if (offset <= (to.position.get(name) ?? 0)) continue
      const reason = `it would end before it begins, on ${name}`
      throw streamsErrors.create('REPLAY_INVALID', { fold: runner.name, reason })
    }
    return await boundOfPerson(ports, runner, partition, first)
  } catch (error) {
    if (isError(error, 'MOMENT_EMPTY')) return undefined
    throw error
  }
}

/** Folds a key up to a bound until no row of a table is missing. */
async function foldWithTables(
  ports: PastPorts,
  {
    runner,
    instant,
    corrections,
  }: { runner: FoldRunner; instant: Instant; corrections?: Corrections },
  key: string,
  bound: Bound,
  createWatcher?: () => Watcher,
): Promise<FoldedKey> {
  const tables = new PastTables(ports, runner, instant)
  for (;;) {
    const folded = await foldToBound(ports, runner, key, bound, tables, {
      createWatcher,
      corrections,
    })
    if (!(await tables.load())) return folded
  }
}

class ChangeWatcher implements Watcher {
  readonly #read: (shard: FoldShard, key: string) => unknown
  readonly #request: ChangesRequest
  readonly #start: Bound | undefined
  readonly #changes: Change[] = []
  #records = 0
  /** The newest record that was folded or is about to be. */
  #last: LogRecord | undefined
  /** The value before what comes next; undefined until the page begins. */
  #value: { readonly is: unknown } | undefined
  #open: LogRecord | undefined
  #next: number | undefined

  constructor(
    read: ((shard: FoldShard, key: string) => unknown) | undefined,
    request: ChangesRequest,
    start: Bound | undefined,
  ) {
    this.#read = read ?? (() => undefined)
    this.#request = request
    this.#start = start
  }

  before(beside: Lane, record: LogRecord): boolean {
    this.#close(beside)
    if (this.#isBefore(record)) {
      this.#last = record
      return true
    }
    this.#begin(beside, record)
    if (this.#records === this.#request.limit) {
      this.#next = this.#last?.offset
      return false
    }
    beside.advanceTo(record)
    this.#noteTime(beside.shard, record.watermarkMs)
    this.#open = record
    this.#last = record
    this.#records += 1
    return true
  }

  end(beside: Lane): void {
    this.#close(beside)
    if (this.#last !== undefined) this.#begin(beside, this.#last)
  }

  /** The page, when the last record is folded and time has passed to the end. */
  finish(shard: FoldShard, watermarkMs: number): Omit<Changes, 'isParked'> {
    if (this.#next === undefined && this.#value !== undefined) this.#noteTime(shard, watermarkMs)
    return { changes: this.#changes, next: this.#next }
  }

  /** The record that was folded last is a change. */
  #close(beside: Lane): void {
    const record = this.#open
    if (record === undefined) return
    this.#open = undefined
    this.#note({ kind: 'record', record }, this.#valueOf(beside.shard))
  }

  /** Notes the value at which the page begins. What time did before the first page is no change. */
  #begin(beside: Lane, cause: LogRecord): void {
    if (this.#value !== undefined) return
    const { after } = this.#request
    if (after === undefined && this.#start !== undefined) {
      beside.passTime(this.#start.watermarkMs, cause)
    }
    this.#value = { is: this.#valueOf(beside.shard) }
  }

  #isBefore(record: LogRecord): boolean {
    const { after } = this.#request
    if (after !== undefined && record.offset <= after) return true
    return this.#start !== undefined && record.offset < this.#start.to && this.#start.has(record)
  }

  #noteTime(shard: FoldShard, watermarkMs: number): void {
    const value = this.#valueOf(shard)
    const before = this.#value?.is
    if (canonicalText(value ?? null) === canonicalText(before ?? null)) return
    this.#note({ kind: 'time', watermarkMs }, value)
  }

  #note(
    what: { kind: 'record'; record: LogRecord } | { kind: 'time'; watermarkMs: number },
    after: unknown,
  ): void {
    // Decoded while its bytes are there.
    if (what.kind === 'record') void what.record.data
    this.#changes.push({ ...what, before: this.#value?.is, after })
    this.#value = { is: after }
  }

  /** A copy: the state goes on changing in place. */
  #valueOf(shard: FoldShard): unknown {
    return structuredClone(this.#read(shard, this.#request.key))
  }
}
