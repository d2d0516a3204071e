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

/** Adds `factor` times the row's weights to the scores of its entries. */
export function accumulateRow(
  target: SparseScores,
  table: NeighbourTable,
  row: number,
  factor: number,
): void {
  const { ids, weights } = table.pool
  const { values, items } = target
  let { size } = target
  const begin = table.begin(row)
  const end = begin + table.length(row)
  for (let slot = begin; slot < end; slot++) {
    const item = ids[slot] as number
    const value = values[item] as number
    const amount = factor * (weights[slot] as number)
    // An amount that underflows would enter the item twice.
    if (!(amount > 0)) continue
    if (value === 0) items[size++] = item
    values[item] = value + amount
  }
  target.size = size
}

/** The weight of an entry of a row, 0 when it has none: for explanations. */
export function weightOf(table: NeighbourTable, row: number, id: number): number {
  const { ids, weights } = table.pool
  const begin = table.begin(row)
  const end = begin + table.length(row)
  for (let slot = begin; slot < end; slot++) {
    if (ids[slot] === id) return weights[slot] as number
  }
  return 0
}
