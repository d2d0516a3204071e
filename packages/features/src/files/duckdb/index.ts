/**
 * Tables of training sets and files of history, by DuckDB in this process: it reads CSV and Parquet,
 * sorts and joins beyond memory, and writes Parquet. It stores and joins; folds compute.
 *
 * Promise: a file under its name is whole. It is written beside, made durable and renamed, so that a
 * process that is killed leaves the file of before or none. Memory: what `memoryBytesMax` says, beyond
 * which DuckDB goes to files in its folder.
 */
import { closeSync, fsyncSync, openSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import {
  BIGINT,
  DOUBLE,
  DuckDBDataChunk,
  DuckDBInstance,
  UTINYINT,
  VARCHAR,
  type DuckDBConnection,
  type DuckDBType,
} from '@duckdb/node-api'

import { featuresErrors } from '../../errors.ts'

/** Rows of a chunk: what DuckDB hands over at once. */
export const CHUNK_ROWS = 2_048

/** Types of columns that are appended. */
export type ColumnType = 'text' | 'whole' | 'number' | 'byte'
const TYPES: Readonly<Record<ColumnType, DuckDBType>> = {
  text: VARCHAR,
  whole: BIGINT,
  number: DOUBLE,
  byte: UTINYINT,
}
const NAMES: Readonly<Record<ColumnType, string>> = {
  text: 'VARCHAR',
  whole: 'BIGINT',
  number: 'DOUBLE',
  byte: 'UTINYINT',
}

/** A column of a table. */
export interface Column {
  readonly name: string
  readonly type: ColumnType
}

/** Values of a column, side by side; null where there is none, NaN too in columns of numbers. */
export type ColumnValues = readonly (string | number | bigint | null)[] | Float64Array | Uint8Array

/** How tables are opened. */
export interface TablesOptions {
  /** Where it goes when memory is full; the tables are there as well. */
  readonly folder: string
  readonly memoryBytesMax: number
  readonly threads: number
}

/** See the head of the file. */
export class Tables {
  readonly #instance: DuckDBInstance
  readonly #connection: DuckDBConnection

  constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#instance = instance
    this.#connection = connection
  }

  async run(sql: string): Promise<void> {
    await translated(() => this.#connection.run(sql))
  }

  /** All rows of an answer, as plain values. */
  async rows(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const reader = await translated(() => this.#connection.runAndReadAll(sql))
    return reader.getRowObjectsJS()
  }

  /** The columns of an answer in chunks, in order: whole numbers as bigint. Memory: a chunk. */
  async *stream(
    sql: string,
  ): AsyncGenerator<{ readonly rows: number; column(index: number): readonly unknown[] }> {
    const result = await translated(() => this.#connection.stream(sql))
    for (;;) {
      const chunk = await result.fetchChunk()
      if (chunk === null || chunk.rowCount === 0) return
      yield { rows: chunk.rowCount, column: index => chunk.getColumnValues(index) }
    }
  }

  /** Makes a table to append to. */
  async create(name: string, columns: readonly Column[]): Promise<TableWriter> {
    const list = columns.map(column => `${quoted(column.name)} ${NAMES[column.type]}`).join(', ')
    await this.run(`CREATE TABLE ${quoted(name)} (${list})`)
    const appender = await this.#connection.createAppender(name)
    const types = columns.map(({ type }) => TYPES[type])
    return {
      append(values, rows) {
        for (let from = 0; from < rows; from += CHUNK_ROWS) {
          const count = Math.min(CHUNK_ROWS, rows - from)
          const chunk = DuckDBDataChunk.create(types, count)
          values.forEach((column, index) => fillColumn(chunk, index, column, { from, count }))
          appender.appendDataChunk(chunk)
        }
      },
      close() {
        appender.closeSync()
      },
    }
  }

  /** Writes the rows of a query as a Parquet file, durable under its name when it resolves. */
  async writeParquet(
    sql: string,
    path: string,
    compression: 'zstd' | 'uncompressed' = 'zstd',
  ): Promise<void> {
    const aside = `${path}.part`
    await this.run(`COPY (${sql}) TO ${text(aside)} (FORMAT parquet, COMPRESSION ${compression})`)
    makeDurable(aside)
    renameSync(aside, path)
    makeDurable(dirname(path))
  }

  close(): void {
    this.#connection.closeSync()
    this.#instance.closeSync()
  }
}

/** Appends to one table. */
export interface TableWriter {
  /** One array for each column, each of `rows` values at least. */
  append(values: readonly ColumnValues[], rows: number): void
  /** Makes what was appended visible. */
  close(): void
}

/** Opens tables in a folder, which is there and is the caller's to remove. */
export async function openTables(options: TablesOptions): Promise<Tables> {
  const { folder, memoryBytesMax, threads } = options
  const instance = await DuckDBInstance.create(join(folder, 'tables.duckdb'), {
    memory_limit: `${Math.floor(memoryBytesMax / 1024)}KiB`,
    temp_directory: join(folder, 'spill'),
    threads: `${threads}`,
    // Nothing is fetched: all that is needed is built in.
    autoinstall_known_extensions: 'false',
  })
  const connection = await instance.connect()
  // Times without a zone are UTC, on every machine.
  await connection.run("SET TimeZone = 'UTC'")
  return new Tables(instance, connection)
}

/** Errors of DuckDB as ours. */
async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const [reason = ''] = (error as Error).message.split('\n')
    throw featuresErrors.create('TABLES_FAILED', { reason }, error)
  }
}

/** A name as SQL has it. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A text as SQL has it. */
export function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`
}

/** The rows of a file, as SQL names them: Parquet, or delimited text by its header. */
export function fileRows(path: string): string {
  return /\.parquet$/i.test(path) ? `read_parquet(${text(path)})` : `read_csv(${text(path)})`
}

function fillColumn(
  chunk: DuckDBDataChunk,
  index: number,
  values: ColumnValues,
  { from, count }: { readonly from: number; readonly count: number },
): void {
  const vector = chunk.getColumnVector(index)
  const isNumber = values instanceof Float64Array
  for (let row = 0; row < count; row++) {
    const value = values[from + row] as string | number | bigint | null
    vector.setItem(row, isNumber && Number.isNaN(value) ? null : value)
  }
  vector.flush()
}

function makeDurable(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
