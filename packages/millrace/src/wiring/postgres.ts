/** The one place that loads the driver of PostgreSQL, which not everybody installs. */
import { isError, type Logger } from '@millrace/core'
import type * as postgresLog from '@millrace/log/postgres'
import type * as postgresStore from '@millrace/store/postgres'
import { serverErrors } from '../errors.ts'

/** What is known of PostgreSQL, and a database whose schema is up to date. */
export interface OpenedDatabase {
  readonly postgres: typeof postgresLog
  readonly store: typeof postgresStore
  readonly database: postgresLog.Database
}

/** Opens a database. Throws DATABASE_DRIVER_MISSING, DATABASE_UNREACHABLE, LOG_FORMAT_UNKNOWN. */
export async function openDatabase(url: string, logger: Logger): Promise<OpenedDatabase> {
  const postgres = await import('@millrace/log/postgres').catch((error: unknown) => {
    throw serverErrors.create('DATABASE_DRIVER_MISSING', {}, error)
  })
  const store = await import('@millrace/store/postgres')
  const database = new postgres.Database({ url, logger })
  try {
    await postgres.migrate(database, [...postgres.logMigrations, ...store.snapshotMigrations])
    return { postgres, store, database }
  } catch (error) {
    await database.close()
    throw unreachable(error)
  }
}

/** A failure as callers hear of it. */
export function unreachable(error: unknown): Error {
  if (isError(error)) return error
  const reason = error instanceof Error ? error.message : String(error)
  return serverErrors.create('DATABASE_UNREACHABLE', { reason }, error)
}
