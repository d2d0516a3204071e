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
import { DEFAULT_TENANT, type EventLog, type NewEvent } from '@millrace/log'
import { foldLane } from '../fold-lane.ts'
import type { Lane } from '../lane.ts'
import { createBeside } from '../rebuild.ts'
import { historyOf, type RefoldPorts } from '../refold.ts'
import { Slices } from '../slices.ts'
import { canonicalText } from '../views/canonical.ts'
import { type CorrectionBook } from './book.ts'
import type { CorrectedEvent, CorrectionAction } from './contract.ts'

/** What follows from corrections for what a fold emitted. */
export interface EmissionChanges {
  /** Records that were never emitted. */
  readonly appended: readonly NewEvent[]
  readonly corrected: readonly {
    readonly action: CorrectionAction
    readonly event: CorrectedEvent
  }[]
}

/** What corrections between `from` and `to` change of the emissions of a standing lane; `keys` are those that they touch. */
export async function emissionChangesOf(
  ports: RefoldPorts & { readonly log: EventLog; readonly book: CorrectionBook },
  lane: Lane,
  keys: ReadonlySet<string>,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<EmissionChanges> {
  const found = new EmissionComparison(ports.book)
  if (lane.shard.advance === undefined || lane.shard.isSteadyInTime === true) {
    const endOf = (key: string): number => lane.parked.get(key)?.offset ?? lane.consumed
    for (const key of keys) {
      const [before, after] = [from, to].map(at => copyAt(lane.createBeside(), at)) as [Lane, Lane]
      found.add(
        await emittedBy(ports, before, key, endOf(key)),
        await emittedBy(ports, after, key, endOf(key)),
      )
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
  readonly corrected: { action: CorrectionAction; event: CorrectedEvent }[] = []
  readonly #book: Entries

  constructor(book: Entries) {
    this.#book = book
  }

  /** Compares what was emitted because of some records with what is emitted because of them now. */
  add(before: readonly NewEvent[], after: readonly NewEvent[]): void {
    const places = new Map(before.map(event => [event.id, event]))
    for (const event of after) {
      const known = places.get(event.id)
      places.delete(event.id)
      if (known !== undefined && canonicalText(asText(known)) === canonicalText(asText(event)))
        continue
      if (known === undefined || isMoved(known, event)) {
        if (known !== undefined) this.corrected.push(retraction(this.#book, known))
        place(this.#book, known, event, this)
      } else {
        this.corrected.push(replacement(this.#book, known, event))
      }
    }
    for (const event of places.values()) this.corrected.push(retraction(this.#book, event))
  }
}

/** What is known of corrected events. */
type Entries = Pick<CorrectionBook, 'entry'>

/** Puts an emission on the log that is not there, or brings back the one that is there and retracted. */
function place(
  book: Entries,
  before: NewEvent | undefined,
  event: NewEvent,
  {
    appended,
    corrected,
  }: { appended: NewEvent[]; corrected: { action: CorrectionAction; event: CorrectedEvent }[] },
): void {
  const id = recordIdOf(book, before, event)
  if (book.entry(id) === undefined) appended.push({ ...event, id, isUnique: false })
  else corrected.push(replacement(book, before ?? event, event))
}

type Corrected = EmissionChanges['corrected'][number]

function retraction(book: Entries, event: NewEvent): Corrected {
  const id = recordIdOf(book, event, event)
  return { action: 'retract', event: { id, ...factsOf(event) } }
}

function replacement(book: Entries, before: NewEvent, event: NewEvent): Corrected {
  const id = recordIdOf(book, before, event)
  return { action: 'correct', event: { id, ...factsOf(before), data: event.data } }
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

function factsOf(event: NewEvent): Omit<CorrectedEvent, 'id'> {
  const { stream, type, key, eventTimeMs, data, headers = {} } = event
  const tenant = event.tenant ?? DEFAULT_TENANT
  const [partition, generation] = [event.partition as number, event.generation as number]
  const keys = keysOf(event)
  const emitted = { tenant, generation, partition, key, keys, eventTimeMs, headers, data }
  return { stream, type, emitted }
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

function asText(event: NewEvent): unknown {
  const data = JSON.parse(JSON.stringify(event.data)) as unknown
  return [event.eventTimeMs, keysOf(event), data]
}

/** What a key emits because of its records before `to`, as `copy`, an empty lane, folds them. */
export async function emittedBy(
  ports: RefoldPorts,
  copy: Lane,
  key: string,
  to: number,
): Promise<readonly NewEvent[]> {
  const { onFailure } = copy.definition
  const slices = new Slices(ports.clock, ports.sliceMs)
  const from = copy.options.from ?? 0
  for await (const record of historyOf(ports.log, copy, key, from, to)) {
    const before = onFailure === 'pass' ? copy.shard.encodeKey(key) : undefined
    const count = copy.emitted.length
    copy.advanceTo(record)
    try {
      copy.foldOne(record)
    } catch {
      copy.emitted.length = count
      if (onFailure === 'park') break
      copy.shard.decodeKey(key, before)
    }
    await slices.pause()
  }
  return copy.emitted
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
