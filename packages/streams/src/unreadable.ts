/** Events that the definition does not understand any more: an upcaster throws at them. */
import { isError, type MillraceError } from '@millrace/core'
import type { LogRecord } from '@millrace/log'

/** Why an event cannot be read as of today (UPCAST_FAILED); undefined for nearly all. */
export function unreadable(record: Pick<LogRecord, 'data'>): MillraceError | undefined {
  try {
    void record.data
    return undefined
  } catch (error) {
    if (isError(error, 'UPCAST_FAILED')) return error
    throw error
  }
}
