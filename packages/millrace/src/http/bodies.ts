/**
 * Receives request bodies within limits: each has its own, and all together have one, so that
 * many large bodies at a time are answered with "come back later" and not with a process that
 * runs out of memory.
 */
import type { IncomingMessage } from 'node:http'
import { serverErrors } from '../errors.ts'
import { BodyBytes } from './body-bytes.ts'

/** Bytes of bodies that are in memory. */
export interface BodyBudget {
  /** Bytes held now. */
  heldBytes(): number
  /** Takes bytes, or throws SERVER_BUSY. A body alone is always taken. */
  take(bytes: number): void
  release(bytes: number): void
}

const RETRY_AFTER_MS = 250

/** Creates the budget of a server. */
export function createBodyBudget(limitBytes: number): BodyBudget {
  let held = 0
  return {
    heldBytes: () => held,
    take(bytes) {
      if (held > 0 && held + bytes > limitBytes) {
        const details = { bytes: held, limitBytes, retryAfterMs: RETRY_AFTER_MS }
        throw serverErrors.create('SERVER_BUSY', details)
      }
      held += bytes
    },
    release(bytes) {
      held -= bytes
    },
  }
}

/** Hears of a body that came whole, or why it did not; called once. */
export type BodyReceived = (error: Error | null, body?: Buffer) => void

/**
 * The whole body, held in `budget` until `release` is called. `done` hears of BODY_TOO_LARGE,
 * SERVER_BUSY or BODY_INCOMPLETE; nothing is held then. A callback, because it is called within
 * the event that ends the body: a promise would cost every request more turns.
 */
export function receiveBody(
  request: IncomingMessage,
  options: { bytesMax: number; budget: BodyBudget },
  done: BodyReceived,
): void {
  const { bytesMax, budget } = options
  const bytes = new BodyBytes()
  let isSettled = false
  const fail = (error: Error): void => {
    if (isSettled) return
    isSettled = true
    budget.release(bytes.length)
    bytes.clear()
    // The rest is read and thrown away, so that the answer reaches a client that is still sending.
    request.resume()
    done(error)
  }
  if (request.readableEnded) {
    const consumed = bodyOfHost(request)
    if (consumed !== undefined) return takeWhole(consumed, options, done)
  }
  if (Number(request.headers['content-length'] ?? NaN) > bytesMax) return fail(tooLarge(bytesMax))
  request.on('data', (chunk: Buffer) => {
    if (isSettled) return
    if (bytes.length + chunk.length > bytesMax) return fail(tooLarge(bytesMax))
    try {
      budget.take(chunk.length)
    } catch (error) {
      return fail(error as Error)
    }
    bytes.push(chunk)
  })
  request.on('end', () => {
    if (isSettled) return
    isSettled = true
    done(null, bytes.take())
  })
  const incomplete = (): void => {
    // Every request closes; only for one that is cut off is the error worth its stack.
    if (isSettled) return
    fail(serverErrors.create('BODY_INCOMPLETE', { reason: 'the connection was closed' }))
  }
  request.on('error', incomplete)
  request.on('close', incomplete)
}

function takeWhole(
  body: Buffer,
  { bytesMax, budget }: { bytesMax: number; budget: BodyBudget },
  done: BodyReceived,
): void {
  try {
    if (body.length > bytesMax) throw tooLarge(bytesMax)
    budget.take(body.length)
  } catch (error) {
    return done(error as Error)
  }
  done(null, body)
}

function tooLarge(limitBytes: number): Error {
  return serverErrors.create('BODY_TOO_LARGE', { limitBytes })
}

/** The body that a host process (Express with a body parser before us) has read already. */
export function bodyOfHost(request: IncomingMessage): Buffer | undefined {
  const body = (request as { body?: unknown }).body
  if (Buffer.isBuffer(body)) return body
  if (body === undefined) return undefined
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body), 'utf8')
}
