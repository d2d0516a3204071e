/**
 * Corrections of events: retract, hold, correct and restore, by ids, by file, or by what events are. A
 * value is what is in force for an event, nothing for one that counts as it was sent. A target says
 * where the event is, so that nobody has to look for forty thousand ids one by one.
 */
import { isError, partitionName, personalEvents, readTime, timeSchema, type App, type JsonSchema, type PersonalEvent } from '@millrace/core' // prettier-ignore
import {
  DEFAULT_TENANT,
  isJsonEqual,
  TICK_TYPE,
  type EventLog,
  type LogRecord,
} from '@millrace/log'
import {
  CORRECTIONS_STREAM,
  ERASED_REASON,
  OUTSIDE,
  SO_ALREADY,
  type Branch,
  type CorrectionAction,
  type RequestedCorrection,
  type Streams,
} from '@millrace/streams'
import { atTheEnd, consequenceOf, UNCHANGED, type ChangeKind, type Consequence, type PlannedChange, type Reading, type RefusedRow, type Write, type WriteContext, type Written } from './change-kind.ts' // prettier-ignore
import { changesetErrors } from './errors.ts'

/** What the kind stands on. */
export interface CorrectionPorts {
  readonly app: App
  readonly log: EventLog
  readonly streams: Streams
}

interface CorrectionRow {
  readonly id?: unknown
  readonly do?: CorrectionAction
  readonly data?: unknown
}

interface EventQuery {
  readonly stream: string
  readonly types?: readonly string[]
  readonly keys?: readonly string[]
  readonly data?: Readonly<Record<string, unknown>>
  readonly from?: number | string
  readonly to?: number | string
}

interface CorrectionRequest {
  readonly do?: CorrectionAction
  readonly rows?: readonly CorrectionRow[]
  readonly query?: EventQuery
}

/** What is in force for an event. */
interface Value {
  readonly action: 'retract' | 'hold' | 'correct'
  readonly data?: unknown
}

interface Place {
  readonly stream: string
  readonly partition: number
  readonly offset: number
}

/** Events of one write: each write waits until every view reflects it. */
const WRITES_MAX = 50_000
const FINDS_AT_A_TIME = 2_000
const READ_TIMEOUT_MS = 60_000
/** More records are not folded to see whether corrected data fails: a dry run is to be quick. */
const PARKED_RECORDS_MAX = 200_000
const MASKED = '[personal]'
const ERASED = { code: 'PERSON_ERASED', reason: ERASED_REASON }

const verb: JsonSchema = { type: 'string', enum: ['retract', 'hold', 'correct', 'restore'] }

/** What `corrections` takes. */
export const correctionRequest: JsonSchema = {
  type: 'object',
  properties: {
    do: { ...verb, description: 'what becomes of the events; default `retract`' },
    rows: {
      type: 'array',
      maxItems: 1_000_000,
      items: {
        type: 'object',
        properties: { id: {}, do: verb, data: { description: 'with `correct`: what is folded in place of the data' } }, // prettier-ignore
        additionalProperties: false,
      },
    },
    query: {
      type: 'object',
      description: 'in place of `rows`: the events of a stream that are all of this',
      properties: {
        stream: { type: 'string', maxLength: 100 },
        types: { type: 'array', items: { type: 'string' }, maxItems: 100 },
        keys: { type: 'array', items: { type: 'string' }, maxItems: 10_000 },
        data: { type: 'object', additionalProperties: true, description: 'values of the data' },
        from: { ...timeSchema, description: 'event time, from' },
        to: { ...timeSchema, description: 'event time, up to and without' },
      },
      required: ['stream'],
      additionalProperties: false,
    },
  },
  additionalProperties: false,
}

/** Creates the kind. */
export function createCorrectionsKind(ports: CorrectionPorts): ChangeKind {
  const events = new Events(ports)
  return {
    name: 'corrections',
    request: correctionRequest,
    writesMax: WRITES_MAX,
    plan: request => events.plan(request as CorrectionRequest),
    read: targets => events.read(targets),
    write: (writes, context) => events.write(writes, context),
    reflected: () => atTheEnd(ports),
    consequences: changes => events.consequences(changes),
    shown: (_target, value) => events.shown(value as Value),
    erased: (target, value) => events.erased(target, value as Value),
  }
}

class Events {
  readonly #ports: CorrectionPorts
  readonly #personal: ReadonlySet<string>
  readonly #sealed: readonly PersonalEvent[]

  constructor(ports: CorrectionPorts) {
    this.#ports = ports
    this.#sealed = [...personalEvents(ports.app).values()]
    const fields = [...ports.app.events.values()].flatMap(({ definition }) => Object.entries(definition.fields)) // prettier-ignore
    this.#personal = new Set(fields.flatMap(([name, field]) => (field.isPersonal ? [name] : [])))
  }

