/** Where an event counts, whoever its people are: its own record, those that were re-keyed from it, and what stands in for them. */
import type { LogRecord } from '@millrace/log'
import type { Corrections } from '../corrections/contract.ts'
import {
  asCorrected,
  movedEventOf,
  recordOf,
  rekey,
  standInEventsOf,
  type RecordChange,
} from '../corrections/originals.ts'
import type { FoldRunner } from '../runner.ts'
import { PERSON, type PersonFields } from './contract.ts'
import { asOnePerson, isElsewhere, peopleIn } from './people.ts'

/** A fold, as far as it says where events go. */
export interface Emitter {
  readonly definition: FoldRunner['definition']
  readonly lanes: readonly Pick<FoldRunner['lanes'][number], 'lane'>[]
}

/** The folds, as far as they say where events go. */
export interface FoldGraph {
  readonly runners: readonly Emitter[]
  /** Of all events that the app declares. */
  readonly people: PersonFields
  /** How many partitions the stream of people has. */
  readonly partitions: number
}

/** The graph of folds; `people` defaults to the events that any of them reads. */
export function graphOf(runners: readonly FoldRunner[], people?: PersonFields): FoldGraph {
  const read = (): PersonFields =>
    new Map(runners.flatMap(({ definition }) => [...(definition.people ?? [])]))
  const partitions = runners.find(({ definition }) => definition.source === PERSON)?.lanes.length
  return { runners, people: people ?? read(), partitions: partitions ?? 1 }
}

/** True for an event of which somebody is another person by one of these, as it was sent or as it counts. */
export function namesMerged(
  { people }: FoldGraph,
  record: LogRecord,
  ...all: readonly Pick<Corrections, 'of' | 'canonical'>[]
): boolean {
  return all.some(({ of, canonical }) => {
    if (canonical === undefined) return false
    const counted = asCorrected(record, of(record)) ?? record
    return [record, counted].some(each => peopleIn(each, people).some(id => canonical(id) !== id))
  })
}

/** The folds that re-key a stream. */
export function emittersOf({ runners }: FoldGraph, stream: string): readonly Emitter[] {
  return runners.filter(
    ({ definition }) => definition.isRekeying === true && definition.source === stream,
  )
}

/** The records in which an event counts by `corrections`, as they count. */
export function countedRecords(
  graph: FoldGraph,
  origin: LogRecord,
  corrections: Pick<Corrections, 'of' | 'canonical'>,
): readonly LogRecord[] {
  const { people } = graph
  const { canonical } = corrections
  const correction = corrections.of(origin)
  const found: LogRecord[] = []
  const add = (record: LogRecord): void => {
    const counted = asCorrected(record, correction)
    if (counted !== undefined) found.push(asOnePerson(counted, people, canonical))
  }
  if (canonical !== undefined && isElsewhere(origin, people, canonical)) {
    const moved = movedEventOf(origin, canonical(origin.key), graph.partitions)
    add(recordOf(moved, origin))
  } else add(origin)
  for (const emitter of emittersOf(graph, origin.stream)) {
    for (const record of rekey(emitter, origin)) add(record)
    for (const event of standInEventsOf(emitter, origin, corrections)) add(recordOf(event, origin))
  }
  return found
}

/** What changes when other corrections hold for an event, record by record. */
export function changesOfEvent(
  graph: FoldGraph,
  origin: LogRecord,
  before: Pick<Corrections, 'of' | 'canonical'>,
  after: Pick<Corrections, 'of' | 'canonical'>,
): readonly { readonly at: LogRecord; readonly change: RecordChange }[] {
  return [
    ...countedRecords(graph, origin, before).map(record => ({
      at: record,
      change: { before: record, after: undefined, origin },
    })),
    ...countedRecords(graph, origin, after).map(record => ({
      at: record,
      change: { before: undefined, after: record, origin },
    })),
  ]
}
