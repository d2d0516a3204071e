import type { CellAggregation } from './aggregation.ts'

/** How many numbers fall below the first bound, from each bound to the next, and from the last one on. Cells: events, each of these. */
export function histogram(bounds: readonly number[]): CellAggregation {
  const bins = bounds.length + 1
  const binOf = (value: number): number => {
    let bin = 0
    while (bin < bounds.length && value >= (bounds[bin] as number)) bin += 1
    return bin
  }
  const count = (cells: Float64Array, at: number, value: number, by: number): void => {
    cells[at]! += by
    cells[at + 1 + binOf(value)]! += by
  }
  return {
    cells: bins + 1,
    add(cells, at, { value }) {
      count(cells, at, value, 1)
    },
    merge: 'add',
    read: () => NaN,
    readList: (cells, at) => [...cells.subarray(at + 1, at + 1 + bins)],
    invert(cells, at, { value }) {
      count(cells, at, value, -1)
      return true
    },
    insert(cells, at, { value }) {
      count(cells, at, value, 1)
      return true
    },
    encode(writer, cells, at) {
      for (let bin = 1; bin <= bins; bin++) writer.count(cells[at + bin] as number)
    },
    decode(reader, cells, at) {
      for (let bin = 1; bin <= bins; bin++) cells[at + bin] = reader.count()
    },
  }
}
