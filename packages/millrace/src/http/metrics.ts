/** `/metrics`: what the server counts, what log, folds and modules tell, in Prometheus' format. */
import { LOG_FIGURES } from '@millrace/log'
import type { MetricDefinition } from '@millrace/product'
import type { FoldStatus } from '@millrace/streams'
import { Counter, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { ServerContext } from './context.ts'

/** Counts of HTTP. */
export interface HttpMetrics {
  readonly registry: Registry
  /** What records one answer of an operation. */
  observerOf(operation: string): (status: number, durationMs: number) => void
  /** Counts a request that was refused before its operation. */
  refused(code: string): void
}

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]

/** Creates a registry of our own: a host process keeps its own apart. */
export function createHttpMetrics(): HttpMetrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'millrace_' })
  // Sums of the gauges by type; their names end like those of counters, which is against the rules.
  for (const what of ['active_handles', 'active_requests', 'active_resources']) {
    registry.removeSingleMetric(`millrace_nodejs_${what}_total`)
  }
  const durations = new Histogram({
    name: 'millrace_http_request_duration_seconds',
    help: 'Time to answer, from the whole request to the whole answer.',
    labelNames: ['operation'],
    buckets: SECONDS,
    registers: [registry],
  })
  const answers = new Counter({
    name: 'millrace_http_answers_total',
    help: 'Answers by operation and status.',
    labelNames: ['operation', 'status'],
    registers: [registry],
  })
  const refusals = new Counter({
    name: 'millrace_http_refused_total',
    help: 'Requests refused before their operation, by code: no key, a wrong one, too many.',
    labelNames: ['code'],
    registers: [registry],
  })
  return {
    registry,
    refused: code => refusals.labels(code).inc(),
    observerOf(operation) {
      const duration = durations.labels(operation)
      const byStatus = new Map<number, ReturnType<typeof answers.labels>>()
      return (status, durationMs) => {
        let counter = byStatus.get(status)
        if (counter === undefined) {
          counter = answers.labels(operation, String(status))
          byStatus.set(status, counter)
        }
        counter.inc()
        duration.observe(durationMs / 1000)
      }
    },
  }
}

/** Events, log and folds as they are now; made anew for each answer. */
export function ownMetrics(context: ServerContext): readonly MetricDefinition[] {
  const { ingest, log, streams } = context
  const stats = log.stats()
  const counts = (record: Readonly<Record<string, number>>, label: string): Sample[] =>
    Object.entries(record).map(([name, value]) => ({ labels: { [label]: name }, value }))
  const folds = (value: (fold: FoldStatus) => number): Sample[] =>
    streams.status().map(fold => ({ labels: { fold: fold.name }, value: value(fold) }))
  return [
    {
      name: 'millrace_events_total',
      help: 'Events from outside since the start, by what became of them.',
      type: 'counter',
      collect: () => counts(ingest.counters, 'status'),
    },
    ...logFigures('counter', stats.counters),
    ...logFigures('gauge', stats.gauges),
    {
      name: 'millrace_log_stored_bytes',
      help: 'Bytes of the log on disk, indexes included.',
      type: 'gauge',
      collect: () => [{ value: stats.bytes }],
    },
    {
      name: 'millrace_log_queued_bytes',
      help: 'Bytes accepted and not yet durable.',
      type: 'gauge',
      collect: () => [{ value: stats.queuedBytes }],
    },
    {
      name: 'millrace_log_end_records',
      help: 'Durable end of each partition.',
      type: 'gauge',
      collect: () => counts(Object.fromEntries(log.ends()), 'partition'),
    },
    {
      name: 'millrace_fold_lag_records',
      help: 'Records that a fold has yet to take.',
      type: 'gauge',
      collect: () => folds(fold => fold.lag),
    },
    {
      name: 'millrace_loop_stalls_total',
      help: 'How often the loop that folds was stopped because it was woken again and again and got no further.',
      type: 'counter',
      collect: () => [{ value: streams.loop().stalls }],
    },
    {
      name: 'millrace_fold_keys',
      help: 'Keys that have state.',
      type: 'gauge',
      collect: () => folds(fold => fold.keys),
    },
    {
      name: 'millrace_fold_parked_keys',
      help: 'Keys that wait after a failure.',
      type: 'gauge',
      collect: () => folds(fold => fold.parkedKeys),
    },
    {
      name: 'millrace_fold_parked_oldest_seconds',
      help: 'Time since the oldest waiting key of a fold failed; 0 while none waits.',
      type: 'gauge',
      collect: () =>
        folds(({ parkedSinceMs = context.clock.nowMs() }) =>
          Math.max(0, (context.clock.nowMs() - parkedSinceMs) / 1000),
        ),
    },
  ]
}

/** The figures of the log, each under its own name: the gauge `tailBytes` is `millrace_log_tail_bytes`. */
function logFigures(
  type: 'counter' | 'gauge',
  figures: Readonly<Record<string, number>>,
): MetricDefinition[] {
  return Object.entries(figures).map(([name, value]) => {
    const snake = name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
    return {
      name: `millrace_log_${snake}${type === 'counter' ? '_total' : ''}`,
      help: LOG_FIGURES[name] ?? `The figure ${name} of this log.`,
      type,
      collect: () => [{ value }],
    }
  })
}

type Sample = ReturnType<MetricDefinition['collect']>[number]

/** Figures as text in Prometheus' exposition format. */
export function renderMetrics(metrics: readonly MetricDefinition[]): string {
  let text = ''
  for (const metric of metrics) {
    text += `# HELP ${metric.name} ${metric.help.replace(/[\\\n]/g, ' ')}\n`
    text += `# TYPE ${metric.name} ${metric.type}\n`
    for (const { labels = {}, value } of metric.collect()) {
      const pairs = Object.entries(labels).map(([name, label]) => `${name}="${escapeLabel(label)}"`)
      text += `${metric.name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`
    }
  }
  return text
}

function escapeLabel(label: string): string {
  return label.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
