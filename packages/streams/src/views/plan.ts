/** What the compiler found out about one view, and what its shards need to know. */
import type { EventDefinition, Validator, ViewDefinition } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import { MERGED } from '../identity/contract.ts'
import type { Packing } from './states.ts'

/** Header of a re-keyed record: the id of the event that it carries. */
export const CAUSE_HEADER = 'cause'
/** Header of a re-keyed record: the watermark of the event's own partition, by which lateness is judged. */
export const WATERMARK_HEADER = 'watermark'

export interface ViewPlan<S = unknown> {
  readonly name: string
  readonly view: ViewDefinition<S>
  /** True when it reads a re-keyed stream. */
  readonly isRekeyed: boolean
  readonly packing: Packing<S>
  /** Events that it may emit, by name, with what checks their data. */
  readonly emits: ReadonlyMap<
    string,
    { readonly event: EventDefinition; readonly validator: Validator }
  >
}

const NO_KEYS: readonly string[] = []

/** The key of a view in a record; none when a re-keyed record is here for other keys. */
export function keysIn(
  plan: { isRekeyed: boolean; view: { key: string } },
  record: LogRecord,
): readonly string[] {
  if (!plan.isRekeyed) return [record.key]
  const key = (record.data as Readonly<Record<string, unknown>>)[plan.view.key]
  if (typeof key !== 'string') return NO_KEYS
  return record.key === key || record.keys.includes(key) ? [key] : NO_KEYS
}

/** The one key of a view in a record, or undefined. */
export function keyIn(
  plan: { isRekeyed: boolean; view: { key: string } },
  record: LogRecord,
): string | undefined {
  if (!plan.isRekeyed) return record.key
  return keysIn(plan, record)[0]
}

/** Watermark by which an event's lateness is judged: that of the partition where it was appended first. */
export function lateWatermark(isRekeyed: boolean, record: LogRecord): number {
  if (!isRekeyed && record.generation !== MERGED) return record.watermarkMs
  const carried = record.headers[WATERMARK_HEADER]
  return carried === undefined ? Number.NEGATIVE_INFINITY : Number(carried)
}
