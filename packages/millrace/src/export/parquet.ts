/**
 * Parquet files of records: a row each, in groups of 20,000, compressed by Snappy. Times are
 * timestamps in milliseconds; `keys`, `headers` and `data` are JSON texts, so that any reader of
 * Parquet takes them and nothing is lost.
 */
import {
  asyncBufferFromFile,
  parquetMetadataAsync,
  parquetReadObjects,
  type ParquetParsers,
} from 'hyparquet'
import {
  ParquetWriter,
  fileWriter,
  schemaFromColumnData,
  type ColumnSource,
} from 'hyparquet-writer'
import { closeSync, fsyncSync, openSync } from 'node:fs'
import { exportErrors } from './errors.ts'
import { parseLine, type RecordWriter } from './lines.ts'
import { readRecord, type ExportedRecord } from './record.ts'

const GROUP_ROWS = 20_000
/** Characters of data after which a group is written before it is full. */
const GROUP_CHARACTERS = 32 * 1024 * 1024

type Cell = string | number | bigint | boolean | null | Date

interface Column {
  readonly name: string
  readonly type: 'STRING' | 'INT32' | 'INT64' | 'BOOLEAN' | 'TIMESTAMP'
  readonly nullable?: boolean
  readonly write: (record: ExportedRecord) => Cell
}

const text = (name: 'tenant' | 'stream' | 'type' | 'key' | 'id' | 'definition'): Column => ({
  name,
  type: 'STRING',
  write: record => record[name],
})
const time = (name: 'eventTimeMs' | 'ingestTimeMs' | 'watermarkMs'): Column => ({
  name: name.slice(0, -2),
  type: 'TIMESTAMP',
  write: record => new Date(record[name]),
})

const COLUMNS: readonly Column[] = [
  text('tenant'),
  text('stream'),
  { name: 'partition', type: 'INT32', write: record => record.partition },
  { name: 'offset', type: 'INT64', write: record => BigInt(record.offset) },
  text('type'),
  text('key'),
  { name: 'keys', type: 'STRING', nullable: true, write: ({ keys }) => jsonOf(keys) },
  text('id'),
  time('eventTimeMs'),
  time('ingestTimeMs'),
  time('watermarkMs'),
  text('definition'),
  { name: 'generation', type: 'INT64', write: record => BigInt(record.generation) },
  { name: 'isHistory', type: 'BOOLEAN', write: record => record.isHistory },
  { name: 'headers', type: 'STRING', write: record => JSON.stringify(record.headers) },
  { name: 'data', type: 'STRING', write: record => JSON.stringify(record.data) },
]

function jsonOf(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value)
}

/** Writes a new file of rows. */
export function openParquetWriter(path: string): RecordWriter {
  closeSync(openSync(path, 'wx', 0o600))
  const cells = COLUMNS.map((): Cell[] => [])
  const columns = (): ColumnSource[] =>
    COLUMNS.map(({ name, type, nullable = false }, index) => ({
      name,
      type,
      nullable,
      data: cells[index] as Cell[],
    }))
  const writer = new ParquetWriter({
    writer: fileWriter(path),
    schema: schemaFromColumnData({ columnData: columns() }),
    createdBy: 'millrace',
  })
  let characters = 0
  const flush = (): void => {
    const rows = cells[0]?.length ?? 0
    // A file's writer answers at once; it is one to a network that makes this wait.
    if (rows > 0) void writer.write({ columnData: columns(), rowGroupSize: rows })
    for (const column of cells) column.length = 0
    characters = 0
  }
  return {
    add(record) {
      COLUMNS.forEach(({ write }, index) => {
        const cell = write(record)
        cells[index]?.push(cell)
        if (typeof cell === 'string') characters += cell.length
      })
      if ((cells[0]?.length ?? 0) >= GROUP_ROWS || characters >= GROUP_CHARACTERS) flush()
    },
    async finish() {
      flush()
      await writer.finish()
      const file = openSync(path, 'r')
      fsyncSync(file)
      closeSync(file)
    },
  }
}

/** Times as numbers. */
const parsers: Partial<ParquetParsers> = { timestampFromMilliseconds: Number }

/** The records of a file of rows, `name` in what is refused. Throws EXPORT_DAMAGED. */
export async function* readParquet(
  path: string,
  name: string,
): AsyncGenerator<ExportedRecord, void> {
  const file = await asyncBufferFromFile(path)
  const broken = (place: string, error: unknown): Error => {
    const reason = `it is no Parquet that can be read: ${(error as Error).message}`
    return exportErrors.create('EXPORT_DAMAGED', { file: name, place, reason }, error)
  }
  const metadata = await parquetMetadataAsync(file).catch((error: unknown) => {
    throw broken('its footer', error)
  })
  let rowStart = 0
  for (const { num_rows: groupRows } of metadata.row_groups) {
    const rowEnd = rowStart + Number(groupRows)
    const cells = await readCells({ file, metadata, rowStart, rowEnd, parsers }).catch(
      (error: unknown) => {
        throw broken(`rows ${rowStart} to ${rowEnd - 1}`, error)
      },
    )
    const rows = Math.max(...[...cells.values()].map(({ length }) => length))
    for (let index = 0; index < rows; index++) {
      const place = { file: name, place: `row ${rowStart + index}` }
      yield readRecord(
        recordOf(column => cells.get(column)?.[index], place),
        place,
      )
    }
    rowStart = rowEnd
  }
}

/** Column after column: of several that are damaged, all but the first would fail with nobody waiting. */
async function readCells(
  options: Omit<Parameters<typeof parquetReadObjects>[0], 'columns'>,
): Promise<ReadonlyMap<string, readonly unknown[]>> {
  const cells = new Map<string, readonly unknown[]>()
  for (const { name } of COLUMNS) {
    const rows = await parquetReadObjects({ ...options, columns: [name] })
    const column = rows.map(row => row[name] as unknown)
    cells.set(name, column)
  }
  return cells
}

/** What is not of the type of its column stays as it is, and is refused by its name. */
function recordOf(
  cellOf: (column: string) => unknown,
  place: { readonly file: string; readonly place: string },
): unknown {
  const json = (name: string): unknown => {
    const cell = cellOf(name)
    return typeof cell === 'string' ? parseLine(cell, place) : undefined
  }
  const number = (name: string): unknown => {
    const cell = cellOf(name)
    return typeof cell === 'bigint' ? Number(cell) : cell
  }
  const keys = json('keys')
  const data = json('data')
  return {
    tenant: cellOf('tenant'),
    stream: cellOf('stream'),
    partition: cellOf('partition'),
    offset: number('offset'),
    type: cellOf('type'),
    key: cellOf('key'),
    ...(keys === undefined ? {} : { keys }),
    id: cellOf('id'),
    eventTimeMs: cellOf('eventTime'),
    ingestTimeMs: cellOf('ingestTime'),
    watermarkMs: cellOf('watermark'),
    definition: cellOf('definition'),
    generation: number('generation'),
    isHistory: cellOf('isHistory'),
    headers: json('headers'),
    ...(data === undefined ? {} : { data }),
  }
}
