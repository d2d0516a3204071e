/**
 * Folding some keys again from their history: to restore a key after a failure, to try a parked key
 * again, after a table version arrived late, and to rebuild keys beside the live ones.
 *
 * A key's state depends only on its own records, on time and on tables, so its history alone gives
 * it. Time between its records passes unseen, which timers do not notice: they fire in the order of
 * their times, before the first record at or after them.
 */
import type { Clock } from '@millrace/core'
import type { EventLog, LogRecord } from '@millrace/log'
import { streamsErrors } from './errors.ts'
import type { Beside, Lane, Parked, Parking } from './lane.ts'
import { Slices } from './slices.ts'

/** What refolding needs beside the lane. */
export interface RefoldPorts {
  readonly log: Pick<EventLog, 'read' | 'history'>
  readonly clock: Clock
  readonly sliceMs: number
}

/** The state of one key, folded again. */
export interface KeyState {
  readonly bytes: Uint8Array | undefined
  /** Where it could not go on, when the policy is to park; `bytes` is the state before that. */
  readonly failure?: Parking
}

/**
 * The state of `key` after its records before offset `to`, at the time of the live lane. The policy
 * `pass` leaves failing records out; with `park` the first failure ends the history. When a version
 * comes meanwhile of a row that the key read, it is folded once more; `take` is called with the state
 * in the turn in which nothing of that kind was missed.
 */
export async function foldKey(
  ports: RefoldPorts,
  lane: Lane,
  key: string,
  to: number,
  take?: (state: KeyState) => void,
): Promise<KeyState> {
  // A copy before each record is dear; histories seldom need one.
  let isGuarded = false
  for (;;) {
    const state = await besideOf(
      lane,
      beside => {
        const span: Span = {
          records: historyOf(ports.log, lane, key, lane.options.from ?? 0, to),
          to,
          watermarkMs: lane.watermarkMs,
          isParked: lane.parked.has(key),
        }
        return foldSpan(ports, beside, key, span, isGuarded)
      },
      (_beside, folded) => {
        if (folded !== undefined) take?.(folded)
        return folded
      },
    )
    if (state !== undefined) return state
    isGuarded = true
  }
}

/**
 * Folds into an empty copy of a lane, and gives what `take` makes of it. The copy hears of table
 * versions like the lane; when one comes of a row that was read there, it is folded once more. `take`
 * is called in the turn in which nothing of that kind was missed.
 */
async function besideOf<Folded, Taken>(
  lane: Lane,
  fold: (beside: Lane) => Promise<Folded>,
  take: (beside: Lane, folded: Folded) => Taken,
): Promise<Taken> {
  for (;;) {
    const copy: Beside = { lane: lane.createBeside(), stale: new Set() }
    lane.copies.add(copy)
    try {
      const folded = await fold(copy.lane)
      if (copy.stale.size === 0) return take(copy.lane, folded)
    } finally {
      lane.copies.delete(copy)
    }
  }
}

/** What of a key's history is folded, and the moment that its state is wanted of. */
export interface Span {
  readonly records: AsyncIterable<LogRecord>
  /** Records at or after this offset are not among them. */
  readonly to: number
  /** The time that passes behind the last record. */
  readonly watermarkMs: number
  /** True when the key waits at `to`: its timers do not fire. */
  readonly isParked: boolean
}

/**
 * Folds a span of a key's history into an empty lane. Undefined: a record failed, and the state
 * before it is lost; with `isGuarded` a copy is kept before each record, which is dear.
 */
