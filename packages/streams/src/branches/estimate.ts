/** What reading all that differs would cost: said before any of it is done. */
import type { FoldRunner } from '../runner.ts'
import type { ChangedWorld } from './changed.ts'
import type { BranchEstimate, EstimatedFold } from './contract.ts'

const SAMPLES = 20
/** Of a key of which nothing is known. */
const KEY_BYTES = 200

/** See the head of the file. What follows from emissions is not in it. */
export async function estimateOf(
  changed: ChangedWorld,
  runners: readonly FoldRunner[],
): Promise<BranchEstimate> {
  const folds: EstimatedFold[] = []
  for (const runner of runners) {
    if (runner.definition.isRekeying === true) continue
    const touched = await changed.touched(runner)
    if (touched.size > 0) folds.push(await estimateFold(changed, runner, touched))
  }
  const sum = (of: (fold: EstimatedFold) => number): number =>
    folds.reduce((total, fold) => total + of(fold), 0)
  return {
    keys: sum(({ keys }) => keys),
    records: sum(({ records }) => records),
    bytes: sum(({ bytes }) => bytes),
    folds,
  }
}

async function estimateFold(
  changed: ChangedWorld,
  runner: FoldRunner,
  touched: ReadonlySet<string>,
): Promise<EstimatedFold> {
  const keys = touched.size
  const samples = [...touched].slice(0, SAMPLES)
  let bytes = 0
  for (const key of samples) {
    bytes += key.length + (runner.laneOf(key).lane.shard.encodeKey(key)?.length ?? KEY_BYTES)
  }
  const emits = (runner.definition.targets?.length ?? 0) > 0
  const states = Math.ceil((bytes / samples.length) * keys)
  return {
    fold: runner.name,
    keys,
    records: await recordsOf(changed, runner, touched, emits),
    bytes: states,
    emits,
  }
}

/** Records that have to be folded for the keys; of a key that has more than others it is too few. */
async function recordsOf(
  changed: ChangedWorld,
  runner: FoldRunner,
  touched: ReadonlySet<string>,
  emits: boolean,
): Promise<number> {
  let all = 0
  let known = 0
  let passed = 0
  const lanes = new Set([...touched].map(key => runner.laneOf(key)))
  for (const laneRunner of runner.lanes) {
    const { shard, consumed } = laneRunner.lane
    all += consumed
    known += shard.keyCount?.() ?? [...shard.keys()].length
    const isTimed = shard.advance !== undefined && shard.isSteadyInTime !== true
    // What it emits is found by a pass over its source.
    if (emits && isTimed && lanes.has(laneRunner)) passed += consumed
  }
  const changes = await changed.countOf(runner)
  const first = [...touched][0] as string
  if (!emits && (await changed.isBroughtOn(runner, first))) return changes
  const histories = Math.ceil((touched.size * all) / Math.max(known, 1))
  return passed + Math.max(changes, Math.min(histories, all))
}
