/**
 * Statistics of each item, folded from `item-signal` records: popularity and trend with forward
 * decay, what people turn to next, and what the same people turn to at about the same time.
 *
 * The state of a key depends only on the records that carry the key, in log order. It is not free of
 * order (lists are bounded, sums are rounded) and does not invert: a retraction folds the keys again
 * that it touches, in a shard that keeps these alone (ADR 23).
 */
import { itemSpaceOf } from '../catalogue/index.ts'
import { createHash } from 'node:crypto'
import type { App } from '@millrace/core'
import { STATISTICS_DEFAULTS } from '@millrace/recommend'
import type { FoldDefinition } from '@millrace/streams'
import { ITEM_SIGNAL, ITEM_SIGNALS } from './events.ts'
import { ItemStatsShard } from './item-stats-shard.ts'

/** Name of the fold. */
export const ITEM_STATS_FOLD = 'item-stats'

/** The figures are a part of what the fold computes, and so of its version. */
const VERSION = `3-${createHash('sha256')
  .update(JSON.stringify(STATISTICS_DEFAULTS))
  .digest('hex')
  .slice(0, 12)}`

/** The fold from `item-signal` records to statistics of items. */
export function itemStatsFold(app: App): FoldDefinition<ItemStatsShard> {
  const space = itemSpaceOf(app)
  return {
    name: ITEM_STATS_FOLD,
    version: VERSION,
    source: ITEM_SIGNALS,
    types: [ITEM_SIGNAL],
    onFailure: 'park',
    hasLongHistories: true,
    createShard: context => new ItemStatsShard({ space, ...context }),
  }
}
