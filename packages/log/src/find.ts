/** Looking for records by their ids, one or many at once. */
import type { FindRecords, LogRecord } from './log.ts'

/** `find` of a log that looks for many at once. */
export function findBy(
  many: (ids: readonly string[]) => Promise<ReadonlyMap<string, LogRecord>>,
): FindRecords {
  function find(id: string): Promise<LogRecord | undefined>
  function find(ids: readonly string[]): Promise<ReadonlyMap<string, LogRecord>>
  async function find(
    wanted: string | readonly string[],
  ): Promise<LogRecord | undefined | ReadonlyMap<string, LogRecord>> {
    return typeof wanted === 'string' ? (await many([wanted])).get(wanted) : await many(wanted)
  }
  return find
}

/** `find` of a log whose records are those of another, seen otherwise; `see` takes what one look gave. */
export function findThrough(
  log: { readonly find: FindRecords },
  see: (records: readonly LogRecord[]) => Promise<readonly LogRecord[]>,
): FindRecords {
  return findBy(async ids => {
    const seen = await see([...(await log.find(ids)).values()])
    return new Map(seen.map(record => [record.id, record]))
  })
}
