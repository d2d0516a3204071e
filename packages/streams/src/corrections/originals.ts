/**
 * The records that corrections are about, as a lane sees them: read from the log, or made again as
 * the re-keying fold before the lane made them. So nobody has to look for re-keyed records in the
 * partitions of other keys.
 */
import { deriveId, partitionName, partitionOf } from '@millrace/core'
import type { EventLog, LogRecord, NewEvent } from '@millrace/log'
import { withData } from '../amendments.ts'
import { toEvent } from '../emission.ts'
import type { Emitter } from '../identity/counted.ts'
import { ALIAS_HEADER, MERGED, ORIGIN_HEADER } from '../identity/contract.ts'
import { asOnePerson } from '../identity/people.ts'
import { unreadable } from '../unreadable.ts'
import { CAUSE_HEADER, WATERMARK_HEADER } from '../views/plan.ts'
import type { CorrectionEntry } from './book.ts'
import type { Correction, Corrections } from './contract.ts'

/** One record that a correction changes for a lane. */
export interface RecordChange {
  /** As it counted until now; undefined when it did not. */
  readonly before: LogRecord | undefined
  /** As it counts from now on; undefined when it does not. */
  readonly after: LogRecord | undefined
  /** The record of the event that it is, or was re-keyed from. */
  readonly origin: LogRecord
  /** The record is not older than this, milliseconds since the epoch; absent when that is not known. */
  readonly arrivedMs?: number | undefined
}

/** Reads the records of corrected events, each once. */
export class Originals {
  readonly #log: Pick<EventLog, 'read'>
  readonly #planned: Iterable<ReadonlyMap<string, LogRecord>>
  readonly #known = new Map<CorrectionEntry, LogRecord>()
  #turn: Promise<unknown> = Promise.resolve()

  /** `planned` has records that were read already, by their ids. */
  constructor(log: Pick<EventLog, 'read'>, planned: Iterable<ReadonlyMap<string, LogRecord>> = []) {
    this.#log = log
    this.#planned = planned
  }

  /** Makes sure that the records of events with a place are at hand. */
  async load(entries: readonly CorrectionEntry[]): Promise<void> {
    // Many lanes ask for the same ones at once.
    const turn = this.#turn.then(() => this.#load(entries))
    this.#turn = turn.catch(() => undefined)
    await turn
  }

  async #load(entries: readonly CorrectionEntry[]): Promise<void> {
    const groups = new Map<string, CorrectionEntry[]>()
    for (const entry of entries) {
      if (entry.place === undefined || this.#known.has(entry) || this.#isPlanned(entry)) continue
      const name = partitionName(entry.stream, entry.place.partition)
      const group = groups.get(name)
      if (group === undefined) groups.set(name, [entry])
      else group.push(entry)
    }
    for (const group of groups.values()) await this.#readAll(group)
  }

  #isPlanned(entry: CorrectionEntry): boolean {
    for (const records of this.#planned) {
      const record = records.get(entry.id)
      if (record?.offset !== offsetOf(entry) || record.stream !== entry.stream) continue
      this.#known.set(entry, record)
      return true
    }
    return false
  }

  /** Takes a copy of a record that was read already. */
  add(entry: CorrectionEntry, record: LogRecord): void {
    this.#known.set(entry, record)
  }

  /** The record of an event that was loaded; of what a fold emitted the record without its offset. */
  of(entry: CorrectionEntry): LogRecord | undefined {
    const known = this.#known.get(entry)
    if (known !== undefined) return known
    const emitted = emittedRecord(entry)
    if (emitted !== undefined) this.#known.set(entry, emitted)
    return emitted
  }

  /** Reads the records of events of one partition. */
  async #readAll(entries: readonly CorrectionEntry[]): Promise<void> {
    const wanted = new Map<number, CorrectionEntry[]>()
    for (const entry of entries) {
      const offset = offsetOf(entry)
      const known = wanted.get(offset)
      if (known === undefined) wanted.set(offset, [entry])
      else known.push(entry)
    }
    const offsets = [...wanted.keys()].sort((a, b) => a - b)
    const { stream, place } = entries[0] as CorrectionEntry
    const partition = place?.partition as number
    const end = offsets.at(-1) as number
    for (let from = offsets[0] as number; from <= end;) {
      const batch = await this.#log.read({ stream, partition, from, offsets })
      for (const record of batch) {
        for (const entry of wanted.get(record.offset) ?? [])
          if (entry.id === record.id) this.#known.set(entry, copyOf(record))
      }
      // Those that are left are not in the log.
      from = (batch.at(-1)?.offset ?? end) + 1
    }
  }
}

/** The offset of a record that nobody has looked for. */
export const NOWHERE = -1

function emittedRecord({ id, stream, type, emitted }: CorrectionEntry): LogRecord | undefined {
  if (emitted === undefined) return undefined
  const { arrivedMs: _, ...facts } = emitted
  const { data } = facts
  return {
    ...facts,
    stream,
    offset: NOWHERE,
    type,
    id,
    ingestTimeMs: emitted.eventTimeMs,
    // What stands in for it is never late.
    watermarkMs: Number.NEGATIVE_INFINITY,
    definition: '',
    isHistory: false,
    isUnique: true,
    sealed: undefined,
    // Few look at it.
    get payload() {
      return Buffer.from(JSON.stringify(data), 'utf8')
    },
    memo: undefined,
  }
}

