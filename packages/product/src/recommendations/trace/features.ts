/**
 * The features behind the terms of a candidate's score: which figures of the state the built-in sources
 * made them from. Of a team's own stages nothing but the term is known; what a ranker read is told by
 * `readFeatures`.
 */
import {
  decayedRank,
  popularityShare,
  similarity,
  STATISTICS_DEFAULTS,
  weightOf,
} from '@millrace/recommend'
import type { FeatureValue } from '@millrace/core'
import type { ItemIndex } from '../../catalogue/index.ts'
import type { BuiltInSource } from '../compiled-surface.ts'
import type { RankRequest } from '../ranker.ts'
import { transitionsTo } from '../reasons.ts'
import type { ShardOf } from '../related.ts'
import { newestOf } from '../sources.ts'
import type { ReadSource } from './read-features.ts'

/** Items of the history that are told of, those that add most. */
const TRANSITIONS_SHOWN = 5

/** One figure of the state, or a column of the feature service that a surface ranks by. */
export interface Feature {
  /** `transition`, `nearness`, `likeness`, `popularity`, `trend`, `signals` and `put` of built-in sources, or the name of the column. */
  readonly name: string
  readonly value: FeatureValue
  /** Key of the other item, of a figure about two. */
  readonly with?: string
  /** Of a column: `value`, `default`, `stale`, `expired`, `failed` or `missing`. */
  readonly status?: string
  /** Of a column: the values of feature views that it was made from. */
  readonly from?: readonly ReadSource[]
}

/** What the features are read from. */
export interface FeaturePorts {
  readonly index: ItemIndex
  readonly shardOf: ShardOf
}

/** The features behind what a built-in source proposed; `item` by number. */
export function featuresOf(
  ports: FeaturePorts,
  source: BuiltInSource,
  request: RankRequest,
  item: number,
): readonly Feature[] {
  const { index, shardOf } = ports
  const shard = shardOf(item)
  const signals: Feature = { name: 'signals', value: shard.countOf(item) }
  const { nowMs } = request.context
  const { popularHalfLifeMs, trendingHalfLifeMs } = STATISTICS_DEFAULTS
  // The sums as they stood at that moment.
  if (source === 'popular') {
    const value = Math.exp(shard.popularityRank(item) - decayedRank(1, nowMs, popularHalfLifeMs))
    return [{ name: 'popularity', value }, signals]
  }
  if (source === 'trending') {
    const value = Math.exp(shard.trendRank(item) - decayedRank(1, nowMs, trendingHalfLifeMs))
    return [{ name: 'trend', value }, signals]
  }
  if (source === 'fresh') return [{ name: 'put', value: index.putMsOf(item) }, signals]
  if (source === 'because') return relatedFeatures(ports, request, item)
  const { profile, row } = request
  const transitions = transitionsTo({ profile, row, item, shardOf })
    .sort((a, b) => b.amount - a.amount)
    .slice(0, TRANSITIONS_SHOWN)
    .map(({ past, amount }): Feature => {
      const value = amount * popularityShare(shard.countOf(item))
      return { name: 'transition', value, with: index.space.keyOf(past) }
    })
  return [...transitions, signals]
}

function relatedFeatures(
  { index, shardOf }: FeaturePorts,
  request: RankRequest,
  item: number,
): readonly Feature[] {
  const seed = request.item >= 0 ? request.item : newestOf(request.profile, request.row)
  if (seed < 0) return []
  const about = index.space.keyOf(seed)
  const shard = shardOf(seed)
  const weight = weightOf(shard.near, seed, item)
  const counts = [shard.countOf(seed), shardOf(item).countOf(item)] as const
  const value = weight === 0 ? 0 : similarity(weight, ...counts)
  return [
    { name: 'nearness', value, with: about },
    { name: 'likeness', value: index.traits.affinity(seed, item), with: about },
  ]
}
