/** Facts about the whole of a database: few, small, by name. */
import type { Database } from './database.ts'

/** More than a lease lasts. */
const SILENCE_MS = 3_000

/** The value of a setting; `wanted` is put there when it has none. Whoever is first decides. */
export async function claimSetting(
  database: Database,
  name: string,
  wanted: string,
): Promise<string> {
  await database.query(
    'INSERT INTO $schema.settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING',
    [name, wanted],
  )
  const [row] = await database.query('SELECT value FROM $schema.settings WHERE name = $1', [name])
  return row?.[0] as string
}

/** Puts a setting, whatever it was. */
export async function putSetting(database: Database, name: string, value: string): Promise<void> {
  await database.query(
    `INSERT INTO $schema.settings (name, value) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
    [name, value],
  )
}

/** The value of a setting; undefined when it has none. */
export async function readSetting(database: Database, name: string): Promise<string | undefined> {
  const [row] = await database.query('SELECT value FROM $schema.settings WHERE name = $1', [name])
  return row?.[0] ?? undefined
}

/** Forgets a setting. */
export async function removeSetting(database: Database, name: string): Promise<void> {
  await database.query('DELETE FROM $schema.settings WHERE name = $1', [name])
}

/** True when streams were declared. */
export async function hasStreams(database: Database): Promise<boolean> {
  const [row] = await database.query('SELECT count(*) FROM $schema.streams')
  return Number(row?.[0]) > 0
}

/** Where the processes answer that stand for leases and were heard of within `withinMs`. */
export async function servingMembers(
  database: Database,
  withinMs = SILENCE_MS,
): Promise<readonly string[]> {
  const rows = await database.query(
    `SELECT coalesce(address, member) FROM $schema.members WHERE lineage IS NOT NULL
      AND seen_at > clock_timestamp() - $1 * interval '1 millisecond' ORDER BY joined`,
    [withinMs],
  )
  return rows.map(([address]) => address as string)
}

/** Takes all processes out of the book: what they commit from now on is refused until they entered again. */
export async function forgetMembers(database: Database): Promise<void> {
  await database.query('DELETE FROM $schema.members')
}
