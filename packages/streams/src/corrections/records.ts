/** Corrections as records of the log. */
import { deriveId } from '@millrace/core'
import { DEFAULT_TENANT, type NewEvent } from '@millrace/log'
import {
  CORRECTED_TYPE,
  CORRECTIONS_STREAM,
  type CorrectedEvent,
  type CorrectionAction,
  type CorrectionData,
} from './contract.ts'

/** What is to become of one event. */
export interface CorrectedItem {
  readonly action: CorrectionAction
  readonly event: CorrectedEvent
}

/** Events of one record of corrections, and the data that they may carry together. */
const EVENTS_MAX = 500
const DATA_BYTES_MAX = 128 * 1024

/** Events in their order, of one action each, in records of a size that logs take. */
export function batchesOf(items: readonly CorrectedItem[]): readonly (readonly CorrectedItem[])[] {
  const batches: CorrectedItem[][] = []
  let bytes = 0
  for (const item of items) {
    const { data, emitted } = item.event
    const own = data === undefined && emitted === undefined ? 0 : JSON.stringify(item.event).length
    const last = batches.at(-1)
    const isFull = last === undefined || last.length >= EVENTS_MAX || bytes + own > DATA_BYTES_MAX
    if (isFull || last[0]?.action !== item.action) {
      batches.push([item])
      bytes = own
    } else {
      last.push(item)
      bytes += own
    }
  }
  return batches
}

/**
 * The records of batches. `position` is that of the corrections which they follow: the same batches
 * behind the same ones are the same records. What follows from others is said in the last one, of no
 * events where there are none.
 */
export function correctionEvents(
  { follows, ...facts }: Omit<CorrectionData, 'action' | 'events'>,
  batches: readonly (readonly CorrectedItem[])[],
  nowMs: number,
  position: number,
): readonly NewEvent[] {
  const parts = batches.map((batch): CorrectionData => {
    const { action } = batch[0] as CorrectedItem
    return { ...facts, action, events: batch.map(({ event }) => event) }
  })
  if (follows !== undefined) parts.push({ ...facts, action: 'restore', events: [], follows })
  return parts.map((data, index): NewEvent => {
    const text = `correction\n${position}\n${index}\n${JSON.stringify(data)}`
    return {
      tenant: DEFAULT_TENANT,
      stream: CORRECTIONS_STREAM,
      type: CORRECTED_TYPE,
      key: facts.changeset ?? 'corrections',
      id: deriveId(nowMs, text),
      eventTimeMs: nowMs,
      data,
    }
  })
}
