import type { Aggregation } from './aggregation.ts'

/** The number of the first or of the last event by (event time, position). Cells: events, number, its time. */
function edge(isNearer: (atMs: number, otherMs: number) => boolean): Aggregation {
  return {
    cells: 3,
    add(cells, at, { value, atMs }) {
      if (cells[at] === 0 || isNearer(atMs, cells[at + 2] as number)) {
        cells[at + 1] = value
        cells[at + 2] = atMs
      }
      cells[at]! += 1
    },
    merge(into, at, from, fromAt) {
      if (isNearer(from[fromAt + 2] as number, into[at + 2] as number)) {
        into[at + 1] = from[fromAt + 1] as number
        into[at + 2] = from[fromAt + 2] as number
      }
      into[at]! += from[fromAt] as number
    },
    read: (cells, at) => cells[at + 1] as number,
    invert(cells, at, { atMs }) {
      if (cells[at] !== 1 && cells[at + 2] === atMs) return false
      cells[at]! -= 1
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
}

/** The number of the first event; of several at one time, the first in the log. */
export const first: Aggregation = edge((atMs, otherMs) => atMs < otherMs)
/** The number of the last event; of several at one time, the last in the log. */
export const last: Aggregation = edge((atMs, otherMs) => atMs >= otherMs)
