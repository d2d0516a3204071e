/** Imported events to a running server, as NDJSON marked as history. */
import { isError, type Clock } from '@millrace/core'
import {
  conflictReason,
  type ImportEvent,
  type ImportSink,
  type SinkResult,
} from '../import/index.ts'
import { sendRequest, type Server } from './connect.ts'

interface BatchAnswer {
  readonly results: readonly {
    readonly status: 'appended' | 'duplicate' | 'conflict' | 'invalid'
    readonly reason?: string
    readonly path?: string
  }[]
}

const RETRY_MS = 200

/** A sink that posts batches to a server; waits while it is overloaded or asks for less. */
export function createHttpSink(server: Server, clock: Clock): ImportSink {
  return {
    async append(events) {
      const bytes = Buffer.concat(events.flatMap(lineOf))
      for (;;) {
        try {
          const { body } = await sendRequest(server, {
            method: 'POST',
            path: '/v1/events',
            query: { history: 'true' },
            raw: { bytes, mediaType: 'application/x-ndjson' },
          })
          return (body as BatchAnswer).results.map(resultOf)
        } catch (error) {
          if (!isError(error) || !mayPass(error.details['status'])) throw error
          const delayMs = error.retryAfterMs ?? RETRY_MS
          await new Promise<void>(resolve => clock.after(delayMs, resolve))
        }
      }
    },
  }
}

/** Overloaded, or above the rate of the key. */
function mayPass(status: unknown): boolean {
  return status === 503 || status === 429
}

const END = Buffer.from('}\n')

function lineOf(event: ImportEvent): Uint8Array[] {
  const head = `{"type":${JSON.stringify(event.type)},"id":${JSON.stringify(event.id)},"at":${event.eventTimeMs},"data":`
  return [Buffer.from(head), event.payload, END]
}

function resultOf(result: BatchAnswer['results'][number]): SinkResult {
  const { status } = result
  if (status === 'appended' || status === 'duplicate') return { status }
  if (status === 'conflict')
    return { status: 'refused', reason: conflictReason(result.reason ?? '') }
  return { status: 'refused', reason: `${result.path ?? ''} ${result.reason ?? status}`.trim() }
}
