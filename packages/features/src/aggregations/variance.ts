/**
 * The variance of all numbers (not of a sample of them). One at a time after Welford (Technometrics
 * 1962), partials after Chan, Golub and LeVeque (Updating formulae and a pairwise algorithm for
 * computing sample variances, 1979): nothing is lost where the mean is large and the variance small.
 */
import type { CellAggregation } from './aggregation.ts'

/** See the head of the file. Cells: events, mean, sum of squared distances from it. */
export const variance: CellAggregation = {
  cells: 3,
  add(cells, at, { value }) {
    const events = (cells[at] as number) + 1
    const before = value - (cells[at + 1] as number)
    cells[at] = events
    cells[at + 1]! += before / events
    cells[at + 2]! += before * (value - (cells[at + 1] as number))
  },
  merge(into, at, from, fromAt) {
    const left = into[at] as number
    const right = from[fromAt] as number
    const events = left + right
    const distance = (from[fromAt + 1] as number) - (into[at + 1] as number)
    into[at] = events
    into[at + 1]! += (distance * right) / events
    into[at + 2]! += (from[fromAt + 2] as number) + distance * distance * ((left * right) / events)
  },
  read: (cells, at) => (cells[at + 2] as number) / (cells[at] as number),
  encode(writer, cells, at) {
    writer.float64(cells[at + 1] as number).float64(cells[at + 2] as number)
  },
  decode(reader, cells, at) {
    cells[at + 1] = reader.float64()
    cells[at + 2] = reader.float64()
  },
}
