/** Puts and removals of table rows (items and people) as events on the stream of their kind. */
import type { App, Clock, CompiledTable, Position } from '@millrace/core'
import { compileSchema, joinPositions, readTime } from '@millrace/core'
import { logErrors, type AppendResult, type EventLog, type NewEvent } from '@millrace/log'
import { productErrors } from './errors.ts'

/** Rows of one bulk request. */
export const BULK_ROWS_MAX = 10_000
const EVENT_ID_MAX = 128

/** A row to put. */
export interface RowPut {
  readonly id: string
  readonly attributes: unknown
  /** Event id: the same one again changes nothing. Default: a new one. */
  readonly eventId?: string | undefined
  /** When the row became so: milliseconds or RFC 3339 text. Default: now. */
  readonly at?: unknown
}

/** What became of one row. */
export type RowResult =
  | {
      readonly status: 'put' | 'removed' | 'duplicate'
      readonly id: string
      readonly eventId: string
    }
  | {
      readonly status: 'refused'
      /** Absent when what was given is no id. */
      readonly id?: string
      readonly code: string
      readonly reason: string
      /** Issues of the attributes: place (JSON Pointer) and reason. */
      readonly issues?: readonly { readonly path: string; readonly reason: string }[]
    }

/** Results in the order of the rows, and the position that contains them. */
export interface RowsWritten {
  readonly results: readonly RowResult[]
  readonly position: Position
}

const ids = compileSchema({ type: 'string', pattern: '^[^\\u0000-\\u001f\\u007f]{1,256}$' })

/** Writes rows of the tables of an app. */
export class TableWriter {
  readonly #app: App
  readonly #log: EventLog
  readonly #clock: Clock
  readonly #newId: () => string

  constructor(ports: { app: App; log: EventLog; clock: Clock; newId: () => string }) {
    this.#app = ports.app
    this.#log = ports.log
    this.#clock = ports.clock
    this.#newId = ports.newId
  }

  /** Puts rows; each is refused for itself. Rejects with the errors of the log. */
  async put(table: CompiledTable, rows: readonly RowPut[]): Promise<RowsWritten> {
    const kind = table.definition.name
    const prepared = rows.map(row => this.#prepare(table, row, `${kind}.put`))
    return this.#commit(prepared, 'put')
  }

  /** Removes a row. */
  async remove(table: CompiledTable, row: Omit<RowPut, 'attributes'>): Promise<RowsWritten> {
    const prepared = this.#prepare(table, row, `${table.definition.name}.removed`)
    return this.#commit([prepared], 'removed')
  }

  #prepare(
    table: CompiledTable,
    row: Omit<RowPut, 'attributes'> & { attributes?: unknown },
    type: string,
  ): NewEvent | RowResult {
    const { id } = row
    const code = 'REQUEST_INVALID'
    if (!ids.check(id)) {
      return { status: 'refused', code, reason: 'an id is text of 1 to 256 printable characters' }
    }
    const refuse = (reason: string): RowResult => ({ status: 'refused', id, code, reason })
    const { eventId } = row
    if (eventId !== undefined && !isEventId(eventId)) {
      return refuse(`an event id is text of 1 to ${EVENT_ID_MAX} printable characters`)
    }
    const eventTimeMs = row.at === undefined ? this.#clock.nowMs() : readTime(row.at)
    if (eventTimeMs === undefined) {
      return refuse('`at` is milliseconds since the epoch or RFC 3339 text, from 1970 on')
    }
    const isPut = type.endsWith('.put')
    if (isPut && !table.validator.check(row.attributes)) {
      const issues = table.validator.issues(row.attributes)
      const first = issues[0]
      return {
        ...refuse(`attributes${first?.path ?? ''}: ${first?.reason ?? 'they do not fit'}`),
        code: 'DATA_INVALID',
        issues,
      } as RowResult
    }
    return {
      stream: table.definition.name,
      type,
      key: id,
      id: eventId ?? this.#newId(),
      eventTimeMs,
      // Sent again without a time, a row arrives later and is the same change all the same.
      isTimeOfArrival: row.at === undefined,
      data: isPut ? { id, attributes: row.attributes } : { id },
      definition: this.#app.fingerprint,
    }
  }

  async #commit(
    prepared: readonly (NewEvent | RowResult)[],
    done: 'put' | 'removed',
  ): Promise<RowsWritten> {
    const events = prepared.filter(row => 'stream' in row)
    const committed =
      events.length === 0
        ? { results: [] as readonly AppendResult[], position: new Map<string, number>() }
        : await this.#log.commit({ events })
    let next = 0
    const results = prepared.map((row): RowResult => {
      if (!('stream' in row)) return row
      const result = committed.results[next++] as AppendResult
      if (result.status === 'conflict') {
        return { status: 'refused', id: row.key, code: result.code, reason: result.reason }
      }
      const status = result.status === 'duplicate' ? 'duplicate' : done
      return { status, id: row.key, eventId: row.id }
    })
    return { results, position: joinPositions(new Map(), committed.position) }
  }
}

function isEventId(value: unknown): boolean {
  if (typeof value !== 'string' || value.length === 0 || value.length > EVENT_ID_MAX) return false
  for (let index = 0; index < value.length; index++) {
    const unit = value.charCodeAt(index)
    if (unit < 0x20 || unit === 0x7f) return false
  }
  return true
}

/** The only result of a single write; throws the error that it stands for when it was refused. */
export function singleResult(written: RowsWritten): Extract<RowResult, { eventId: string }> {
  const result = written.results[0] as RowResult
  if (result.status !== 'refused') return result
  const { code, reason } = result
  if (code === 'PERSON_ERASED') throw logErrors.create(code, { id: result.id })
  if (code === 'EVENT_CONFLICT' || code === 'VERSION_CONFLICT') {
    throw productErrors.create('ROW_CONFLICT', { id: result.id, reason })
  }
  throw productErrors.create('REQUEST_INVALID', {
    name: code === 'DATA_INVALID' ? 'the body' : 'the query',
    reason,
    issues: result.issues,
  })
}
