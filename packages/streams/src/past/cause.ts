/**
 * Which event made a fold emit a record. The id of an emission is a hash of the id of its cause, and
 * a fold emits soon after its source took the cause: events of the same time that arrived shortly
 * before are tried. What a retry, or a correction, emitted has another id and is not found.
 */
import { timeOfId } from '@millrace/core'
import type { EventLog, LogRecord } from '@millrace/log'
import { EmissionIds } from '../emission-id.ts'

/** Emissions that one event may have caused under the same key. */
const ORDINALS_MAX = 4
/** Events of a partition that are looked at, from the newest that can be the cause on. */
const LOOKED_AT_MAX = 16_384
const FIRST_LOOK = 64

/** The id of what a fold of a generation emitted because of an event; `ordinal` counts what it emitted because of that event. */
export function emissionIdOf(
  emitter: { readonly fold: string; readonly generation: number },
  cause: Pick<LogRecord, 'id' | 'eventTimeMs'>,
  { key, ordinal = 0 }: { readonly key: string; readonly ordinal?: number },
): string {
  const ids = new EmissionIds(emitter.fold, emitter.generation)
  return ids.idOf(cause.eventTimeMs, cause.id, { key, ordinal, salt: '' })
}

/** Where the cause is looked for. */
export interface CauseSearch {
  /** The fold that emitted it. */
  readonly fold: string
  readonly source: string
  readonly partitions: number
}

/** The event that made a fold emit `record`; undefined where it is not found. */
export async function findCause(
  log: Pick<EventLog, 'read' | 'seek'>,
  record: LogRecord,
  { fold, source: stream, partitions }: CauseSearch,
): Promise<LogRecord | undefined> {
  const ids = new EmissionIds(fold, record.generation)
  const timeMs = timeOfId(record.id)
  if (timeMs === undefined) return undefined
  const isCause = ({ eventTimeMs, id }: LogRecord): boolean => {
    if (Math.floor(eventTimeMs) !== timeMs) return false
    for (let ordinal = 0; ordinal < ORDINALS_MAX; ordinal++) {
      if (ids.idOf(eventTimeMs, id, { key: record.key, ordinal, salt: '' }) === record.id)
        return true
    }
    return false
  }
  const ends = await Promise.all(
    Array.from({ length: partitions }, (_, partition) =>
      log.seek({ stream, partition, timeMs: record.ingestTimeMs + 1 }),
    ),
  )
  for (let span = FIRST_LOOK, done = 0; done < LOOKED_AT_MAX; done += span, span *= 2) {
    for (const [partition, end] of ends.entries()) {
      const to = end - done
      const from = Math.max(0, to - span)
      if (to <= from) continue
      const records = await log.read({ stream, partition, from, recordsMax: to - from })
      const found = records.find(isCause)
      if (found !== undefined) return found
    }
    if (ends.every(end => end <= done + span)) return undefined
  }
  return undefined
}
