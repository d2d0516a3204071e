/**
 * Trains on one file of events and measures on another. Test events are read for their people and items
 * alone, after everything was chosen on the training events.
 */
import type { Clock } from '@millrace/core'
import {
  estimate,
  listsOf,
  measureBeyond,
  measureLists,
  selectRows,
  trainBaselines,
  trainRetrieval,
  Workspace,
  type Events,
  type KernelThreads,
  type Lists,
  type Trained,
  type TrainReport,
  type Weighted,
} from '@millrace/recommend'
import { readEvents, type EventFormat, type Ids } from './read.ts'
import { rowsOf, withoutKnown, type PersonRows } from './rows.ts'

/** What is evaluated. */
export interface EvaluateOptions {
  readonly format: EventFormat
  readonly train: string
  readonly test: string
  readonly ks: readonly number[]
  readonly seed: number
  readonly isFast: boolean
  readonly clock: Clock
  readonly threads: KernelThreads
  readonly onProgress?: (what: string) => void
}

/** Measures by name, such as `recall@20`. */
export type Measures = Record<string, number>

/** Measures of one kind of list. */
export interface Measured {
  readonly measures: Measures
  /** 95 % intervals over people, of the measures that are means over people. */
  readonly intervals: Record<string, readonly [low: number, high: number]>
  readonly people: number
}

/** What an evaluation found. */
export interface Evaluation {
  readonly all: Measured
  readonly baselines: Readonly<Record<string, Measured>>
  /** By the length of the history: what people with few events get. */
  readonly slices: Readonly<Record<string, Measured>>
  readonly sizes: Readonly<Record<string, number>>
  readonly isOrdered: boolean
  readonly report: TrainReport
  readonly readSeconds: number
  readonly scoreSeconds: number
}

/** Slices by events of a history: from, until. */
const SLICES: Readonly<Record<string, readonly [from: number, until: number]>> = {
  'history 0': [0, 1],
  'history 1-4': [1, 5],
  'history 5-19': [5, 20],
  'history 20+': [20, Infinity],
}

interface Data {
  readonly events: Events
  /** People who are measured. */
  readonly sample: readonly number[]
  readonly truth: PersonRows
  readonly isOrdered: boolean
  readonly sizes: Readonly<Record<string, number>>
}

/** Evaluates. Throws what reading the files throws. */
export async function evaluate(options: EvaluateOptions): Promise<Evaluation> {
  const { clock, ks, seed, isFast, threads, onProgress } = options
  const workspace = new Workspace(threads)
  const started = clock.monotonicMs()
  const { events, sample, truth, isOrdered, sizes } = await readData(workspace, options)
  const read = clock.monotonicMs()
  const trained: Trained = await trainRetrieval(workspace, events, {
    isOrdered,
    isFast,
    ks,
    seed,
    clock,
    ...(onProgress === undefined ? {} : { onProgress }),
  })
  const scored = clock.monotonicMs()
  onProgress?.('lists of everybody')
  const histories = selectRows(workspace, events, sample)
  const k = Math.max(...ks)
  const lists = await listsOf(workspace, trained.blend, histories, k)
  const scoreSeconds = (clock.monotonicMs() - scored) / 1000
  trained.release()
  const facts = { histories, truth, ks }
  const baselines: Record<string, Measured> = {}
  for (const { name, models } of await trainBaselines(workspace, events)) {
    const blend: readonly Weighted[] = models
    baselines[name] = measured(await listsOf(workspace, blend, histories, k), facts, events)
    for (const { model } of models) model.release()
  }
  return {
    all: measured(lists, facts, events),
    baselines,
    slices: slicesOf(lists, facts, events),
    sizes,
    isOrdered,
    report: trained.report,
    readSeconds: (read - started) / 1000,
    scoreSeconds,
  }
}

async function readData(
  workspace: Workspace,
  { format, train, test }: EvaluateOptions,
): Promise<Data> {
  const ids: Ids = { people: new Map(), items: new Map() }
  const learned = await readEvents(train, format, ids)
  const known = { people: ids.people.size, items: ids.items.size }
  const asked = await readEvents(test, format, ids)
  const people = ids.people.size
  const rows = rowsOf(learned, people)
  const all = rowsOf(asked, people)
  const fresh = withoutKnown(all, rows)
  const events: Events = {
    people,
    items: known.items,
    offsets: workspace.intsOf(rows.offsets),
    ids: workspace.intsOf(rows.ids),
    values: workspace.floatsOf(rows.weights ?? new Float32Array(rows.ids.length).fill(1)),
  }
  const sample = Array.from({ length: people }, (_, person) => person).filter(
    person => fresh.offsets[person + 1]! > fresh.offsets[person]!,
  )
  const truth = pick(fresh, sample)
  return {
    events,
    sample,
    truth,
    isOrdered: learned.at !== undefined,
    sizes: {
      trainPeople: known.people,
      trainItems: known.items,
      trainEvents: rows.ids.length,
      testPeople: sample.length,
      testEvents: truth.ids.length,
      /** Of people whom the training events do not name. */
      testPeopleNew: sample.filter(person => person >= known.people).length,
      /** Of items that the training events do not name: nobody can recommend them. */
      testEventsOfNewItems: truth.ids.filter(item => item >= known.items).length,
      /** Left out: the same person has them in the training events. */
      testEventsKnown: all.ids.length - fresh.ids.length,
    },
  }
}

function pick(rows: PersonRows, people: readonly number[]): PersonRows {
  const parts = people.map(person => rows.ids.subarray(rows.offsets[person], rows.offsets[person + 1])) // prettier-ignore
  const offsets = new Int32Array(people.length + 1)
  parts.forEach((part, row) => (offsets[row + 1] = offsets[row]! + part.length))
  const ids = new Int32Array(offsets[people.length]!)
  parts.forEach((part, row) => ids.set(part, offsets[row]))
  return { people: people.length, offsets, ids }
}

interface Facts {
  readonly histories: Events
  readonly truth: PersonRows
  readonly ks: readonly number[]
}

/** All measures of some lists; `events` say what is common. */
function measured(lists: Lists, { truth, ks }: Facts, events: Events): Measured {
  const measures: Measures = {}
  const intervals: Record<string, readonly [number, number]> = {}
  let people = 0
  for (const k of ks) {
    for (const [name, values] of Object.entries(measureLists(lists, truth, k))) {
      const { value, low, high } = estimate(values)
      measures[`${name}@${k}`] = value
      intervals[`${name}@${k}`] = [low, high]
      people = values.length
    }
    for (const [name, value] of Object.entries(measureBeyond(lists, events, k)))
      measures[`${name}@${k}`] = value
  }
  return { measures, intervals, people }
}

function slicesOf(lists: Lists, facts: Facts, events: Events): Record<string, Measured> {
  const { offsets } = facts.histories
  const slices: Record<string, Measured> = {}
  for (const [name, [from, until]] of Object.entries(SLICES)) {
    const rows = Array.from({ length: facts.truth.people }, (_, row) => row).filter(row => {
      const length = offsets[row + 1]! - offsets[row]!
      return length >= from && length < until
    })
    if (rows.length === 0) continue
    const part: Lists = {
      k: lists.k,
      ids: Int32Array.from(rows.flatMap(row => [...lists.ids.subarray(row * lists.k, (row + 1) * lists.k)])), // prettier-ignore
      scores: new Float32Array(0),
    }
    slices[name] = measured(part, { ...facts, truth: pick(facts.truth, rows) }, events)
  }
  return slices
}
