/** HTTP operations that trace past answers. */
import { ID_PATTERN, readTime, timeSchema, type JsonSchema } from '@millrace/core'
import { CELL_STATUSES } from '@millrace/features'
import type { RouteDefinition } from '../../module.ts'
import { explanationSchema, list, object, pastAnswerSchema } from '../answer-schemas.ts'
import type { AnswerTraces } from './traces.ts'

const CANDIDATES_DEFAULT = 50
const EVENTS_DEFAULT = 20
const PAGE_MAX = 500

const text: JsonSchema = { type: 'string' }
const integer: JsonSchema = { type: 'integer' }
const number: JsonSchema = { type: 'number' }
const person: JsonSchema = {
  type: 'string',
  pattern: ID_PATTERN,
  description: 'makes the search shorter',
}
const params: JsonSchema = object({ answerId: { type: 'string', minLength: 1, maxLength: 128 } })
const limit = (standard: number): JsonSchema => ({
  type: 'integer',
  minimum: 1,
  maximum: PAGE_MAX,
  default: standard,
})
const placeBefore: JsonSchema = {
  type: 'integer',
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'the `next` of the page before',
}
const itemParameter: JsonSchema = { type: 'string', maxLength: 321 }
const statusName: JsonSchema = { type: 'string', enum: [...CELL_STATUSES] }
const wasAndNow = (value: JsonSchema): JsonSchema => object({ was: value, now: value })

const feature = object(
  {
    name: {
      type: 'string',
      description:
        'a column of the feature service that the surface ranks by; or of built-in sources: `transition`, what led from one item to the next; `nearness` and `likeness`, how near two are by what people do, and by their attributes; `popularity` and `trend`, decayed sums of weights as of then; `signals` so far; when it was `put`, in milliseconds',
    },
    value: { description: 'a number; of a column also a text or a list' },
  },
  {
    with: { type: 'string', description: 'key of the other item' },
    status: { ...statusName, description: 'of a column' },
    from: list(
      object(
        {
          feature: { type: 'string', description: '`<view>.<feature>`' },
          fingerprint: text,
          entity: text,
          events: { type: 'string', description: 'path of the events behind the value, as of the answer' }, // prettier-ignore
        },
        { pair: text },
      ),
      'of a column: the values of feature views that it was made from',
    ),
  },
)

const read = object({
  service: text,
  fingerprint: { type: 'string', description: 'what the values depend on' },
  atMs: { type: 'number', description: 'the moment at which the windows ended' },
  position: { type: 'string', description: 'what the rows reflect' },
  rows: { type: 'integer', description: 'candidates that were scored' },
})

const candidate = object(
  {
    kind: text,
    id: text,
    outcome: {
      type: 'string',
      description: '`shown`, or the stage that kept it out: a filter, `candidates` where the sources proposed others more strongly, a limit, `ranking` where others came first', // prettier-ignore
    },
    terms: list(
      object({ stage: text, weight: number, score: number, features: list(feature) }),
      'the sum of weight times score is the score',
    ),
  },
  {
    slot: { type: 'integer', description: 'place in the slate, from 1' },
    rank: { type: 'integer', description: 'place by score among those that no filter took' },
    score: number,
  },
)

const tracedSchema: JsonSchema = {
  ...pastAnswerSchema,
  required: [...(pastAnswerSchema['required'] as readonly string[]), 'versions', 'missing'],
  properties: {
    ...(pastAnswerSchema['properties'] as Readonly<Record<string, JsonSchema>>),
    versions: object({
      definition: wasAndNow(text),
      scoring: wasAndNow(text),
      folds: list(object({ name: text, version: text })),
      corrections: wasAndNow(integer),
    }),
    missing: list(
      object({ code: text, reason: text }),
      'what is not known any more, or is not as it was',
    ),
    isSame: {
      type: 'boolean',
      description: 'the code that serves gives the same items at the same places; absent, as all below, where the state could not be folded', // prettier-ignore
    },
    explanation: explanationSchema,
    outcomes: list(object({ outcome: text, count: integer })),
    read: { ...read, description: 'the rows that the surface ranked by; absent where it ranks by its sources' }, // prettier-ignore
    traced: list(candidate, 'shown ones by slot, then by rank, then those that filters took'),
    next: { type: 'integer', description: 'go on `after` this; absent at the end' },
  },
}

