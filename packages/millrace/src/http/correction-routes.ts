/** Corrections of events, for reading: what was corrected, why and by whom, and what holds for an event. */
import type { JsonSchema } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import type { RouteAnswer, RouteRequest } from '@millrace/product'
import { CORRECTED_TYPE, CORRECTIONS_STREAM, type ListedCorrection } from '@millrace/streams'
import { serverErrors } from '../errors.ts'
import { idParams } from './bind.ts'
import type { ServerContext } from './context.ts'
import { fromParameter } from './log-routes.ts'
import { createMask, type Mask } from './mask.ts'
import type { Operation } from './operation.ts'

const LIMIT_DEFAULT = 100
const LIMIT_MAX = 1000
/** Events of one correction that a list shows. */
const EVENTS_SHOWN_MAX = 20

const action: JsonSchema = { type: 'string', enum: ['retract', 'hold', 'correct', 'restore'] }

const correctionSchema: JsonSchema = {
  type: 'object',
  required: ['id', 'offset', 'atMs', 'action', 'reason', 'by', 'count', 'events'],
  properties: {
    id: { type: 'string' },
    offset: { type: 'integer', description: 'Place among the corrections.' },
    atMs: { type: 'integer' },
    changeset: { type: 'string', description: 'What it is a part of.' },
    action,
    reason: { type: 'string' },
    by: { type: 'string' },
    follows: {
      type: 'object',
      description: 'Present where it follows from others: which fold had emitted the records.',
    },
    count: { type: 'integer', description: 'Events that it is about.' },
    events: {
      type: 'array',
      description: `The first ${EVENTS_SHOWN_MAX} of them; personal values are masked.`,
      items: { type: 'object' },
    },
  },
}

const common = { scope: 'admin' as const, tag: 'corrections', folds: [] }

/** The operations on corrections. */
export function correctionOperations(context: ServerContext): readonly Operation[] {
  const mask = createMask(context.app, context.schemas)
  return [
    {
      ...common,
      method: 'GET',
      path: '/v1/corrections',
      operation: 'listCorrections',
      summary: 'What was corrected, in the order of the log',
      errors: [],
      query: {
        type: 'object',
        properties: {
          from: fromParameter,
          limit: { type: 'integer', minimum: 1, maximum: LIMIT_MAX, default: LIMIT_DEFAULT },
        },
      },
      response: {
        type: 'object',
        required: ['corrections', 'next'],
        properties: {
          corrections: { type: 'array', items: correctionSchema },
          next: {
            type: ['integer', 'null'],
            description: 'The offset to go on `from`; null at the end.',
          },
        },
      },
      handle: request => list(context, mask, request),
    },
    {
      ...common,
      method: 'GET',
      path: '/v1/corrections/:event',
      operation: 'readCorrection',
      summary: 'What holds for an event, and what held before',
      errors: ['CORRECTION_UNKNOWN'],
      params: idParams('event'),
      response: {
        type: 'object',
        required: ['event', 'action', 'history'],
        properties: {
          event: { type: 'string' },
          action,
          history: {
            type: 'array',
            description: 'The decisions on it, oldest first.',
            items: {
              type: 'object',
              required: ['action'],
              properties: { action, source: { type: 'string', description: 'Which correction.' } },
            },
          },
        },
      },
      handle: request => show(context, request),
    },
  ]
}

async function list(
  { streams }: ServerContext,
  mask: Mask,
  { query }: RouteRequest,
): Promise<RouteAnswer> {
  const limit = query['limit'] as number
  const from = (query['from'] as number | undefined) ?? 0
  const found = await streams.corrections.list({ from, limit: limit + 1 })
  const corrections = found.slice(0, limit).map(correction => shown(mask, correction))
  return { body: { corrections, next: found[limit]?.offset ?? null } }
}

function shown(mask: Mask, { id, offset, atMs, ...data }: ListedCorrection): unknown {
  const events = data.events.slice(0, EVENTS_SHOWN_MAX)
  const record = { stream: CORRECTIONS_STREAM, type: CORRECTED_TYPE, data: { ...data, events } }
  const masked = mask(record as unknown as LogRecord) as object
  return { id, offset, atMs, ...masked, count: data.events.length }
}

function show({ streams }: ServerContext, { params }: RouteRequest): RouteAnswer {
  const { event } = params as { event: string }
  const decided = streams.corrections.of(event)
  if (decided.length === 0) throw serverErrors.create('CORRECTION_UNKNOWN', { event })
  const history = decided.map(correction =>
    correction === undefined
      ? { action: 'restore' }
      : { action: correction.action, source: correction.source },
  )
  return { body: { event, action: history.at(-1)?.action, history } }
}
