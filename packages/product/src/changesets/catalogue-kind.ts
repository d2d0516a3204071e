/**
 * Changes of table rows - items of all kinds, and the attributes of people: put, patch and remove by
 * list, by file, or by what rows have. A value is what a row has now; a write is an event on the
 * stream of its kind, appended at the version at which the value was read.
 */
import { ID_PATTERN, compileSchema, personalEvents, type App, type CompiledTable, type JsonSchema } from '@millrace/core' // prettier-ignore
import { isJsonEqual, type EventLog, type NewEvent } from '@millrace/log'
import {
  tableFoldName,
  type FoldHandle,
  type Streams,
  type VersionedTable,
} from '@millrace/streams'
import type { ChangeKind, Consequence, PlannedChange, Reading, RefusedRow, Write, WriteContext, Written } from './change-kind.ts' // prettier-ignore
import { changesetErrors } from './errors.ts'
import type { Refusal } from './events.ts'

/** The header of an event that names the changeset that wrote it. */
const CHANGESET_HEADER = 'changeset'

/** What the kind stands on. */
export interface TablePorts {
  readonly app: App
  readonly log: EventLog
  readonly streams: Streams
}

/** A row of a request. */
interface RowRequest {
  readonly id?: unknown
  /** Default: what the request says. */
  readonly do?: 'put' | 'patch' | 'remove'
  readonly attributes?: unknown
}

interface TableRequest {
  readonly table: string
  readonly do?: 'put' | 'patch' | 'remove'
  readonly rows?: readonly RowRequest[]
  readonly where?: Readonly<Record<string, unknown>>
  readonly set?: Readonly<Record<string, unknown>>
}

type Attributes = Readonly<Record<string, unknown>>

/** How long a read waits for the tables to have what is durable. */
const READ_TIMEOUT_MS = 60_000
const TIME_MAX = Number.MAX_SAFE_INTEGER
const MASKED = '[personal]'

const verbs = { type: 'string', enum: ['put', 'patch', 'remove'] }

/** What `catalogue` takes. */
export const tableRequest: JsonSchema = {
  type: 'object',
  properties: {
    table: { type: 'string', maxLength: 64, description: 'an item kind, or `person`' },
    do: { ...verbs, description: 'what is done with the rows; default `put`' },
    rows: {
      type: 'array',
      maxItems: 1_000_000,
      description: 'rows to put (all attributes), to patch (RFC 7396) or to remove',
      items: {
        type: 'object',
        properties: { id: {}, do: verbs, attributes: {} },
        additionalProperties: false,
      },
    },
    where: {
      type: 'object',
      additionalProperties: true,
      description:
        'in place of `rows`: all rows that have these values; for a list it is enough to hold it. {} is every row',
    },
    set: {
      type: 'object',
      additionalProperties: true,
      description: 'with `where` and `patch`: the values to be; null takes an optional one away',
    },
  },
  required: ['table'],
  additionalProperties: false,
}

const ids = compileSchema({ type: 'string', pattern: ID_PATTERN })

/** Creates the kind. */
export function createCatalogueKind(ports: TablePorts): ChangeKind {
  const tables = new Tables(ports)
  return {
    name: 'catalogue',
    request: tableRequest,
    plan: request => tables.plan(request as TableRequest),
    read: targets => tables.read(targets),
    write: (writes, context) => tables.write(writes, context),
    consequences: changes => tables.consequences(changes.map(({ target, before, after }) => ({ ...partsOf(target), before, after }))), // prettier-ignore
    shown: (target, value) => tables.shown(target, value),
    erased: (target, value) => tables.erased(target, value),
  }
}

interface Table {
  readonly compiled: CompiledTable
  readonly fold: FoldHandle<VersionedTable>
}

class Tables {
  readonly #ports: TablePorts
  readonly #tables = new Map<string, Table>()
  readonly #personal: ReturnType<typeof personalEvents>

  constructor(ports: TablePorts) {
    this.#ports = ports
    this.#personal = personalEvents(ports.app)
    for (const [name, compiled] of ports.app.tables) {
      this.#tables.set(name, { compiled, fold: ports.streams.fold(tableFoldName(name)) })
    }
  }

