/** Records that folds emit, many in one row of `blocks`; `blocks-schema.ts` says how they lie there. */
import type { Declared } from '../admission.ts'
import { DEFAULT_TENANT } from '../log.ts'
import type { LogRecord } from '../log.ts'
import type { TablePartition } from './catalog.ts'
import type { Row } from './database.ts'
import type { DraftRow } from './draft.ts'
import { BLOCK_LENGTH_MAX, BLOCK_RECORDS_MAX } from './layout.ts'
import { TableRecord } from './record.ts'

/** The columns of some lines of a block `b`, and of the offset of the first, in the places of `RECORD_COLUMNS`. */
export function blockColumns(offset: string, lines: string): string {
  return `${offset}, NULL::bigint, b.ingest_ms, b.watermark_ms, NULL::bigint, NULL::integer,
  NULL, NULL, NULL, NULL, NULL, ${lines}, NULL`
}

/** True for a row of them, which has no flags. */
export function isOfBlock(row: Row): boolean {
  return row[5] === null
}

const LINE_FEED = 10

type Head = [number, number, number, number, number, string, string, string, string, string] // prettier-ignore

/**
 * Whether an emission can go into a block: a line has no line feed in it, and what may be removed for
 * its age is removed by rows.
 */
export function fitsBlock(text: string | Uint8Array, { transient }: Declared): boolean {
  if (transient !== undefined) return false
  return !(typeof text === 'string' ? text.includes('\n') : text.includes(LINE_FEED))
}

/** A block that is being filled. */
export class BlockDraft {
  readonly #lines: string[] = []
  #length = 0
  /** The latest time of arrival. */
  ingestMs = Number.NEGATIVE_INFINITY

  get count(): number {
    return this.#lines.length
  }

  get isFull(): boolean {
    return this.count >= BLOCK_RECORDS_MAX || this.#length >= BLOCK_LENGTH_MAX
  }

  get text(): string {
    return this.#lines.join('\n')
  }

  add({ event, text, ingestMs, watermarkMs, flags, extras }: DraftRow): void {
    const { eventTimeMs, generation = 0, tenant = DEFAULT_TENANT, definition = '' } = event
    const numbers = `${eventTimeMs},${ingestMs},${watermarkMs},${generation},${flags}`
    const names = JSON.stringify([tenant, event.type, event.key, event.id, definition]).slice(1, -1)
    const payload = typeof text === 'string' ? text : Buffer.from(text).toString('utf8')
    const line = `[${numbers},${names}]\t${extras ?? ''}\t${payload}`
    this.#lines.push(line)
    this.#length += line.length
    this.ingestMs = Math.max(this.ingestMs, ingestMs)
  }
}

/** Adds the records of a row of `blockColumns` from `from` to before `to` to `found`. */
export function readBlock(
  place: TablePartition,
  row: Row,
  { from, to, found }: { readonly from: number; readonly to: number; readonly found: LogRecord[] },
): void {
  const first = Number(row[0])
  const [, , ingest = null, watermark = null] = row
  const leastIngestMs = ingest === null ? Number.NEGATIVE_INFINITY : Number(ingest)
  const leastWatermarkMs = watermark === null ? Number.NEGATIVE_INFINITY : Number(watermark)
  for (const [index, line] of (row[11] as string).split('\n').entries()) {
    const offset = first + index
    if (offset < from) continue
    if (offset >= to) return
    const tab = line.indexOf('\t')
    const last = line.indexOf('\t', tab + 1)
    const [eventTimeMs, ingestMs, watermarkMs, generation, flags, tenant, type, key, id, definition] = JSON.parse(line.slice(0, tab)) as Head // prettier-ignore
    found.push(
      new TableRecord(place, {
        offset,
        eventTimeMs,
        ingestTimeMs: Math.max(ingestMs, leastIngestMs),
        watermarkMs: Math.max(watermarkMs, leastWatermarkMs),
        generation,
        flags,
        tenant,
        type,
        key,
        id,
        definition,
        text: line.slice(last + 1),
        extras: last === tab + 1 ? null : line.slice(tab + 1, last),
      }),
    )
  }
}
