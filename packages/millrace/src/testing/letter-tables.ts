/** The tables of a database as bytes, to look for what must not be there. */
import type { Database } from '@millrace/log/postgres'

/** All rows of all tables as text, and the files of the table of keys, which hold its dead rows too. */
export async function dumpOf(database: Database): Promise<Buffer> {
  const tables = await database.query("SELECT tablename FROM pg_tables WHERE schemaname = 'millrace'") // prettier-ignore
  const parts: string[] = []
  for (const [name] of tables) {
    const rows = await database.query(`SELECT t::text FROM $schema.${name as string} t`)
    parts.push(...rows.map(([row]) => row as string))
  }
  await database.query('CHECKPOINT')
  const [file] = await database.query(
    "SELECT encode(pg_read_binary_file(pg_relation_filepath('$schema.person_keys')), 'hex')",
  )
  return Buffer.concat([Buffer.from(parts.join('\n')), Buffer.from(file?.[0] as string, 'hex')])
}

/** The key of a person, while there is one. */
export async function keyOf(database: Database, name: string): Promise<Buffer | undefined> {
  const [row] = await database.query("SELECT encode(key, 'hex') FROM $schema.person_keys WHERE name = $1", [name]) // prettier-ignore
  return typeof row?.[0] === 'string' ? Buffer.from(row[0], 'hex') : undefined
}
