/**
 * Reading records. Everything is bounded by the ends that this process knows, so that a reader never
 * sees a part of a unit of which it has not heard as a whole.
 */
import { DEFAULT_TENANT } from '../log.ts'
import type { HistoryRequest, LogRecord } from '../log.ts'
import { int4Array, int8Array, textArray } from './arrays.ts'
import type { Catalog, TablePartition } from './catalog.ts'
import type { Database, Row } from './database.ts'
import { versionKey, type StoredPlace } from './draft.ts'
import { RECORD_COLUMNS, recordOf } from './record.ts'
import type { Recent } from './recent.ts'
import { FLAG } from './schema.ts'

/** Records of a history that are fetched at a time. */
const HISTORY_PAGE = 1_000

/** Where a record of a history is, and by what it is sorted. */
interface HistoryPlace {
  readonly partition: TablePartition
  readonly offset: number
  readonly eventTimeMs: number
  readonly id: string
}

/** Places of the records with some keys; $2 are the keys, $3 the tenant, $4 and $5 the range. */
const PLACES = `
SELECT "offset", event_ms, id FROM $schema.records
  WHERE partition = $1 AND key = ANY ($2) AND tenant = $3 AND "offset" >= $4 AND "offset" < $5
    AND flags & ${FLAG.keysApart} = 0
UNION
SELECT r."offset", r.event_ms, r.id FROM $schema.key_places k CROSS JOIN unnest(0 || k.more) distance
  JOIN $schema.records r ON r.partition = $1 AND r."offset" = k.first_offset + distance
  WHERE k.partition = $1 AND k.key = ANY ($2) AND r.tenant = $3 AND k.first_offset < $5
    AND r."offset" >= $4 AND r."offset" < $5
ORDER BY 1`

/** Rows of one key do not overlap: the newest row with a record before the end has the newest record. */
const VERSION = `
SELECT greatest(
  (SELECT "offset" + 1 FROM $schema.records WHERE partition = $1 AND key = $2 AND tenant = $3
    AND "offset" < $4 AND flags & ${FLAG.keysApart} = 0 ORDER BY "offset" DESC LIMIT 1),
  (SELECT r."offset" + 1 FROM $schema.key_places k
    CROSS JOIN LATERAL (SELECT max(r."offset") AS "offset" FROM unnest(0 || k.more) distance
      JOIN $schema.records r ON r.partition = $1 AND r."offset" = k.first_offset + distance
      WHERE r."offset" < $4 AND r.tenant = $3) r
    WHERE k.partition = $1 AND k.key = $2 AND k.first_offset < $4 AND r."offset" IS NOT NULL
    ORDER BY k.first_offset DESC LIMIT 1),
  0)`

/** See the head of the file. */
export class Reader {
  readonly #database: Pick<Database, 'query'>
  readonly #catalog: Catalog
  readonly #recent: Recent

  constructor(database: Pick<Database, 'query'>, catalog: Catalog, recent: Recent) {
    this.#database = database
    this.#catalog = catalog
    this.#recent = recent
  }

