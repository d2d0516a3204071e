/**
 * Rows to events: which column fills which field, compiled once for a file. Mapping a row costs
 * about two microseconds, validation against the app's schema and the id included.
 */
import {
  id,
  type App,
  type CompiledEvent,
  type EventDefinition,
  type Field,
  type SchemaIssue,
} from '@millrace/core'
import stringify from 'safe-stable-stringify'
import { Unfit, createConverter, isMoment, shown, type Converter } from './convert.ts'
import { importErrors } from './errors.ts'
import { fieldAliases, guessColumns } from './guess.ts'
import { rowId } from './row-id.ts'
import type { RowCode } from './rows.ts'
import { TIME_FORMATS, detectTimeFormat, readTimeText, type TimeFormat } from './time.ts'

/** A row as an event of the app. */
export interface MappedRow {
  readonly isFit: true
  readonly event: CompiledEvent
  readonly key: string
  readonly id: string
  readonly eventTimeMs: number
  /** JSON text of the data. */
  readonly json: string
}

/** A row that is no event of the app. */
export interface UnfitRow {
  readonly isFit: false
  readonly code: RowCode
  readonly reason: string
}

/** Rows of a file to events. `Row`: cells, or an object. */
export interface RowMapper<Row> {
  /** What is mapped, for people: `person from userId`. */
  readonly summary: readonly string[]
  /** Columns that nothing is made from. */
  readonly ignored: readonly string[]
  /** Where the columns were guessed from their names. */
  readonly isGuessed: boolean
  map(row: Row): MappedRow | UnfitRow
}

/** What the rows become: an event, or an item kind (`person` for people). */
export type ImportTarget =
  | { readonly kind: 'event'; readonly name: string }
  | { readonly kind: 'items'; readonly name: string }

/** A file as the mapping sees it. */
export interface MappedFile<Row> {
  readonly label: string
  readonly columns: readonly string[]
  /** The columns as messages list them, when their names say little. */
  readonly described?: string
  /** A cell, or the value at a path; undefined when the row has none. */
  readonly get: (row: Row, column: number) => unknown
  /** The first rows, to judge times by. */
  readonly samples: readonly Row[]
  /** The text that identifies a row. */
  readonly canonical: (row: Row) => string
}

/** How to map. */
export interface MappingOptions {
  readonly target: ImportTarget
  /** `{field: column}`, a column by name or by number from 1. */
  readonly map?: Readonly<Record<string, string>>
  /** The time of all rows, when no column holds it. */
  readonly atMs?: number
  readonly timeFormat?: TimeFormat
  readonly listSeparator?: string
  /** Fractions stand behind a comma. */
  readonly hasDecimalComma?: boolean
}

/** The text that identifies a row of cells. */
export function canonicalCells(cells: readonly string[]): string {
  return cells.join('\u001f')
}

/** The text that identifies an object, whatever the order of its members. */
export function canonicalObject(value: unknown): string {
  return stringify(value) ?? ''
}

/** Compiles a mapping; refuses with IMPORT_MAPPING_INVALID. */
export function compileMapping<Row>(
  app: App,
  file: MappedFile<Row>,
  options: MappingOptions,
): RowMapper<Row> {
  const { event, definition, path } = resolveTarget(app, options.target, file.label)
  const fields = path.length === 0 ? definition.fields : tableFields(app, options.target.name)
  const isItem = options.target.kind === 'items'
  const columns = resolveColumns(app, file, options, fields, isItem)
  const columnOf = (name: string): string => file.columns[columns.get(name) as number] as string
  const samplesOf = (name: string): string[] =>
    file.samples.map(row => textOf(file.get(row, columns.get(name) as number)))

  const time = resolveTime(file.label, columns.has('at'), {
    samples: () => samplesOf('at'),
    column: () => columnOf('at'),
    options,
    isItem,
  })
  const members = Object.entries(fields)
    .filter(([name]) => columns.has(name))
    .map(([name, field]) => {
      const timeFormat = isMoment(field.schema)
        ? momentFormat(file.label, columnOf(name), samplesOf(name), options.timeFormat)
        : undefined
      const listSeparator = options.listSeparator ?? '|'
      const convert = createConverter(field, {
        listSeparator,
        hasDecimalComma: options.hasDecimalComma ?? false,
        ...(timeFormat === undefined ? {} : { timeFormat }),
      })
      return { name, column: columns.get(name) as number, label: columnOf(name), convert }
    })
  const idColumn = isItem ? (columns.get('id') as number) : undefined
  const used = new Set(columns.values())
  return {
    summary: [...columns.keys()].map(name => `${name} from ${columnOf(name)}`).concat(time.summary),
    ignored: file.columns.filter((_, index) => !used.has(index)),
    isGuessed: options.map === undefined,
    map: createRowMap({ file, event, members, idColumn, time, atColumn: columns.get('at') }),
  }
}

