/** Measures of lists against what people then did, person by person. */
import { coverageAt, exposureGini } from '../evaluation.ts'
import type { Events } from './events.ts'
import type { Lists } from './scoring.ts'

/** What people did that they are measured by: rows of items, some empty. */
export interface Truth {
  readonly offsets: ArrayLike<number>
  readonly ids: ArrayLike<number>
}

/** One value for each person with at least one item. */
export type PersonMeasures = {
  readonly recall: Float64Array
  readonly precision: Float64Array
  readonly ndcg: Float64Array
  readonly mrr: Float64Array
  readonly map: Float64Array
  readonly hit: Float64Array
}

/** A mean over people and its 95 % interval (normal, over people). */
export interface Estimate {
  readonly value: number
  readonly low: number
  readonly high: number
}

/**
 * Recall, precision, NDCG, reciprocal rank, average precision and hit rate of the first `k`; people
 * without a relevant item are left out. NDCG and average precision are relative to the best possible in
 * `k` places.
 */
export function measureLists(lists: Lists, truth: Truth, k: number): PersonMeasures {
  const rows: number[][] = []
  for (let person = 0; person + 1 < truth.offsets.length; person++) {
    const [from, until] = [truth.offsets[person] as number, truth.offsets[person + 1] as number]
    if (from === until) continue
    const relevant = new Set<number>()
    for (let at = from; at < until; at++) relevant.add(truth.ids[at] as number)
    rows.push(measureList(lists.ids, person * lists.k, k, relevant))
  }
  const column = (at: number): Float64Array => Float64Array.from(rows, row => row[at] as number)
  return {
    recall: column(0),
    precision: column(1),
    ndcg: column(2),
    mrr: column(3),
    map: column(4),
    hit: column(5),
  }
}

function measureList(
  ids: Int32Array,
  at: number,
  k: number,
  relevant: ReadonlySet<number>,
): number[] {
  let hits = 0
  let gain = 0
  let precisions = 0
  let first = 0
  for (let place = 0; place < k; place++) {
    if (!relevant.has(ids[at + place] as number)) continue
    hits += 1
    gain += 1 / Math.log2(place + 2)
    precisions += hits / (place + 1)
    if (first === 0) first = 1 / (place + 1)
  }
  let best = 0
  const most = Math.min(k, relevant.size)
  for (let place = 0; place < most; place++) best += 1 / Math.log2(place + 2)
  return [hits / relevant.size, hits / k, gain / best, first, precisions / most, hits > 0 ? 1 : 0]
}

/** The mean and its interval; of nothing: zeros. */
export function estimate(values: Float64Array): Estimate {
  const n = values.length
  if (n === 0) return { value: 0, low: 0, high: 0 }
  const mean = values.reduce((sum, value) => sum + value, 0) / n
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, n - 1)
  const half = 1.96 * Math.sqrt(variance / n)
  return { value: mean, low: mean - half, high: mean + half }
}

/** What lists do besides being right. */
export type BeyondMeasures = {
  /** Share of the catalogue in any list. */
  readonly coverage: number
  /** How unequally the items are shown: 0 alike, near 1 a few take all. */
  readonly gini: number
  /** Mean surprise in bits: -log2 of the share of people with the item (Zhou et al. 2010). */
  readonly novelty: number
  /** Mean number of events of what is listed. */
  readonly popularity: number
}

/** Coverage, concentration, novelty and popularity of the first `k`; `events` say what is common. */
export function measureBeyond(lists: Lists, events: Events, k: number): BeyondMeasures {
  const counts = new Int32Array(events.items)
  for (const id of events.ids) counts[id]! += 1
  const people = Math.max(1, events.people)
  const rows: number[][] = []
  let [surprise, common, listed] = [0, 0, 0]
  for (let at = 0; at < lists.ids.length; at += lists.k) {
    const row = [...lists.ids.subarray(at, at + k)].filter(id => id >= 0)
    rows.push(row)
    for (const id of row) {
      const count = counts[id] as number
      surprise -= Math.log2(Math.max(1, count) / people)
      common += count
      listed += 1
    }
  }
  return {
    coverage: coverageAt(rows, k, events.items),
    gini: exposureGini(rows, k, events.items),
    novelty: listed === 0 ? 0 : surprise / listed,
    popularity: listed === 0 ? 0 : common / listed,
  }
}