function offsetOf({ place }: CorrectionEntry): number {
  return place?.offset as number
}

/** A record that outlives the next read; the data of one that the definition does not understand fails in the copy, too. */
export function copyOf(record: LogRecord): LogRecord {
  const failure = unreadable(record)
  if (failure === undefined) return withData(record, record.data, Buffer.from(record.payload))
  const fail = (): never => {
    throw failure
  }
  return Object.defineProperty(withData(record, null, NO_BYTES), 'data', { get: fail })
}

const NO_BYTES = Buffer.alloc(0)

/** A record as it counts under a correction; undefined when it does not. */
export function asCorrected(
  record: LogRecord,
  correction: Correction | undefined,
): LogRecord | undefined {
  if (correction === undefined) return record
  return correction.action === 'correct' ? withData(record, correction.data) : undefined
}

/** The records that a re-keying fold emits because of `record`. */
export function rekey(emitter: Emitter, record: LogRecord): readonly LogRecord[] {
  return emissionsOf(emitter, record).map(event => recordOf(event, record))
}

/**
 * What a re-keying fold would emit under keys that it did not emit because of `origin`, as it counts
 * now: a correction, or a merge of people, gave the event other keys. To be appended: of each key
 * there is one for ever, whoever makes it, and it counts while the event has the key. It carries the
 * data that was sent, like the record that has the old keys. The ids that a correction says have one
 * too when they are other people by now: by it the event is found when these are split.
 */
export function standInEventsOf(
  emitter: Emitter,
  origin: LogRecord,
  { of, canonical }: Pick<Corrections, 'of' | 'canonical'>,
): readonly NewEvent[] {
  if (!isWanted(emitter, origin)) return []
  const counted = asCorrected(origin, of(origin))
  if (counted === undefined) return []
  const now = asOnePerson(counted, emitter.definition.people, canonical)
  if (now === origin) return []
  const known = new Set(rekey(emitter, origin).flatMap(({ keys }) => keys))
  const emissions = [...new Set([counted, now])].flatMap(record => emissionsOf(emitter, record))
  return emissions.flatMap(event =>
    (event.keys ?? [event.key]).flatMap(key => {
      if (known.has(key)) return []
      known.add(key)
      const { stream, generation, eventTimeMs } = event
      const id = deriveId(eventTimeMs, standInName(`${stream}\n${generation}`, origin, key))
      const headers = { ...event.headers, [ORIGIN_HEADER]: placeOf(origin) }
      return [{ ...event, id, key, keys: [key], data: origin.data, headers, isUnique: false }]
    }),
  )
}

/** What stands in for a record of the stream of people under the id that the person has. */
export function movedEventOf(origin: LogRecord, key: string, partitions: number): NewEvent {
  const { tenant, stream, type, eventTimeMs, definition, isHistory } = origin
  const headers = {
    ...origin.headers,
    [CAUSE_HEADER]: origin.id,
    [ALIAS_HEADER]: origin.key,
    [ORIGIN_HEADER]: placeOf(origin),
    // History is never late, so it needs no watermark to be judged by.
    ...(isHistory ? {} : { [WATERMARK_HEADER]: `${origin.watermarkMs}` }),
  }
  return {
    tenant,
    stream,
    type,
    key,
    id: deriveId(eventTimeMs, standInName(stream, origin, key)),
    eventTimeMs,
    data: origin.data,
    headers,
    definition,
    isHistory,
    generation: MERGED,
    partition: partitionOf(key, partitions),
  }
}

function standInName(stream: string, { id }: LogRecord, key: string): string {
  return `stand-in\n${stream}\n${id}\n${key}`
}

function placeOf({ partition, offset }: LogRecord): string {
  return `${partition}/${offset}`
}

function isWanted({ definition }: Emitter, { type }: LogRecord): boolean {
  return definition.types?.includes(type) !== false
}

function emissionsOf(emitter: Emitter, record: LogRecord): readonly NewEvent[] {
  // Where nobody understands a record, it waits, and nothing follows from it.
  if (!isWanted(emitter, record) || unreadable(record) !== undefined) return []
  const events: NewEvent[] = []
  const { lane } = emitter.lanes[record.partition] as Emitter['lanes'][number]
  // It has no state, so that nothing is changed by asking.
  lane.shard.fold(record, {
    emit: emission => {
      events.push(toEvent(lane.options.emitter, emission, record, events.length, ''))
    },
    fail: () => undefined,
  })
  return events
}

/** A record as it would be read, but for its offset and its own time, which nobody is asked for. */
export function recordOf(
  event: NewEvent,
  cause: Pick<LogRecord, 'tenant' | 'offset' | 'ingestTimeMs' | 'watermarkMs' | 'definition'>,
): LogRecord {
  const { stream, type, key, id, eventTimeMs, data } = event
  return {
    tenant: cause.tenant,
    stream,
    partition: event.partition as number,
    offset: cause.offset,
    type,
    key,
    keys: event.keys ?? [key],
    id,
    eventTimeMs,
    ingestTimeMs: cause.ingestTimeMs,
    watermarkMs: cause.watermarkMs,
    definition: event.definition ?? cause.definition,
    generation: event.generation as number,
    isHistory: event.isHistory ?? false,
    isUnique: event.isUnique ?? false,
    headers: event.headers ?? {},
    sealed: undefined,
    get payload() {
      return Buffer.from(JSON.stringify(data), 'utf8')
    },
    data,
    memo: undefined,
  }
}
