/** The value of the first or of the last event by (event time, position). */
import type { CellAggregation, ObjectAggregation } from './aggregation.ts'

type IsNearer = (atMs: number, otherMs: number) => boolean
const isEarlier: IsNearer = (atMs, otherMs) => atMs < otherMs
const isNotEarlier: IsNearer = (atMs, otherMs) => atMs >= otherMs

/** Of numbers. Cells: events, number, its time. */
function edge(isNearer: IsNearer): CellAggregation {
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

interface TextAt {
  text: string
  atMs: number
}

function textEdge(isNearer: IsNearer): ObjectAggregation<TextAt | undefined> {
  const nearer = (state: TextAt | undefined, other: TextAt): TextAt =>
    state === undefined || isNearer(other.atMs, state.atMs) ? other : state
  return {
    isObject: true,
    takes: 'text',
    init: () => undefined,
    add: (state, { other, atMs }) => nearer(state, { text: other as string, atMs }),
    copy: state => state,
    merge: (into, from) => nearer(into, from as TextAt),
    read: state => state?.text,
    invert: (state, { atMs }) => state?.atMs !== atMs,
    encode(writer, state) {
      writer.text((state as TextAt).text).float64((state as TextAt).atMs)
    },
    decode: reader => ({ text: reader.text(), atMs: reader.float64() }),
  }
}

/** The number of the first event; of several at one time, the first in the log. */
export const first = edge(isEarlier)
/** The number of the last event; of several at one time, the last in the log. */
export const last = edge(isNotEarlier)
/** The text of the first event. */
export const firstText = textEdge(isEarlier)
/** The text of the last event. */
export const lastText = textEdge(isNotEarlier)
