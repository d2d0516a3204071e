/** What can be said about a database without opening the product on it. */
import { silentLogger } from '@millrace/core'
import type { LeaseInfo } from '@millrace/log'
import { serverErrors } from '../errors.ts'

/** A database, looked at. */
export interface DatabaseReport {
  /** The version of PostgreSQL. */
  readonly version: string
  /** Who commits the steps of which partitions; empty while there is no log. */
  readonly leases: readonly LeaseInfo[]
}

/** Looks at a database; changes nothing. Throws DATABASE_DRIVER_MISSING, DATABASE_UNREACHABLE. */
export async function inspectDatabase(url: string): Promise<DatabaseReport> {
  const { Database, readLeases } = await import('@millrace/log/postgres').catch(
    (error: unknown) => {
      throw serverErrors.create('DATABASE_DRIVER_MISSING', {}, error)
    },
  )
  const database = new Database({ url, logger: silentLogger })
  try {
    const [row] = await database.query('SHOW server_version')
    return { version: row?.[0] ?? 'unknown', leases: await readLeases(database) }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw serverErrors.create('DATABASE_UNREACHABLE', { reason }, error)
  } finally {
    await database.close()
  }
}
