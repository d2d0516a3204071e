import type { CellAggregation } from './aggregation.ts'

/** The least or the greatest of numbers. Cells: events, it. An event inside the bounds is taken out without a trace. */
function extreme(isBeyond: (value: number, other: number) => boolean): CellAggregation {
  const own: CellAggregation = {
    cells: 2,
    add(cells, at, { value }) {
      if (cells[at] === 0 || isBeyond(value, cells[at + 1] as number)) cells[at + 1] = value
      cells[at]! += 1
    },
    merge(into, at, from, fromAt) {
      const value = from[fromAt + 1] as number
      if (isBeyond(value, into[at + 1] as number)) into[at + 1] = value
      into[at]! += from[fromAt] as number
    },
    read: (cells, at) => cells[at + 1] as number,
    invert(cells, at, { value }) {
      if (cells[at] !== 1 && !isBeyond(cells[at + 1] as number, value)) return false
      cells[at]! -= 1
      return true
    },
    insert(cells, at, input) {
      own.add(cells, at, input)
      return true
    },
    encode(writer, cells, at) {
      writer.float64(cells[at + 1] as number)
    },
    decode(reader, cells, at) {
      cells[at + 1] = reader.float64()
    },
  }
  return own
}

/** The least number. */
export const min: CellAggregation = extreme((value, other) => value < other)
/** The greatest number. */
export const max: CellAggregation = extreme((value, other) => value > other)
