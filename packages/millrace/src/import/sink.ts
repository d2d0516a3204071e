/** Where imported events go: a log that this process owns, or a running server. */
import { isError, type App, type Clock } from '@millrace/core'
import { QUARANTINE_HEADER } from '@millrace/product'
import type { AppendResult, EventLog, NewEvent } from '@millrace/log'

/** An event to import. */
export interface ImportEvent {
  readonly type: string
  readonly stream: string
  readonly key: string
  readonly id: string
  readonly eventTimeMs: number
  /** JSON text of the data, UTF-8. */
  readonly payload: Uint8Array
  /** The check that holds it. A server finds that out by itself. */
  readonly heldBy?: string | undefined
}

/** What became of an event. */
export type SinkResult =
  | { readonly status: 'appended' | 'duplicate' }
  | { readonly status: 'refused'; readonly reason: string }

/** Takes imported events. */
export interface ImportSink {
  /** Resolves when all of them are durable, one result per event. Calls follow one another: each waits for the one before, so that the order is that of the calls. */
  append(events: readonly ImportEvent[]): Promise<readonly SinkResult[]>
}

const RETRY_MS = 50

/** Appends to a log in this process; waits while the log is overloaded. */
export function createLogSink(options: { log: EventLog; app: App; clock: Clock }): ImportSink {
  const { log, app, clock } = options
  return {
    async append(events) {
      const batch = events.map(event => toRecord(event, app.fingerprint))
      const results = await commitWhenRoom({ log, clock }, batch)
      return results.map(result =>
        result.status === 'conflict'
          ? { status: 'refused', reason: conflictReason(result.reason) }
          : { status: result.status },
      )
    },
  }
}

/** Appends events; waits while the log is overloaded. */
export async function commitWhenRoom(
  { log, clock }: { readonly log: EventLog; readonly clock: Clock },
  events: readonly NewEvent[],
): Promise<readonly AppendResult[]> {
  for (;;) {
    try {
      return (await log.commit({ events })).results
    } catch (error) {
      if (!isError(error, 'LOG_OVERLOADED')) throw error
      const delayMs = error.retryAfterMs ?? RETRY_MS
      await new Promise<void>(resolve => clock.after(delayMs, resolve))
    }
  }
}

/** Why a row of a file meets another event of its id: something else was made of it before. */
export function conflictReason(reason: string): string {
  return `the row was imported before by another mapping, which stands (${reason})`
}

function toRecord(event: ImportEvent, definition: string): NewEvent {
  return {
    stream: event.stream,
    type: event.type,
    key: event.key,
    id: event.id,
    eventTimeMs: event.eventTimeMs,
    data: undefined,
    payload: event.payload,
    isHistory: true,
    definition,
    ...(event.heldBy === undefined ? {} : { headers: { [QUARANTINE_HEADER]: event.heldBy } }),
  }
}
