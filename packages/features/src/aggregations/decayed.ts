/**
 * Counts that fade: each event weighs half as much after every half-life. By forward decay (Cormode,
 * Shkapenyuk, Srivastava, Xu: Forward Decay, ICDE 2009): the sum is kept as it stood at its newest
 * event, and brought to the moment when it is read.
 */
import { addDecayed, decayedAt } from '@millrace/recommend'
import type { CellAggregation } from './aggregation.ts'

/** See the head of the file; `factor` multiplies what is read. Cells: events, sum, time of the newest event. */
export function decayed(halfLifeMs: number, factor: number): CellAggregation {
  const add = (cells: Float64Array, at: number, weight: number, atMs: number): void => {
    const newestMs = cells[at] === 0 ? atMs : (cells[at + 2] as number)
    cells[at + 1] = addDecayed(cells[at + 1] as number, newestMs, weight, atMs, halfLifeMs)
    cells[at + 2] = Math.max(newestMs, atMs)
  }
  return {
    cells: 3,
    isContinuous: true,
    add(cells, at, { value, atMs }) {
      add(cells, at, value, atMs)
      cells[at]! += 1
    },
    merge(into, at, from, fromAt) {
      add(into, at, from[fromAt + 1] as number, from[fromAt + 2] as number)
      into[at]! += from[fromAt] as number
    },
    read: (cells, at, tMs) =>
      factor * decayedAt(cells[at + 1] as number, cells[at + 2] as number, tMs, halfLifeMs),
    encode(writer, cells, at) {
      writer.float64(cells[at + 1] as number).float64(cells[at + 2] as number)
    },
    decode(reader, cells, at) {
      cells[at + 1] = reader.float64()
      cells[at + 2] = reader.float64()
    },
  }
}
