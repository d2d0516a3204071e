/** `GET /v1/live`: the server's pulse as server-sent events, for the page and for operators. */
import type { ServerContext } from './context.ts'
import type { Exchange, Operation } from './operation.ts'
import type { Subscriptions } from './subscriptions.ts'

const EVERY_MS = 1000

/** What one beat tells. */
export interface Pulse {
  readonly atMs: number
  /** Events from outside, per second since the last beat. */
  readonly eventsPerSecond: number
  /** Events from outside since the start. */
  readonly events: number
  /** Records that the slowest fold has yet to take. */
  readonly lagRecords: number
  /** Median time of the last beats from the acknowledgement of an event to all folds reflecting it, in milliseconds; null while nothing came in. */
  readonly freshnessMs: number | null
  readonly queuedBytes: number
  readonly logBytes: number
  readonly residentBytes: number
  /** What an operator is to look at while it serves. */
  readonly warnings: readonly string[]
  readonly folds: readonly {
    readonly name: string
    readonly state: string
    readonly lag: number
    readonly keys: number
    readonly parkedKeys: number
  }[]
}

/** The operation. Freshness is measured while somebody watches. */
export function liveOperations(
  context: ServerContext,
  subscriptions: Subscriptions,
): readonly Operation[] {
  return [
    {
      method: 'GET',
      path: '/v1/live',
      operation: 'watchServer',
      scope: 'server',
      tag: 'operations',
      summary: 'Throughput, lag and freshness every second, as server-sent events',
      isOutsideLog: true,
      media: { mediaType: 'text/event-stream', schema: {} },
      errors: ['SUBSCRIPTIONS_TOO_MANY'],
      serve: exchange => watch(exchange, context, subscriptions),
    },
  ]
}

function watch(exchange: Exchange, context: ServerContext, subscriptions: Subscriptions): void {
  const { clock } = context
  const subscription = subscriptions.open(exchange)
  let events = context.ingest.counters.appended
  let beatMs = clock.monotonicMs()
  let freshness: number[] = []
  let timer: { cancel(): void } | undefined
  const beat = (): void => {
    if (!subscription.isOpen) return
    const nowMs = clock.monotonicMs()
    const total = context.ingest.counters.appended
    const seconds = (nowMs - beatMs) / 1000
    const pulse = pulseOf(context, {
      events: total,
      eventsPerSecond: seconds > 0 ? (total - events) / seconds : 0,
      freshnessMs: median(freshness),
    })
    events = total
    beatMs = nowMs
    freshness = []
    if (!subscription.isBehind) {
      subscription.send({ event: 'pulse', data: JSON.stringify(pulse) })
    }
    timer = clock.after(EVERY_MS, beat)
  }
  subscription.onEnd(() => timer?.cancel())
  subscription.onEnd(probeFreshness(context, tookMs => freshness.push(tookMs)))
  beat()
}

/** Measures, one probe at a time, how long the folds take to reflect what became durable. */
function probeFreshness(context: ServerContext, record: (tookMs: number) => void): () => void {
  let isProbing = false
  return context.log.onAdvance(() => {
    if (isProbing) return
    isProbing = true
    const startedMs = context.clock.monotonicMs()
    const position = new Map(context.log.ends())
    context.streams
      .reached({ position, timeoutMs: 10_000 })
      .then(
        () => record(context.clock.monotonicMs() - startedMs),
        () => undefined,
      )
      .finally(() => {
        isProbing = false
      })
  })
}

function pulseOf(
  context: ServerContext,
  figures: Pick<Pulse, 'events' | 'eventsPerSecond' | 'freshnessMs'>,
): Pulse {
  const stats = context.log.stats()
  const folds = context.streams.status()
  return {
    atMs: context.clock.nowMs(),
    ...figures,
    lagRecords: Math.max(0, ...folds.map(fold => fold.lag)),
    queuedBytes: stats.queuedBytes,
    logBytes: stats.bytes,
    residentBytes: process.memoryUsage.rss(),
    warnings: context.warnings(),
    folds: folds.map(({ name, state, lag, keys, parkedKeys }) => ({
      name,
      state,
      lag,
      keys,
      parkedKeys,
    })),
  }
}

function median(values: readonly number[]): number | null {
  if (values.length === 0) return null
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] as number
}
