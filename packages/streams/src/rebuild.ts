/**
 * Rebuilding beside the live state: the proof that a view is a function of the log, and the way
 * back when it is not. The copy is folded from the start while the live lane goes on; for the last
 * records and the comparison the live lane stands still.
 */
import type { ParkedKey } from '@millrace/log'
import { foldLane } from './fold-lane.ts'
import type { Beside, Lane } from './lane.ts'
import { expectedState, foldKey, retryParked, type KeyState, type RefoldPorts } from './refold.ts'
import { foldTogether, type Base } from './refold-many.ts'
import type { LaneRunner } from './runner.ts'
import { Slices } from './slices.ts'

/** Name of the state that belongs to no key, among keys that differ. */
export const SHARED_NAME = '$shared'
const GAP_RECORDS = 2_000
/** So many keys, or this share of all, are folded again from their own records; more are worth a pass over all. */
const TOGETHER_KEYS = 500
const TOGETHER_SHARE = 1 / 4
const CHASES_MAX = 20

export interface Rebuilt {
  readonly keys: number
  readonly different: readonly string[]
}

/** Folds some keys again and compares; the lane stands still. */
export async function rebuildKeys(
  ports: RefoldPorts,
  laneRunner: LaneRunner,
  keys: readonly string[],
  shouldReplace: boolean,
): Promise<Rebuilt> {
  return await laneRunner.exclusively(async () => {
    const { lane } = laneRunner
    const different: string[] = []
    for (const key of keys) {
      await expectedState(ports, lane, key, state => {
        if (state.failure === undefined && isEqual(state.bytes, lane.shard.encodeKey(key))) return
        different.push(key)
        if (shouldReplace) applyState(lane, key, state)
      })
    }
    return { keys: keys.length, different }
  })
}

/**
 * Folds keys of a standing lane again, because a table version came late or an event was corrected: in
 * one pass over their records, from a base of theirs if there is one, or, when there are many, over all.
 * `onKey` hears of each that is done.
 */
export async function refoldKeys(
  ports: RefoldPorts,
  { lane }: Pick<LaneRunner, 'lane'>,
  keys: readonly string[],
  {
    base,
    onKey = () => undefined,
  }: { readonly base?: Base | undefined; readonly onKey?: () => void } = {},
): Promise<void> {
  const take = (key: string, state: KeyState): void => {
    applyState(lane, key, state)
    onKey()
  }
  const single = async (key: string): Promise<void> => {
    const to = lane.parked.get(key)?.offset ?? lane.consumed
    await foldKey(ports, lane, key, to, state => take(key, state))
  }
  const all = lane.shard.keyCount?.() ?? 0
  if (keys.length <= Math.max(TOGETHER_KEYS, all * TOGETHER_SHARE)) {
    for (const key of await foldTogether(ports, lane, keys, take, base)) await single(key)
    return
  }
  const beside: Beside = { lane: createBeside(lane), stale: new Set() }
  lane.copies.add(beside)
  try {
    await foldLane(ports, beside.lane, lane.consumed)
    const slices = new Slices(ports.clock, ports.sliceMs)
    for (const key of keys) {
      if (lane.parked.has(key) === beside.lane.parked.has(key) && !beside.stale.has(key)) {
        take(key, { bytes: beside.lane.shard.encodeKey(key) })
      } else {
        await single(key)
      }
      await slices.pause()
    }
  } finally {
    lane.copies.delete(beside)
  }
}

/** An empty lane that parks where the live one did. */
export function createBeside(lane: Lane): Lane {
  const beside = lane.createBeside()
  forceParked(beside, lane.parked.values())
  return beside
}

/** A lane that has not come there yet will park these keys where they say. */
export function forceParked(lane: Lane, parked: Iterable<ParkedKey>): void {
  for (const { key, offset, error, attempts } of parked) {
    if (offset < lane.consumed) continue
    const entries = lane.forced.get(offset) ?? []
    lane.forced.set(offset, [...entries, { key, offset, error, attempts }])
  }
}

/** Gives a live key the state that folding it again gave; where that failed, the key is parked. */
export function applyState(
  lane: Lane,
  key: string,
  state: Awaited<ReturnType<typeof foldKey>>,
): void {
  lane.replaceKey(key, state.bytes)
  const { failure } = state
  if (failure !== undefined) {
    lane.release([key])
    lane.park([key], failure)
  } else if (lane.parked.has(key)) {
    lane.shard.hold?.(key)
  }
  lane.revision += 1
}

/** Folds the whole lane again and compares every key. */
export async function rebuildLane(
  ports: RefoldPorts,
  laneRunner: LaneRunner,
  shouldReplace: boolean,
): Promise<Rebuilt> {
  const { lane } = laneRunner
  const beside: Beside = { lane: createBeside(lane), stale: new Set() }
  laneRunner.besides.add(beside)
  try {
    for (let chase = 0; chase < CHASES_MAX; chase++) {
      if (lane.consumed - beside.lane.consumed <= GAP_RECORDS) break
      await foldLane(ports, beside.lane, lane.consumed)
    }
    return await laneRunner.exclusively(async () => {
      await foldLane(ports, beside.lane, lane.consumed)
      for (const key of beside.stale) {
        applyState(beside.lane, key, await foldKey(ports, beside.lane, key, lane.consumed))
      }
      for (const key of [...beside.lane.parked.keys()]) {
        if (!lane.parked.has(key)) await retryParked(ports, beside.lane, key, true)
      }
      const different: string[] = []
      const keys = await compareLanes(ports, lane, beside.lane, (key, _before, bytes) => {
        different.push(key)
        if (!shouldReplace) return
        if (key !== SHARED_NAME) applyState(lane, key, { bytes })
        else if (bytes !== undefined) lane.shard.decodeShared?.(bytes)
      })
      return { keys, different }
    })
  } finally {
    laneRunner.besides.delete(beside)
  }
}

/**
 * Compares every key of two lanes that stand at the same offset, to the byte, and what belongs to no
 * key; `onDifferent` hears of what is not the same. Resolves to the number of keys.
 */
export async function compareLanes(
  ports: RefoldPorts,
  live: Lane,
  built: Lane,
  onDifferent: (
    key: string,
    before: Uint8Array | undefined,
    after: Uint8Array | undefined,
  ) => void | Promise<void>,
): Promise<number> {
  const slices = new Slices(ports.clock, ports.sliceMs)
  let keys = 0
  const check = async (key: string): Promise<void> => {
    let after = built.shard.encodeKey(key)
    if (live.parked.has(key) !== built.parked.has(key)) {
      after = (await expectedState(ports, live, key)).bytes
    }
    const before = live.shard.encodeKey(key)
    if (!isEqual(after, before)) await onDifferent(key, before, after)
  }
  for (const key of [...built.shard.keys()]) {
    keys += 1
    await check(key)
    await slices.pause()
  }
  for (const key of [...live.shard.keys()]) {
    if (built.shard.encodeKey(key) === undefined) await check(key)
    await slices.pause()
  }
  const [before, after] = [live.shard.encodeShared?.(), built.shard.encodeShared?.()]
  if (!isEqual(before, after)) await onDifferent(SHARED_NAME, before, after)
  return keys
}

function isEqual(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return Buffer.compare(a, b) === 0
}
