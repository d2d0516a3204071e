/**
 * `POST /v1/events` with one event a line, of any length: read as it arrives, answered at its end,
 * or, when the answer grows long itself, while the rest is still being read.
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { encodePosition, isError, joinPositions, type Position } from '@millrace/core'
import { serverErrors } from '../errors.ts'
import type { BodyOutcome, IngestOptions } from '../ingest/ingest.ts'
import { batchText, countsText, type EventCounts } from '../ingest/results.ts'
import { POSITION_HEADER } from './bind.ts'
import { bodyOfHost, type BodyBudget } from './bodies.ts'
import type { ServerContext } from './context.ts'
import { piecesInTime } from './line-pieces.ts'
import type { Exchange } from './operation.ts'
import { problemOf, toRegistered } from './problems.ts'

/** Characters of results that are kept until the body ends; an answer with more is sent as it grows. */
const ANSWER_HELD_MAX = 1024 * 1024
/** How often a piece that other bodies leave no room for is tried again before this one is given up. */
const ATTEMPTS_MAX = 50
const RETRY_MS = 50
const JSON_TYPE = 'application/json; charset=utf-8'

const takingLines = new WeakSet<Socket>()

/** True while a body of lines comes by this connection. It may take longer than other requests. */
export function isTakingLines(socket: Socket): boolean {
  return takingLines.has(socket)
}

/** Answers. */
export async function serveLines(
  exchange: Exchange,
  ports: { context: ServerContext; budget: BodyBudget; options: IngestOptions },
): Promise<void> {
  const { request } = exchange
  const { context, budget, options } = ports
  const answer = new LinesAnswer(exchange)
  const held = { bytes: 0 }
  const { socket } = request.raw
  takingLines.add(socket)
  try {
    const chunks = chunksOf(request.raw, { budget, held, context })
    const onReleased = (bytes: number): void => {
      budget.release(bytes)
      held.bytes -= bytes
    }
    for await (const outcome of context.ingest.lines(chunks, { ...options, onReleased })) {
      answer.add(outcome)
      if (answer.isLong && !(await answer.sendMore())) return
    }
    answer.end(context.reflected)
  } catch (error) {
    if (!answer.isSending) throw error
    answer.endWith(error)
  } finally {
    takingLines.delete(socket)
    budget.release(held.bytes)
    // What is left is read and thrown away, so that the answer reaches a client that is still sending.
    request.raw.resume()
  }
}

/** The results of a body, sent at once in the end or bit by bit. */
class LinesAnswer {
  readonly #exchange: Exchange
  readonly #counts = { appended: 0, duplicates: 0, conflicts: 0, invalid: 0 }
  #position: Position = new Map()
  #texts: string[] = []
  #characters = 0
  #stream: Readable | undefined
  /** Called when the client has room for more, or has gone. */
  #onWanted: () => void = () => undefined

  constructor(exchange: Exchange) {
    this.#exchange = exchange
  }

  get isLong(): boolean {
    return this.#characters > ANSWER_HELD_MAX
  }

  get isSending(): boolean {
    return this.#stream !== undefined
  }

  add(outcome: BodyOutcome): void {
    for (const name of Object.keys(this.#counts) as (keyof EventCounts)[]) {
      this.#counts[name] += outcome.counts[name]
    }
    this.#position = joinPositions(this.#position, outcome.position)
    const text = outcome.resultsText()
    this.#texts.push(text)
    this.#characters += text.length
  }

  /** Sends the results so far and waits until they are on their way; false when nobody reads them. */
  async sendMore(): Promise<boolean> {
    const text = this.#takeTexts()
    const isFirst = this.#stream === undefined
    this.#stream ??= new Readable({ read: () => this.#onWanted() })
    const stream = this.#stream
    const isRoom = stream.push(isFirst ? `{"results":[${text}` : `,${text}`)
    const wanted = new Promise<void>(resolve => (this.#onWanted = resolve))
    if (isFirst) {
      stream.once('close', () => this.#onWanted())
      this.#exchange.reply.header('content-type', JSON_TYPE).send(stream)
    }
    if (!isRoom && !stream.destroyed) await wanted
    return !stream.destroyed
  }

  /** Ends an answer to a body that was taken to its end. */
  end(reflected: () => Position): void {
    if (this.#stream !== undefined) return this.#endStream('')
    if (this.#texts.length === 0) throw serverErrors.create('BODY_MISSING')
    const { reply } = this.#exchange
    const position = this.#position.size === 0 ? reflected() : this.#position
    reply.header(POSITION_HEADER, encodePosition(position))
    reply.header('content-type', JSON_TYPE)
    reply.send(batchText(this.#counts, this.#takeTexts()))
  }

  /** Ends an answer that has begun with why the rest of the body was not taken. */
  endWith(error: unknown): void {
    const { id } = this.#exchange.request
    this.#endStream(`,"error":${JSON.stringify(problemOf(toRegistered(error, id), id))}`)
  }

  #endStream(error: string): void {
    const rest = this.#texts.length === 0 ? '' : `,${this.#takeTexts()}`
    const position = JSON.stringify(encodePosition(this.#position))
    this.#stream?.push(`${rest}],${countsText(this.#counts)},"position":${position}${error}}`)
    this.#stream?.push(null)
  }

  #takeTexts(): string {
    const text = this.#texts.join(',')
    this.#texts = []
    this.#characters = 0
    return text
  }
}

/** The pieces of a body, counted in `held` and in the budget. Throws SERVER_BUSY, REQUEST_TIMEOUT or BODY_INCOMPLETE. */
async function* chunksOf(
  request: IncomingMessage,
  ports: { budget: BodyBudget; held: { bytes: number }; context: ServerContext },
): AsyncGenerator<Buffer> {
  const { budget, held } = ports
  const { clock, limits } = ports.context
  const taken = request.readableEnded ? bodyOfHost(request) : undefined
  // Not destroyed on an early end: the answer goes by the same socket.
  const pieces: AsyncIterator<Buffer> =
    taken === undefined
      ? request.iterator({ destroyOnReturn: false })
      : Readable.from([taken]).iterator()
  let isFirst = true
  try {
    for await (const piece of piecesInTime(pieces, { clock, limitMs: limits.requestTimeoutMs })) {
      await hold(piece.length)
      isFirst = false
      held.bytes += piece.length
      yield piece
    }
  } catch (error) {
    if (isError(error)) throw error
    throw serverErrors.create('BODY_INCOMPLETE', { reason: 'the connection was closed' }, error)
  }

  async function hold(bytes: number): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return budget.take(bytes)
      } catch (error) {
        // Nothing is lost by refusing a body at its beginning; later on it is worth waiting.
        if (!isError(error, 'SERVER_BUSY') || isFirst || attempt === ATTEMPTS_MAX) throw error
        const { retryAfterMs = RETRY_MS } = error
        await new Promise<void>(resolve => void clock.after(retryAfterMs, resolve))
      }
    }
  }
}
