/**
 * Puts the records on the log that stand in for others: under keys that a correction, or a merge of
 * people, gave to an event. Each has an id of its own that follows from the event and the key, so it
 * is there once, whichever processes append it and however often they are killed.
 *
 * What corrections ask for follows from the corrections. What merges ask for are the events of those
 * who were merged: those so far are found once for each merge, those that come later by reading on.
 * Nothing is read while nobody was ever merged.
 */
import {
  Backoff,
  joinPositions,
  partitionName,
  type Clock,
  type Logger,
  type Position,
  type Random,
} from '@millrace/core'
import type { EventLog, LogRecord, NewEvent, Step } from '@millrace/log'
import type { Appender } from '../corrections/appender.ts'
import type { CorrectionBook } from '../corrections/book.ts'
import { movedEventOf, standInEventsOf, type Originals } from '../corrections/originals.ts'
import { streamsErrors } from '../errors.ts'
import { OUTSIDE } from '../generations.ts'
import { errorText } from '../lane.ts'
import { emittersOf, namesMerged, type FoldGraph } from './counted.ts'
import { partitionsOf, type Origins } from './origins.ts'
import { isElsewhere } from './people.ts'

/** What the carrier needs of the runtime. */
export interface CarrierPorts {
  readonly log: EventLog
  readonly clock: Clock
  readonly random?: Random | undefined
  readonly logger: Logger
  readonly book: CorrectionBook
  /** Work in the background; the runtime waits for it when it closes. */
  track(work: Promise<unknown>): void
  wake(): void
}

/** A partition of a stream that names people. */
interface Place {
  readonly stream: string
  readonly partition: number
  readonly name: string
  /** The end of what can be found of it. */
  readonly end: number
}

const APPENDED_AT_ONCE = 500
const READ_RECORDS = 1_000
const WAIT_MS = 5

/** See the head of the file. */
export class Carrier {
  readonly #ports: CarrierPorts
  readonly #appender: Appender
  readonly #graph: FoldGraph
  readonly #origins: Origins
  readonly #pausing: Backoff
  /** How many corrections have their stand-ins on the log. */
  #carried = 0
  /** Up to where events were looked at, by partition. */
  readonly #read = new Map<string, number>()
  #appended: Position = new Map()
  #isBusy = false
  #isClosed = false

  constructor(ports: CarrierPorts, appender: Appender, graph: FoldGraph, origins: Origins) {
    this.#ports = ports
    this.#appender = appender
    this.#graph = graph
    this.#origins = origins
    this.#pausing = new Backoff(ports)
  }

  /** What was appended because of corrections. */
  get appended(): Position {
    return this.#appended
  }

  get isBusy(): boolean {
    return this.#isBusy
  }

