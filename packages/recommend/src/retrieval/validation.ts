/**
 * The split inside the training events by which settings are chosen. In order (the rows are in time):
 * the last tenth to third of every person's events is held out, so that nothing later than what is
 * predicted was learned from that person. Without order: a random fifth of the events of a sample of
 * people, so that the rest is nearly what will be trained on in the end.
 */
import type { Workspace } from '../kernels/workspace.ts'
import { selectRows, type Events } from './events.ts'
import type { Truth } from './measure.ts'

/** A split. */
export interface Validation {
  /** What is learned from. */
  readonly events: Events
  /** Histories of the people who are measured: rows of `events`. */
  readonly histories: Events
  /** What was held out of them, row by row. */
  readonly truth: Truth
}

/** Held out of an ordered row at most; of any row, at most a third or a fifth. */
const LAST_MAX = 10
/** People measured: few of many items, since each costs a row of scores. */
const PEOPLE_MAX = 6000
const PEOPLE_MIN = 1000
const SCORES_MAX = 60_000_000

/** Splits; undefined when nobody has two events. */
export function splitForValidation(
  workspace: Workspace,
  events: Events,
  {
    isOrdered,
    seed,
    peopleMax = PEOPLE_MAX,
  }: {
    readonly isOrdered: boolean
    readonly seed: number
    readonly peopleMax?: number
  },
): Validation | undefined {
  const { people, items, offsets } = events
  const lengths = Array.from({ length: people }, (_, p) => offsets[p + 1]! - offsets[p]!)
  const random = randomOf(seed)
  const eligible = eligibleOf(lengths)
  if (eligible.length === 0) return undefined
  const room = Math.max(PEOPLE_MIN, Math.floor(SCORES_MAX / items))
  shuffle(eligible, random)
  const sample = eligible.slice(0, Math.min(peopleMax, room)).sort((a, b) => a - b)
  const measured = new Set(sample)
  const isHeld = new Uint8Array(events.ids.length)
  for (const person of isOrdered ? eligible : sample) {
    const length = lengths[person] as number
    const count = isOrdered
      ? Math.max(1, Math.min(LAST_MAX, Math.floor(length / 3)))
      : Math.max(1, Math.round(length / 5))
    const places = Array.from({ length }, (_, at) => offsets[person]! + at)
    if (!isOrdered) shuffle(places, random)
    for (const place of places.slice(length - count)) isHeld[place] = 1
  }
  return split(workspace, events, { isHeld, sample, measured })
}

/** People with enough events; when that is hardly anybody, all with two. */
function eligibleOf(lengths: readonly number[]): number[] {
  const withAtLeast = (least: number): number[] =>
    lengths.flatMap((length, person) => (length >= least ? [person] : []))
  const enough = withAtLeast(4)
  return enough.length >= 50 ? enough : withAtLeast(2)
}

function split(
  workspace: Workspace,
  events: Events,
  {
    isHeld,
    sample,
    measured,
  }: {
    readonly isHeld: Uint8Array
    readonly sample: readonly number[]
    readonly measured: ReadonlySet<number>
  },
): Validation {
  const held = isHeld.reduce((sum, flag) => sum + flag, 0)
  const kept = events.ids.length - held
  const offsets = workspace.ints(events.people + 1)
  const [ids, values] = [workspace.ints(kept), workspace.floats(kept)]
  const truth = { offsets: [0], ids: [] as number[] }
  let next = 0
  for (let person = 0; person < events.people; person++) {
    for (let at = events.offsets[person]!; at < events.offsets[person + 1]!; at++) {
      if (isHeld[at] === 1) {
        if (measured.has(person)) truth.ids.push(events.ids[at] as number)
        continue
      }
      ids[next] = events.ids[at] as number
      values[next] = events.values[at] as number
      next += 1
    }
    offsets[person + 1] = next
    if (measured.has(person)) truth.offsets.push(truth.ids.length)
  }
  const rest = { people: events.people, items: events.items, offsets, ids, values }
  return { events: rest, histories: selectRows(workspace, rest, sample), truth }
}

/** Fractions in [0, 1) from a seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Puts into random order, in place (Fisher and Yates). */
export function shuffle(values: number[], random: () => number): void {
  for (let at = values.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1))
    const kept = values[at] as number
    values[at] = values[other] as number
    values[other] = kept
  }
}
