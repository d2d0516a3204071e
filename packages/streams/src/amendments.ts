/**
 * What people decided about records that a fold cannot fold: to skip one, or to fold other data in
 * its place. The record itself stays as it is.
 *
 * Promise: a decision is a record of the log, committed before it has an effect, so a restart and a
 * rebuild of the fold follow it too. It belongs to one fold and to one event, whatever offset a later
 * generation of a re-keyed stream gives to that event.
 */
import {
  DEFAULT_TENANT,
  StreamFollower,
  type EventLog,
  type LogRecord,
  type NewEvent,
} from '@millrace/log'
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

/** All decisions of the log, by fold; grows with those of other processes. */
export class Amendments {
  readonly #follower: StreamFollower
  readonly #byFold = new Map<string, FoldAmendments>()

  private constructor(log: Pick<EventLog, 'read' | 'ends'>) {
    this.#follower = new StreamFollower(log, AMENDMENTS_STREAM)
  }

  /** Reads the decisions that the log holds. */
  static async open(log: EventLog): Promise<Amendments> {
    await log.declare([{ name: AMENDMENTS_STREAM, partitions: 1 }])
    return await Amendments.read(log)
  }

  /** The same for a log that has their stream. */
  static async read(log: Pick<EventLog, 'read' | 'ends'>): Promise<Amendments> {
    const amendments = new Amendments(log)
    await amendments.follow()
    return amendments
  }

  /** The decisions of one fold: always the same map. */
  of(fold: string): FoldAmendments {
    let decided = this.#byFold.get(fold)
    if (decided === undefined) this.#byFold.set(fold, (decided = new Map()))
    return decided
  }

  /** True when the log holds decisions that were not read. */
  hasNews(): boolean {
    return this.#follower.hasNews
  }

  /** Reads the decisions that came since; gives the folds that they are about. */
  async follow(): Promise<ReadonlySet<string>> {
    const folds = new Set<string>()
    await this.#follower.follow(({ key, data }) => {
      const { event, type: _, ...amendment } = data as Amendment & { event: string; type: string }
      this.of(key).set(event, amendment)
      folds.add(key)
    })
    return folds
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

/** The record with other data, which `payload` is the text of. */
export function withData(
  record: LogRecord,
  data: unknown,
  payload: Uint8Array = Buffer.from(JSON.stringify(data), 'utf8'),
): LogRecord {
  return {
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
    isUnique: record.isUnique,
    headers: record.headers,
    sealed: record.sealed,
    ...(record.isErased === true ? { isErased: true } : {}),
    payload,
    data,
    memo: undefined,
  }
}
