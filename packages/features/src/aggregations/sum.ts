import type { CellAggregation } from './aggregation.ts'
import { isExact, magnitudeOf } from './exactness.ts'

/** The sum of numbers in their order. Cells: events, sum, magnitude (`exactness.ts`). */
export const sum: CellAggregation = {
  cells: 3,
  add(cells, at, { value }) {
    cells[at]! += 1
    cells[at + 1]! += value
    cells[at + 2]! += magnitudeOf(value)
  },
  merge: 'add',
  read: (cells, at) => cells[at + 1] as number,
  invert(cells, at, { value }) {
    if (!isExact(cells[at + 2] as number)) return false
    cells[at]! -= 1
    cells[at + 1]! -= value
    cells[at + 2]! -= magnitudeOf(value)
    return true
  },
  insert(cells, at, input) {
    if (!isExact((cells[at + 2] as number) + magnitudeOf(input.value))) return false
    sum.add(cells, at, input)
    return true
  },
  encode(writer, cells, at) {
    writer.float64(cells[at + 1] as number).float64(cells[at + 2] as number)
  },
  decode(reader, cells, at) {
    cells[at + 1] = reader.float64()
    cells[at + 2] = reader.float64()
  },
}
