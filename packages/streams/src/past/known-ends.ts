/**
 * Up to where the records of a re-keyed partition were known at a moment, for each partition of the
 * stream that they come from: what one partition caused stands in its order, so that for each there is
 * one offset behind which nothing was known.
 *
 * The search begins where the first unknown cause arrived. A round looks at several places at once and
 * asks for all the causes that it saw together, whichever partition they are of: the cost is that of
 * waiting for reads one after the other, and of these there are as many as rounds, some five for ten
 * thousand emissions that came late.
 */
import { partitionOf } from '@millrace/core'
import type { EventLog, LogRecord } from '@millrace/log'
import type { Cause } from '../fold.ts'
import { OUTSIDE } from '../generations.ts'
import { ORIGIN_HEADER } from '../identity/contract.ts'
import type { Slices } from '../slices.ts'

/** The re-keyed partition, and where its records come from. */
export interface Rekeyed {
  readonly log: Pick<EventLog, 'read' | 'seek' | 'find' | 'history'>
  readonly slices: Slices
  readonly stream: string
  readonly partition: number
  /** The end of what is looked at. */
  readonly end: number
  /** The stream that was re-keyed, and how many partitions it has. */
  readonly source: string
  readonly partitions: number
  /** What caused a record; undefined for one that does not count. */
  causeOf(record: LogRecord): Cause | undefined
}

/** Of one partition of the source: what is before `low` was known, from `high` on nothing was. */
interface Span {
  readonly partition: number
  /** Records of the partition from here on were not known. */
  readonly offset: number
  low: number
  high: number
}

/** A record that was met, as far as it is asked for. */
interface Look {
  /** Of the partition that caused it. */
  readonly span: Span
  /** Between this offset and its own there is none of this partition. */
  readonly from: number
  readonly offset: number
  readonly tenant: string
  readonly cause: Cause
}

const READ_RECORDS = 64
const READ_RECORDS_MAX = 1_024
/** Places of one round, the first of which lie further and further apart. */
const PLACES = 8
const FURTHER = 8

/** Of each partition of the source, where the records begin that were not known when it had `offsets`. */
export async function knownEnds(
  rekeyed: Rekeyed,
  offsets: readonly number[],
): Promise<readonly number[]> {
  const spans = await Promise.all(offsets.map((offset, at) => spanOf(rekeyed, at, offset)))
  for (let isFirst = true; ; isFirst = false) {
    const open = spans.filter(({ low, high }) => low < high)
    if (open.length === 0) return spans.map(({ high }) => high)
    const widest = open.reduce((one, other) => (widthOf(other) > widthOf(one) ? other : one))
    const looks =
      widthOf(widest) > READ_RECORDS
        ? placesIn(widest, isFirst).map(from => firstOf(rekeyed, open, widest, from))
        : open.map(span => allOf(rekeyed, span))
    await narrow(rekeyed, open, (await Promise.all(looks)).flat())
  }
}

async function spanOf(
  { log, stream, partition, end, source }: Rekeyed,
  own: number,
  offset: number,
): Promise<Span> {
  const [next] = await log.read({ stream: source, partition: own, from: offset, recordsMax: 1 })
  if (next === undefined) return { partition: own, offset, low: end, high: end }
  // Nothing is emitted before its cause has arrived.
  const low = await log.seek({ stream, partition, timeMs: next.ingestTimeMs })
  return { partition: own, offset, low: Math.min(end, low), high: end }
}

function widthOf({ low, high }: Span): number {
  return high - low
}

/** Where a round looks: near the beginning at first, for most emissions come at once; evenly then. */
function placesIn(span: Span, isFirst: boolean): readonly number[] {
  const { low, high } = span
  const step = Math.ceil(widthOf(span) / (PLACES + 1))
  const jumps = Array.from({ length: PLACES - 1 }, (_, at) =>
    isFirst ? READ_RECORDS * FURTHER ** at : (at + 1) * step,
  )
  return [low, ...jumps.map(jump => low + jump).filter(place => place < high)]
}

