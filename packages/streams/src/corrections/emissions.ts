/**
 * What corrections change of that which a fold with a state has emitted. Its emissions are made again
 * as they were, and as they are now, by silent copies; where they differ the emitted records are
 * corrected in turn, under the ids that they have.
 *
 * An emission whose keys or time have changed cannot take the place of its record: that one is
 * retracted, and another stands in for it, at the end of its partition. Its id is a hash of the
 * first one's and of what has changed, so that whoever makes it again makes the same.
 */
import { deriveId } from '@millrace/core'
import { DEFAULT_TENANT, type LogRecord, type NewEvent } from '@millrace/log'
import { foldLane } from '../fold-lane.ts'
import type { Lane } from '../lane.ts'
import { createBeside } from '../rebuild.ts'
import type { RefoldPorts } from '../refold.ts'
import { recordsOf } from '../refold-many.ts'
import { Slices } from '../slices.ts'
import { canonicalText } from '../views/canonical.ts'
import { type CorrectionBook } from './book.ts'
import type { CorrectedEvent, CorrectionAction, EmittedFacts } from './contract.ts'

/** What follows from corrections for what a fold emitted. */
export interface EmissionChanges {
  /** Records that were never emitted. */
  readonly appended: readonly NewEvent[]
  readonly corrected: readonly Corrected[]
}

interface Corrected {
  readonly action: CorrectionAction
  readonly event: CorrectedEvent
}

