/** From columns of events to rows of people. */
import type { EventColumns } from './read.ts'

/** Rows of people: each item once, in the order of its last event; weights of repeated events added. */
export interface PersonRows {
  readonly people: number
  readonly offsets: Int32Array
  readonly ids: Int32Array
  readonly weights?: Float64Array
}

/** Sorts events by person, and by time where there is one; what came later in the file is later. */
export function rowsOf(
  { people: owners, items, at, weights }: EventColumns,
  people: number,
): PersonRows {
  const starts = new Int32Array(people + 1)
  for (const owner of owners) starts[owner + 1]! += 1
  for (let person = 0; person < people; person++) starts[person + 1]! += starts[person]!
  const next = starts.slice()
  const order = new Int32Array(owners.length)
  owners.forEach((owner, event) => (order[next[owner]!++] = event))
  const offsets = new Int32Array(people + 1)
  const ids = new Int32Array(owners.length)
  const sums = new Float64Array(owners.length)
  let end = 0
  for (let person = 0; person < people; person++) {
    const row = order.subarray(starts[person], starts[person + 1])
    if (at !== undefined) row.sort((a, b) => at[a]! - at[b]! || a - b)
    const last = new Map<number, number>()
    for (const event of row) {
      const item = items[event]!
      const weight = (last.get(item) ?? 0) + (weights?.[event] ?? 1)
      last.delete(item)
      last.set(item, weight)
    }
    for (const [item, weight] of last) {
      ids[end] = item
      sums[end] = weight
      end += 1
    }
    offsets[person + 1] = end
  }
  return {
    people,
    offsets,
    ids: ids.slice(0, end),
    ...(weights === undefined ? {} : { weights: sums.slice(0, end) }),
  }
}

/** What is in `rows` and not in the same row of `known`. */
export function withoutKnown(rows: PersonRows, known: PersonRows): PersonRows {
  const offsets = new Int32Array(rows.people + 1)
  const ids: number[] = []
  for (let person = 0; person < rows.people; person++) {
    const seen = new Set(known.ids.subarray(known.offsets[person], known.offsets[person + 1]))
    for (const item of rows.ids.subarray(rows.offsets[person], rows.offsets[person + 1]))
      if (!seen.has(item)) ids.push(item)
    offsets[person + 1] = ids.length
  }
  return { people: rows.people, offsets, ids: Int32Array.from(ids) }
}