  *plan(request: TableRequest): Iterable<PlannedChange | RefusedRow> {
    const { rows, where, set, do: verb } = request
    const table = this.#table(request.table)
    const refuse = (reason: string): never => {
      throw changesetErrors.create('CHANGESET_INVALID', { reason })
    }
    if ((rows === undefined) === (where === undefined)) refuse('it has either `rows` or `where`')
    if (set !== undefined && (where === undefined || verb !== 'patch')) {
      refuse('`set` goes with `where` and `do` patch')
    }
    if (rows !== undefined) {
      yield* rowsOf(table, rows, verb ?? 'put')
      return
    }
    if (verb === 'patch') {
      if (set === undefined) refuse('a patch says what to `set`')
    } else if (verb !== 'remove') refuse('`where` goes with `do` patch or remove')
    for (const name of Object.keys(where ?? {})) {
      if (!Object.hasOwn(table.compiled.definition.fields, name)) {
        refuse(`${request.table} has no field ${name.slice(0, 64)}`)
      }
    }
    for (const id of [...idsWith(table, where ?? {})].sort()) {
      yield changeOf(table, { id, verb: verb === 'patch' ? 'patch' : 'remove', attributes: set })
    }
  }

  /** Throws CHANGESET_INVALID. */
  #table(name: string): Table {
    const table = this.#tables.get(name)
    if (table !== undefined) return table
    const known = [...this.#tables.keys()].join(', ')
    const reason = `there is no table ${name.slice(0, 64)}; there are: ${known}`
    throw changesetErrors.create('CHANGESET_INVALID', { reason })
  }

  async read(targets: readonly string[]): Promise<readonly Reading[]> {
    const { log, streams } = this.#ports
    const places = targets.map(partsOf)
    // First the versions: what is read of a table afterwards is not older than they are.
    const versions = await Promise.all(
      places.map(({ table, id }) => log.version({ stream: table, key: id })),
    )
    const folds = [...new Set(places.map(({ table }) => tableFoldName(table)))]
    await streams.reached({ position: new Map(log.ends()), folds, timeoutMs: READ_TIMEOUT_MS })
    return places.map(({ table, id }, index) => {
      const { fold } = this.#table(table)
      const value = fold.shardOf(id).asOf(id, TIME_MAX)
      const version = versions[index] as number
      if (!fold.isParked(id)) return { value, version }
      const reason = `its table waits at an event that it cannot take; see: millrace dead-letters show ${tableFoldName(table)} ${id}` // prettier-ignore
      return { value, version, refused: { code: 'KEY_PARKED', reason } }
    })
  }

  async write(writes: readonly Write[], context: WriteContext): Promise<readonly Written[]> {
    const events = writes.map(write => this.#event(write, context))
    const { results } = await this.#ports.log.commit({ events })
    return results.map(result => {
      if (result.status !== 'conflict') return 'written'
      const { code, reason } = result
      return code === 'PERSON_ERASED' ? { refused: { code, reason } } : 'moved'
    })
  }

  #event({ target, value, version, id }: Write, { changeset, atMs }: WriteContext): NewEvent {
    const { table, id: key } = partsOf(target)
    const isRemoval = value === undefined
    const newestMs = this.#table(table).fold.shardOf(key).newestMs(key)
    return {
      stream: table,
      type: `${table}.${isRemoval ? 'removed' : 'put'}`,
      key,
      id,
      // The newest version by event time is the one that counts: one that is dated ahead, too, is replaced.
      eventTimeMs: Math.max(atMs, newestMs ?? 0),
      isTimeOfArrival: true,
      data: isRemoval ? { id: key } : { id: key, attributes: value },
      definition: this.#ports.app.fingerprint,
      headers: { [CHANGESET_HEADER]: changeset },
      expectedVersion: version,
    }
  }

