/** What can be said about a database by whoever is no process of the log in it. */
import type { LeaseInfo } from '../leases.ts'
import type { Database } from './database.ts'
import { migrationNumbers } from './migrations.ts'

/** A database, looked at. */
export interface Inspection {
  /** The version of PostgreSQL. */
  readonly version: string
  /** The newest migration by part; empty while there are no tables. */
  readonly migrations: ReadonlyMap<string, number>
  /** Who commits the steps of which partitions; empty while there are no leases. */
  readonly leases: readonly LeaseInfo[]
  /** Processes that showed life within the last ten seconds. */
  readonly living: number
}

/** Looks at a database; changes nothing. */
export async function inspect(database: Database): Promise<Inspection> {
  const [row] = await database.query('SHOW server_version')
  const migrations = await migrationNumbers(database)
  const log = migrations.get('log') ?? 0
  return {
    version: row?.[0] ?? 'unknown',
    migrations,
    leases: log < 2 ? [] : await readLeases(database),
    living: log < 1 ? 0 : await countLiving(database),
  }
}

async function countLiving(database: Database): Promise<number> {
  const [row] = await database.query(
    `SELECT count(*) FROM $schema.members WHERE seen_at > clock_timestamp() - interval '10 seconds'`,
  )
  return Number(row?.[0])
}

async function readLeases(database: Database): Promise<readonly LeaseInfo[]> {
  const rows = await database.query(
    `SELECT l.partition, m.member, m.address, l.token FROM $schema.leases l
      LEFT JOIN $schema.members m ON m.member = l.owner ORDER BY l.partition`,
  )
  return rows.map(([partition, owner, address, token]) => ({
    partition: Number(partition),
    owner: owner ?? undefined,
    address: address ?? undefined,
    token: Number(token),
    isOwn: false,
  }))
}
