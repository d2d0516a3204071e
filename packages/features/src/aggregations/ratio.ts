import type { AggregationInput, CellAggregation } from './aggregation.ts'
import { isExact, magnitudeOf } from './exactness.ts'

/** The sum of numbers, divided by another one. Cells: events, both sums, magnitude (`exactness.ts`). */
export const ratio: CellAggregation = {
  cells: 4,
  add(cells, at, input) {
    cells[at]! += 1
    cells[at + 1]! += input.value
    cells[at + 2]! += input.over
    cells[at + 3]! += magnitude(input)
  },
  merge: 'add',
  read: (cells, at) =>
    cells[at + 2] === 0 ? NaN : (cells[at + 1] as number) / (cells[at + 2] as number),
  invert(cells, at, input) {
    if (!isExact(cells[at + 3] as number)) return false
    cells[at]! -= 1
    cells[at + 1]! -= input.value
    cells[at + 2]! -= input.over
    cells[at + 3]! -= magnitude(input)
    return true
  },
  insert(cells, at, input) {
    if (!isExact((cells[at + 3] as number) + magnitude(input))) return false
    ratio.add(cells, at, input)
    return true
  },
  encode(writer, cells, at) {
    for (let cell = 1; cell < 4; cell++) writer.float64(cells[at + cell] as number)
  },
  decode(reader, cells, at) {
    for (let cell = 1; cell < 4; cell++) cells[at + cell] = reader.float64()
  },
}

function magnitude({ value, over }: AggregationInput): number {
  return magnitudeOf(value) + magnitudeOf(over)
}
