/** All corrections of the log, as they are now and as they were; grows with those of other processes. */
import { StreamFollower, type EventLog, type LogRecord } from '@millrace/log'
import { eventIdOf } from '../amendments.ts'
import { OUTSIDE } from '../generations.ts'
import { IDENTIFIED_TYPE, type IdentityData } from '../identity/contract.ts'
import { PersonLinks } from '../identity/links.ts'
import {
  CORRECTED_TYPE,
  CORRECTIONS_STREAM,
  type CorrectedEvent,
  type Correction,
  type CorrectionAction,
  type CorrectionData,
  type Corrections,
  type EmissionMark,
} from './contract.ts'

/** What was decided on one event, oldest first. */
export interface CorrectionEntry extends Omit<CorrectedEvent, 'data'> {
  readonly history: {
    /** Offset of the record of the correction. */
    readonly at: number
    /** Undefined after a restoration. */
    readonly correction: Correction | undefined
  }[]
}

/** An event for which something else was in force before. */
export interface CorrectionChange {
  readonly entry: CorrectionEntry
  readonly before: Correction | undefined
  readonly after: Correction | undefined
}

/** What is in force for an event that names who was erased. */
const ERASED: Correction = { action: 'retract', source: 'erasure' }

/** See the head of the file. */
export class CorrectionBook {
  readonly #follower: StreamFollower
  readonly #byId = new Map<string, CorrectionEntry>()
  /** Of events with a place, by `stream`, partition and offset: no id needs to be decoded. */
  readonly #byPlace = new Map<string, Map<number, CorrectionEntry>[]>()
  /** The entries of each record of the stream. */
  readonly #records: (readonly CorrectionEntry[])[] = []
  readonly #marks = new Map<string, EmissionMark & { readonly at: number }>()
  readonly #begun = new Map<string, number>()
  /** Ids of events on which nothing more is decided. */
  readonly #final = new Set<string>()
  /** Which ids of people are one person. */
  readonly people = new PersonLinks()

  private constructor(log: Pick<EventLog, 'read' | 'ends'>) {
    this.#follower = new StreamFollower(log, CORRECTIONS_STREAM)
  }

  /** Reads the corrections that the log holds. */
  static async open(log: EventLog): Promise<CorrectionBook> {
    await log.declare([{ name: CORRECTIONS_STREAM, partitions: 1 }])
    return await CorrectionBook.read(log)
  }

  /** The same for a log that has their stream. */
  static async read(log: Pick<EventLog, 'read' | 'ends'>): Promise<CorrectionBook> {
    const book = new CorrectionBook(log)
    await book.follow()
    return book
  }

  /** How many records of corrections it has read. */
  get position(): number {
    return this.#records.length
  }

  /** All that is known now. */
  head(): Corrections {
    return this.at(this.position)
  }

  /** What was known when the log had `position` records of corrections, or all that is known when there are fewer. */
  at(position: number): Corrections {
    return this.without(position, NONE)
  }

