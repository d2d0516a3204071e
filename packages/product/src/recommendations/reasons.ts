/** Which event of a person's history explains a recommended item. */
import { historyShare, rowShare, SCORING_DEFAULTS, weightOf } from '@millrace/recommend'
import type { ProfileShard } from './profile-shard.ts'
import type { ShardOf } from './related.ts'

/** The item of the history that adds most to the score of `item`, -1 when none does. */
export function strongestTransition(request: {
  readonly profile: ProfileShard | undefined
  readonly row: number
  readonly item: number
  readonly shardOf: ShardOf
}): number {
  const { profile, row, item, shardOf } = request
  if (profile === undefined || row < 0) return -1
  const { pool } = profile.recent
  const begin = profile.recent.begin(row)
  const last = begin + profile.recent.length(row) - 1
  const first = Math.max(begin, last - SCORING_DEFAULTS.historyItems + 1)
  const newestMs = profile.newestMsOf(row)
  let best = -1
  let most = 0
  for (let slot = last; slot >= first; slot--) {
    const past = pool.ids[slot] as number
    const { next } = shardOf(past)
    const share = historyShare(last - slot, newestMs - (pool.times[slot] as number))
    const weight = weightOf(next, past, item)
    const amount = share * rowShare(next, past) * weight
    if (amount > most) {
      most = amount
      best = past
    }
  }
  return best
}
