/**
 * From what a person did last to what they may want next: a sum of the transition rows of the
 * newest items, discounted by rank and age, each row weighed by its evidence, each candidate
 * discounted by its popularity. First-order transitions with these discounts reach most of what a
 * regression on the same history reaches (see bench/recommend-quality.ts).
 */
import { SCORING_DEFAULTS } from './defaults.ts'
import { decayFactor } from './decay.ts'
import type { NeighbourTable } from './neighbour-table.ts'
import type { SparseScores } from './sparse-scores.ts'

/** The share of a past item: 1 for the newest (rank 0), less for earlier and older ones. */
export function historyShare(rank: number, ageMs: number): number {
  const { rankHalfLife, ageHalfLifeMs, ageShareMin } = SCORING_DEFAULTS
  const byAge = ageMs <= 0 ? 1 : ageShareMin + (1 - ageShareMin) * decayFactor(ageMs, ageHalfLifeMs)
  return Math.exp((-Math.LN2 * rank) / rankHalfLife) * byAge
}

/** What a row of transitions is multiplied with: its scale, over its evidence. */
export function rowShare(table: NeighbourTable, row: number): number {
  const { sourceShrink, sourceExponent } = SCORING_DEFAULTS
  const scale = table.scale(row)
  return scale * Math.exp(-sourceExponent * Math.log(table.total(row) + sourceShrink))
}

/** What a candidate's score is multiplied with, by how many signals it has. */
export function popularityShare(count: number): number {
  const { popularityShrink, popularityExponent } = SCORING_DEFAULTS
  return Math.exp(-popularityExponent * Math.log(count + popularityShrink))
}

/**
 * The weighted sum of rows of transitions, over the items that any of the rows names. No branch
 * depends on the data where it could not be predicted: that would cost more than the sum itself.
 */
export class RowSum {
  #sums = new Float32Array(0)
  /** The sums as bits: of numbers that are not below 0, the order of the bits is theirs. */
  #bits = new Int32Array(0)
  /** The items that have a sum, the first `#size`. Some may stand twice, or have lost their sum. */
  #items = new Int32Array(1024)
  #size = 0

  /** Makes room for items below `size`. Call it while the sum is empty. */
  reserve(size: number): void {
    if (size <= this.#sums.length) return
    this.#sums = new Float32Array(Math.ceil(size * 1.5))
    this.#bits = new Int32Array(this.#sums.buffer)
  }

  /** Adds `factor` times the row's weights. */
  add(table: NeighbourTable, row: number, factor: number): void {
    const { ids, weights } = table.pool
    const begin = table.begin(row)
    const end = begin + table.length(row)
    if (this.#size + end - begin > this.#items.length) this.#grow(this.#size + end - begin)
    const sums = this.#sums
    const bits = this.#bits
    const items = this.#items
    let size = this.#size
    for (let slot = begin; slot < end; slot++) {
      const item = ids[slot] as number
      items[size] = item
      // One more when the item had no sum: 0 - 1 has the sign bit set.
      size += ((bits[item] as number) - 1) >>> 31
      sums[item] = (sums[item] as number) + factor * (weights[slot] as number)
    }
    this.#size = size
  }

  #grow(length: number): void {
    const items = new Int32Array(length * 2)
    items.set(this.#items)
    this.#items = items
  }

  /** Takes an item out of the sum, and gives what it had. Call it after the last `add`. */
  takeOut(item: number): number {
    const sum = this.#sums[item] as number
    this.#sums[item] = 0
    return sum
  }

  /**
   * Moves the sums that are at least `share` of the greatest into `target`, which is empty, and
   * starts anew. Gives the least sum that was moved or would have been.
   */
  drain(target: SparseScores, share: number): number {
    const sums = this.#sums
    const bits = this.#bits
    const items = this.#items
    const size = this.#size
    this.#size = 0
    let greatest = 0
    for (let place = 0; place < size; place++) {
      const sum = bits[items[place] as number] as number
      if (sum > greatest) greatest = sum
    }
    oneBits[0] = greatest
    const least = (oneFloat[0] as number) * share
    oneFloat[0] = least
    const leastBits = Math.max(oneBits[0], 1)
    const { values, items: kept } = target
    let count = 0
    for (let place = 0; place < size; place++) {
      const item = items[place] as number
      // What is not kept leaves nothing behind: the next one takes its place, and its value stays 0.
      const isKept = (leastBits - 1 - (bits[item] as number)) >>> 31
      values[item] = (values[item] as number) + (sums[item] as number) * isKept
      sums[item] = 0
      kept[count] = item
      count += isKept
    }
    target.size = count
    return least
  }
}

const oneFloat = new Float32Array(1)
const oneBits = new Int32Array(oneFloat.buffer)

/** The weight of an entry of a row, 0 when it has none: for explanations. */
export function weightOf(table: NeighbourTable, row: number, id: number): number {
  const { ids, weights } = table.pool
  const begin = table.begin(row)
  const end = begin + table.length(row)
  for (let slot = begin; slot < end; slot++) {
    if (ids[slot] === id && weights[slot] !== 0) return weights[slot] as number
  }
  return 0
}
