/** What reading all that differs would cost: said before any of it is done. */
import type { FoldRunner } from '../runner.ts'
import type { ChangedWorld } from './changed.ts'
import { streamsErrors } from '../errors.ts'
import type { BranchEstimate, BranchLimits, EstimatedFold } from './contract.ts'

const SAMPLES = 20
/** Of a key of which nothing is known. */
const KEY_BYTES = 200

/**
 * See the head of the file. What follows from emissions is not in it. `changed` is the world with one
 * of `share` of the changes.
 */
export async function estimateOf(
  changed: ChangedWorld,
  runners: readonly FoldRunner[],
  share: number,
): Promise<BranchEstimate> {
  const folds: EstimatedFold[] = []
  for (const runner of runners) {
    if (runner.definition.isRekeying === true) continue
    if (changed.isReplaced(runner)) {
      folds.push(estimateReplaced(runner))
      continue
    }
    const touched = await changed.touched(runner)
    if (touched.size > 0) folds.push(await estimateFold(changed, runner, touched, share))
  }
  return { ...totalOf(folds), folds }
}

function totalOf(folds: readonly EstimatedFold[]): Omit<BranchEstimate, 'folds'> {
  const sum = (of: (fold: EstimatedFold) => number): number =>
    folds.reduce((total, fold) => total + of(fold), 0)
  return {
    keys: sum(({ keys }) => keys),
    records: sum(({ records }) => records),
    bytes: sum(({ bytes }) => bytes),
  }
}

/** Throws BRANCH_TOO_LARGE, with the estimate, when folds would cost more than the limits. */
export function assertWithin(folds: readonly EstimatedFold[], limits: BranchLimits): void {
  const { records, keys, bytes } = totalOf(folds)
  const { recordsMax, bytesMax } = limits
  if (records <= recordsMax && bytes <= bytesMax) return
  throw streamsErrors.create('BRANCH_TOO_LARGE', {
    cost: `about ${records} records would have to be folded, for ${keys} keys of ${bytes} bytes`,
    limit: `${recordsMax} records and ${bytesMax} bytes`,
  })
}

async function estimateFold(
  changed: ChangedWorld,
  runner: FoldRunner,
  touched: ReadonlySet<string>,
  share: number,
): Promise<EstimatedFold> {
  const found = await changed.countOf(runner)
  const changes = Math.ceil(found * share)
  const known = knownOf(runner)
  const keys =
    share === 1
      ? touched.size
      : Math.min(distinctOf(touched.size, found, changes), Math.max(known, touched.size))
  const emits = emitsOf(runner)
  return {
    fold: runner.name,
    keys,
    records: await recordsOf(changed, runner, touched, { keys, known, changes, emits }),
    bytes: Math.ceil(meanBytes(runner, touched) * keys),
    emits,
  }
}

/** Of a fold with other code: all of its source is folded anew, into as many keys as it has. */
function estimateReplaced(runner: FoldRunner): EstimatedFold {
  const keys = knownOf(runner)
  const each = Math.ceil(SAMPLES / runner.lanes.length)
  const all = runner.lanes.flatMap(({ lane }) => [...take(lane.shard.keys(), each)])
  let records = 0
  for (const { lane } of runner.lanes) records += lane.consumed
  const bytes = Math.ceil(meanBytes(runner, all) * keys)
  return { fold: runner.name, keys, records, bytes, emits: emitsOf(runner) }
}

function emitsOf({ definition }: FoldRunner): boolean {
  return (definition.targets?.length ?? 0) > 0
}

/** What the state of a key takes with its name, by some of them. */
function meanBytes(runner: FoldRunner, keys: Iterable<string>): number {
  let bytes = 0
  let count = 0
  for (const key of take(keys, SAMPLES)) {
    bytes += key.length + (runner.laneOf(key).lane.shard.encodeKey(key)?.length ?? KEY_BYTES)
    count += 1
  }
  return bytes / Math.max(count, 1)
}

function* take<T>(all: Iterable<T>, count: number): Generator<T> {
  let left = count
  for (const each of all) {
    if (left-- <= 0) return
    yield each
  }
}

/**
 * How many different ones there are among `all`, when there are `distinct` among `some` of them: as if
 * each were as often as any other.
 */
export function distinctOf(distinct: number, some: number, all: number): number {
  const among = (drawn: number, kinds: number): number => kinds * -Math.expm1(-drawn / kinds)
  // So few are the same that it may be by chance.
  if (distinct >= some - 1) return Math.ceil((distinct * all) / some)
  let low = distinct
  let high = some * some
  while (high - low > 0.5) {
    const middle = (low + high) / 2
    if (among(some, middle) < distinct) low = middle
    else high = middle
  }
  return Math.round(among(all, high))
}

/** How many keys a fold has. */
function knownOf({ lanes }: FoldRunner): number {
  let known = 0
  for (const { lane } of lanes) known += lane.shard.keyCount?.() ?? [...lane.shard.keys()].length
  return known
}

/** Records that have to be folded for the keys; of a key that has more than others it is too few. */
async function recordsOf(
  changed: ChangedWorld,
  runner: FoldRunner,
  touched: ReadonlySet<string>,
  {
    keys,
    known,
    changes,
    emits,
  }: Pick<EstimatedFold, 'keys' | 'emits'> & {
    readonly known: number
    readonly changes: number
  },
): Promise<number> {
  let all = 0
  let passed = 0
  const lanes = new Set([...touched].map(key => runner.laneOf(key)))
  for (const laneRunner of runner.lanes) {
    const { shard, consumed } = laneRunner.lane
    all += consumed
    const isTimed = shard.advance !== undefined && shard.isSteadyInTime !== true
    // What it emits is found by a pass over its source.
    if (emits && isTimed && lanes.has(laneRunner)) passed += consumed
  }
  const first = [...touched][0] as string
  if (!emits && (await changed.isBroughtOn(runner, first))) return changes
  const histories = Math.ceil((keys * all) / Math.max(known, 1))
  return passed + Math.max(changes, Math.min(histories, all))
}