  async *plan({
    do: verb = 'retract',
    rows,
    query,
  }: CorrectionRequest): AsyncGenerator<PlannedChange | RefusedRow, void> {
    // prettier-ignore
    if ((rows === undefined) === (query === undefined)) throw invalid('it has either `rows` or `query`') // prettier-ignore
    if (rows !== undefined) {
      for (let at = 0; at < rows.length; at += FINDS_AT_A_TIME) {
        const part = rows.slice(at, at + FINDS_AT_A_TIME)
        const found = await this.#ports.log.find(part.map(({ id }) => id).filter(isId))
        for (const [place, row] of part.entries()) {
          yield changeOfRow(row, verb, at + place + 1, found)
        }
      }
      return
    }
    if (verb === 'correct') throw invalid('`correct` says the data of each event: it goes with `rows`') // prettier-ignore
    for await (const found of this.#found(query as EventQuery)) {
      const { target, refused = found.refused, value } = changeOf(found.record, verb)
      yield refused === undefined ? { target, change: () => ({ value }) } : { target, refused }
    }
  }

  /** The events of a query, partition after partition. */
  async *#found(query: EventQuery): AsyncGenerator<Found, void> {
    const { log } = this.#ports
    const { stream, keys } = query
    const known = log.stats().streams.find(one => one.stream === stream)
    if (known === undefined) throw invalid(`there is no stream ${stream.slice(0, 100)}`)
    const look = lookerOf(query)
    if (keys !== undefined) {
      for await (const record of log.history({ stream, keys })) yield* look(record)
      return
    }
    for (const [partition, { start }] of known.partitions.entries()) {
      const end = log.ends().get(partitionName(stream, partition)) ?? 0
      for (let from = start; from < end;) {
        const records = await log.read({ stream, partition, from })
        for (const record of records) if (record.offset < end) yield* look(record)
        from = (records.at(-1)?.offset ?? end) + 1
      }
    }
  }

  async read(targets: readonly string[]): Promise<readonly Reading[]> {
    const { log, streams } = this.#ports
    const name = partitionName(CORRECTIONS_STREAM, 0)
    const position = new Map([[name, log.ends().get(name) ?? 0]])
    await streams.reached({ position, timeoutMs: READ_TIMEOUT_MS })
    return targets.map(target => this.#reading(target))
  }

  #reading(target: string): Reading {
    const history = this.#ports.streams.corrections.of(partsOf(target).id)
    const { length } = history
    const inForce = history[length - 1]
    if (inForce === undefined) return { value: undefined, version: length }
    const { action } = inForce
    const value: Value = action === 'correct' ? { action, data: inForce.data } : { action }
    return { value, version: length }
  }

  async write(
    writes: readonly Write[],
    { changeset, title, actor }: WriteContext,
  ): Promise<readonly Written[]> {
    const isStill = writes.map(({ target, version }) => this.#reading(target).version === version)
    const still = writes.filter((_, index) => isStill[index])
    const { results } = await this.#ports.streams.corrections.apply({
      changeset,
      reason: title === '' ? `changeset ${changeset}` : title,
      by: actor,
      corrections: still.map(({ target, value }) => correctionOf(target, value as Value | undefined)), // prettier-ignore
    })
    const given = results.values()
    return isStill.map((isOne): Written => {
      if (!isOne) return 'moved'
      const { status, reason = 'it cannot be corrected' } = given.next().value ?? { status: 'refused' } // prettier-ignore
      return status === 'refused' ? { refused: { code: 'CORRECTION_REFUSED', reason } } : 'written'
    })
  }

  /** The keys that views fold again. */
  async consequences(
    changes: readonly { readonly target: string; readonly after?: unknown }[],
  ): Promise<readonly Consequence[]> {
    const corrections = changes.map(({ target, after }) => correctionOf(target, after as Value | undefined)) // prettier-ignore
    const set = { corrections, reason: 'a dry run', by: 'nobody' }
    const { folds } = await this.#ports.streams.corrections.affected(set)
    const isNew = corrections.some(({ action }) => action === 'correct')
    return [...(isNew ? await this.#parked(corrections) : []), ...folds.map(consequenceOf)]
  }

  /** The keys that views would park because their code fails on what is corrected. */
  async #parked(corrections: readonly RequestedCorrection[]): Promise<readonly Consequence[]> {
    let branch: Branch | undefined
    try {
      const limits = { recordsMax: PARKED_RECORDS_MAX }
      branch = await this.#ports.streams.branches.open({ changes: { corrections }, limits })
      const waiting = await branch.waiting()
      return waiting.map(({ fold, keys, samples }) => {
        return { what: `keys that ${fold} would park: its code fails on what is corrected`, count: keys, samples } // prettier-ignore
      })
    } catch (error) {
      if (!isError(error, 'BRANCH_TOO_LARGE') && !isError(error, 'BRANCHES_FULL')) throw error
      const count = corrections.filter(({ action }) => action === 'correct').length
      return [{ what: `corrected events of which was not tried whether views fail on them (${error.message})`, count }] // prettier-ignore
    } finally {
      branch?.close()
    }
  }

  shown(value: Value): unknown {
    const { data } = value
    if (typeof data !== 'object' || data === null) return value
    const shown = Object.entries(data).map(([name, inner]) => [name, this.#personal.has(name) ? MASKED : (inner as unknown)] as const) // prettier-ignore
    return { ...value, data: Object.fromEntries(shown) }
  }

  erased(target: string, value: Value): unknown {
    if (value.data === undefined) return value
    const { stream } = partsOf(target).place
    for (const one of this.#sealed) {
      const parts = one.stream === stream ? one.split(value.data) : undefined
      if (parts !== undefined && one.ownerOf(value.data) !== undefined) return { ...value, data: parts.plain } // prettier-ignore
    }
    return value
  }
}

function invalid(reason: string): Error {
  return changesetErrors.create('CHANGESET_INVALID', { reason })
}

function isId(id: unknown): id is string {
  return typeof id === 'string' && id !== '' && id.length <= 128
}

function changeOfRow(
  { id, do: own, data }: CorrectionRow,
  otherwise: CorrectionAction,
  number: number,
  found: ReadonlyMap<string, LogRecord>,
): PlannedChange | RefusedRow {
  if (!isId(id)) {
    const reason = 'its id is not text of 1 to 128 characters'
    return { target: `row ${number}`, refused: { code: 'ID_INVALID', reason } }
  }
  const record = found.get(id)
  if (record === undefined) {
    return { target: id, refused: { code: 'EVENT_UNKNOWN', reason: 'the log has no such event' } }
  }
  if (record.tenant !== DEFAULT_TENANT) {
    return { target: id, refused: { code: 'TENANT_OTHER', reason: 'it belongs to another tenant' } }
  }
  const { target, refused, value } = changeOf(record, own ?? otherwise, data)
  if (refused !== undefined) return { target, refused }
  const reason = SO_ALREADY[own ?? otherwise]
  const change: PlannedChange['change'] = present =>
    isJsonEqual(present, value) ? { refused: { code: UNCHANGED, reason } } : { value }
  return { target, change }
}

interface Change {
  readonly target: string
  readonly refused?: RefusedRow['refused']
  readonly value?: Value | undefined
}

function changeOf(record: LogRecord, verb: CorrectionAction, data?: unknown): Change {
  const { stream, partition, offset, id, isErased = false } = record
  const target = `${stream}/${partition}/${offset}/${id}`
  if (isErased && verb !== 'retract') return { target, refused: ERASED }
  if (verb === 'correct' && (typeof data !== 'object' || data === null)) {
    return { target, refused: { code: 'DATA_INVALID', reason: 'it says no new data' } }
  }
  if (verb === 'restore') return { target, value: undefined }
  return { target, value: { action: verb, ...(verb === 'correct' ? { data } : {}) } }
}

/** An event of a query; refused: what it says cannot be understood any more, and so whether it is meant. */
interface Found {
  readonly record: LogRecord
  readonly refused?: RefusedRow['refused']
}

/** What is found in a record. */
function lookerOf(query: EventQuery): (record: LogRecord) => readonly Found[] {
  const matches = matcherOf(query)
  return record => {
    try {
      return matches(record) ? [{ record }] : []
    } catch (error) {
      if (!isError(error, 'UPCAST_FAILED')) throw error
      return [{ record, refused: { code: error.code, reason: error.message } }]
    }
  }
}

/** True for the events that a query means. */
function matcherOf({ types, data, from, to }: EventQuery): (record: LogRecord) => boolean {
  const wanted = Object.entries(data ?? {})
  const kinds = types === undefined ? undefined : new Set(types)
  const fromMs = from === undefined ? -Infinity : momentOf(from)
  const toMs = to === undefined ? Infinity : momentOf(to)
  return record => {
    if (record.tenant !== DEFAULT_TENANT || record.type === TICK_TYPE) return false
    // What folds emitted, and what stands in for the events of people who were merged.
    if (record.generation !== OUTSIDE || record.isUnique) return false
    if (record.eventTimeMs < fromMs || record.eventTimeMs >= toMs) return false
    if (kinds?.has(record.type) === false) return false
    if (wanted.length === 0) return true
    const fields = record.data as Readonly<Record<string, unknown>> | null
    return wanted.every(([name, value]) => isJsonEqual(fields?.[name], value))
  }
}

function momentOf(value: number | string): number {
  const timeMs = readTime(value)
  if (timeMs !== undefined) return timeMs
  throw invalid(`${String(value).slice(0, 40)} is no time`)
}

function correctionOf(target: string, value: Value | undefined): RequestedCorrection {
  const { id, place } = partsOf(target)
  const { action = 'restore', data } = value ?? {}
  return { id, action, place, ...(data === undefined ? {} : { data }) }
}

/** The id behind the place: a stream has no slash in its name, an id may. */
function partsOf(target: string): { readonly id: string; readonly place: Place } {
  const [stream = '', partition, offset] = target.split('/', 3)
  const id = target.slice(`${stream}/${partition}/${offset}/`.length)
  return { id, place: { stream, partition: Number(partition), offset: Number(offset) } }
}
