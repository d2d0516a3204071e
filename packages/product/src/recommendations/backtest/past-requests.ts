/**
 * Requests of a span in the order in which they were answered, from their exposures. Within a
 * partition that is the order of the log; partitions are merged by the state that answered, which
 * only grows in the process that answers.
 */
import type { EventLog, LogRecord } from '@millrace/log'
import { EXPOSURES, type Exposure } from '../events.ts'

const BATCH_RECORDS = 1_000
/** Exposures of several processes, or of a clock that was set back, are so much out of order at most. */
const OUT_OF_ORDER_MS = 60_000

/** A request with what was served. */
export interface PastRequest {
  readonly exposure: Exposure
  readonly atMs: number
}

/** A span of answers of one surface, or one answer. */
export interface PastSpan {
  readonly surface?: string | undefined
  readonly answerId?: string | undefined
  /** Answered at or after... */
  readonly fromMs: number
  /** ...and before. */
  readonly toMs: number
}

interface Source {
  readonly partition: number
  from: number
  batch: readonly LogRecord[]
  at: number
}

type ReadLog = Pick<EventLog, 'read' | 'stats'>

/** Partitions of a stream; none when the log does not have it. */
export function partitionsOf(
  log: Pick<EventLog, 'stats'>,
  stream: string,
): readonly { readonly start: number; readonly end: number }[] {
  return log.stats().streams.find(stats => stats.stream === stream)?.partitions ?? []
}

/** The first offset of a partition whose record was taken at or after `timeMs`, by halving. */
export async function offsetAt(
  log: ReadLog,
  place: { readonly stream: string; readonly partition: number },
  timeMs: number,
): Promise<number> {
  let { start, end } = partitionsOf(log, place.stream)[place.partition] ?? { start: 0, end: 0 }
  while (start < end) {
    const middle = Math.floor((start + end) / 2)
    const [record] = await log.read({ ...place, from: middle, recordsMax: 1 })
    if (record !== undefined && record.ingestTimeMs < timeMs) start = middle + 1
    else end = middle
  }
  return start
}

/** See the head of the file. */
export async function* pastRequests(log: ReadLog, span: PastSpan): AsyncGenerator<PastRequest> {
  const sources: Source[] = []
  for (const partition of partitionsOf(log, EXPOSURES).keys()) {
    const from = await offsetAt(
      log,
      { stream: EXPOSURES, partition },
      span.fromMs - OUT_OF_ORDER_MS,
    )
    const source = { partition, from, batch: [], at: 0 }
    if (await forward(log, source, span)) sources.push(source)
  }
  for (;;) {
    let next: Source | undefined
    for (const source of sources) {
      if (source.at < 0) continue
      if (next === undefined || isBefore(headOf(source), headOf(next))) next = source
    }
    if (next === undefined) return
    const record = headOf(next)
    yield { exposure: record.data as Exposure, atMs: record.eventTimeMs }
    next.at += 1
    if (!(await forward(log, next, span))) next.at = -1
  }
}

const headOf = ({ batch, at }: Source): LogRecord => batch[at] as LogRecord

/** Goes on to the next exposure of the span; false at the end of it. */
async function forward(log: ReadLog, source: Source, span: PastSpan): Promise<boolean> {
  for (;;) {
    for (; source.at < source.batch.length; source.at++) {
      const record = headOf(source)
      if (record.eventTimeMs > span.toMs + OUT_OF_ORDER_MS) return false
      if (isWanted(record, span)) return true
    }
    const { partition, from } = source
    source.batch = await log.read({ stream: EXPOSURES, partition, from, recordsMax: BATCH_RECORDS })
    source.at = 0
    source.from += source.batch.length
    // Decoded while nothing else was read.
    for (const record of source.batch) void record.data
    if (source.batch.length === 0) return false
  }
}

function isWanted(record: LogRecord, { surface, answerId, fromMs, toMs }: PastSpan): boolean {
  if (record.eventTimeMs < fromMs || record.eventTimeMs >= toMs) return false
  // What they were answered by is gone.
  if (record.isErased === true) return false
  if (answerId !== undefined && record.id !== answerId) return false
  return surface === undefined || (record.data as Exposure).s === surface
}

function isBefore(one: LogRecord, other: LogRecord): boolean {
  const a = growthOf(one.data as Exposure)
  const b = growthOf(other.data as Exposure)
  for (let at = 0; at < a.length; at++) {
    if (a[at] !== b[at]) return (a[at] as number) < (b[at] as number)
  }
  return one.id < other.id
}

/** Sums that never shrink from one answer of a process to the next. */
function growthOf({ x: state, k = [0, 0] }: Exposure): readonly number[] {
  if (state === undefined) return [0, 0, 0, 0]
  const [, signals, listSignals, items, listItems = items] = state
  const sums = [signals, items, listSignals, listItems].map(offsets => offsets.reduce((a, b) => a + b, 0)) // prettier-ignore
  return [...sums, ...k]
}