const behindSchema: JsonSchema = object(
  {
    events: list(
      object(
        { id: text, stream: text, type: text, atMs: number },
        {
          person: { type: 'string', description: 'who did it; absent where only the signal that was made from the event is found' }, // prettier-ignore
          weight: number,
          after: list(text, 'what the person had acted on before, newest first'),
          corrected: { type: 'string', enum: ['retract', 'hold', 'correct'], description: 'what was decided on it since' }, // prettier-ignore
        },
      ),
      'newest first',
    ),
  },
  { next: { type: 'integer', description: 'go on `before` this; absent at the end' } },
)

const givenSchema: JsonSchema = object(
  {
    answers: list(
      object({
        answerId: text,
        surface: text,
        atMs: number,
        items: list(object({ kind: text, id: text, title: text })),
      }),
      'newest first',
    ),
  },
  { next: { type: 'integer', description: 'go on `before` this; absent at the end' } },
)

function givenRoute(traces: AnswerTraces): RouteDefinition {
  return {
    method: 'GET',
    path: '/v1/people/:id/answers',
    operation: 'listAnswers',
    scope: 'server',
    summary: 'What a person was shown, the newest answers first',
    params: object({ id: { type: 'string', pattern: ID_PATTERN } }),
    query: {
      type: 'object',
      properties: {
        at: { ...timeSchema, description: 'answers until then; default: until now' },
        before: placeBefore,
        limit: limit(EVENTS_DEFAULT),
      },
    },
    response: givenSchema,
    folds: [],
    async handle({ params: { id = '' }, query }) {
      const { before, limit: most } = query as { before?: number; limit: number }
      const atMs = readTime(query['at'])
      return { body: await traces.given(id, { atMs, before, limit: most }) }
    },
  }
}

/** The routes. */
export function traceRoutes(traces: AnswerTraces): readonly RouteDefinition[] {
  return [
    givenRoute(traces),
    {
      method: 'GET',
      path: '/v1/answers/:answerId/explanation',
      operation: 'traceAnswer',
      scope: 'server',
      summary: 'How a past answer came about, candidate by candidate',
      description:
        'The state that it was made from is folded from the log: every candidate with the stage that kept it out, the terms of its score and the features behind them. `missing` names what is not known any more. It costs the fold of all signals up to the answer; one at a time.',
      params,
      query: {
        type: 'object',
        properties: {
          person,
          after: {
            type: 'integer',
            minimum: 0,
            maximum: Number.MAX_SAFE_INTEGER,
            description: 'the `next` of the page before',
          },
          item: { ...itemParameter, description: 'only this candidate, `kind/id`; none where no source proposed it' }, // prettier-ignore
          limit: { ...limit(CANDIDATES_DEFAULT), description: 'candidates' },
        },
      },
      response: tracedSchema,
      folds: [],
      errors: ['ANSWER_UNKNOWN', 'ANSWER_ERASED', 'PAST_BUSY'],
      async handle({ params: { answerId = '' }, query }) {
        const request = query as unknown as Parameters<AnswerTraces['answer']>[1]
        return { body: await traces.answer(answerId, request) }
      },
    },
    {
      method: 'GET',
      path: '/v1/answers/:answerId/events',
      operation: 'listEventsBehind',
      scope: 'admin',
      summary: 'The events behind a term of a past answer, newest first',
      description:
        'What people did with the item, as far as the answer knew it and the built-in source `stage` counts it. Without the data of events.',
      params,
      query: {
        type: 'object',
        required: ['item', 'stage'],
        properties: {
          item: { ...itemParameter, description: '`kind/id` of a candidate' },
          stage: { type: 'string', maxLength: 64, description: 'forYou, because, trending, popular or fresh; a term of a ranker has the paths of its events in the explanation' }, // prettier-ignore
          person,
          before: placeBefore,
          limit: limit(EVENTS_DEFAULT),
        },
      },
      response: behindSchema,
      folds: [],
      errors: ['ANSWER_UNKNOWN', 'ANSWER_ERASED', 'REQUEST_INVALID', 'LOG_OFFSET_GONE'],
      async handle({ params: { answerId = '' }, query }) {
        const request = query as unknown as Parameters<AnswerTraces['behind']>[1]
        return { body: await traces.behind(answerId, request) }
      },
    },
  ]
}
