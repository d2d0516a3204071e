/** Facts about the whole of a database: few, small, by name. */
import type { Database } from './database.ts'

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
  await database.query('UPDATE $schema.settings SET value = $2 WHERE name = $1', [name, value])
}
