/** A commit on its way through admission. */
import { isError } from '@millrace/core'
import { checkEvent, jsonOf } from '../admission.ts'
import type { Place } from '../duplicates.ts'
import { logErrors } from '../errors.ts'
import type { AppendResult, CommitRequest, CommitResult, LogRecord, NewEvent } from '../log.ts'
import type { FileLogLimits } from './options.ts'
import type { Partition } from './partition.ts'
import type { LogState } from './state.ts'

/** What a record takes beside its key, id and payload, about. */
export const RECORD_OVERHEAD_BYTES = 96

/** What reading files said about one event. */
export interface Answer {
  /** The place of its id and the record there; the record is undefined when retention removed it. */
  readonly place?: Place
  readonly record?: LogRecord
  readonly version?: number
  readonly error?: unknown
}

/** A commit on its way. */
export interface Work {
  readonly request: CommitRequest
  /** JSON text of the events that came without a payload, by place in `all`. */
  readonly texts: readonly (string | undefined)[]
  /** The events, then what the step emits. */
  readonly all: readonly NewEvent[]
  readonly bytes: number
  readonly results: AppendResult[]
  readonly touched: Partition[]
  readonly appendedTo: Partition[]
  readonly emitted: Map<string, number>
  readonly resolve: (result: CommitResult) => void
  readonly reject: (error: unknown) => void
  number: number
  index: number
  records: number
  readonly ingestTimeMs: number
  answers: Map<number, Answer> | undefined
}

/** Refuses what cannot be stored, before anything of the commit has a place; returns its size. Fills `texts`. */
export function checkCommit(
  { streams, names }: LogState,
  limits: FileLogLimits,
  commit: { request: CommitRequest; all: readonly NewEvent[]; texts: (string | undefined)[] },
): number {
  const { request, all, texts } = commit
  const { step } = request
  const given = request.events?.length ?? 0
  let bytes = RECORD_OVERHEAD_BYTES
  for (let place = 0; place < all.length; place++) {
    const event = all[place] as NewEvent
    const index = place < given ? place : place - given
    checkEvent(event, index, streams.get(event.stream).partitions.length)
    names.type.check(event.type, index)
    if (event.definition !== undefined) names.definition.check(event.definition, index)
    let payloadBytes = event.payload?.length
    if (payloadBytes === undefined) {
      const text = jsonOf(event.data, index)
      texts[place] = text
      payloadBytes = text.length
    }
    if (event.sealed !== undefined) payloadBytes += event.sealed.bytes.length
    bytes += RECORD_OVERHEAD_BYTES + event.key.length + event.id.length + payloadBytes
    if (place >= given && event.expectedVersion !== undefined) {
      const reason = 'a step cannot emit with an expected version'
      throw logErrors.create('LOG_EVENT_INVALID', { index, reason })
    }
  }
  if (bytes > limits.unitBytesMax) {
    const reason = `the commit has ${bytes} bytes, the limit is ${limits.unitBytesMax}`
    throw logErrors.create('LOG_EVENT_INVALID', { index: 0, reason })
  }
  if (step !== undefined) streams.partition(step.source.stream, step.source.partition)
  return bytes
}

/** What is stored under the id, or the version, cannot be read: the event is refused, others are not. */
export function unreadable(error: unknown): AppendResult {
  const code = isError(error) ? error.code : 'LOG_DAMAGED'
  const reason = error instanceof Error ? error.message : String(error)
  return { status: 'conflict', code, reason }
}
