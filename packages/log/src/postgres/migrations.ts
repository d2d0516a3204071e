/**
 * Numbered changes of the schema, forward and back. All changes of one call are one transaction under
 * an advisory lock of it, so that processes that start together do them once, and a failure leaves
 * what was there.
 */
import { logErrors } from '../errors.ts'
import type { Database, Query } from './database.ts'

/** One change and its way back; `$schema` stands for the schema. */
export interface Migration {
  /** Whose tables it changes: `log`, `snapshots`. */
  readonly part: string
  /** From 1, without gaps, per part. */
  readonly number: number
  readonly forward: string
  readonly back: string
}

const BOOK = `
CREATE TABLE IF NOT EXISTS $schema.migrations (
  part text NOT NULL,
  number integer NOT NULL,
  -- The way back travels with the schema: an older build can undo what a newer one did.
  back text NOT NULL,
  done_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (part, number)
)`

/**
 * Brings each part to its newest migration, or `to` the numbers given: 0 removes a part. Refuses a
 * schema that a newer build has changed (LOG_FORMAT_UNKNOWN), unless `to` says to go back.
 */
export async function migrate(
  database: Database,
  migrations: readonly Migration[],
  to: Readonly<Record<string, number>> = {},
): Promise<void> {
  if (Object.keys(to).length === 0 && (await isCurrent(database, migrations))) return
  await database.transaction(async query => {
    await query('SELECT pg_advisory_xact_lock(hashtext($1))', [`millrace ${database.schema}`])
    // Read from the catalogue itself: what the session remembers of it may be older than the lock.
    const [made] = await query('SELECT nspname FROM pg_namespace WHERE nspname = $1', [
      database.schema,
    ])
    if (made === undefined) await query('CREATE SCHEMA $schema')
    await query(BOOK)
    for (const part of new Set(migrations.map(migration => migration.part))) {
      const own = migrations.filter(migration => migration.part === part)
      await movePart(query, database.schema, own, to[part])
    }
  })
}

async function movePart(
  query: Query,
  schema: string,
  own: readonly Migration[],
  wanted: number | undefined,
): Promise<void> {
  const { part } = own[0] as Migration
  const newest = Math.max(...own.map(({ number }) => number))
  const [row] = await query(
    'SELECT coalesce(max(number), 0) FROM $schema.migrations WHERE part = $1',
    [part],
  )
  let at = Number(row?.[0])
  if (wanted === undefined && at > newest) {
    const file = `schema ${schema}, part ${part}`
    throw logErrors.create('LOG_FORMAT_UNKNOWN', { file, found: at, known: newest })
  }
  const target = wanted ?? newest
  for (; at < target; at++) {
    const next = own.find(({ number }) => number === at + 1)
    if (next === undefined) break
    await query(next.forward)
    await query('INSERT INTO $schema.migrations (part, number, back) VALUES ($1, $2, $3)', [
      part,
      next.number,
      next.back,
    ])
  }
  for (; at > target; at--) {
    const [last] = await query(
      'DELETE FROM $schema.migrations WHERE part = $1 AND number = $2 RETURNING back',
      [part, at],
    )
    await query(last?.[0] as string)
  }
}

/** Asked first, so that a usual start needs no rights to change the schema. */
async function isCurrent(database: Database, migrations: readonly Migration[]): Promise<boolean> {
  const found = await migrationNumbers(database)
  return [...newestOf(migrations)].every(([part, number]) => found.get(part) === number)
}

/** The newest migration that was made, by part; empty while there is none. */
export async function migrationNumbers(database: Database): Promise<ReadonlyMap<string, number>> {
  const [book] = await database.query('SELECT to_regclass($1)', [`${database.schema}.migrations`])
  if (book?.[0] === null) return new Map()
  const rows = await database.query(
    'SELECT part, max(number) FROM $schema.migrations GROUP BY part',
  )
  return new Map(rows.map(([part, number]) => [part as string, Number(number)]))
}

/** The newest migration by part. */
export function newestOf(migrations: readonly Migration[]): ReadonlyMap<string, number> {
  const newest = new Map<string, number>()
  for (const { part, number } of migrations) {
    newest.set(part, Math.max(number, newest.get(part) ?? 0))
  }
  return newest
}
