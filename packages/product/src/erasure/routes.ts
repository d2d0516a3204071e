/** HTTP operations on erasures. Who is erased stands in the body, so that no act names anybody. */
import { ID_PATTERN, type JsonSchema } from '@millrace/core'
import type { RouteAnswer, RouteDefinition, RouteRequest } from '../module.ts'
import type { Erasure } from './book.ts'
import type { Erasures } from './erasures.ts'
import type { ErasureReport } from './events.ts'

const PEOPLE_MAX = 1000
const REASON_MAX = 1000

const text: JsonSchema = { type: 'string' }
const count: JsonSchema = { type: 'integer', minimum: 0 }
const texts: JsonSchema = { type: 'array', items: text }

function object(
  properties: Readonly<Record<string, JsonSchema>>,
  optional: readonly string[] = [],
): JsonSchema {
  const required = Object.keys(properties).filter(name => !optional.includes(name))
  return { type: 'object', properties, required }
}

const report = object({
  people: { ...texts, description: 'surrogate ids' },
  events: { ...count, description: 'events that name them; they are retracted' },
  ofOthers: { ...count, description: 'of these, events of others' },
  types: {
    type: 'array',
    items: object({
      type: text,
      stream: text,
      events: count,
      sealed: { ...count, description: 'with fields that nobody can read any more' },
      clear: { ...count, description: 'appended before their personal fields were sealed' },
      readable: { ...texts, description: 'fields that are not marked, and stay in the log' },
    }),
  },
  views: {
    type: 'array',
    description: 'folds that said something of them',
    items: object({ fold: text, records: count, keys: count }),
  },
  remains: {
    type: 'array',
    description: 'what could not be erased, and what can be done about it',
    items: object({ what: text, count, remedy: text }, ['count']),
  },
})

const erasure = object(
  {
    erasure: { ...text, description: 'its id; empty for a dry run' },
    state: { type: 'string', enum: ['planned', 'running', 'ended'] },
    people: texts,
    reason: text,
    by: { ...text, description: 'who decided it, as the audit names them' },
    begunMs: { type: 'number' },
    endedMs: { type: 'number' },
    report,
  },
  ['begunMs', 'endedMs', 'report'],
)

const common = { scope: 'admin', folds: [] } as const

/** The operations. */
export function erasureRoutes(erasures: Erasures): RouteDefinition[] {
  return [
    {
      ...common,
      method: 'POST',
      path: '/v1/erasures',
      operation: 'erasePeople',
      summary: 'Erases people: their personal fields become unreadable, every view is cleaned',
      description:
        'Begun when it answers, and then carried out; it cannot be taken back. Ask for the erasure until its state is `ended`. People who were erased before are answered with that erasure.',
      body: {
        type: 'object',
        properties: {
          people: {
            type: 'array',
            minItems: 1,
            maxItems: PEOPLE_MAX,
            uniqueItems: true,
            items: { type: 'string', pattern: ID_PATTERN },
          },
          reason: { type: 'string', minLength: 1, maxLength: REASON_MAX },
          dryRun: {
            type: 'boolean',
            description: 'tell what it would come to, and change nothing',
          },
        },
        required: ['people', 'reason'],
        additionalProperties: false,
      },
      response: erasure,
      errors: ['ERASURE_NOBODY'],
      handle: request => erase(erasures, request),
    },
    {
      ...common,
      method: 'GET',
      path: '/v1/erasures',
      operation: 'listErasures',
      summary: 'Lists erasures, the newest first',
      response: object({ erasures: { type: 'array', items: erasure } }),
      handle: () => ({ body: { erasures: erasures.list().map(shown) } }),
    },
    {
      ...common,
      method: 'GET',
      path: '/v1/erasures/:id',
      operation: 'getErasure',
      summary: 'Reads an erasure, with its report when it has ended',
      params: { type: 'object', properties: { id: text }, required: ['id'] },
      response: erasure,
      errors: ['ERASURE_UNKNOWN'],
      handle: ({ params: { id = '' } }) => ({ body: shown(erasures.get(id)) }),
    },
  ]
}

async function erase(
  erasures: Erasures,
  { body, actor = 'host' }: RouteRequest,
): Promise<RouteAnswer> {
  const {
    people,
    reason,
    dryRun = false,
  } = body as {
    readonly people: readonly string[]
    readonly reason: string
    readonly dryRun?: boolean
  }
  const request = { people, reason, by: actor }
  if (!dryRun) return { body: shown(await erasures.begin(request)) }
  const planned = await erasures.dryRun(request)
  return { body: { erasure: '', state: 'planned', people: planned.people, reason, by: actor, report: shownReport(planned) } } // prettier-ignore
}

function shown({ report: known, ...erased }: Erasure): unknown {
  const state = known === undefined ? 'running' : 'ended'
  return { ...erased, state, ...(known === undefined ? {} : { report: shownReport(known) }) }
}

function shownReport({ people, events, ofOthers, types, views, remains }: ErasureReport): unknown {
  return { people, events, ofOthers, types, views, remains }
}
