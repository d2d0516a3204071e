import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { isError, systemClock } from '@millrace/core'
import { serverErrors } from '../errors.ts'
import type { BodyOutcome, Ingest } from '../ingest/ingest.ts'
import { createBodyBudget } from './bodies.ts'
import type { ServerContext } from './context.ts'
import { serveLines } from './event-lines.ts'
import type { Exchange } from './operation.ts'

const PARTS = 3

/** What is answered when the log stops taking events after some parts, each with results of `characters`. */
async function serve(characters: number): Promise<{ sent: string; heldBytes: number }> {
  const outcome: BodyOutcome = {
    isBatch: true,
    counts: { appended: 2, duplicates: 1, conflicts: 0, invalid: 0 },
    position: new Map([['watched/0', 7]]),
    results: () => [],
    resultsText: () => `{"status":"appended","id":"${'x'.repeat(characters)}"}`,
    text: () => '',
  }
  async function* lines(chunks: AsyncIterable<Buffer>): AsyncGenerator<BodyOutcome> {
    let parts = 0
    for await (const _ of chunks) {
      if (++parts > PARTS) throw serverErrors.create('SERVER_CLOSING', { retryAfterMs: 5 })
      yield outcome
    }
  }
  const ingest: Pick<Ingest, 'lines'> = { lines }
  const limits = { requestTimeoutMs: 60_000 }
  const budget = createBodyBudget(1024)
  const pieces = Readable.from([1, 2, 3, 4, 5].map(() => Buffer.alloc(100)))
  const raw = Object.assign(pieces, { socket: {} }) as unknown as IncomingMessage
  let sent = Promise.resolve('')
  const reply = {
    header: () => reply,
    send(stream: Readable) {
      sent = text(stream)
      return reply
    },
  }
  const exchange = { request: { raw, id: 'r1' }, reply }
  await serveLines(exchange as unknown as Exchange, {
    context: { ingest, clock: systemClock, limits } as unknown as ServerContext,
    budget,
    options: {},
  })
  return { sent: await sent, heldBytes: budget.heldBytes() }
}

test('an answer that has begun says why the rest was not taken', async () => {
  const { sent, heldBytes } = await serve(600_000)
  const answer = JSON.parse(sent) as Record<string, unknown>
  assert.equal((answer['results'] as unknown[]).length, PARTS)
  assert.equal(answer['appended'], 2 * PARTS)
  assert.equal(answer['duplicates'], PARTS)
  assert.match(answer['position'] as string, /^p1\./)
  assert.equal((answer['error'] as { code: string }).code, 'SERVER_CLOSING')
  assert.equal(heldBytes, 0)
})

test('an answer that has not begun is the refusal', async () => {
  await assert.rejects(serve(10), error => isError(error, 'SERVER_CLOSING'))
})