  /** The same if the records at these offsets had never been written. */
  without(position: number, leftOut: ReadonlySet<number>): Corrections {
    const known = Math.min(position, this.position)
    const people = leftOut.size === 0 ? this.people : this.people.without(leftOut)
    return {
      position: known,
      canonical: people.at(known),
      of: record => {
        // At every position: nothing of it may be seen again, nor as it was.
        if (record.isErased === true) return ERASED
        if (this.#byId.size === 0) return undefined
        const entry = this.#entryOf(record)
        return entry === undefined ? undefined : correctionAt(entry, known, leftOut)
      },
      at: other => this.without(other, leftOut),
    }
  }

  /** Offsets of the records that decided on the event that a record is, or was re-keyed from, oldest first. */
  decisionsOn(record: LogRecord): readonly number[] {
    return this.#entryOf(record)?.history.map(({ at }) => at) ?? []
  }

  /** What was decided on an event; undefined when nothing ever was. */
  entry(id: string): CorrectionEntry | undefined {
    return this.#byId.get(id)
  }

  /** True when nothing that is decided on an event any more holds. */
  isFinal(id: string): boolean {
    return this.#final.has(id)
  }

  /** The events of a stream on which anything was ever decided. */
  *ofStream(stream: string): Generator<CorrectionEntry, void> {
    for (const entry of this.#byId.values()) if (entry.stream === stream) yield entry
  }

  /** What the emissions of a fold from one partition reflect, and the offset of the record that says so; undefined while nothing says so. */
  markOf(
    place: Omit<EmissionMark, 'corrected'>,
  ): (EmissionMark & { readonly at: number }) | undefined {
    return this.#marks.get(markName(place))
  }

  /** To how many corrections the emissions of a fold from one partition are being brought; undefined while they are not. */
  begunOf(place: Omit<EmissionMark, 'corrected'>): number | undefined {
    return this.#begun.get(markName(place))
  }

  /** The events for which something else holds at `to` than at `from`. */
  changes(from: number, to: number): readonly CorrectionChange[] {
    const changes: CorrectionChange[] = []
    for (const entry of new Set(this.#records.slice(from, to).flat())) {
      const before = correctionAt(entry, from)
      const after = correctionAt(entry, to)
      if (!isSame(before, after)) changes.push({ entry, before, after })
    }
    return changes
  }

  /** True when the log holds corrections that were not read. */
  hasNews(): boolean {
    return this.#follower.hasNews
  }

  /** Reads what was decided since. */
  async follow(): Promise<void> {
    await this.#follower.follow(record => this.#add(record))
  }

  #add({ data, id, offset, type }: LogRecord): void {
    if (type === IDENTIFIED_TYPE) this.people.add(offset, data as IdentityData)
    const isTime = type !== CORRECTED_TYPE
    const { action, events, begins, follows, isFinal } = isTime ? TIME_ALONE : (data as CorrectionData) // prettier-ignore
    if (begins !== undefined) this.#begun.set(markName(begins), begins.corrected)
    if (follows !== undefined) {
      this.#marks.set(markName(follows), { ...follows, at: offset })
      this.#begun.delete(markName(follows))
    }
    const entries = events.map(event => {
      const entry = this.#entry(event)
      if (this.#final.has(event.id)) return entry
      if (isFinal === true) this.#final.add(event.id)
      entry.history.push({ at: offset, correction: correctionOf(action, id, event) })
      return entry
    })
    this.#records.push(entries)
  }

  #entry({ id, stream, type, place, emitted }: CorrectedEvent): CorrectionEntry {
    const known = this.#byId.get(id)
    if (known !== undefined) return known
    const where = {
      ...(place === undefined ? {} : { place }),
      ...(emitted === undefined ? {} : { emitted }),
    }
    const entry: CorrectionEntry = { id, stream, type, ...where, history: [] }
    this.#byId.set(id, entry)
    if (place === undefined) return entry
    let partitions = this.#byPlace.get(stream)
    if (partitions === undefined) this.#byPlace.set(stream, (partitions = []))
    const offsets = (partitions[place.partition] ??= new Map<number, CorrectionEntry>())
    offsets.set(place.offset, entry)
    return entry
  }

  #entryOf(record: LogRecord): CorrectionEntry | undefined {
    if (record.generation !== OUTSIDE) return this.#byId.get(eventIdOf(record))
    return this.#byPlace.get(record.stream)?.[record.partition]?.get(record.offset)
  }
}

function correctionOf(
  action: CorrectionAction,
  source: string,
  { data }: CorrectedEvent,
): Correction | undefined {
  if (action === 'restore') return undefined
  return action === 'correct' ? { action, source, data } : { action, source }
}

function markName({ fold, generation, partition }: Omit<EmissionMark, 'corrected'>): string {
  return `${fold}\n${generation}\n${partition}`
}

/** What a tick says. */
const TIME_ALONE: Pick<CorrectionData, 'action' | 'events' | 'begins' | 'follows' | 'isFinal'> = {
  action: 'restore',
  events: [],
}

const NONE: ReadonlySet<number> = new Set()

/** What is in force for an event when the log has `position` records of corrections, less those that are left out. */
export function correctionAt(
  { history }: CorrectionEntry,
  position: number,
  leftOut: ReadonlySet<number> = NONE,
): Correction | undefined {
  for (let index = history.length - 1; index >= 0; index--) {
    const decided = history[index] as CorrectionEntry['history'][number]
    if (decided.at < position && !leftOut.has(decided.at)) return decided.correction
  }
  return undefined
}

/** True when a fold makes the same of the event. */
function isSame(a: Correction | undefined, b: Correction | undefined): boolean {
  if (a?.action === 'correct' || b?.action === 'correct') return a?.source === b?.source
  return (a === undefined) === (b === undefined)
}
