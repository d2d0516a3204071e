import type { CellAggregation } from './aggregation.ts'

/** The number of events. Cells: events. */
export const count: CellAggregation = {
  cells: 1,
  add(cells, at) {
    cells[at]! += 1
  },
  merge: 'add',
  read: (cells, at) => cells[at] as number,
  invert(cells, at) {
    cells[at]! -= 1
    return true
  },
  insert(cells, at, input) {
    count.add(cells, at, input)
    return true
  },
  encode() {},
  decode() {},
}
