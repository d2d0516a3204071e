/**
 * What people decided about records that a fold cannot fold: to skip one, or to fold other data in
 * its place. The record itself stays as it is.
 *
 * Promise: a decision is a record of the log, committed before it has an effect, so a restart and a
 * rebuild of the fold follow it too. It belongs to one fold and to one event, whatever offset a later
 * generation of a re-keyed stream gives to that event.
 */
import { DEFAULT_TENANT, type EventLog, type LogRecord, type NewEvent } from '@millrace/log'
import { SharedRecord } from './shared-record.ts'
import { CAUSE_HEADER } from './views/plan.ts'

/** The stream of the decisions: one record each, keyed by the fold. */
export const AMENDMENTS_STREAM = 'streams.amendments'
/** The type of such a record; its data has the type of the event that it is about. */
export const AMENDED_TYPE = 'amended'

/** A decision on one event, for one fold. A later one on the same event takes its place. */
export type Amendment =
  | { readonly kind: 'skip'; readonly reason: string }
  /** `data` is folded in place of the event's own. */
  | { readonly kind: 'fix'; readonly reason: string; readonly data: unknown }

/** Decisions of one fold by the id of the event. */
export type FoldAmendments = Map<string, Amendment>

/** The id by which a record's event is known: that of the event that came from outside, for a re-keyed one. */
export function eventIdOf(record: LogRecord): string {
  return record.headers[CAUSE_HEADER] ?? record.id
}

/** All decisions of the log, by fold. */
export async function readAmendments(log: EventLog): Promise<ReadonlyMap<string, FoldAmendments>> {
  await log.declare([{ name: AMENDMENTS_STREAM, partitions: 1 }])
  const byFold = new Map<string, FoldAmendments>()
  for (let from = 0; ;) {
    const records = await log.read({ stream: AMENDMENTS_STREAM, partition: 0, from })
    if (records.length === 0) return byFold
    for (const { key, data } of records) {
      const { event, type: _, ...amendment } = data as Amendment & { event: string; type: string }
      const known = byFold.get(key) ?? new Map<string, Amendment>()
      known.set(event, amendment)
      byFold.set(key, known)
    }
    from += records.length
  }
}

/** The record of a decision, to be committed before the decision has its effect. */
export function amendmentEvent(
  fold: string,
  event: { readonly id: string; readonly type: string },
  amendment: Amendment,
  place: { readonly id: string; readonly nowMs: number },
): NewEvent {
  return {
    tenant: DEFAULT_TENANT,
    stream: AMENDMENTS_STREAM,
    type: AMENDED_TYPE,
    key: fold,
    id: place.id,
    eventTimeMs: place.nowMs,
    data: { event: event.id, type: event.type, ...amendment },
  }
}

/** The record with other data. */
export function withData(record: LogRecord, data: unknown): LogRecord {
  return new SharedRecord({
    tenant: record.tenant,
    stream: record.stream,
    partition: record.partition,
    offset: record.offset,
    type: record.type,
    key: record.key,
    keys: record.keys,
    id: record.id,
    eventTimeMs: record.eventTimeMs,
    ingestTimeMs: record.ingestTimeMs,
    watermarkMs: record.watermarkMs,
    definition: record.definition,
    generation: record.generation,
    isHistory: record.isHistory,
    headers: record.headers,
    sealed: record.sealed,
    payload: Buffer.from(JSON.stringify(data), 'utf8'),
    data,
  })
}