interface Member {
  readonly name: string
  readonly column: number
  readonly label: string
  readonly convert: Converter
}

interface RowTime {
  readonly format: TimeFormat | undefined
  readonly fixedMs: number
  readonly summary: readonly string[]
}

function createRowMap<Row>(plan: {
  file: MappedFile<Row>
  event: CompiledEvent
  members: readonly Member[]
  idColumn: number | undefined
  time: RowTime
  atColumn: number | undefined
}): (row: Row) => MappedRow | UnfitRow {
  const { file, event, members, idColumn, time, atColumn } = plan
  const { name: type, key: keyField } = event.definition
  return row => {
    let eventTimeMs = time.fixedMs
    if (time.format !== undefined) {
      const value = file.get(row, atColumn as number)
      const read = readTimeText(textOf(value), time.format)
      if (read === undefined) return unfitTime(value, time.format)
      eventTimeMs = read
    }
    const attributes: Record<string, unknown> = {}
    for (const member of members) {
      const value = member.convert(file.get(row, member.column))
      if (value instanceof Unfit) {
        return unfit('ROW_VALUE', `${member.name} (${member.label}): ${value.reason}`)
      }
      if (value !== undefined) attributes[member.name] = value
    }
    let data = attributes
    if (idColumn !== undefined) {
      const itemId = toItemId(file.get(row, idColumn))
      if (itemId instanceof Unfit) return unfit('ROW_VALUE', `id: ${itemId.reason}`)
      data = { id: itemId, attributes }
    }
    if (!event.validator.check(data))
      return unfit('ROW_VALUE', reasonOf(event.validator.issues(data)))
    const json = JSON.stringify(data)
    return {
      isFit: true,
      event,
      key: data[keyField] as string,
      // An item may be put again by a better mapping; an event is the same one whatever is made of it.
      id: rowId(eventTimeMs, `${type}\u001f${idColumn === undefined ? file.canonical(row) : json}`),
      eventTimeMs,
      json,
    }
  }
}

/** A value as the text that a time may be read from. */
function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

const toItemId = createConverter(id('item'), { listSeparator: '|' })

function unfit(code: RowCode, reason: string): UnfitRow {
  return { isFit: false, code, reason }
}

function unfitTime(value: unknown, format: TimeFormat): UnfitRow {
  return unfit('ROW_TIME', `${shown(value ?? '')} is not a time (${TIME_FORMATS[format]})`)
}

/** Schema issues as one sentence. */
export function reasonOf(issues: readonly SchemaIssue[]): string {
  return issues
    .map(issue => `${issue.path === '' ? 'the row' : issue.path} ${issue.reason}`)
    .join('; ')
}

function resolveTarget(
  app: App,
  target: ImportTarget,
  file: string,
): { event: CompiledEvent; definition: EventDefinition; path: readonly string[] } {
  const isItem = target.kind === 'items'
  const event = app.events.get(isItem ? `${target.name}.put` : target.name)
  if (event === undefined || (event.isTableChange && !isItem)) {
    const known = isItem
      ? [...app.tables.keys()]
      : [...app.events].filter(([, known]) => !known.isTableChange).map(([name]) => name)
    const what = isItem ? 'item kind' : 'event'
    throw importErrors.create('IMPORT_MAPPING_INVALID', {
      file,
      reason: `the app ${app.name} has no ${what} ${target.name}`,
      next: known.length === 0 ? `It has none.` : `It has: ${known.join(', ')}.`,
    })
  }
  return { event, definition: event.definition, path: isItem ? ['attributes'] : [] }
}

function tableFields(app: App, name: string): Readonly<Record<string, Field<unknown>>> {
  return app.tables.get(name)?.definition.fields ?? {}
}

