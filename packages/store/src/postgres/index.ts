/**
 * The snapshot store in PostgreSQL. Chunks are written as they come, each in a statement of its own;
 * then one transaction makes the snapshot visible and removes the older ones but for the last. A save
 * that was cut off leaves chunks that nobody sees, and the next one removes them.
 *
 * Several processes may save one name at once: each has a number of its own, and the later one to
 * finish stays. A load that another save overtakes twice ends with SNAPSHOT_DAMAGED: load again.
 */
import { checkChunk, checkName, metaText, parseMeta } from '../checks.ts'
import { storeErrors } from '../errors.ts'
import { directoryOf, nameOf } from '../names.ts'
import type { Snapshot, SnapshotMeta, SnapshotStore } from '../snapshots.ts'
import { Turns } from '../turns.ts'

/** Runs a statement; `$schema` stands for the schema, columns come as text. */
type Query = (
  text: string,
  parameters?: readonly (string | number | Buffer)[],
) => Promise<readonly (readonly (string | null)[])[]>

/** What the store needs of a database; `Database` of `@millrace/log/postgres` has it. */
export interface SnapshotDatabase {
  query: Query
  transaction<T>(work: (query: Query) => Promise<T>): Promise<T>
}

/** How many snapshots of a name are kept. */
const KEPT = 2

/** The tables; apply them by `migrate` of `@millrace/log/postgres` before the store is opened. */
export const snapshotMigrations = [
  {
    part: 'snapshots',
    number: 1,
    forward: `
CREATE SEQUENCE $schema.snapshot_numbers;
CREATE TABLE $schema.snapshots (
  name text COLLATE "C" NOT NULL,
  number bigint NOT NULL,
  meta text NOT NULL,
  chunks integer NOT NULL,
  PRIMARY KEY (name, number)
);
CREATE TABLE $schema.snapshot_chunks (
  name text COLLATE "C" NOT NULL,
  number bigint NOT NULL,
  at integer NOT NULL,
  bytes bytea NOT NULL,
  PRIMARY KEY (name, number, at)
);`,
    back: `
DROP TABLE $schema.snapshots, $schema.snapshot_chunks;
DROP SEQUENCE $schema.snapshot_numbers;`,
  },
] as const

/** Opens the store; the database is closed by its owner, after the store. */
export function openPostgresSnapshotStore(database: SnapshotDatabase): SnapshotStore {
  return new PostgresSnapshotStore(database)
}

class PostgresSnapshotStore implements SnapshotStore {
  readonly #database: SnapshotDatabase
  /** Saves and removals of one name run one after the other. */
  readonly #turns = new Turns()
  #isClosed = false

  constructor(database: SnapshotDatabase) {
    this.#database = database
  }

  async save(
    name: string,
    meta: SnapshotMeta,
    chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): Promise<void> {
    this.#check(name)
    const text = metaText(name, meta)
    await this.#turns.run(name, () => this.#save(name, text, chunks))
  }

  async load(name: string): Promise<Snapshot | undefined> {
    this.#check(name)
    const [row] = await this.#database.query(
      `SELECT number, meta, chunks FROM $schema.snapshots WHERE name = $1
        ORDER BY number DESC LIMIT 1`,
      [directoryOf(name)],
    )
    if (row === undefined) return undefined
    const meta = parseMeta(name, row[1] as string)
    if (meta === undefined) throw damaged(name, 'its facts are not those of the name')
    return { meta, chunks: this.#read(name, row[0] as string, Number(row[2])) }
  }

  async list(): Promise<readonly string[]> {
    this.#check()
    const rows = await this.#database.query('SELECT DISTINCT name FROM $schema.snapshots')
    return rows.map(([name]) => nameOf(name as string) as string).sort()
  }

  async remove(name: string): Promise<void> {
    this.#check(name)
    await this.#turns.run(name, () =>
      this.#database.transaction(async query => {
        await lock(query, name)
        await query('DELETE FROM $schema.snapshots WHERE name = $1', [directoryOf(name)])
        await query('DELETE FROM $schema.snapshot_chunks WHERE name = $1', [directoryOf(name)])
      }),
    )
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#turns.ended()
  }

  #check(name?: string): void {
    if (this.#isClosed) throw storeErrors.create('SNAPSHOT_STORE_CLOSED')
    if (name !== undefined) checkName(name)
  }

  async #save(
    name: string,
    text: string,
    chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const database = this.#database
    const [row] = await database.query(`SELECT nextval('$schema.snapshot_numbers')`)
    const number = row?.[0] as string
    let count = 0
    for await (const chunk of chunks) {
      checkChunk(name, chunk)
      await database.query(
        'INSERT INTO $schema.snapshot_chunks (name, number, at, bytes) VALUES ($1, $2, $3, $4)',
        [directoryOf(name), number, count, Buffer.from(chunk)],
      )
      count += 1
    }
    await database.transaction(query => publish(query, name, { number, text, count }))
  }

  async *#read(name: string, number: string, chunks: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < chunks; at++) {
      const [row] = await this.#database.query(
        `SELECT encode(bytes, 'base64') FROM $schema.snapshot_chunks
          WHERE name = $1 AND number = $2 AND at = $3`,
        [directoryOf(name), number, at],
      )
      if (row === undefined) throw damaged(name, 'newer ones took its place while it was read')
      yield new Uint8Array(Buffer.from(row[0] as string, 'base64'))
    }
  }
}

/** Makes a snapshot visible; removes older ones, and chunks of saves that did not end. */
async function publish(
  query: Query,
  name: string,
  { number, text, count }: { number: string; text: string; count: number },
): Promise<void> {
  const stored = directoryOf(name)
  await lock(query, name)
  const [row] = await query(
    'SELECT count(*) FROM $schema.snapshot_chunks WHERE name = $1 AND number = $2',
    [stored, number],
  )
  // Two newer ones were finished meanwhile, and removed what this one had written: they stay.
  if (Number(row?.[0]) !== count) return
  await query(
    'INSERT INTO $schema.snapshots (name, number, meta, chunks) VALUES ($1, $2, $3, $4)',
    [stored, number, text, count],
  )
  const kept = await query(
    'SELECT number FROM $schema.snapshots WHERE name = $1 ORDER BY number DESC LIMIT $2',
    [stored, KEPT],
  )
  const oldest = kept.at(-1)?.[0] as string
  await query('DELETE FROM $schema.snapshots WHERE name = $1 AND number < $2', [stored, oldest])
  await query('DELETE FROM $schema.snapshot_chunks WHERE name = $1 AND number < $2', [
    stored,
    oldest,
  ])
}

/** Saves and removals of a name by several processes take turns where they become visible. */
async function lock(query: Query, name: string): Promise<void> {
  await query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [directoryOf(name)])
}

function damaged(name: string, reason: string): Error {
  return storeErrors.create('SNAPSHOT_DAMAGED', { file: `the snapshot ${name}`, at: 0, reason })
}
