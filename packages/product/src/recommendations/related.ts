/**
 * What is related to an item: by what people do (co-occurrence), and where there is little of that,
 * by what the items say about themselves.
 */
import { similarity, type SparseScores } from '@millrace/recommend'
import type { FoldHandle } from '@millrace/streams'
import type { ItemIndex } from '../catalogue/index.ts'
import type { ItemStatsShard } from './item-stats-shard.ts'

/** A full content match counts as much as this share of the strongest co-occurrence. */
const CONTENT_SHARE = 0.3
/** With fewer co-occurring items than this, items that share traits are proposed too. */
const CONTENT_BELOW = 20
/** Items looked at per trait. */
const POSTINGS_READ_MAX = 500
/** Traits looked at, the most telling ones first. */
const TRAITS_READ_MAX = 4

/** Finds the shard that holds an item's statistics. */
export type ShardOf = (item: number) => ItemStatsShard

/** From an item to the shard that has its statistics. */
export function createShardOf(stats: FoldHandle<ItemStatsShard>, index: ItemIndex): ShardOf {
  const [only, ...others] = stats.shards()
  if (only !== undefined && others.length === 0) return () => only
  return item => stats.shardOf(index.space.keyOf(item))
}

/** Adds the items related to `seed` to `target`, with scores in (0, 1.3]. */
export function addRelated(
  ports: { readonly index: ItemIndex; readonly shardOf: ShardOf },
  seed: number,
  target: SparseScores,
): void {
  const { index, shardOf } = ports
  const shard = shardOf(seed)
  const { near } = shard
  const begin = near.begin(seed)
  const length = near.length(seed)
  const countSeed = shard.countOf(seed)
  let greatest = 0
  for (let slot = begin; slot < begin + length; slot++) {
    const item = near.pool.ids[slot] as number
    if (item === seed) continue
    const weight = near.pool.weights[slot] as number
    const score = similarity(weight, countSeed, shardOf(item).countOf(item))
    if (!(score > 0)) continue
    target.add(item, score)
    if (score > greatest) greatest = score
  }
  for (let at = 0; at < target.size; at++) {
    const item = target.items[at] as number
    target.values[item] = (target.values[item] as number) / greatest
  }
  const traits = index.traits.of(seed)
  if (traits.length === 0) return
  index.traits.addAffinities(seed, target, CONTENT_SHARE)
  if (target.size < CONTENT_BELOW) addByTraits(index, seed, target)
}

function addByTraits(index: ItemIndex, seed: number, target: SparseScores): void {
  const { traits } = index
  const own = traits.of(seed)
  const telling = [...own]
    .sort((a, b) => traits.weightOf(b) - traits.weightOf(a) || a - b)
    .slice(0, TRAITS_READ_MAX)
  for (const trait of telling) {
    const items = traits.itemsWith(trait)
    for (let at = 0; at < Math.min(items.length, POSTINGS_READ_MAX); at++) {
      const item = items[at] as number
      if (item === seed || target.values[item] !== 0 || !index.isListed(item)) continue
      const affinity = traits.affinity(seed, item)
      if (affinity > 0) target.add(item, CONTENT_SHARE * affinity)
    }
  }
}
