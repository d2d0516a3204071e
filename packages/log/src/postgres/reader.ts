/**
 * Reading records. Everything is bounded by the ends that this process knows, so that a reader never
 * sees a part of a unit of which it has not heard as a whole.
 */
import { DEFAULT_TENANT } from '../log.ts'
import type { HistoryRequest, LogRecord } from '../log.ts'
import { int4Array, int8Array, textArray } from './arrays.ts'
import { blockColumns, isOfBlock, readBlock } from './blocks.ts'
import type { Catalog, TablePartition } from './catalog.ts'
import type { Database } from './database.ts'
import { versionKey, type StoredPlace } from './draft.ts'
import { FLAG } from './layout.ts'
import { RECORD_COLUMNS, recordOf } from './record.ts'
import type { Recent } from './recent.ts'

/** Records of a history that are fetched at a time. */
const HISTORY_PAGE = 1_000

/** Where a record of a history is, and by what it is sorted. */
interface HistoryPlace {
  readonly partition: TablePartition
  readonly offset: number
  /** What it is sorted by, of one that was read for that. */
  sortedBy?: Pick<LogRecord, 'eventTimeMs' | 'id'>
}

/** $1 is the partition, $2 and $3 the range; the first block may begin before it. */
const RANGE = `
SELECT ${RECORD_COLUMNS} FROM $schema.record_rows r
  WHERE r.partition = $1 AND r."offset" >= $2 AND r."offset" < $3
UNION ALL
SELECT ${blockColumns('b.first_offset', 'b.lines')} FROM $schema.blocks b
  WHERE b.partition = $1 AND b.first_offset < $3 AND b.first_offset >= coalesce((
    SELECT max(n.first_offset) FROM $schema.blocks n WHERE n.partition = $1 AND n.first_offset <= $2), 0)
ORDER BY 1`

/**
 * Places of the records with some keys; $2 are the keys, $3 the tenant, $4 and $5 the range. Those that
 * are found by `key_places` are of any tenant, and without what they would be sorted by.
 */
const PLACES = `
SELECT "offset", event_ms, id FROM $schema.record_rows
  WHERE partition = $1 AND key = ANY ($2) AND tenant = $3 AND "offset" >= $4 AND "offset" < $5
    AND flags & ${FLAG.keysApart} = 0
UNION
SELECT k.first_offset + distance, NULL, NULL FROM $schema.key_places k
  CROSS JOIN unnest(0 || k.more) distance
  WHERE k.partition = $1 AND k.key = ANY ($2) AND k.first_offset < $5
    AND k.first_offset + distance >= $4 AND k.first_offset + distance < $5
ORDER BY 1`

/** The records at some places, in any order; each block is taken apart once. */
const AT_PLACES = `
WITH p AS (SELECT * FROM unnest($1::integer[], $2::bigint[]) p(number, place))
SELECT p.number, ${RECORD_COLUMNS} FROM p
  JOIN $schema.record_rows r ON r.partition = p.number AND r."offset" = p.place
UNION ALL
SELECT w.number, ${blockColumns('w.first_offset + l.at - 1', 'l.line')} FROM (
    SELECT p.number, n.first_offset, array_agg(p.place - n.first_offset + 1) AS ats
    FROM p CROSS JOIN LATERAL (SELECT * FROM $schema.blocks f WHERE f.partition = p.number
      AND f.first_offset <= p.place ORDER BY f.first_offset DESC LIMIT 1) n
    WHERE p.place < n.first_offset + n.count GROUP BY 1, 2) w
  JOIN $schema.blocks b ON b.partition = w.number AND b.first_offset = w.first_offset
  CROSS JOIN LATERAL unnest(string_to_array(b.lines, E'\\n')) WITH ORDINALITY l(line, at)
  WHERE l.at = ANY (w.ats)`