/** What corrections between `from` and `to` change of the emissions of a standing lane; `keys` are those that they touch. */
export async function emissionChangesOf(
  ports: RefoldPorts & { readonly book: CorrectionBook },
  lane: Lane,
  keys: ReadonlySet<string>,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<EmissionChanges> {
  const found = new EmissionComparison(ports.book)
  if (lane.shard.advance === undefined || lane.shard.isSteadyInTime === true) {
    const slices = new Slices(ports.clock, ports.sliceMs)
    const waitsFrom = (key: string): number => lane.parked.get(key)?.offset ?? Infinity
    const [before, after] = [from, to].map(
      at => new KeyEmissions(copyAt(lane.createBeside(), at), keys, waitsFrom),
    ) as [KeyEmissions, KeyEmissions]
    for await (const record of recordsOf(ports, lane, keys)) {
      found.add(before.fold(record), after.fold(record), record.ingestTimeMs)
      await slices.pause()
    }
  } else {
    // Timers fire in the name of the record that passed them, which may be of any key.
    found.add(await emittedByAll(ports, lane, from), await emittedByAll(ports, lane, to))
  }
  return found
}

/** Gathers where emissions are not what they were. */
export class EmissionComparison implements EmissionChanges {
  readonly appended: NewEvent[] = []
  readonly corrected: Corrected[] = []
  readonly #book: Entries

  constructor(book: Entries) {
    this.#book = book
  }

  /** Compares what was emitted because of some records with what is emitted because of them now; `arrivedMs` is when the log took the first of them. */
  add(before: readonly NewEvent[], after: readonly NewEvent[], arrivedMs?: number): void {
    if (before.length === 0 && after.length === 0) return
    const known: Known = { entry: id => this.#book.entry(id), arrivedMs }
    const places = new Map(before.map(event => [event.id, event]))
    for (const event of after) {
      const was = places.get(event.id)
      places.delete(event.id)
      if (was === undefined || isMoved(was, event)) {
        if (was !== undefined) this.corrected.push(retraction(known, was))
        place(known, was, event, this)
      } else if (!isSameData(was.data, event.data)) {
        this.corrected.push(replacement(known, was, event))
      }
    }
    for (const event of places.values()) this.corrected.push(retraction(known, event))
  }
}

/** What is known of corrected events. */
type Entries = Pick<CorrectionBook, 'entry'>

/** The same, and when the log took what emissions were caused by. */
interface Known extends Entries {
  readonly arrivedMs: number | undefined
}

/** Puts an emission on the log that is not there, or brings back the one that is there and retracted. */
function place(
  known: Known,
  before: NewEvent | undefined,
  event: NewEvent,
  { appended, corrected }: { appended: NewEvent[]; corrected: Corrected[] },
): void {
  const id = recordIdOf(known, before, event)
  if (known.entry(id) === undefined) appended.push({ ...event, id, isUnique: false })
  else corrected.push(replacement(known, before ?? event, event))
}

function retraction(known: Known, event: NewEvent): Corrected {
  const id = recordIdOf(known, event, event)
  return { action: 'retract', event: named(known, id, event) }
}

function replacement(known: Known, before: NewEvent, event: NewEvent): Corrected {
  const id = recordIdOf(known, before, event)
  const first = known.entry(id)?.emitted
  if (first !== undefined && isSameData(first.data, event.data)) {
    return { action: 'restore', event: named(known, id, before) }
  }
  return { action: 'correct', event: { ...named(known, id, before), data: event.data } }
}

/** The record of an emission; what is known of it is said where it is corrected for the first time. */
function named({ entry, arrivedMs }: Known, id: string, event: NewEvent): CorrectedEvent {
  const { stream, type } = event
  if (entry(id) !== undefined) return { id, stream, type }
  const facts = factsOf(event)
  return { id, stream, type, emitted: arrivedMs === undefined ? facts : { ...facts, arrivedMs } }
}

/**
 * The id of the record of an emission: its own, if that was emitted under these keys. `original` is
 * what was emitted under its own id, where nothing was corrected yet that would tell.
 */
function recordIdOf(book: Entries, original: NewEvent | undefined, event: NewEvent): string {
  const first = book.entry(event.id)?.emitted ?? original
  if (first === undefined || !isMoved(first, event)) return event.id
  const facts = JSON.stringify([event.id, keysOf(event), event.eventTimeMs])
  return deriveId(event.eventTimeMs, `correction\n${facts}`)
}

function factsOf(event: NewEvent): EmittedFacts {
  const { key, eventTimeMs, data, headers = {} } = event
  const tenant = event.tenant ?? DEFAULT_TENANT
  const [partition, generation] = [event.partition as number, event.generation as number]
  return { tenant, generation, partition, key, keys: keysOf(event), eventTimeMs, headers, data }
}

function keysOf({
  key,
  keys = [key],
}: {
  key: string
  keys?: readonly string[]
}): readonly string[] {
  return keys
}

type Place = Pick<NewEvent, 'key' | 'keys' | 'eventTimeMs'>

function isMoved(a: Place, b: Place): boolean {
  return a.eventTimeMs !== b.eventTimeMs || keysOf(a).join('\n') !== keysOf(b).join('\n')
}

/** True when both are the same in the log. */
function isSameData(a: unknown, b: unknown): boolean {
  const [one, other] = [JSON.stringify(a), JSON.stringify(b)]
  return one === other || canonicalText(JSON.parse(one)) === canonicalText(JSON.parse(other))
}

/** Tells what some keys emit as `copy`, an empty lane that nobody else folds, folds their records. */
export class KeyEmissions {
  readonly #copy: Lane
  readonly #keys: ReadonlySet<string>
  /** The offset at which a key waits. */
  readonly #waitsFrom: (key: string) => number
  /** Keys of which a record failed: they wait. */
  readonly #failed = new Set<string>()

  constructor(copy: Lane, keys: ReadonlySet<string>, waitsFrom: (key: string) => number) {
    this.#copy = copy
    this.#keys = keys
    this.#waitsFrom = waitsFrom
  }

  /** What is emitted because of the next record. */
  fold(record: LogRecord): readonly NewEvent[] {
    const copy = this.#copy
    const amended = copy.amended(record)
    const own = copy.wants(amended) ? copy.keysOf(amended) : []
    if (!own.some(key => this.#keys.has(key))) return []
    if (own.some(key => this.#waits(key, record.offset))) return []
    const isPassed = copy.definition.onFailure === 'pass'
    const states = isPassed ? own.map(key => [key, copy.shard.encodeKey(key)] as const) : []
    copy.advanceTo(amended)
    try {
      copy.foldOne(amended)
    } catch {
      copy.emitted.length = 0
      if (!isPassed) for (const key of own) this.#failed.add(key)
      for (const [key, state] of states) copy.shard.decodeKey(key, state)
    }
    return copy.emitted.splice(0)
  }

  #waits(key: string, offset: number): boolean {
    return this.#failed.has(key) || this.#waitsFrom(key) <= offset
  }
}

/** What all keys of a lane emit. */
async function emittedByAll(
  ports: RefoldPorts,
  lane: Lane,
  position: number,
): Promise<readonly NewEvent[]> {
  const copy = copyAt(createBeside(lane), position)
  await foldLane(ports, copy, lane.consumed)
  return copy.emitted
}

function copyAt(copy: Lane, position: number): Lane {
  copy.corrections = copy.corrections.at(position)
  copy.mutedBefore = 0
  return copy
}