/** Field name to column number, checked: every name exists, every required field has a column. */
function resolveColumns<Row>(
  app: App,
  file: MappedFile<Row>,
  options: MappingOptions,
  fields: Readonly<Record<string, Field<unknown>>>,
  isItem: boolean,
): Map<string, number> {
  const definition = isItem
    ? app.tables.get(options.target.name)?.definition
    : app.events.get(options.target.name)?.definition
  if (definition === undefined) return new Map()
  const refuse = (reason: string, next: string): never => {
    throw importErrors.create('IMPORT_MAPPING_INVALID', { file: file.label, reason, next })
  }
  const aliases = definition.kind === 'event' ? fieldAliases(definition) : {}
  const asked = options.map ?? guessColumns(definition, file.columns)
  const known = ['at', ...(isItem ? ['id'] : []), ...Object.keys(fields)]
  const columns = new Map<string, number>()
  for (const [asName, column] of Object.entries(asked)) {
    const name = known.includes(asName) ? asName : (aliases[asName] ?? asName)
    if (!known.includes(name)) {
      refuse(`${options.target.name} has no field ${asName}`, `Its fields: ${known.join(', ')}.`)
    }
    const index = indexOfColumn(file.columns, column)
    if (index < 0)
      refuse(
        `there is no column ${column}`,
        `The columns: ${file.described ?? listed(file.columns)}.`,
      )
    columns.set(name, index)
  }
  const required = Object.entries(fields).filter(([, field]) => !field.isOptional)
  const names = [...(isItem ? ['id'] : []), ...required.map(([name]) => name)]
  const missing = names.filter(name => !columns.has(name))
  if (missing.length > 0) {
    const verb = options.map === undefined ? 'no column was recognised for' : 'nothing is mapped to'
    const next =
      `Say it: --map ${missing.map(name => `${name}=<column>`).join(',')},...` +
      ` The columns: ${file.described ?? listed(file.columns)}.`
    refuse(`${verb} ${missing.join(', ')} of ${options.target.name}`, next)
  }
  return columns
}

const LISTED_MAX = 40

function listed(columns: readonly string[]): string {
  const shownColumns = columns.slice(0, LISTED_MAX).map(column => column.slice(0, LISTED_MAX))
  return shownColumns.join(', ') + (columns.length > LISTED_MAX ? ', ...' : '')
}

function indexOfColumn(columns: readonly string[], wanted: string): number {
  const exact = columns.indexOf(wanted)
  if (exact >= 0) return exact
  const trimmed = columns.findIndex(name => name.trim().toLowerCase() === wanted.toLowerCase())
  if (trimmed >= 0) return trimmed
  const number = /^\d{1,4}$/.test(wanted) ? Number(wanted) : 0
  return number >= 1 && number <= columns.length ? number - 1 : -1
}

function formatOf(
  file: string,
  column: string,
  samples: readonly string[],
  given: TimeFormat | undefined,
): TimeFormat {
  if (given !== undefined) return given
  const detected = detectTimeFormat(samples)
  if ('format' in detected) return detected.format
  throw importErrors.create('IMPORT_MAPPING_INVALID', {
    file,
    reason: `the times in column ${column} cannot be read: ${detected.reason}`,
    next: `Say it: --time-format ${Object.keys(TIME_FORMATS).join('|')}.`,
  })
}

/** As `formatOf`; a column that is empty so far is read as ISO 8601. */
function momentFormat(...given: Parameters<typeof formatOf>): TimeFormat {
  return given[2].every(value => value.trim() === '') ? (given[3] ?? 'iso') : formatOf(...given)
}

function resolveTime(
  file: string,
  hasColumn: boolean,
  request: {
    samples: () => string[]
    column: () => string
    options: MappingOptions
    isItem: boolean
  },
): RowTime {
  const { options, isItem } = request
  if (hasColumn) {
    const format = formatOf(file, request.column(), request.samples(), options.timeFormat)
    return { format, fixedMs: 0, summary: [`times are ${TIME_FORMATS[format]}`] }
  }
  if (options.atMs !== undefined) return { format: undefined, fixedMs: options.atMs, summary: [] }
  if (isItem) return { format: undefined, fixedMs: 0, summary: ['known from the beginning'] }
  throw importErrors.create('IMPORT_MAPPING_INVALID', {
    file,
    reason: 'no column tells when the rows happened',
    next: 'Say it: --map at=<column>,... or give all rows one time: --at 2024-01-31T00:00:00Z.',
  })
}
