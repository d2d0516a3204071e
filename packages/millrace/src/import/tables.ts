/** Files to import inputs: inspected, mapped, and read row by row. */
import type { App } from '@millrace/core'
import { createHash } from 'node:crypto'
import { inspectTable, type DialectOptions, type InspectedTable } from './dialect.ts'
import { readDelimited, rowText, type Dialect } from './delimited.ts'
import { importErrors } from './errors.ts'
import { readJsonLines } from './json-lines.ts'
import type { ImportLimits } from './limits.ts'
import {
  canonicalCells,
  canonicalObject,
  compileMapping,
  reasonOf,
  type MappedRow,
  type MappingOptions,
  type RowMapper,
  type UnfitRow,
} from './mapping.ts'
import { rowId } from './row-id.ts'
import { refuseRow, type ObjectRow, type RefusedRow } from './rows.ts'
import type { ImportInput, ReadRow } from './run.ts'
import { readHead, type ImportFile } from './import-file.ts'

/** An input together with what was understood of its file. */
export interface MappedInput {
  readonly input: ImportInput
  readonly target: string
  readonly summary: readonly string[]
  readonly ignored: readonly string[]
  readonly isGuessed: boolean
}

const HEAD_BYTES = 256 * 1024

/** Reads the beginning of a delimited file; refuses an empty one (IMPORT_EMPTY). */
export async function inspectFile(
  file: ImportFile,
  options: DialectOptions,
): Promise<InspectedTable> {
  const head = await readHead(file, HEAD_BYTES)
  const table = inspectTable(head, head.length < HEAD_BYTES, options)
  if (table === undefined) throw importErrors.create('IMPORT_EMPTY', { file: file.label })
  return table
}

const CELL_SHOWN = 24

/** Columns of a file without a header: numbers, with what the first row holds. */
export function describeColumns(table: InspectedTable): string {
  const [first] = table.samples
  return table.columns
    .map((column, index) => {
      const cell = first?.cells[index] ?? ''
      return `${column} (${cell.length > CELL_SHOWN ? `${cell.slice(0, CELL_SHOWN)}...` : cell})`
    })
    .join(', ')
}

/** How the cells of a file are changed before they are mapped. */
export interface CellTransform {
  readonly columns: readonly string[]
  readonly apply: (cells: readonly string[]) => readonly string[]
}

/** A delimited file as an input. */
export function tableInput(request: {
  app: App
  file: ImportFile
  table: InspectedTable
  mapping: MappingOptions
  limits: ImportLimits
  transform?: CellTransform
}): MappedInput {
  const { app, file, table, mapping, limits, transform } = request
  const samples = table.samples
    .map(row => fitCells(row.cells, table.columns.length))
    .filter(cells => typeof cells !== 'string')
  const mapper = compileMapping<readonly string[]>(
    app,
    {
      label: file.label,
      columns: transform?.columns ?? table.columns,
      ...(table.hasHeader ? {} : { described: describeColumns(table) }),
      get: (cells, column) => cells[column],
      samples: transform === undefined ? samples : samples.map(transform.apply),
      canonical: canonicalCells,
    },
    mapping,
  )
  const identity = identityOf(file, mapping, [table.dialect, table.hasHeader, table.columns])
  const input: ImportInput = {
    label: file.label,
    bytes: file.bytes,
    identity,
    read: onBytes => readTable({ file, table, mapper, limits, transform, onBytes }),
  }
  return { input, target: targetOf(mapping), ...pick(mapper) }
}

async function* readTable(request: {
  file: ImportFile
  table: InspectedTable
  mapper: RowMapper<readonly string[]>
  limits: ImportLimits
  transform: CellTransform | undefined
  onBytes: (bytes: number) => void
}): ReturnType<ImportInput['read']> extends AsyncIterable<infer Block>
  ? AsyncGenerator<Block>
  : never {
  const { file, table, mapper, limits, transform } = request
  const width = table.columns.length
  let isFirst = table.hasHeader
  for await (const block of readDelimited(file.read(request.onBytes), table.dialect, limits)) {
    const refused: RefusedRow[] = [...block.refused]
    const rows: ReadRow[] = []
    for (const row of block.rows) {
      if (isFirst) {
        isFirst = false
        continue
      }
      const cells = fitCells(row.cells, width)
      if (typeof cells === 'string') {
        refused.push(refuseRow(row.line, 'ROW_CELLS', cells, rowText(row.cells, table.dialect)))
        continue
      }
      const result = checked(mapper.map(transform === undefined ? cells : transform.apply(cells)))
      rows.push({ line: row.line, result, raw: () => rowText(row.cells, table.dialect) })
    }
    yield { rows, refused, latinLines: block.latinLines }
  }
}

/** Empty cells behind the last column are forgiven; anything else of another width is refused. */
function fitCells(cells: readonly string[], width: number): readonly string[] | string {
  if (cells.length === width) return cells
  if (cells.length > width && cells.slice(width).every(cell => cell.trim() === '')) {
    return cells.slice(0, width)
  }
  return `${cells.length} cells, the file has ${width} columns`
}

