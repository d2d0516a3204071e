/**
 * Server-sent events: one long answer that carries messages as they happen. A reader that is
 * slower than the news skips what it missed where only the newest counts, and is waited for where
 * every message counts; nothing is queued for it without bound.
 */
import type { ServerResponse } from 'node:http'
import type { Clock } from '@millrace/core'
import { serverErrors } from '../errors.ts'
import type { Exchange } from './operation.ts'

/** One open stream. */
export interface Subscription {
  readonly isOpen: boolean
  /** True while the reader has not taken what was sent. */
  readonly isBehind: boolean
  /** Sends a message; `id` comes back as `Last-Event-ID` when the reader connects again. */
  send(message: { event: string; id?: string; data: string }): void
  /** Resolves when the reader has taken what was sent, or is gone. */
  drained(): Promise<void>
  /** Calls `task` once the stream has ended, whoever ended it. */
  onEnd(task: () => void): void
  end(): void
}

/** All open streams of a server. */
export interface Subscriptions {
  /** Turns an exchange into a stream; throws SUBSCRIPTIONS_TOO_MANY. */
  open(exchange: Exchange): Subscription
  readonly size: number
  /** Ends all of them, with a message that says so. */
  endAll(): void
}

const HEARTBEAT_MS = 15_000
const RECONNECT_MS = 1000

/** Creates the registry of a server. */
export function createSubscriptions(options: {
  clock: Clock
  subscriptionsMax: number
}): Subscriptions {
  const open = new Set<Subscription>()
  return {
    get size() {
      return open.size
    },
    open(exchange) {
      if (open.size >= options.subscriptionsMax) {
        throw serverErrors.create('SUBSCRIPTIONS_TOO_MANY', { limit: options.subscriptionsMax })
      }
      const { reply } = exchange
      const headers = {
        ...reply.getHeaders(),
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      }
      reply.hijack()
      reply.raw.writeHead(200, headers as Record<string, string>)
      const subscription = createSubscription(reply.raw, options.clock)
      open.add(subscription)
      subscription.onEnd(() => open.delete(subscription))
      return subscription
    },
    endAll() {
      for (const subscription of [...open]) {
        subscription.send({ event: 'closing', data: '{}' })
        subscription.end()
      }
    },
  }
}

function createSubscription(response: ServerResponse, clock: Clock): Subscription {
  let isOpen = true
  const tasks: (() => void)[] = []
  let draining: Promise<void> | undefined
  let stopWaiting = (): void => undefined
  const beat = (): void => {
    if (!isOpen) return
    if (!response.writableNeedDrain) response.write(': still here\n\n')
    timer = clock.after(HEARTBEAT_MS, beat)
  }
  let timer = clock.after(HEARTBEAT_MS, beat)
  const finish = (): void => {
    if (!isOpen) return
    isOpen = false
    timer.cancel()
    stopWaiting()
    for (const task of tasks) task()
  }
  response.on('close', finish)
  response.on('error', finish)
  response.write(`retry: ${RECONNECT_MS}\n\n`)
  return {
    get isOpen() {
      return isOpen
    },
    get isBehind() {
      return response.writableNeedDrain
    },
    send({ event, id, data }) {
      if (!isOpen) return
      const place = id === undefined ? '' : `id: ${id}\n`
      // JSON has no raw newlines, so one data line carries it.
      response.write(`event: ${event}\n${place}data: ${data}\n\n`)
    },
    async drained() {
      if (!isOpen || !response.writableNeedDrain) return
      // One wait for all who ask: a reader may stand still for long.
      draining ??= new Promise<void>(resolve => {
        stopWaiting = resolve
        response.once('drain', resolve)
      }).finally(() => (draining = undefined))
      await draining
    },
    onEnd(task) {
      if (isOpen) tasks.push(task)
      else task()
    },
    end() {
      response.end()
      finish()
    },
  }
}
