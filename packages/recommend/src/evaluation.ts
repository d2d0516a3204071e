/** Offline measures of ranked lists against what people then did. */

/** The share of the relevant items that are among the first `k` of the list; 0 when nothing is relevant. */
export function recallAt(
  list: readonly number[],
  relevant: ReadonlySet<number>,
  k: number,
): number {
  return relevant.size === 0 ? 0 : hitsAt(list, relevant, k) / relevant.size
}

/** The share of the first `k` places that hold a relevant item. */
export function precisionAt(
  list: readonly number[],
  relevant: ReadonlySet<number>,
  k: number,
): number {
  return k === 0 ? 0 : hitsAt(list, relevant, k) / k
}

function hitsAt(list: readonly number[], relevant: ReadonlySet<number>, k: number): number {
  let hits = 0
  for (let place = 0; place < Math.min(k, list.length); place++) {
    if (relevant.has(list[place] as number)) hits += 1
  }
  return hits
}

/**
 * Normalised discounted cumulative gain with gains of 0 and 1 (Järvelin, Kekäläinen 2002): place p
 * (from 0) counts 1 / log2(p + 2), over the best that `relevant` allows in `k` places.
 */
export function ndcgAt(list: readonly number[], relevant: ReadonlySet<number>, k: number): number {
  let gain = 0
  for (let place = 0; place < Math.min(k, list.length); place++) {
    if (relevant.has(list[place] as number)) gain += 1 / Math.log2(place + 2)
  }
  let best = 0
  for (let place = 0; place < Math.min(k, relevant.size); place++) best += 1 / Math.log2(place + 2)
  return best === 0 ? 0 : gain / best
}

/** The share of `catalogueSize` items that appear in the first `k` of any list. */
export function coverageAt(
  lists: Iterable<readonly number[]>,
  k: number,
  catalogueSize: number,
): number {
  const shown = new Set<number>()
  for (const list of lists) for (const item of list.slice(0, k)) shown.add(item)
  return catalogueSize === 0 ? 0 : shown.size / catalogueSize
}

/**
 * How unequally the exposure is spread over the items: the Gini coefficient of how often each of
 * `catalogueSize` items appears in the first `k`. 0: all equally often; near 1: a few take all.
 */
export function exposureGini(
  lists: Iterable<readonly number[]>,
  k: number,
  catalogueSize: number,
): number {
  const counts = new Map<number, number>()
  let total = 0
  for (const list of lists) {
    for (const item of list.slice(0, k)) {
      counts.set(item, (counts.get(item) ?? 0) + 1)
      total += 1
    }
  }
  if (total === 0 || catalogueSize === 0) return 0
  const sorted = [...counts.values()].sort((a, b) => a - b)
  const absent = catalogueSize - sorted.length
  let weighted = 0
  sorted.forEach((count, index) => (weighted += (absent + index + 1) * count))
  return (2 * weighted) / (catalogueSize * total) - (catalogueSize + 1) / catalogueSize
}
