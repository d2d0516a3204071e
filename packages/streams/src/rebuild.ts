/**
 * Rebuilding beside the live state: the proof that a view is a function of the log, and the way
 * back when it is not. The copy is folded from the start while the live lane goes on; for the last
 * records and the comparison the live lane stands still.
 */
import type { LogRecord } from '@millrace/log'
import { Lane } from './lane.ts'
import { expectedState, foldKey, restoreFailed, retryParked, type RefoldPorts } from './refold.ts'
import type { Beside, LaneRunner } from './runner.ts'
import { Slices } from './slices.ts'

/** Name of the state that belongs to no key, among keys that differ. */
export const SHARED_NAME = '$shared'
const GAP_RECORDS = 2_000
const CHASES_MAX = 20
const BATCH_RECORDS = 1_000
const CHUNK_RECORDS = 64

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
      const state = await expectedState(ports, lane, key)
      const isSame = state.failure === undefined && isEqual(state.bytes, lane.shard.encodeKey(key))
      if (isSame) continue
      different.push(key)
      if (shouldReplace) applyState(lane, key, state)
    }
    return { keys: keys.length, different }
  })
}

/** Gives a live key the state that folding it again gave; where that failed, the key is parked. */
export function applyState(
  lane: Lane,
  key: string,
  state: Awaited<ReturnType<typeof foldKey>>,
): void {
  lane.shard.decodeKey(key, state.bytes)
  const { failure } = state
  if (failure !== undefined) {
    lane.release([key])
    lane.park([key], failure.offset, failure.error, failure.waiting)
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
  const beside: Beside = { lane: lane.createBeside(), stale: new Set() }
  laneRunner.besides.add(beside)
  try {
    for (const { key, offset, error, attempts } of lane.parked.values()) {
      const entries = beside.lane.forced.get(offset) ?? []
      beside.lane.forced.set(offset, [...entries, { key, offset, error, attempts }])
    }
    for (let chase = 0; chase < CHASES_MAX; chase++) {
      if (lane.consumed - beside.lane.consumed <= GAP_RECORDS) break
      await foldUpTo(ports, beside.lane, lane.consumed)
    }
    return await laneRunner.exclusively(async () => {
      await foldUpTo(ports, beside.lane, lane.consumed)
      for (const key of beside.stale) {
        applyState(beside.lane, key, await foldKey(ports, beside.lane, key, lane.consumed))
      }
      for (const key of [...beside.lane.parked.keys()]) {
        if (!lane.parked.has(key)) await retryParked(ports, beside.lane, key, true)
      }
      return await compare(ports, lane, beside.lane, shouldReplace)
    })
  } finally {
    laneRunner.besides.delete(beside)
  }
}

async function foldUpTo(ports: RefoldPorts, beside: Lane, target: number): Promise<void> {
  const slices = new Slices(ports.clock, ports.sliceMs)
  const { definition, partition } = beside
  while (beside.consumed < target) {
    const from = beside.consumed
    const recordsMax = Math.min(BATCH_RECORDS, target - from)
    const stream = definition.source
    const batch: readonly LogRecord[] = await ports.log.read({
      stream,
      partition,
      from,
      recordsMax,
    })
    for (let at = 0; at < batch.length;) {
      const end = Math.min(at + CHUNK_RECORDS, batch.length)
      beside.run(batch, at, end)
      await restoreFailed(ports, beside)
      at = beside.consumed - from
      await slices.pause()
    }
    if (batch.length === 0) return
  }
}

async function compare(
  ports: RefoldPorts,
  live: Lane,
  built: Lane,
  shouldReplace: boolean,
): Promise<Rebuilt> {
  const slices = new Slices(ports.clock, ports.sliceMs)
  const different: string[] = []
  let keys = 0
  const check = async (key: string): Promise<void> => {
    let bytes = built.shard.encodeKey(key)
    if (live.parked.has(key) !== built.parked.has(key)) {
      bytes = (await expectedState(ports, live, key)).bytes
    }
    if (isEqual(bytes, live.shard.encodeKey(key))) return
    different.push(key)
    if (shouldReplace) applyState(live, key, { bytes })
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
  const shared = built.shard.encodeShared?.()
  if (!isEqual(shared, live.shard.encodeShared?.())) {
    different.push(SHARED_NAME)
    if (shouldReplace && shared !== undefined) live.shard.decodeShared?.(shared)
  }
  return { keys, different }
}

function isEqual(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return Buffer.compare(a, b) === 0
}