/** The first record of each partition from a place on, until that of `wanted` is met. */
async function firstOf(
  { log, slices, stream, partition, partitions, causeOf }: Rekeyed,
  open: readonly Span[],
  wanted: Span,
  from: number,
): Promise<readonly Look[]> {
  const looks = new Map<number, Look>()
  let size = READ_RECORDS
  for (let at = from; at < wanted.high && !looks.has(wanted.partition);) {
    const recordsMax = Math.min(size, wanted.high - at)
    const records = await log.read({ stream, partition, from: at, recordsMax })
    for (const { offset, tenant, cause } of causedIn(records, causeOf)) {
      const own = partitionOf(cause.key, partitions)
      const span = open.find(each => each.partition === own)
      if (span === undefined || looks.has(own)) continue
      looks.set(own, { span, from, offset, tenant, cause })
      if (span === wanted) break
    }
    if (records.length === 0) break
    at += records.length
    size = Math.min(size * 2, READ_RECORDS_MAX)
    await slices.pause()
  }
  if (!looks.has(wanted.partition)) wanted.high = Math.min(wanted.high, from)
  return [...looks.values()]
}

/** All records of a partition that are in question. */
async function allOf(
  { log, stream, partition, partitions, causeOf }: Rekeyed,
  span: Span,
): Promise<readonly Look[]> {
  const { low, high } = span
  const looks: Look[] = []
  let from = low
  for (let at = low; at < high;) {
    const records = await log.read({ stream, partition, from: at, recordsMax: high - at })
    for (const { offset, tenant, cause } of causedIn(records, causeOf)) {
      if (partitionOf(cause.key, partitions) !== span.partition) continue
      looks.push({ span, from, offset, tenant, cause })
      from = offset + 1
    }
    if (records.length === 0) break
    at += records.length
  }
  span.high = from
  return looks
}

function* causedIn(
  records: readonly LogRecord[],
  causeOf: Rekeyed['causeOf'],
): Generator<Pick<Look, 'offset' | 'tenant' | 'cause'>> {
  for (const record of records) {
    const { offset, tenant } = record
    const cause = originOf(record) === undefined ? causeOf(record) : undefined
    if (cause !== undefined) yield { offset, tenant, cause }
  }
}

/** Where the event is that a record stands in for: it came when that was corrected, or a person merged, and so in no order. Undefined for any other. */
export function originOf({
  generation,
  isUnique,
  headers,
}: LogRecord): { readonly partition: number; readonly offset: number } | undefined {
  const text = generation === OUTSIDE || isUnique ? undefined : headers[ORIGIN_HEADER]
  if (text === undefined) return undefined
  const [partition, offset] = text.split('/').map(Number) as [number, number]
  return { partition, offset }
}

/** Takes in what was seen. */
async function narrow(
  rekeyed: Rekeyed,
  open: readonly Span[],
  looks: readonly Look[],
): Promise<void> {
  const found = await rekeyed.log.find([...new Set(looks.map(({ cause }) => cause.id))])
  for (const span of open) {
    const own = looks.filter(look => look.span === span).sort((a, b) => a.offset - b.offset)
    let known = 0
    for (let unknown = own.length; known < unknown;) {
      const middle = (known + unknown) >>> 1
      const look = own[middle] as Look
      const isKnown = await isCausedBefore(rekeyed, look, found.get(look.cause.id))
      if (isKnown) known = middle + 1
      else unknown = middle
    }
    const last = own[known - 1]
    const next = own[known]
    if (last !== undefined) span.low = Math.max(span.low, last.offset + 1)
    if (next !== undefined) span.high = Math.min(span.high, Math.max(span.low, next.from))
  }
}

/** True when what caused a record stands before the offset of its partition. */
async function isCausedBefore(
  { log, slices, source: stream }: Rekeyed,
  { span: { offset }, tenant, cause }: Look,
  found: LogRecord | undefined,
): Promise<boolean> {
  if (found !== undefined) return found.offset < offset
  // Its id is not remembered, as that of every record that a fold emitted.
  for await (const { id } of log.history({ stream, tenant, keys: [cause.key], from: offset })) {
    if (id === cause.id) return false
    await slices.pause()
  }
  return true
}
