/** Who did what, as rows that kernels can see: a person's events one after the other, the newest last. */
import { checkArgument } from '../errors.ts'
import type { Floats, Ints, Workspace } from '../kernels/workspace.ts'

/** Events by person; an item appears at most once in a row. */
export interface Events {
  readonly people: number
  readonly items: number
  /** Where each person's events begin, and the end: people + 1. */
  readonly offsets: Ints
  readonly ids: Ints
  /** How much each event counts, above 0. */
  readonly values: Floats
}

/** The same events by item. */
export interface Places {
  /** Where each item's places begin, and the end: items + 1. */
  readonly offsets: Ints
  /** Index into the events. */
  readonly places: Ints
  /** Whose event that is. */
  readonly owners: Ints
}

/**
 * Rows of item numbers as events, each counting 1. Throws RECOMMEND_ARGUMENT_INVALID for a number that is
 * no item.
 */
export function packEvents(
  workspace: Workspace,
  lists: readonly (readonly number[])[],
  { items }: { readonly items: number },
): Events {
  const offsets = workspace.ints(lists.length + 1)
  lists.forEach((list, row) => (offsets[row + 1] = (offsets[row] as number) + list.length))
  const ids = workspace.intsOf(lists.flat())
  const isItem = (id: number): boolean => Number.isInteger(id) && id >= 0 && id < items
  for (const id of lists.flat()) checkArgument(isItem(id), 'item', id, `there are ${items}`)
  return { people: lists.length, items, offsets, ids, values: workspace.floats(ids.length).fill(1) }
}

/** The events of some people, copied. */
export function selectRows(
  workspace: Workspace,
  events: Events,
  people: ArrayLike<number>,
): Events {
  const offsets = workspace.ints(people.length + 1)
  for (let row = 0; row < people.length; row++) {
    const person = people[row] as number
    const length = (events.offsets[person + 1] as number) - (events.offsets[person] as number)
    offsets[row + 1] = (offsets[row] as number) + length
  }
  const total = offsets[people.length] as number
  const [ids, values] = [workspace.ints(total), workspace.floats(total)]
  for (let row = 0; row < people.length; row++) {
    const person = people[row] as number
    const [from, until] = [events.offsets[person] as number, events.offsets[person + 1] as number]
    ids.set(events.ids.subarray(from, until), offsets[row])
    values.set(events.values.subarray(from, until), offsets[row])
  }
  return { people: people.length, items: events.items, offsets, ids, values }
}

/** The events sorted by item; O(events). */
export function placesOf(workspace: Workspace, events: Events): Places {
  const { people, items, offsets: rows, ids } = events
  const offsets = workspace.ints(items + 1)
  for (let at = 0; at < ids.length; at++) offsets[(ids[at] as number) + 1]! += 1
  for (let item = 0; item < items; item++) offsets[item + 1]! += offsets[item] as number
  const next = Int32Array.from(offsets)
  const [places, owners] = [workspace.ints(ids.length), workspace.ints(ids.length)]
  for (let person = 0; person < people; person++) {
    for (let at = rows[person] as number; at < (rows[person + 1] as number); at++) {
      const place = next[ids[at] as number]!++
      places[place] = at
      owners[place] = person
    }
  }
  return { offsets, places, owners }
}

/** Sums of values by person and by item. */
export function degrees({ people, items, offsets, ids, values }: Events): {
  readonly byPerson: Float64Array
  readonly byItem: Float64Array
} {
  const [byPerson, byItem] = [new Float64Array(people), new Float64Array(items)]
  for (let person = 0; person < people; person++) {
    for (let at = offsets[person] as number; at < (offsets[person + 1] as number); at++) {
      byPerson[person]! += values[at] as number
      byItem[ids[at] as number]! += values[at] as number
    }
  }
  return { byPerson, byItem }
}

/** d^exponent for each d above 0, else 0, where kernels can see it. */
export function powers(workspace: Workspace, from: ArrayLike<number>, exponent: number): Floats {
  const out = workspace.floats(from.length)
  for (let at = 0; at < from.length; at++) {
    const value = from[at] as number
    out[at] = value > 0 ? value ** exponent : 0
  }
  return out
}

/** Values halved with every `halfLife` places from the newest; `halfLife` Infinity leaves them. */
export function recentValues(
  workspace: Workspace,
  { people, offsets, values }: Events,
  halfLife: number,
): Floats {
  const out = workspace.floatsOf(values)
  if (halfLife === Infinity) return out
  const step = 0.5 ** (1 / halfLife)
  for (let person = 0; person < people; person++) {
    let weight = 1
    for (let at = (offsets[person + 1] as number) - 1; at >= (offsets[person] as number); at--) {
      out[at]! *= weight
      weight *= step
    }
  }
  return out
}

/** About how many pairs of events of one person there are. */
export function pairsOf({ people, ids }: Events): number {
  return ids.length ** 2 / Math.max(1, people)
}

/** Gives the arrays of events back. */
export function freeEvents(workspace: Workspace, { offsets, ids, values }: Events): void {
  workspace.free(offsets, ids, values)
}