/** Text that UTF-8 cannot carry would come back as another key. */
function checked(result: MappedRow | UnfitRow): MappedRow | UnfitRow {
  if (!result.isFit || (result.key.isWellFormed() && result.id.isWellFormed())) return result
  return { isFit: false, code: 'ROW_VALUE', reason: 'an id holds half of a surrogate pair' }
}

/** A JSON Lines file as an input: mapped by columns, or, without a target, events `{type, at, data}` as they are. */
export async function jsonInput(request: {
  app: App
  file: ImportFile
  mapping: MappingOptions | undefined
  limits: ImportLimits
}): Promise<MappedInput> {
  const { app, file, mapping, limits } = request
  const samples = await sampleObjects(file, limits)
  if (samples.length === 0) throw importErrors.create('IMPORT_EMPTY', { file: file.label })
  const columns = pathsOf(samples)
  const paths = columns.map(column => column.split('.'))
  const mapper =
    mapping === undefined
      ? envelopeMapper(app)
      : compileMapping<Readonly<Record<string, unknown>>>(
          app,
          {
            label: file.label,
            columns,
            get: (value, column) => valueAt(value, paths[column] as string[]),
            samples,
            canonical: canonicalObject,
          },
          mapping,
        )
  const input: ImportInput = {
    label: file.label,
    bytes: file.bytes,
    identity: identityOf(file, mapping, columns),
    async *read(onBytes) {
      for await (const block of readJsonLines(file.read(onBytes), limits)) {
        const rows = block.rows.map(({ line, value }: ObjectRow): ReadRow => ({
          line,
          result: checked(mapper.map(value)),
          raw: () => JSON.stringify(value),
        }))
        yield { rows, refused: block.refused, latinLines: 0 }
      }
    },
  }
  return { input, target: mapping === undefined ? 'events' : targetOf(mapping), ...pick(mapper) }
}

const SAMPLE_OBJECTS = 1_000
const DEPTH_MAX = 3
const PATHS_MAX = 1_000

/** The first objects of a JSON Lines file. */
export async function sampleObjects(
  file: ImportFile,
  limits: ImportLimits,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const samples: Readonly<Record<string, unknown>>[] = []
  for await (const block of readJsonLines(file.read(), limits)) {
    for (const row of block.rows) samples.push(row.value)
    if (samples.length >= SAMPLE_OBJECTS) break
  }
  return samples.slice(0, SAMPLE_OBJECTS)
}

/** True when the objects are events as the HTTP API takes them. */
export function areEnvelopes(samples: readonly Readonly<Record<string, unknown>>[]): boolean {
  return samples.every(
    value => typeof value['type'] === 'string' && typeof value['data'] === 'object',
  )
}

/** Paths of all values, `user.id` for nested ones. */
export function pathsOf(samples: readonly Readonly<Record<string, unknown>>[]): string[] {
  const paths = new Set<string>()
  const walk = (value: Readonly<Record<string, unknown>>, prefix: string, depth: number): void => {
    for (const [name, member] of Object.entries(value)) {
      if (paths.size >= PATHS_MAX) return
      paths.add(prefix + name)
      if (depth < DEPTH_MAX && isObject(member)) walk(member, `${prefix}${name}.`, depth + 1)
    }
  }
  for (const sample of samples) walk(sample, '', 1)
  return [...paths]
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function valueAt(value: Readonly<Record<string, unknown>>, path: readonly string[]): unknown {
  let at: unknown = value
  for (const name of path) {
    if (!isObject(at) || !Object.hasOwn(at, name)) return undefined
    at = at[name]
  }
  return at
}

function envelopeMapper(app: App): RowMapper<Readonly<Record<string, unknown>>> {
  return {
    summary: ['events as they are: type, id, at, data'],
    ignored: [],
    isGuessed: false,
    map(value) {
      const admitted = app.admit(value)
      if (!admitted.ok)
        return { isFit: false, code: 'ROW_VALUE', reason: reasonOf(admitted.issues) }
      if (admitted.atMs === undefined) {
        return { isFit: false, code: 'ROW_TIME', reason: 'the event has no time `at`' }
      }
      const { event, key, atMs, data } = admitted
      return {
        isFit: true,
        event,
        key,
        eventTimeMs: atMs,
        id: admitted.id ?? rowId(atMs, canonicalObject(value)),
        json: JSON.stringify(data),
      }
    },
  }
}

function identityOf(file: ImportFile, mapping: unknown, more: unknown): string {
  const facts = JSON.stringify([file.identity, file.name, mapping ?? null, more])
  return createHash('sha256').update(facts).digest('hex').slice(0, 32)
}

function targetOf(mapping: MappingOptions): string {
  return mapping.target.kind === 'event' ? mapping.target.name : `${mapping.target.name} (items)`
}

function pick<Row>(mapper: RowMapper<Row>): Omit<MappedInput, 'input' | 'target'> {
  return { summary: mapper.summary, ignored: mapper.ignored, isGuessed: mapper.isGuessed }
}

/** The same input, reading its file by another encoding: lines that are not UTF-8 as Windows-1252. */
export function withMixedEncoding(table: InspectedTable): InspectedTable {
  const dialect: Dialect = { ...table.dialect, encoding: 'mixed' }
  return { ...table, dialect }
}
