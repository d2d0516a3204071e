/** Records that are in no log. */
import { DEFAULT_TENANT, type LogRecord, type NewEvent } from '@millrace/log'
import { recordOf } from '../corrections/originals.ts'

/** Their offsets are from here on; each fold gives them its own. */
export const ADDED_FROM = 2 ** 52

/** The record of an event that nobody appended; `watermarkMs` tells whoever re-keys it how late it is. */
export function addedRecord(
  event: NewEvent,
  { arrivedMs, watermarkMs }: { readonly arrivedMs: number; readonly watermarkMs: number },
): LogRecord {
  return recordOf(event, {
    tenant: event.tenant ?? DEFAULT_TENANT,
    offset: ADDED_FROM,
    ingestTimeMs: arrivedMs,
    watermarkMs,
    definition: event.definition ?? '',
  })
}
