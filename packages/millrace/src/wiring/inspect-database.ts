/** What is done with a database without opening the product on it. */
import { isError, silentLogger } from '@millrace/core'
import type * as postgresLog from '@millrace/log/postgres'
import { serverErrors } from '../errors.ts'

/** A database, looked at. */
export interface DatabaseReport extends postgresLog.Inspection {
  /** The migrations that this version makes, by part. */
  readonly known: ReadonlyMap<string, number>
}

interface Opened {
  readonly postgres: typeof postgresLog
  readonly database: postgresLog.Database
  readonly migrations: readonly postgresLog.Migration[]
}

/** Looks at a database; changes nothing. Throws DATABASE_DRIVER_MISSING, DATABASE_UNREACHABLE. */
export function inspectDatabase(url: string): Promise<DatabaseReport> {
  return withDatabase(url, look)
}

/**
 * Takes the tables back to those of the version before, or to those of this one when a newer version
 * made them; what is in them stays. Refuses while processes use them (DATABASE_IN_USE).
 */
export function downgradeDatabase(url: string): Promise<DatabaseReport> {
  return withDatabase(url, async opened => {
    const { postgres, database, migrations } = opened
    const { migrations: found, known, living } = await look(opened)
    if (living > 0) throw serverErrors.create('DATABASE_IN_USE', { processes: living })
    const targets = [...known].map(([part, newest]): [string, number] => {
      const isNewer = (found.get(part) ?? 0) > newest
      return [part, isNewer ? newest : Math.max(newest - 1, 1)]
    })
    if (found.size > 0) await postgres.migrate(database, migrations, Object.fromEntries(targets))
    return look(opened)
  })
}

async function look({ postgres, database, migrations }: Opened): Promise<DatabaseReport> {
  return { ...(await postgres.inspect(database)), known: postgres.newestOf(migrations) }
}

async function withDatabase<T>(url: string, work: (opened: Opened) => Promise<T>): Promise<T> {
  const postgres = await import('@millrace/log/postgres').catch((error: unknown) => {
    throw serverErrors.create('DATABASE_DRIVER_MISSING', {}, error)
  })
  const { snapshotMigrations } = await import('@millrace/store/postgres')
  const migrations = [...postgres.logMigrations, ...snapshotMigrations]
  const database = new postgres.Database({ url, logger: silentLogger })
  try {
    return await work({ postgres, database, migrations })
  } catch (error) {
    if (isError(error)) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw serverErrors.create('DATABASE_UNREACHABLE', { reason }, error)
  } finally {
    await database.close()
  }
}
