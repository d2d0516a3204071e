/** The one place that loads DuckDB, which not everybody installs. */
import { featuresErrors } from '../errors.ts'
import type * as duckdb from './duckdb/index.ts'

/** What reads and writes files of tables. */
export type TablesDriver = typeof duckdb

/** Loads it. Throws TABLES_DRIVER_MISSING. */
export async function loadTables(): Promise<TablesDriver> {
  return await import('./duckdb/index.ts').catch((error: unknown) => {
    throw featuresErrors.create('TABLES_DRIVER_MISSING', {}, error)
  })
}
