/**
 * Events on their way: gathered for a moment, sent together as NDJSON, sent again after a failure
 * that may pass. Each has its id from the beginning, so sending it twice appends it once.
 */
import type { Clock, MillraceError } from '@millrace/core'
import { clientErrors, serverError } from './errors.ts'
import type { ClientAnswer, Transport } from './transport.ts'

/** An event that is in the log. */
export interface Acknowledged {
  readonly status: 'appended' | 'duplicate'
  readonly id: string
  /** Pass it as `atLeast` to a read that must reflect the event. */
  readonly position: string
}

/** Bounds of the queue. */
export interface QueueOptions {
  /** Events sent together at most. */
  readonly batchMax: number
  /** How long an event waits for others. */
  readonly flushAfterMs: number
  /** Events that may wait; more are refused with QUEUE_FULL. */
  readonly queueMax: number
}

/** The queue of a client. */
export interface EventQueue {
  /** Resolves when the event is durable. */
  add(envelope: { readonly id: string }): Promise<Acknowledged>
  /** Sends what waits; resolves when all of it was answered. */
  flush(): Promise<void>
  /** Sends what waits, then takes no more. */
  close(): Promise<void>
}

interface Waiting {
  readonly id: string
  readonly line: string
  readonly resolve: (acknowledged: Acknowledged) => void
  readonly reject: (error: unknown) => void
}

interface Result {
  readonly status?: unknown
  readonly code?: unknown
  readonly path?: unknown
  readonly reason?: unknown
}

/** Creates a queue that sends one batch at a time, in order. */
export function createEventQueue(
  transport: Transport,
  clock: Clock,
  options: QueueOptions,
): EventQueue {
  const waiting: Waiting[] = []
  let sending: Promise<void> | undefined
  let timer: { cancel(): void } | undefined
  let isClosed = false

  const drain = async (): Promise<void> => {
    while (waiting.length > 0) {
      await sendBatch(transport, waiting.splice(0, options.batchMax))
    }
  }
  const start = (): Promise<void> => {
    timer?.cancel()
    timer = undefined
    sending ??= drain().finally(() => {
      sending = undefined
      // An event may have come between the last look and here.
      if (waiting.length > 0) void start()
    })
    return sending
  }
  return {
    add(envelope) {
      if (isClosed) return Promise.reject(clientErrors.create('CLIENT_CLOSED'))
      if (waiting.length >= options.queueMax) {
        return Promise.reject(clientErrors.create('QUEUE_FULL', { limit: options.queueMax }))
      }
      const acknowledged = new Promise<Acknowledged>((resolve, reject) => {
        waiting.push({ id: envelope.id, line: JSON.stringify(envelope), resolve, reject })
      })
      // A caller that does not wait for the answer hears of failures through `onError`.
      acknowledged.catch(() => undefined)
      if (waiting.length >= options.batchMax) void start()
      else if (sending === undefined)
        timer ??= clock.after(options.flushAfterMs, () => void start())
      return acknowledged
    },
    flush: start,
    async close() {
      isClosed = true
      await start()
    },
  }
}

/** Sends events and settles each; never rejects. */
async function sendBatch(transport: Transport, batch: readonly Waiting[]): Promise<void> {
  let answer: ClientAnswer
  try {
    answer = await transport.send({
      method: 'POST',
      path: '/v1/events',
      body: batch.map(({ line }) => line).join('\n'),
      isLines: true,
      isIdempotent: true,
    })
  } catch (error) {
    for (const entry of batch) entry.reject(error)
    return
  }
  const { results } = (answer.body ?? {}) as { results?: readonly Result[] }
  batch.forEach((entry, index) => {
    const result = results?.[index]
    const { status } = result ?? {}
    if (status === 'appended' || status === 'duplicate') {
      entry.resolve({ status, id: entry.id, position: answer.position ?? '' })
    } else entry.reject(refusalOf(entry.id, result))
  })
}

function refusalOf(id: string, result: Result | undefined): MillraceError {
  if (result === undefined) {
    return clientErrors.create('ANSWER_INVALID', {
      url: 'the server',
      reason: 'a result is missing',
    })
  }
  const { code, path = '', reason } = result
  return serverError({
    code: String(code),
    status: result.status === 'conflict' ? 409 : 400,
    retryable: false,
    detail: `Event ${id} was refused${path === '' ? '' : ` at ${String(path)}`}: ${String(reason)}`,
    remedy: 'Correct the event and track it again; it was not stored.',
    details: { id, path, reason },
  })
}
