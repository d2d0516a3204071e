/** Imported events to a running server, as NDJSON marked as history. */
import { isError, type Clock } from '@millrace/core'
import {
  conflictReason,
  type ImportEvent,
  type ImportSink,
  type SinkResult,
} from '../import/index.ts'
import { sendRequest } from './connect.ts'

interface BatchAnswer {
  readonly results: readonly {
    readonly status: 'appended' | 'duplicate' | 'conflict' | 'invalid'
    readonly reason?: string
    readonly path?: string
  }[]
}

const RETRY_MS = 200

/** A sink that posts batches to the server at `url`; waits while it is overloaded. */
export function createHttpSink(url: string, clock: Clock): ImportSink {
  return {
    async append(events) {
      const bytes = Buffer.concat(events.flatMap(lineOf))
      for (;;) {
        try {
          const { body } = await sendRequest(url, {
            method: 'POST',
            path: '/v1/events',
            query: { history: 'true' },
            raw: { bytes, mediaType: 'application/x-ndjson' },
          })
          return (body as BatchAnswer).results.map(resultOf)
        } catch (error) {
          if (!isError(error) || error.details['status'] !== 503) throw error
          const delayMs = error.retryAfterMs ?? RETRY_MS
          await new Promise<void>(resolve => clock.after(delayMs, resolve))
        }
      }
    },
  }
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