  /** What surfaces have to choose from. */
  consequences(
    changes: readonly {
      readonly table: string
      readonly before: unknown
      readonly after: unknown
    }[],
  ): readonly Consequence[] {
    const by = new Map<string, number>()
    for (const { table, before, after } of changes) {
      const more = Number(after !== undefined) - Number(before !== undefined)
      by.set(table, (by.get(table) ?? 0) + more)
    }
    const surfaces = Object.entries(this.#ports.app.options.surfaces ?? {})
    return surfaces.flatMap(([name, { items }]) => {
      const kinds = items.map(item => item.name)
      const change = kinds.reduce((sum, kind) => sum + (by.get(kind) ?? 0), 0)
      if (change === 0) return []
      const before = kinds.reduce((sum, kind) => sum + this.#countOf(kind), 0)
      return [{ what: `items that the surface ${name} chooses from`, before, count: before + change }] // prettier-ignore
    })
  }

  #countOf(name: string): number {
    return [...idsWith(this.#table(name), {})].length
  }

  shown(target: string, value: unknown): unknown {
    const { fields } = this.#table(partsOf(target).table).compiled.definition
    const personal = Object.keys(fields).filter(name => fields[name]?.isPersonal)
    const row = { ...(value as Attributes) }
    for (const name of personal) if (Object.hasOwn(row, name)) row[name] = MASKED
    return row
  }

  erased(target: string, attributes: unknown): unknown {
    const { table, id } = partsOf(target)
    const left = this.#personal.get(`${table}.put`)?.split({ id, attributes })?.plain
    return left === undefined ? attributes : (left as { readonly attributes: unknown }).attributes
  }
}

function* rowsOf(
  table: Table,
  rows: readonly RowRequest[],
  otherwise: 'put' | 'patch' | 'remove',
): Iterable<PlannedChange | RefusedRow> {
  for (const [index, { id, do: verb = otherwise, attributes }] of rows.entries()) {
    if (ids.check(id)) yield changeOf(table, { id: id as string, verb, attributes })
    else {
      const reason = 'its id is not text of 1 to 256 printable characters'
      yield { target: `row ${index + 1}`, refused: { code: 'ID_INVALID', reason } }
    }
  }
}

/** The present rows that have these values. */
function* idsWith({ fold }: Table, where: Attributes): Iterable<string> {
  const wanted = Object.entries(where)
  for (const shard of fold.shards()) {
    for (const id of shard.keys()) {
      const row = shard.asOf(id, TIME_MAX) as Attributes | undefined
      if (row !== undefined && wanted.every(([name, value]) => has(row[name], value))) yield id
    }
  }
}

function has(present: unknown, wanted: unknown): boolean {
  if (isJsonEqual(present, wanted)) return true
  return Array.isArray(present) && present.some(one => isJsonEqual(one, wanted))
}

function changeOf(
  { compiled }: Table,
  { id, verb, attributes }: { readonly id: string; readonly verb: 'put' | 'patch' | 'remove'; readonly attributes: unknown }, // prettier-ignore
): PlannedChange {
  const target = `${compiled.definition.name}/${id}`
  if (verb === 'remove') return { target, change: () => ({ value: undefined }) }
  return {
    target,
    change(present) {
      if (verb === 'patch' && present === undefined) {
        return { refused: { code: 'ITEM_UNKNOWN', reason: 'there is no such row to patch' } }
      }
      const value = verb === 'put' ? attributes : patched(present, attributes)
      const refused = faultOf(compiled, value)
      return refused === undefined ? { value } : { refused }
    },
  }
}

function faultOf({ validator }: CompiledTable, value: unknown): Refusal | undefined {
  if (validator.check(value)) return undefined
  const [first] = validator.issues(value)
  return {
    code: 'DATA_INVALID',
    reason: `attributes${first?.path ?? ''}: ${first?.reason ?? 'they do not fit'}`,
  }
}

/** RFC 7396 for one level: the values of the patch take the place of the present ones, null takes them away. */
function patched(present: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const row = { ...(present as Attributes), ...patch }
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null))
}

function partsOf(target: string): { readonly table: string; readonly id: string } {
  const slash = target.indexOf('/')
  return { table: target.slice(0, slash), id: target.slice(slash + 1) }
}
