import type { CellAggregation } from './aggregation.ts'

/** Milliseconds from the first event to the last one. Cells: events, both times. */
export const span: CellAggregation = {
  cells: 3,
  add(cells, at, { atMs }) {
    const isFirst = cells[at] === 0
    cells[at]! += 1
    cells[at + 1] = isFirst ? atMs : Math.min(cells[at + 1] as number, atMs)
    cells[at + 2] = isFirst ? atMs : Math.max(cells[at + 2] as number, atMs)
  },
  merge(into, at, from, fromAt) {
    into[at]! += from[fromAt] as number
    into[at + 1] = Math.min(into[at + 1] as number, from[fromAt + 1] as number)
    into[at + 2] = Math.max(into[at + 2] as number, from[fromAt + 2] as number)
  },
  read: (cells, at) => (cells[at + 2] as number) - (cells[at + 1] as number),
  invert(cells, at, { atMs }) {
    const isInside = atMs > (cells[at + 1] as number) && atMs < (cells[at + 2] as number)
    if (!isInside && cells[at] !== 1) return false
    cells[at]! -= 1
    return true
  },
  insert(cells, at, input) {
    span.add(cells, at, input)
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