export async function foldSpan(
  ports: RefoldPorts,
  beside: Lane,
  key: string,
  span: Span,
  isGuarded: boolean,
): Promise<KeyState | undefined> {
  const slices = new Slices(ports.clock, ports.sliceMs)
  let last: LogRecord | undefined
  let failure: KeyState['failure']
  for await (const record of span.records) {
    if (failure !== undefined) {
      failure = { ...failure, waiting: failure.waiting + 1 }
      continue
    }
    last = record
    beside.advanceTo(record)
    const before = isGuarded ? beside.shard.encodeKey(key) : undefined
    const fault = faultOf(beside, key, record)
    if (fault !== undefined) {
      if (!isGuarded) return undefined
      beside.shard.decodeKey(key, before)
      if (beside.definition.onFailure === 'park') {
        beside.shard.hold?.(key)
        failure = failureAt(record, fault.reason)
      }
    }
    await slices.pause()
  }
  // A key without records has no timers either.
  if (last !== undefined) {
    if (span.isParked) beside.shard.hold?.(key)
    beside.passTime(span.watermarkMs, last)
  }
  const late = beside.parked.get(key)
  if (failure === undefined && late !== undefined && !span.isParked) {
    failure = { offset: span.to, reason: late.error, waiting: 0, sinceMs: late.sinceMs }
  }
  const bytes = beside.shard.encodeKey(key)
  return failure === undefined ? { bytes } : { bytes, failure }
}

/** Folds a record unless a timer of the key failed before it; says what went wrong. */
function faultOf(beside: Lane, key: string, record: LogRecord): { reason: string } | undefined {
  const failed = beside.parked.get(key)
  if (failed !== undefined) return { reason: failed.error }
  try {
    beside.foldOne(record)
    return undefined
  } catch (error) {
    return { reason: beside.failureText(error) }
  }
}

function failureAt(record: LogRecord, reason: string): Parking {
  return { offset: record.offset, reason, waiting: 1, sinceMs: record.ingestTimeMs }
}

/** The records of one key that the fold wants, in log order. */
export async function* historyOf(
  log: Pick<EventLog, 'history'>,
  lane: Lane,
  key: string,
  from: number,
  to: number,
): AsyncGenerator<LogRecord> {
  const { definition, options } = lane
  const request = { stream: definition.source, tenant: options.tenant, keys: [key], from, to }
  for await (const record of log.history(request)) {
    const amended = lane.amended(record)
    if (lane.wants(amended) && lane.keysOf(amended).includes(key)) yield amended
  }
}

/** The record at which a key was parked: at `offset`, or before it when the key waits behind the last record. */
async function blamedRecord(
  log: Pick<EventLog, 'read'>,
  lane: Lane,
  parkedAt: number,
): Promise<LogRecord> {
  const offset = Math.min(parkedAt, lane.consumed - 1)
  const { definition, partition } = lane
  const [record] = await log.read({
    stream: definition.source,
    partition,
    from: offset,
    recordsMax: 1,
  })
  if (record !== undefined) return record
  throw streamsErrors.create('FOLD_FAILED', {
    fold: definition.name,
    reason: `the record at offset ${offset} of partition ${partition} is missing`,
  })
}

/**
 * Restores the keys of a failed record to what they were before it. Throws FOLD_FAILED when a
 * record fails that was folded before: then the fold is not deterministic, and nothing would hold.
 */
export async function restoreFailed(ports: RefoldPorts, lane: Lane): Promise<void> {
  const failure = lane.failure
  if (failure === undefined) return
  const { keys, record } = failure
  for (const key of keys) {
    const state = await foldKey(ports, lane, key, record.offset, ({ bytes, failure: again }) => {
      if (again === undefined) lane.replaceKey(key, bytes)
    })
    if (state.failure !== undefined) {
      const { offset } = state.failure
      const reason = `it is not deterministic: the record at offset ${offset} failed when it was folded again`
      throw streamsErrors.create('FOLD_FAILED', { fold: lane.definition.name, reason })
    }
  }
  lane.leaveFailure()
}

/**
 * The state that a key of the live lane should have; that of a parked key ends before the record at
 * which it waits. `take` is called with it as by `foldKey`.
 */
