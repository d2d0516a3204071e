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

/** The share of a past item by its rank alone, for the ranks that count. */
const RANK_SHARES = Float64Array.from({ length: SCORING_DEFAULTS.historyItems }, (_, rank) =>
  Math.exp((-Math.LN2 * rank) / SCORING_DEFAULTS.rankHalfLife),
)

/** The share of a past item: 1 for the newest (rank 0), less for earlier and older ones; `rank` is below `historyItems`. */
export function historyShare(rank: number, ageMs: number): number {
  const { ageHalfLifeMs, ageShareMin } = SCORING_DEFAULTS
  const byAge = ageMs <= 0 ? 1 : ageShareMin + (1 - ageShareMin) * decayFactor(ageMs, ageHalfLifeMs)
  return (RANK_SHARES[rank] as number) * byAge
}

/** What a row of transitions is multiplied with: its scale, over its evidence. A function of the row alone: worth keeping. */
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

/** Beyond this many items, sums are read along the rows that were added instead of from end to end. */
const DENSE_MAX = 16_384

const oneFloat = new Float32Array(1)
const oneBits = new Int32Array(oneFloat.buffer)

/**
 * The weighted sum of rows of transitions. Adding is a read and a write per entry and no branch: a
 * list of the items touched would cost more than the sum itself, in mispredicted branches.
 */
export class RowSum {
  #sums = new Float32Array(0)
  /** The sums as bits: of numbers that are not below 0, the order of the bits is theirs. */
  #bits = new Int32Array(0)
  #found = new Int32Array(0)
  #size = 0
  readonly #rows: { table: NeighbourTable; row: number }[] = []
  #count = 0

  /** Makes room for items below `size`. */
  reserve(size: number): void {
    this.#size = size
    if (size <= this.#sums.length) return
    this.#sums = new Float32Array(Math.ceil(size * 1.5))
    this.#bits = new Int32Array(this.#sums.buffer)
    this.#found = new Int32Array(Math.min(this.#sums.length, DENSE_MAX) + 1)
  }

  /** Adds `factor` times the row's weights. */
  add(table: NeighbourTable, row: number, factor: number): void {
    const { ids, weights } = table.pool
    const sums = this.#sums
    const begin = table.begin(row)
    const end = begin + table.length(row)
    for (let slot = begin; slot < end; slot++) {
      const item = ids[slot] as number
      sums[item] = (sums[item] as number) + factor * (weights[slot] as number)
    }
    const entry = this.#rows[this.#count]
    if (entry === undefined) this.#rows.push({ table, row })
    else {
      entry.table = table
      entry.row = row
    }
    this.#count += 1
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
    if (this.#count === 0) return 0
    const least =
      this.#size <= DENSE_MAX ? this.#drainDense(target, share) : this.#drainRows(target, share)
    this.#count = 0
    return least
  }

  /** Compares bits and advances by the outcome: which sums are moved cannot be predicted, so a branch would cost more. */
  #drainDense(target: SparseScores, share: number): number {
    const sums = this.#sums
    const bits = this.#bits
    const found = this.#found
    const size = this.#size
    let greatest = 0
    for (let item = 0; item < size; item++) {
      const sum = bits[item] as number
      if (sum > greatest) greatest = sum
    }
    oneBits[0] = greatest
    const least = (oneFloat[0] as number) * share
    oneFloat[0] = least
    const leastBits = Math.max(oneBits[0], 1)
    let count = 0
    for (let item = 0; item < size; item++) {
      found[count] = item
      count += (leastBits - 1 - (bits[item] as number)) >>> 31
    }
    const { values, items } = target
    for (let place = 0; place < count; place++) {
      const item = found[place] as number
      items[place] = item
      values[item] = sums[item] as number
    }
    target.size = count
    sums.fill(0, 0, size)
    return least
  }

  #drainRows(target: SparseScores, share: number): number {
    const sums = this.#sums
    let greatest = 0
    this.#forEachEntry(item => {
      greatest = Math.max(greatest, sums[item] as number)
    })
    const least = greatest * share
    this.#forEachEntry(item => {
      const sum = sums[item] as number
      sums[item] = 0
      if (sum >= least && sum > 0) target.add(item, sum)
    })
    return least
  }

  #forEachEntry(visit: (item: number) => void): void {
    for (let at = 0; at < this.#count; at++) {
      const { table, row } = this.#rows[at] as { table: NeighbourTable; row: number }
      const { ids } = table.pool
      const begin = table.begin(row)
      const end = begin + table.length(row)
      for (let slot = begin; slot < end; slot++) visit(ids[slot] as number)
    }
  }
}

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