/** Rows of one key do not overlap: the newest row with a record before the end has the newest record. */
const VERSION = `
SELECT greatest(
  (SELECT "offset" + 1 FROM $schema.record_rows WHERE partition = $1 AND key = $2 AND tenant = $3
    AND "offset" < $4 AND flags & ${FLAG.keysApart} = 0 ORDER BY "offset" DESC LIMIT 1),
  (SELECT r."offset" + 1 FROM $schema.key_places k
    CROSS JOIN LATERAL (SELECT max(r."offset") AS "offset" FROM unnest(0 || k.more) distance
      CROSS JOIN LATERAL $schema.record_at($1, k.first_offset + distance) r
      WHERE k.first_offset + distance < $4 AND r.tenant = $3) r
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
    const rows = await this.#database.query(RANGE, [partition.number, from, to])
    const found: LogRecord[] = []
    for (const row of rows) {
      if (isOfBlock(row)) readBlock(partition, row, { from, to, found })
      else found.push(recordOf(partition, row))
    }
    return found
  }

  /** The records at some offsets of a partition; those that were removed are missing. */
  async readAt(partition: TablePartition, offsets: readonly number[]): Promise<LogRecord[]> {
    const places = offsets.map(offset => ({ partition, offset }))
    const found = await this.#at(places)
    return places.flatMap(place => found.get(nameOf(place)) ?? [])
  }

  async *history(request: HistoryRequest): AsyncIterable<LogRecord> {
    const { stream, tenant = DEFAULT_TENANT, from = 0, to = Infinity, isByOffset = false } = request
    const byHome = new Map<TablePartition, Set<string>>()
    for (const key of request.keys) {
      const home = this.#catalog.home(stream, key)
      const keys = byHome.get(home) ?? new Set()
      byHome.set(home, keys.add(key))
    }
    // One key is in the order of its places, whatever the times are.
    const isByTime = request.keys.length > 1 && !isByOffset
    const places: HistoryPlace[] = []
    for (const [partition, keys] of byHome) {
      const rows = await this.#database.query(PLACES, [
        partition.number,
        textArray([...keys]),
        tenant,
        Math.max(from, partition.start),
        Math.min(to, partition.end),
      ])
      for (const [offset, eventMs, id] of rows) {
        const sortedBy =
          typeof id === 'string' ? { sortedBy: { eventTimeMs: Number(eventMs), id } } : {}
        places.push({ partition, offset: Number(offset), ...sortedBy })
      }
    }
    if (isByTime) {
      const unread = places.filter(({ sortedBy }) => sortedBy === undefined)
      for await (const [place, { eventTimeMs, id }] of this.#pages(unread, tenant))
        place.sortedBy = { eventTimeMs, id }
    }
    // As JavaScript compares text, like every other log. What was not read is not of this tenant.
    const wanted = isByTime ? places.filter(({ sortedBy }) => sortedBy !== undefined) : places
    if (request.keys.length > 1) wanted.sort(isByTime ? compareByTime : compareByOffset)
    for await (const [, record] of this.#pages(wanted, tenant)) yield record
  }

  /** The places and contents of ids that the log has. */
  async lookUp(ids: readonly string[]): Promise<Map<string, StoredPlace & { record?: LogRecord }>> {
    const rows = await this.#database.query(
      `SELECT i.id, i.partition, i."offset", ${RECORD_COLUMNS} FROM $schema.ids i
        LEFT JOIN $schema.record_rows r ON r.partition = i.partition AND r."offset" = i."offset"
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

  /** The records of a tenant at some places, with these, in their order. */
  async *#pages(
    places: readonly HistoryPlace[],
    tenant: string,
  ): AsyncIterable<readonly [HistoryPlace, LogRecord]> {
    for (let start = 0; start < places.length; start += HISTORY_PAGE) {
      const page = places.slice(start, start + HISTORY_PAGE)
      const found = await this.#at(page)
      for (const place of page) {
        const record = found.get(nameOf(place))
        if (record?.tenant === tenant) yield [place, record]
      }
    }
  }

  /** The records at some places, by their names. */
  async #at(places: readonly HistoryPlace[]): Promise<ReadonlyMap<string, LogRecord>> {
    const rows = await this.#database.query(AT_PLACES, [
      int4Array(places.map(({ partition }) => partition.number)),
      int8Array(places.map(({ offset }) => offset)),
    ])
    const found = new Map<string, LogRecord>()
    for (const [number, ...row] of rows) {
      const partition = this.#catalog.at(Number(number)) as TablePartition
      const read: LogRecord[] = []
      if (isOfBlock(row)) readBlock(partition, row, { from: 0, to: Infinity, found: read })
      else read.push(recordOf(partition, row))
      for (const record of read) found.set(nameOf({ partition, offset: record.offset }), record)
    }
    return found
  }
}

function nameOf({ partition, offset }: HistoryPlace): string {
  return `${partition.number}/${offset}`
}

function compareByTime(a: HistoryPlace, b: HistoryPlace): number {
  const [one, other] = [a.sortedBy, b.sortedBy] as [LogRecord, LogRecord]
  if (one.eventTimeMs !== other.eventTimeMs) return one.eventTimeMs - other.eventTimeMs
  if (one.id !== other.id) return one.id < other.id ? -1 : 1
  return compareByOffset(a, b)
}

function compareByOffset(a: HistoryPlace, b: HistoryPlace): number {
  return a.partition.number - b.partition.number || a.offset - b.offset
}
