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
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'

import { featuresErrors } from '../../errors.ts'

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

function makeDurable(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