  /** Records of a partition from `from` to before `to`, perhaps fewer, and at least one if it is there. */
  async read(partition: TablePartition, from: number, to: number): Promise<readonly LogRecord[]> {
    if (to <= from) return []
    const recent = this.#recent.read(partition, from, to)
    if (recent !== undefined) return recent
    const rows = await this.#database.query(
      `SELECT ${RECORD_COLUMNS} FROM $schema.records r
        WHERE r.partition = $1 AND r."offset" >= $2 AND r."offset" < $3 ORDER BY r."offset"`,
      [partition.number, from, to],
    )
    return rows.map(row => recordOf(partition, row))
  }

  async *history(request: HistoryRequest): AsyncIterable<LogRecord> {
    const { stream, tenant = DEFAULT_TENANT, from = 0, to = Infinity, isByOffset = false } = request
    const byHome = new Map<TablePartition, Set<string>>()
    for (const key of request.keys) {
      const home = this.#catalog.home(stream, key)
      const keys = byHome.get(home) ?? new Set()
      byHome.set(home, keys.add(key))
    }
    const places: HistoryPlace[] = []
    for (const [partition, keys] of byHome) {
      const rows = await this.#database.query(PLACES, [
        partition.number,
        textArray([...keys]),
        tenant,
        from,
        Math.min(to, partition.end),
      ])
      for (const [offset, eventMs, id] of rows) {
        places.push({
          partition,
          offset: Number(offset),
          eventTimeMs: Number(eventMs),
          id: id as string,
        })
      }
    }
    // As JavaScript compares text, like every other log.
    if (request.keys.length > 1) places.sort(isByOffset ? compareByOffset : compareByTime)
    for (let start = 0; start < places.length; start += HISTORY_PAGE) {
      yield* await this.#fetch(places.slice(start, start + HISTORY_PAGE))
    }
  }

  /** The places and contents of ids that the log has. */
  async lookUp(ids: readonly string[]): Promise<Map<string, StoredPlace & { record?: LogRecord }>> {
    const rows = await this.#database.query(
      `SELECT i.id, i.partition, i."offset", ${RECORD_COLUMNS} FROM $schema.ids i
        LEFT JOIN $schema.records r ON r.partition = i.partition AND r."offset" = i."offset"
        WHERE i.id = ANY ($1)`,
      [textArray(ids)],
    )
    const found = new Map<string, StoredPlace & { record?: LogRecord }>()
    for (const [id, number, offset, ...columns] of rows) {
      const partition = this.#catalog.at(Number(number)) as TablePartition
      const record = columns[0] === null ? undefined : recordOf(partition, columns)
      found.set(id as string, { partition, offset: Number(offset), record })
    }
    return found
  }

  /** Offset plus one of the newest record of a key before `end`; 0 for none. */
  async version(home: TablePartition, tenant: string, key: string): Promise<number> {
    const [row] = await this.#database.query(VERSION, [home.number, key, tenant, home.end])
    return Number(row?.[0])
  }

  /** The ends of some partitions and the versions of keys at them, in one snapshot. */
  async versionsAt(
    wanted: readonly {
      readonly home: TablePartition
      readonly tenant: string
      readonly key: string
    }[],
  ): Promise<{ versions: Map<string, number>; bases: Map<TablePartition, number> }> {
    const homes = [...new Set(wanted.map(({ home }) => home))]
    const versions = new Map<string, number>()
    const bases = new Map<TablePartition, number>()
    // The ends come first: whatever is appended after them makes `append` say that they moved.
    const ends = await this.#database.query(
      'SELECT number, next_offset FROM $schema.partitions WHERE number = ANY ($1)',
      [int4Array(homes.map(home => home.number))],
    )
    for (const [number, end] of ends) {
      bases.set(this.#catalog.at(Number(number)) as TablePartition, Number(end))
    }
    for (const { home, tenant, key } of wanted) {
      const name = versionKey(home, tenant, key)
      if (versions.has(name)) continue
      const end = bases.get(home) as number
      const [row] = await this.#database.query(VERSION, [home.number, key, tenant, end])
      versions.set(name, Number(row?.[0]))
    }
    return { versions, bases }
  }

  async seek(partition: TablePartition, timeMs: number): Promise<number> {
    const least = Math.max(Math.ceil(timeMs), Number.MIN_SAFE_INTEGER)
    const [row] = await this.#database.query('SELECT $schema.seek($1, $2)', [
      partition.number,
      Math.min(least, Number.MAX_SAFE_INTEGER),
    ])
    return Math.min(Number(row?.[0]), partition.end)
  }

  async #fetch(places: readonly HistoryPlace[]): Promise<readonly LogRecord[]> {
    const rows = await this.#database.query(
      `SELECT p.number, ${RECORD_COLUMNS}
        FROM unnest($1::integer[], $2::bigint[]) WITH ORDINALITY p(number, place, at)
        JOIN $schema.records r ON r.partition = p.number AND r."offset" = p.place ORDER BY p.at`,
      [
        int4Array(places.map(({ partition }) => partition.number)),
        int8Array(places.map(({ offset }) => offset)),
      ],
    )
    return rows.map(([number, ...columns]) =>
      recordOf(this.#catalog.at(Number(number)) as TablePartition, columns as Row),
    )
  }
}

function compareByTime(a: HistoryPlace, b: HistoryPlace): number {
  if (a.eventTimeMs !== b.eventTimeMs) return a.eventTimeMs - b.eventTimeMs
  if (a.id !== b.id) return a.id < b.id ? -1 : 1
  return compareByOffset(a, b)
}

function compareByOffset(a: HistoryPlace, b: HistoryPlace): number {
  return a.partition.number - b.partition.number || a.offset - b.offset
}
