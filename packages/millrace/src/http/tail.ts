/** The tail of a stream as server-sent events: reads when the log advances, at the reader's pace. */
import { decodePosition, encodePosition, partitionName } from '@millrace/core'
import { TICK_TYPE, logErrors, type LogRecord } from '@millrace/log'
import type { ServerContext } from './context.ts'
import type { Exchange } from './operation.ts'
import type { Subscription, Subscriptions } from './subscriptions.ts'

const BATCH_RECORDS = 200

/** Serves the tail; the answer stays open until the reader goes or the server closes. */
export async function serveTail(
  exchange: Exchange,
  context: ServerContext,
  subscriptions: Subscriptions,
  json: (record: LogRecord) => unknown,
): Promise<void> {
  const { params, query, request } = exchange
  const stream = params['stream'] as string
  const cursor = startAt(context, stream, request.headers['last-event-id'] ?? query['from'])
  const subscription = subscriptions.open(exchange)
  const wanted = query['type'] as string | undefined
  const send = (record: LogRecord): void => {
    cursor[record.partition] = record.offset + 1
    if (wanted === undefined ? record.type === TICK_TYPE : record.type !== wanted) return
    const data = JSON.stringify(json(record))
    subscription.send({ event: 'record', id: positionToken(stream, cursor), data })
  }
  const pump = createPump(() => sendNews(context, stream, cursor, subscription, send))
  subscription.onEnd(context.log.onAdvance(pump))
  pump()
}

/** Offsets to begin at, by partition. */
function startAt(context: ServerContext, name: string, from: unknown): number[] {
  const stats = context.log.stats().streams.find(({ stream }) => stream === name)
  if (stats === undefined) {
    throw logErrors.create('LOG_STREAM_UNKNOWN', { stream: name.slice(0, 100) })
  }
  if (typeof from !== 'string' || from === '') return stats.partitions.map(({ end }) => end)
  const position = decodePosition(from)
  return stats.partitions.map(({ start }, partition) =>
    Math.max(start, position.get(partitionName(name, partition)) ?? 0),
  )
}

function positionToken(stream: string, cursor: readonly number[]): string {
  return encodePosition(
    new Map(cursor.map((offset, partition) => [partitionName(stream, partition), offset])),
  )
}

/** Runs `task` again for calls that come while it runs; one at a time. */
function createPump(task: () => Promise<void>): () => void {
  let isRunning = false
  let isWanted = false
  return () => {
    isWanted = true
    if (isRunning) return
    isRunning = true
    const run = async (): Promise<void> => {
      while (isWanted) {
        isWanted = false
        await task()
      }
    }
    void run().finally(() => {
      isRunning = false
    })
  }
}

async function sendNews(
  context: ServerContext,
  stream: string,
  cursor: readonly number[],
  subscription: Subscription,
  send: (record: LogRecord) => void,
): Promise<void> {
  const { log } = context
  for (let partition = 0; partition < cursor.length; partition++) {
    const end = (): number => log.ends().get(partitionName(stream, partition)) ?? 0
    while (subscription.isOpen && (cursor[partition] as number) < end()) {
      const from = cursor[partition] as number
      try {
        const records = await log.read({ stream, partition, from, recordsMax: BATCH_RECORDS })
        for (const record of records) send(record)
        if (records.length === 0) break
      } catch (error) {
        context.logger.warn('tail ended', { stream, partition, error: String(error) })
        subscription.end()
        return
      }
      await subscription.drained()
    }
  }
}