export async function expectedState(
  ports: RefoldPorts,
  lane: Lane,
  key: string,
  take?: (state: KeyState) => void,
): Promise<KeyState> {
  const parked = lane.parked.get(key)
  if (parked === undefined) return await foldKey(ports, lane, key, lane.consumed, take)
  const blamed = await blamedRecord(ports.log, lane, parked.offset)
  const waits = { key, blamed, to: parked.offset }
  return await besideOf(
    lane,
    beside => foldWaits(ports, { lane, beside }, waits),
    (_beside, state) => {
      take?.(state)
      return state
    },
  )
}

async function foldWaits(
  ports: RefoldPorts,
  { lane, beside }: { lane: Lane; beside: Lane },
  { key, blamed, to }: { key: string; blamed: LogRecord; to: number },
): Promise<KeyState> {
  const slices = new Slices(ports.clock, ports.sliceMs)
  for await (const record of historyOf(ports.log, lane, key, 0, to)) {
    beside.advanceTo(record)
    try {
      beside.foldOne(record)
    } catch (error) {
      return { bytes: undefined, failure: failureAt(record, beside.failureText(error)) }
    }
    await slices.pause()
  }
  beside.advanceTo(blamed)
  beside.shard.hold?.(key)
  beside.passTime(lane.watermarkMs, blamed)
  return { bytes: beside.shard.encodeKey(key) }
}

/**
 * Folds what waited for a parked key, and for the keys that wait with it, into a copy, and takes the
 * copy over: keys that went through are released, and their emissions are among those of the lane;
 * a key that fails again waits from there on. True: the key is released. `isMuted` leaves the
 * emissions out: they are in the log.
 */
export async function retryParked(
  ports: RefoldPorts,
  lane: Lane,
  key: string,
  isMuted: boolean,
): Promise<boolean> {
  const entry = lane.parked.get(key)
  if (entry === undefined) return false
  const group = [...entry.group].filter(member => lane.parked.has(member)).sort()
  const before = new Map(group.map(member => [member, lane.parked.get(member) as Parked]))
  return await besideOf(
    lane,
    async beside => {
      beside.mutedBefore = isMuted ? Infinity : 0
      beside.salt = `\nretry\n${group[0]}`
      return await foldParked(ports, lane, beside, before)
    },
    (beside, again) => {
      for (const member of group) lane.replaceKey(member, beside.shard.encodeKey(member))
      lane.release(group)
      lane.parkAgain(again, before)
      lane.emitted.push(...beside.emitted)
      return !lane.parked.has(key)
    },
  )
}

/** Folds what waited for parked keys; gives those that failed again. */
async function foldParked(
  ports: RefoldPorts,
  lane: Lane,
  beside: Lane,
  before: ReadonlyMap<string, Parked>,
): Promise<Parked[]> {
  const records = new Map<number, LogRecord>()
  for (const [member, { offset }] of before) {
    beside.shard.decodeKey(member, lane.shard.encodeKey(member))
    for await (const record of historyOf(ports.log, lane, member, offset, lane.consumed)) {
      records.set(record.offset, record)
    }
  }
  await foldWaiting(
    ports,
    beside,
    [...records.values()].sort((a, b) => a.offset - b.offset),
  )
  const failed = new Set(beside.parked.keys())
  const first = Math.min(...[...before.values()].map(({ offset }) => offset))
  beside.passTime(lane.watermarkMs, await blamedRecord(ports.log, lane, first))
  return [...beside.parked.values()].map(parked =>
    // Its timer failed behind its last record.
    failed.has(parked.key) ? parked : { ...parked, offset: lane.consumed },
  )
}

async function foldWaiting(
  ports: RefoldPorts,
  beside: Lane,
  records: readonly LogRecord[],
): Promise<void> {
  const slices = new Slices(ports.clock, ports.sliceMs)
  for (let at = 0; at < records.length; at++) {
    beside.run(records, at, at + 1)
    await restoreFailed(ports, beside)
    await slices.pause()
  }
}
