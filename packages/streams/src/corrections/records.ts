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

/** Events in their order, of one action each, in batches of a size that logs take. */
export function* batchesOf(
  items: Iterable<CorrectedItem>,
): Generator<readonly CorrectedItem[], void> {
  let batch: CorrectedItem[] = []
  let bytes = 0
  for (const item of items) {
    const { data, emitted } = item.event
    const own = data === undefined && emitted === undefined ? 0 : JSON.stringify(item.event).length
    const isFull = batch.length >= EVENTS_MAX || bytes + own > DATA_BYTES_MAX
    if (batch.length > 0 && (isFull || batch[0]?.action !== item.action)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(item)
    bytes += own
  }
  if (batch.length > 0) yield batch
}

/**
 * The records of batches. `position` is that of the corrections which they follow: the same batches
 * behind the same ones are the same records. That what follows from others begins, or has ended, is
 * said in a record of no events, the first or the last one.
 */
export function* correctionEvents(
  { follows, begins, ...facts }: Omit<CorrectionData, 'action' | 'events'>,
  batches: Iterable<readonly CorrectedItem[]>,
  nowMs: number,
  position: number,
): Generator<NewEvent, void> {
  let index = 0
  const eventOf = (data: CorrectionData): NewEvent => {
    const text = JSON.stringify(data)
    return {
      tenant: DEFAULT_TENANT,
      stream: CORRECTIONS_STREAM,
      type: CORRECTED_TYPE,
      key: facts.changeset ?? 'corrections',
      id: deriveId(nowMs, `correction\n${position}\n${index++}\n${text}`),
      eventTimeMs: nowMs,
      data,
      payload: Buffer.from(text, 'utf8'),
    }
  }
  if (begins !== undefined) yield eventOf({ ...facts, action: 'restore', events: [], begins })
  for (const batch of batches) {
    const { action } = batch[0] as CorrectedItem
    yield eventOf({ ...facts, action, events: batch.map(({ event }) => event) })
  }
  if (follows !== undefined) yield eventOf({ ...facts, action: 'restore', events: [], follows })
}
