/**
 * The store of keys in PostgreSQL, shared by all processes over one log. To destroy a key, its row
 * loses it and the table is written anew (`VACUUM FULL`), so that its files have it no more, once no
 * transaction is left that could see the row as it was. The
 * server's write-ahead log, its archives, its replicas' and physical backups keep it until they are
 * removed.
 */
import type { Random } from '@millrace/core'
import { logErrors } from '../../errors.ts'
import type { Database } from '../../postgres/database.ts'
import { KeyTable } from '../key-table.ts'
import { KEY_BYTES, type KeyEntry, type KeyStore } from '../keys.ts'

/** Rows of one statement. */
const ROWS_MAX = 5_000
/** Half a minute for transactions that began before a key was destroyed. */
const HELD_TURN_SECONDS = 0.05
const HELD_TURNS_MAX = 600

/** Opens the store; its table is there since `logMigrations`, and the database is closed by its owner. */
export async function openPostgresKeys(database: Database, random: Random): Promise<KeyStore> {
  const keys = new PostgresKeys(database, random)
  await keys.open()
  return keys
}

class PostgresKeys implements KeyStore {
  readonly isWhole = false
  readonly #database: Database
  readonly #random: Random
  readonly #table = new KeyTable()

  constructor(database: Database, random: Random) {
    this.#database = database
    this.#random = random
  }

  /** Who was erased has to be known before anything is read. */
  async open(): Promise<void> {
    const rows = await this.#database.query('SELECT name FROM $schema.person_keys WHERE key IS NULL') // prettier-ignore
    for (const [name] of rows) this.#table.add({ name: name as string })
  }

  get(name: string): Uint8Array | undefined {
    return this.#table.get(name)
  }

  isDestroyed(name: string): boolean {
    return this.#table.isDestroyed(name)
  }

  destroyed(): Iterable<string> {
    return this.#table.destroyed()
  }

  async ensure(names: readonly string[]): Promise<void> {
    // Sorted, so that processes that make the same ones at once do not wait for each other in a circle.
    const wanted = [...new Set(names)].sort().filter(name => this.#table.get(name) === undefined)
    // Whoever is first decides: what another process put there meanwhile is read back.
    await this.#put(wanted.map(name => ({ name, key: this.#random.fill(new Uint8Array(KEY_BYTES)) }))) // prettier-ignore
    await this.load(wanted)
  }

  async load(names: readonly string[]): Promise<void> {
    for (let at = 0; at < names.length; at += ROWS_MAX) {
      const rows = await this.#database.query(
        `SELECT name, encode(key, 'hex') FROM $schema.person_keys
        WHERE name IN (SELECT jsonb_array_elements_text($1::jsonb))`,
        [JSON.stringify(names.slice(at, at + ROWS_MAX))],
      )
      for (const row of rows) this.#table.add(entryOf(row))
    }
  }

  async destroy(names: readonly string[]): Promise<void> {
    if (names.length === 0) return
    await this.#put(names.map(name => ({ name })))
    await this.#outlived()
    await this.#database.query('VACUUM FULL $schema.person_keys')
    for (const name of names) this.#table.add({ name })
  }

  /**
   * Waits until no transaction is left that may still see rows from before now: the table that is
   * written anew would keep them for it. A snapshot, that of the rewrite too, begins with the oldest
   * transaction of the whole server, so one that writes in another database counts as well; whoever has
   * a snapshot from before that one ended is of this database. Throws KEYS_HELD when one goes on for too
   * long. Source: `ComputeXidHorizons` of PostgreSQL's procarray.c.
   */
  async #outlived(): Promise<void> {
    const [[now] = []] = await this.#database.query('SELECT pg_current_xact_id()::text')
    for (let turn = 0; ; turn++) {
      // Who reads the answer has waited: the next look is a moment later.
      const [[pid, since] = []] = await this.#database.query(
        `SELECT held.pid, held.xact_start, pg_sleep($2)
        FROM (SELECT pg_snapshot_xmin(pg_current_snapshot()) <= $1::xid8 AS is_old) AS oldest
        LEFT JOIN LATERAL (
          SELECT pid, xact_start FROM pg_stat_activity
          WHERE pid <> pg_backend_pid() AND (age(backend_xid) > age($1::xid8::xid)
            OR datname = current_database() AND age(backend_xmin) > age($1::xid8::xid))
          ORDER BY xact_start LIMIT 1
        ) AS held ON true
        WHERE oldest.is_old OR held.pid IS NOT NULL`,
        [now ?? null, HELD_TURN_SECONDS],
      )
      if (pid === undefined) return
      if (turn < HELD_TURNS_MAX) continue
      throw logErrors.create('KEYS_HELD', { pid: pid ?? '', since: since ?? '' })
    }
  }

  async list(prefix: string): Promise<readonly string[]> {
    const rows = await this.#database.query(
      'SELECT name FROM $schema.person_keys WHERE starts_with(name, $1) AND key IS NOT NULL ORDER BY name', // prettier-ignore
      [prefix],
    )
    return rows.map(([name]) => name as string)
  }

  async entries(): Promise<readonly KeyEntry[]> {
    const rows = await this.#database.query("SELECT name, encode(key, 'hex') FROM $schema.person_keys") // prettier-ignore
    return rows.map(entryOf)
  }

  async adopt(entries: readonly KeyEntry[]): Promise<void> {
    await this.#put(entries)
    await this.open()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  /** A key takes no other's place; that it was destroyed takes the place of any. */
  async #put(entries: readonly KeyEntry[]): Promise<void> {
    for (let at = 0; at < entries.length; at += ROWS_MAX) {
      const part = entries.slice(at, at + ROWS_MAX)
      const rows = part.map(({ name, key }) => [name, key === undefined ? null : Buffer.from(key).toString('hex')]) // prettier-ignore
      await this.#database.query(
        `INSERT INTO $schema.person_keys (name, key)
        SELECT row ->> 0, decode(row ->> 1, 'hex') FROM jsonb_array_elements($1::jsonb) row
        ON CONFLICT (name) DO UPDATE SET key = NULL
        WHERE excluded.key IS NULL AND person_keys.key IS NOT NULL`,
        [JSON.stringify(rows)],
      )
    }
  }
}

function entryOf([name, hex]: readonly (string | null)[]): KeyEntry {
  const key = hex === null || hex === undefined ? undefined : Uint8Array.from(Buffer.from(hex, 'hex')) // prettier-ignore
  return { name: name as string, key }
}
