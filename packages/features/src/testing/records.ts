/** Records as folds are handed them, for tests. */
import type { LogRecord } from '@millrace/log'

const encoder = new TextEncoder()

/** A record of the stream of people that was taken when it happened, but for what `other` says. */
export function recordOf(
  other: Pick<LogRecord, 'type' | 'key' | 'offset' | 'eventTimeMs' | 'data'> & Partial<LogRecord>,
): LogRecord {
  return {
    tenant: 'default',
    stream: 'person',
    partition: 0,
    keys: [other.key],
    id: `e${other.offset}`,
    ingestTimeMs: other.eventTimeMs,
    watermarkMs: other.eventTimeMs,
    definition: 'test',
    generation: 0,
    isHistory: false,
    isUnique: false,
    headers: {},
    sealed: undefined,
    payload: encoder.encode(JSON.stringify(other.data)),
    memo: undefined,
    ...other,
  }
}