  /** Goes on when there is anything to do. Called before each turn of the loop. */
  begin(originals: Originals): void {
    const { book, logger, track, wake } = this.#ports
    if (this.#isBusy || this.#isClosed || this.#pausing.isPausing) return
    if (this.#carried >= book.position && this.#unread().length === 0) return
    this.#isBusy = true
    track(
      this.#carry(originals)
        .then(
          () => this.#pausing.succeed(),
          (error: unknown) => {
            this.#pausing.fail()
            logger.warn('corrected records cannot be re-keyed yet', { reason: errorText(error) })
          },
        )
        .finally(() => {
          this.#isBusy = false
          wake()
        }),
    )
  }

  /** Nothing more is begun. */
  close(): void {
    this.#isClosed = true
    this.#origins.close()
    this.#pausing.stop()
  }

  /** True when all that stands in because of the first `corrected` corrections, and of events before `position`, is on the log. */
  hasReached(corrected: number, position: Position): boolean {
    if (this.#carried < corrected) return false
    for (const [name, offset] of this.#read) if (offset < (position.get(name) ?? 0)) return false
    return true
  }

  /** Waits until all that stands in because of the first `corrected` corrections is on the log. */
  async settled(corrected: number): Promise<void> {
    const { clock } = this.#ports
    while (this.#carried < corrected) {
      if (this.#isClosed) throw streamsErrors.create('STREAMS_CLOSED')
      await new Promise<void>(resolve => clock.after(WAIT_MS, resolve))
    }
  }

  /** Puts records on the log that follow from corrections. */
  async append(events: Iterable<NewEvent>, step?: () => Step): Promise<void> {
    const position = await this.#appender.append(events, APPENDED_AT_ONCE, step)
    this.#appended = joinPositions(this.#appended, position)
  }

  async #carry(originals: Originals): Promise<void> {
    const { book } = this.#ports
    const to = book.position
    const ids = book.people.changed(this.#carried, to)
    // Whatever comes behind this is found by reading on.
    if (book.people.isAnyAt(to)) this.#beginReading()
    await this.#carryCorrected(originals, to)
    await this.#appendAll(this.#origins.of(ids))
    this.#carried = to
    for (const place of this.#unread()) await this.#readOn(place)
  }

  #beginReading(): void {
    for (const { name, end } of this.#places()) {
      if (!this.#read.has(name)) this.#read.set(name, end)
    }
  }

  #places(): readonly Place[] {
    return this.#origins.streams.flatMap(stream =>
      partitionsOf(this.#ports.log, stream).map(partition => {
        const name = partitionName(stream, partition)
        return { stream, partition, name, end: this.#origins.endOf(stream, partition) }
      }),
    )
  }

  #unread(): readonly Place[] {
    if (this.#read.size === 0) return []
    return this.#places().filter(({ name, end }) => (this.#read.get(name) ?? 0) < end)
  }

  async #readOn({ stream, partition, name, end }: Place): Promise<void> {
    // prettier-ignore
    for (let from = this.#read.get(name) ?? 0; from < end && !this.#isClosed;) {
      const recordsMax = Math.min(READ_RECORDS, end - from)
      const records = await this.#ports.log.read({ stream, partition, from, recordsMax })
      if (records.length === 0) return
      const events = records.flatMap(record => this.#standInsFor(record))
      await this.append(events)
      from += records.length
      this.#read.set(name, from)
    }
  }

  async #carryCorrected(originals: Originals, to: number): Promise<void> {
    const { book } = this.#ports
    const { canonical } = book.at(to)
    const changes = book
      .changes(this.#carried, to)
      .filter(({ after }) => after?.action === 'correct' || (after === undefined && canonical))
    await originals.load(changes.map(({ entry }) => entry))
    const eventsFor = this.#eventsFor.bind(this)
    const events = function* (): Generator<NewEvent, void> {
      for (const { entry, after } of changes) {
        const origin = originals.of(entry)
        if (origin !== undefined) yield* eventsFor(origin, { canonical, of: () => after })
      }
    }
    await this.append(events())
  }

  async #appendAll(found: AsyncIterable<LogRecord>): Promise<void> {
    let events: NewEvent[] = []
    for await (const origin of found) {
      events.push(...this.#standInsFor(origin))
      if (events.length < APPENDED_AT_ONCE) continue
      await this.append(events)
      events = []
    }
    await this.append(events)
  }

  #standInsFor(origin: LogRecord): readonly NewEvent[] {
    if (origin.generation !== OUTSIDE) return []
    const corrections = this.#ports.book.head()
    return namesMerged(this.#graph, origin, corrections) ? this.#eventsFor(origin, corrections) : []
  }

  #eventsFor(
    origin: LogRecord,
    corrections: Pick<ReturnType<CorrectionBook['head']>, 'of' | 'canonical'>,
  ): readonly NewEvent[] {
    const { canonical } = corrections
    const events = emittersOf(this.#graph, origin.stream).flatMap(emitter =>
      standInEventsOf(emitter, origin, corrections),
    )
    if (canonical === undefined || !isElsewhere(origin, this.#graph.people, canonical))
      return events
    return [movedEventOf(origin, canonical(origin.key), this.#graph.partitions), ...events]
  }
}
