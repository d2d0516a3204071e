/** What the checks say: of the newest window that is over, from what the shards of a stream have counted. */
import type { CheckVerdict, CompiledCheck } from '@millrace/core'
import type { CheckShard } from './check-shard.ts'

/** The verdict of a check, and the window that it is of. */
export interface WindowVerdict extends CheckVerdict {
  /** From when the window is, milliseconds since the epoch; undefined while time has not begun. */
  readonly fromMs: number | undefined
  readonly toMs: number | undefined
}

/** What a state says of events, or a row. */
type Shards = readonly Pick<CheckShard, 'watermarkMs' | 'countsOf' | 'valuesOf'>[]

/**
 * The verdict of a check by its place among those of its stream. Time is that of the partition that is
 * furthest: what the others have counted of the window is there, as far as it has come. A rule of a row
 * is judged of the window that is not over, too: an event that does not fit is known at once.
 */
export function verdictOf(check: CompiledCheck, index: number, shards: Shards): WindowVerdict {
  const { stepMs, steps, isRow } = check
  const nowMs = Math.max(Number.NEGATIVE_INFINITY, ...shards.map(({ watermarkMs }) => watermarkMs))
  if (!Number.isFinite(nowMs)) {
    return { state: 'unknown', found: 'no events yet', fromMs: undefined, toMs: undefined }
  }
  const now = Math.floor(nowMs / stepMs)
  // A freshness ends now; other windows are judged when they are over.
  const last = check.rule === 'fresh' ? now : now - 1
  const first = last - steps + (check.rule === 'fresh' ? 0 : 1)
  const until = isRow ? now : last
  const counts = sumOf(check, index, { shards, first, last: until })
  const repeated = check.hasValues ? repeatedOf(index, last, shards) : 0
  const span = { fromMs: first * stepMs, toMs: (until + 1) * stepMs }
  return { ...check.verdict(counts, repeated), ...span }
}

function sumOf(
  { width }: CompiledCheck,
  index: number,
  { shards, first, last }: { readonly shards: Shards; readonly first: number; readonly last: number }, // prettier-ignore
): readonly number[] {
  const sums = Array.from({ length: width }, () => 0)
  for (let window = first; window <= last; window++) {
    for (const shard of shards) {
      shard.countsOf(index, window)?.forEach((count, at) => (sums[at]! += count))
    }
  }
  return sums
}

/** Values that were there before, over all partitions. */
function repeatedOf(index: number, window: number, shards: Shards): number {
  const found = shards.flatMap(shard => shard.valuesOf(index, window) ?? [])
  const all = new Map<number, number>()
  for (const values of found) {
    for (const [hash, count] of values) all.set(hash, (all.get(hash) ?? 0) + count)
  }
  let repeated = 0
  for (const count of all.values()) repeated += count - 1
  return repeated
}
