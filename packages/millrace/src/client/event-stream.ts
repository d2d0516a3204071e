/** Server-sent events over fetch: reads messages, connects again where it stopped. */
import { isError, type Clock } from '@millrace/core'
import type { Transport } from './transport.ts'

/** One message. */
export interface StreamMessage {
  readonly event: string
  readonly id: string | undefined
  readonly data: string
}

/** The messages of a `text/event-stream` body (WHATWG HTML, 9.2), until it ends. */
export async function* readMessages(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<StreamMessage> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      rest += decoder.decode(value, { stream: true })
      for (;;) {
        const end = rest.indexOf('\n\n')
        if (end === -1) break
        const message = parseMessage(rest.slice(0, end))
        rest = rest.slice(end + 2)
        if (message !== undefined) yield message
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

function parseMessage(block: string): StreamMessage | undefined {
  let event = 'message'
  let id: string | undefined
  const data: string[] = []
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':')
    if (colon === 0) continue
    const name = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (name === 'event') event = value
    else if (name === 'id') id = value
    else if (name === 'data') data.push(value)
  }
  return data.length === 0 ? undefined : { event, id, data: data.join('\n') }
}

const PAUSE_MS = 500

/**
 * The messages of a path until `signal` aborts. When the connection ends it is opened again after a
 * pause, with `Last-Event-ID`; a refusal that a retry cannot help is thrown.
 */
export async function* watchMessages(
  transport: Transport,
  clock: Clock,
  options: { readonly path: string; readonly signal: AbortSignal },
): AsyncGenerator<StreamMessage> {
  const { path, signal } = options
  let lastId: string | undefined
  while (!signal.aborted) {
    try {
      const headers: Record<string, string> =
        lastId === undefined ? {} : { 'last-event-id': lastId }
      const response = await transport.open({ method: 'GET', path }, { signal, headers })
      if (response.body === null) return
      for await (const message of readMessages(response.body)) {
        lastId = message.id ?? lastId
        yield message
      }
    } catch (error) {
      if (signal.aborted) return
      if (isError(error) && !error.retryable) throw error
    }
    if (!signal.aborted) await new Promise<void>(resolve => void clock.after(PAUSE_MS, resolve))
  }
}
