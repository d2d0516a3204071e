/**
 * Quantiles of numbers: DDSketch (Masson, Rim, Lee: DDSketch, a fast and fully-mergeable quantile
 * sketch with relative-error guarantees, VLDB 2019). Numbers are counted in bins whose bounds grow by
 * gamma = (1 + error) / (1 - error); what is read is within `error` of the number at that rank.
 *
 * Bins are kept where they have numbers, sorted, and none is collapsed: counts alone, so the state is
 * the same for any order, and a number is taken out exactly. Magnitudes below 1e-9 are 0, those above
 * 1e15 are 1e15, so that there are at most 2 x 2,764 bins at an error of 0.01.
 */
import type { ObjectAggregation } from './aggregation.ts'

const LEAST = 1e-9
const MOST = 1e15

interface Bins {
  /** Ascending as their numbers do; 0 is that of 0. */
  readonly keys: number[]
  readonly counts: number[]
}

/** See the head of the file; `shares` are read, `pick` makes the value of them. */
export function quantiles<V extends number | readonly number[]>(
  shares: readonly number[],
  error: number,
  pick: (values: readonly number[]) => V,
): ObjectAggregation<Bins> {
  const gamma = (1 + error) / (1 - error)
  const logGamma = Math.log(gamma)
  const least = Math.ceil(Math.log(LEAST) / logGamma)
  const keyOf = (value: number): number => {
    const magnitude = Math.min(Math.abs(value), MOST)
    if (magnitude < LEAST) return 0
    return Math.sign(value) * (Math.ceil(Math.log(magnitude) / logGamma) - least + 1)
  }
  const numberOf = (key: number): number =>
    key === 0 ? 0 : (Math.sign(key) * 2 * gamma ** (Math.abs(key) + least - 1)) / (gamma + 1)
  return {
    isObject: true,
    takes: 'number',
    init: () => ({ keys: [], counts: [] }),
    add(bins, { value }) {
      count(bins, keyOf(value), 1)
      return bins
    },
    copy: ({ keys, counts }) => ({ keys: [...keys], counts: [...counts] }),
    merge(into, from) {
      from.keys.forEach((key, at) => count(into, key, from.counts[at] as number))
      return into
    },
    read({ keys, counts }) {
      const all = counts.reduce((sum, each) => sum + each, 0)
      const values = shares.map(share => {
        const rank = Math.floor(share * (all - 1))
        let below = 0
        return numberOf(keys[counts.findIndex(each => (below += each) > rank)] as number)
      })
      return pick(values)
    },
    invert(bins, { value }) {
      count(bins, keyOf(value), -1)
      return true
    },
    insert(bins, { value }) {
      count(bins, keyOf(value), 1)
      return true
    },
    encode(writer, { keys, counts }) {
      writer.count(keys.length)
      keys.forEach((key, at) => {
        writer.count(key < 0 ? -2 * key - 1 : 2 * key).count(counts[at] as number)
      })
    },
    decode(reader) {
      const bins: Bins = { keys: [], counts: [] }
      for (let length = reader.count(); length > 0; length--) {
        const folded = reader.count()
        bins.keys.push(folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2)
        bins.counts.push(reader.count())
      }
      return bins
    },
  }
}

/** Changes the count of a bin, which is there while it is not 0. */
function count({ keys, counts }: Bins, key: number, by: number): void {
  let from = 0
  for (let to = keys.length; from < to;) {
    const middle = (from + to) >>> 1
    if ((keys[middle] as number) < key) from = middle + 1
    else to = middle
  }
  if (keys[from] !== key) {
    keys.splice(from, 0, key)
    counts.splice(from, 0, by)
    return
  }
  counts[from]! += by
  if (counts[from] !== 0) return
  keys.splice(from, 1)
  counts.splice(from, 1)
}
