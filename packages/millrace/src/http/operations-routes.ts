/** Health, readiness, metrics and the document of the API. */
import type { IncomingMessage } from 'node:http'
import type { JsonSchema } from '@millrace/core'
import type { MetricDefinition } from '@millrace/product'
import type { ServerContext } from './context.ts'
import { ownMetrics, renderMetrics, type HttpMetrics } from './metrics.ts'
import type { OpenApiDocument } from './openapi.ts'
import type { Operation } from './operation.ts'

const stateSchema = (states: readonly string[]): JsonSchema => ({
  type: 'object',
  required: ['status'],
  properties: {
    status: { type: 'string', enum: states },
    reasons: { type: 'array', items: { type: 'string' } },
    warnings: {
      type: 'array',
      items: { type: 'string' },
      description: 'what to look at while it serves; absent when there is nothing',
    },
  },
})

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** The operations that operators use. */
export function operationsOperations(
  context: ServerContext,
  metrics: HttpMetrics,
  moduleMetrics: readonly MetricDefinition[],
  document: () => OpenApiDocument,
): readonly Operation[] {
  return [
    {
      method: 'GET',
      path: '/healthz',
      operation: 'health',
      scope: 'open',
      tag: 'operations',
      summary: 'Whether the process is alive',
      isOutsideLog: true,
      response: stateSchema(['alive']),
      handle: () => ({ body: { status: 'alive' } }),
    },
    {
      method: 'GET',
      path: '/readyz',
      operation: 'readiness',
      scope: 'open',
      tag: 'operations',
      summary: 'Whether events are taken and answers are current',
      description:
        '503 while it starts or closes, the database is away, the log takes no more events, or the folds get no further.',
      isOutsideLog: true,
      response: stateSchema(['ready']),
      answers: { 503: { description: 'Not ready.', schema: stateSchema(['not ready']) } },
      serve: ({ reply }) => {
        const reasons = notReady(context)
        const told = reasons.length === 0 ? { status: 'ready' } : { status: 'not ready', reasons }
        reply.header('content-type', 'application/json; charset=utf-8')
        if (reasons.length > 0) reply.code(503)
        return reply.send(JSON.stringify({ ...told, ...warningsIn(context) }))
      },
    },
    {
      method: 'GET',
      path: '/metrics',
      operation: 'metrics',
      scope: 'server',
      tag: 'operations',
      summary: 'Figures for Prometheus',
      isOutsideLog: true,
      media: { mediaType: METRICS_TYPE, schema: { type: 'string' } },
      serve: async ({ reply }) => {
        const ofTheProcess = await metrics.registry.metrics()
        const own = renderMetrics([...ownMetrics(context), ...moduleMetrics])
        return reply.header('content-type', METRICS_TYPE).send(`${ofTheProcess}\n${own}`)
      },
    },
    {
      method: 'GET',
      path: '/openapi.json',
      operation: 'openapi',
      scope: 'open',
      tag: 'operations',
      summary: 'This document: OpenAPI 3.1',
      isOutsideLog: true,
      media: { mediaType: 'application/json', schema: { type: 'object' } },
      serve: ({ request, reply }) => {
        const servers = [{ url: mountOf(request.raw) }]
        reply.header('content-type', 'application/json; charset=utf-8')
        return reply.send(JSON.stringify({ ...document(), servers }))
      },
    },
  ]
}

function warningsIn(context: ServerContext): { readonly warnings?: readonly string[] } {
  const warnings = context.warnings()
  return warnings.length === 0 ? {} : { warnings }
}

/** The path under which a host that says so, as Express does, serves us; `/` without one. */
function mountOf({ url = '', originalUrl }: IncomingMessage & { originalUrl?: unknown }): string {
  if (typeof originalUrl !== 'string' || !originalUrl.endsWith(url)) return '/'
  return originalUrl.slice(0, originalUrl.length - url.length) || '/'
}

/** Why this process should get no requests; empty when it should. */
export function notReady(
  context: Pick<ServerContext, 'isClosing' | 'log' | 'streams'>,
): readonly string[] {
  const reasons: string[] = []
  if (context.isClosing()) reasons.push('closing')
  const { readOnlyReason, awayReason } = context.log.stats()
  if (readOnlyReason !== undefined) reasons.push(readOnlyReason)
  else if (awayReason !== undefined) reasons.push(`the database does not answer: ${awayReason}`)
  for (const fold of context.streams.status()) {
    const { name, state, error } = fold
    if (state !== 'live')
      reasons.push(`${name} is ${state}${error === undefined ? '' : `: ${error}`}`)
  }
  const { behind } = context.streams.loop()
  if (behind !== undefined) {
    const who = behind.length === 0 ? 'none is behind' : `behind: ${behind.join(', ')}`
    reasons.push(`the folds are woken again and again and get no further (${who})`)
  }
  return reasons
}
