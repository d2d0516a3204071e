/** Which event of a person's history explains a recommended item. */
import { historyShare, rowShare, SCORING_DEFAULTS, weightOf } from '@millrace/recommend'
import type { ProfileShard } from './profile-shard.ts'
import type { ShardOf } from './related.ts'

/** Who recommends what to whom. */
interface TransitionRequest {
  readonly profile: ProfileShard | undefined
  readonly row: number
  readonly item: number
  readonly shardOf: ShardOf
}

/** The items of the history that lead to `item`, the newest first, with what each adds to its score before the item's own popularity is taken into account. */
export function transitionsTo({
  profile,
  row,
  item,
  shardOf,
}: TransitionRequest): { readonly past: number; readonly amount: number }[] {
  if (profile === undefined || row < 0) return []
  const { pool } = profile.recent
  const begin = profile.recent.begin(row)
  const last = begin + profile.recent.length(row) - 1
  const first = Math.max(begin, last - SCORING_DEFAULTS.historyItems + 1)
  const newestMs = profile.newestMsOf(row)
  const found: { readonly past: number; readonly amount: number }[] = []
  for (let slot = last; slot >= first; slot--) {
    const past = pool.ids[slot] as number
    const { next } = shardOf(past)
    const share = historyShare(last - slot, newestMs - (pool.times[slot] as number))
    const amount = share * rowShare(next, past) * weightOf(next, past, item)
    if (amount > 0) found.push({ past, amount })
  }
  return found
}

/** The item of the history that adds most to the score of `item`, -1 when none does. */
export function strongestTransition(request: TransitionRequest): number {
  let best = -1
  let most = 0
  for (const { past, amount } of transitionsTo(request)) {
    if (amount <= most) continue
    most = amount
    best = past
  }
  return best
}
