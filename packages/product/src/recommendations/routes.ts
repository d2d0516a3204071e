/** HTTP operations of the recommendations module. */
import { ID_PATTERN, type App, type JsonSchema } from '@millrace/core'
import { tableFoldName } from '@millrace/streams'
import { productErrors } from '../errors.ts'
import type { RouteAnswer, RouteDefinition } from '../module.ts'
import { answerSchema, listSchema, pastAnswerSchema } from './answer-schemas.ts'
import { ITEM_STATS_FOLD } from './item-stats-fold.ts'
import type { Recommendations } from './module.ts'
import { foldsOf, rankedFeatures } from './ranked-features.ts'
import { PROFILE_FOLD } from './profile-fold.ts'
import type { ListAnswer, Recommender } from './recommender.ts'
import { traceRoutes } from './trace/routes.ts'

const idSchema: JsonSchema = { type: 'string', pattern: ID_PATTERN }
const EXCLUDE_LENGTH_MAX = 16_384
const CONTEXT_LENGTH_MAX = 4_096

/** The routes of the module. */
export function recommendationRoutes(
  app: App,
  api: Recommendations,
  recommend: Recommender['recommendBytes'],
): RouteDefinition[] {
  const kinds = (app.options.items ?? []).map(({ name }) => name)
  if (kinds.length === 0) return []
  const tables = kinds.map(tableFoldName)
  const ranked = foldsOf(rankedFeatures(app)).map(({ name }) => name)
  const kindSchema: JsonSchema = {
    type: 'string',
    maxLength: 64,
    description: `one of: ${kinds.join(', ')}`,
  }
  return [
    ...(api.surfaces().length === 0 ? [] : [surfaceRoute(api, recommend, [...tables, ...ranked])]),
    similarRoute(api, kindSchema, tables),
    everybodyRoute(api, 'trending', kinds, kindSchema, tables),
    everybodyRoute(api, 'popular', kinds, kindSchema, tables),
    answerRoute(api),
    ...traceRoutes(api.traces),
  ]
}

function surfaceRoute(
  api: Recommendations,
  recommend: Recommender['recommendBytes'],
  folds: readonly string[],
): RouteDefinition {
  const surfaces = api.surfaces().join(', ')
  return {
    method: 'GET',
    path: '/v1/surfaces/:surface/recommendations',
    operation: 'recommend',
    scope: 'server',
    summary: 'Recommends items to a person',
    description:
      'A person of whom nothing is known gets popular, trending and new items. What is served is logged as an exposure.',
    params: object({
      surface: { type: 'string', maxLength: 64, description: `one of: ${surfaces}` },
    }),
    query: {
      type: 'object',
      properties: {
        person: { ...idSchema, description: 'id of the person' },
        n: { type: 'integer', minimum: 1, maximum: 1_000, description: "default: the surface's" },
        explain: { type: 'boolean', default: false, description: 'with reasons and stages' },
        exclude: {
          type: 'string',
          maxLength: EXCLUDE_LENGTH_MAX,
          description: 'ids (or kind/id) that must not appear, separated by commas',
        },
        item: { ...idSchema, description: 'the item that the person looks at: id, or kind/id' },
        context: {
          type: 'string',
          maxLength: CONTEXT_LENGTH_MAX,
          description: 'what the request tells features of the context: a JSON object',
        },
      },
    },
    response: answerSchema,
    folds: [PROFILE_FOLD, ITEM_STATS_FOLD, ...folds],
    errors: ['SURFACE_UNKNOWN', 'REQUEST_INVALID'],
    handle({ params, query }) {
      const { person, n, explain, exclude, item, context } = query as {
        person?: string
        n?: number
        explain?: boolean
        exclude?: string
        item?: string
        context?: string
      }
      const { json, position } = recommend(params['surface'] ?? '', {
        person,
        n,
        explain,
        exclude: exclude === undefined ? [] : exclude.split(',').filter(id => id !== ''),
        item,
        context: context === undefined ? undefined : contextIn(context),
      })
      return { body: undefined, bytes: json, position }
    },
  }
}

/** The object that the query tells; throws REQUEST_INVALID. */
function contextIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const told: unknown = JSON.parse(text)
    if (typeof told === 'object' && told !== null && !Array.isArray(told)) return { ...told }
  } catch {
    // Told below.
  }
  throw productErrors.create('REQUEST_INVALID', { name: 'context', reason: 'it is no JSON object' })
}

function similarRoute(
  api: Recommendations,
  kind: JsonSchema,
  tables: readonly string[],
): RouteDefinition {
  return {
    method: 'GET',
    path: '/v1/items/:kind/:id/similar',
    operation: 'similarItems',
    scope: 'server',
    summary: 'Items related to an item',
    description:
      'By what the same people do, and by shared attributes where there is little of that.',
    params: object({ kind, id: idSchema }),
    query: { type: 'object', properties: { n: sizeSchema } },
    response: listSchema,
    folds: [ITEM_STATS_FOLD, ...tables],
    errors: ['KIND_UNKNOWN', 'ITEM_UNKNOWN', 'REQUEST_INVALID'],
    handle: ({ params, query }) =>
      listOf(
        api.similar(params['kind'] ?? '', params['id'] ?? '', {
          n: query['n'] as number | undefined,
        }),
      ),
  }
}

const sizeSchema: JsonSchema = { type: 'integer', minimum: 1, maximum: 100, default: 20 }

function everybodyRoute(
  api: Recommendations,
  list: 'trending' | 'popular',
  kinds: readonly string[],
  kind: JsonSchema,
  tables: readonly string[],
): RouteDefinition {
  return {
    method: 'GET',
    path: `/v1/${list}`,
    operation: list === 'trending' ? 'trendingItems' : 'popularItems',
    scope: 'server',
    summary: list === 'trending' ? 'What people turn to now' : 'What people like',
    description: 'Judged from the newest event, not from the wall clock. At most 100 ms old.',
    query: {
      type: 'object',
      properties: { kind: { ...kind, default: kinds[0] }, n: sizeSchema },
    },
    response: listSchema,
    folds: [ITEM_STATS_FOLD, ...tables],
    errors: ['KIND_UNKNOWN', 'REQUEST_INVALID'],
    handle: ({ query }) =>
      listOf(
        api[list]((query['kind'] as string | undefined) ?? (kinds[0] as string), {
          n: query['n'] as number | undefined,
        }),
      ),
  }
}

function listOf({ items, position }: ListAnswer): RouteAnswer {
  return { body: { items }, position }
}

function answerRoute(api: Recommendations): RouteDefinition {
  return {
    method: 'GET',
    path: '/v1/answers/:answerId',
    operation: 'explainAnswer',
    scope: 'server',
    summary: 'Explains a past answer',
    description:
      'From the exposure that was logged: what was served, from which source, with which score and chance, and what the person had done by then.',
    params: object({ answerId: { type: 'string', minLength: 1, maxLength: 128 } }),
    query: {
      type: 'object',
      properties: { person: { ...idSchema, description: 'makes the search shorter' } },
    },
    response: pastAnswerSchema,
    folds: [],
    errors: ['ANSWER_UNKNOWN', 'ANSWER_ERASED'],
    async handle({ params, query }) {
      const person = query['person'] as string | undefined
      return { body: await api.explainAnswer(params['answerId'] ?? '', person) }
    },
  }
}

function object(properties: Readonly<Record<string, JsonSchema>>): JsonSchema {
  return { type: 'object', properties, required: Object.keys(properties) }
}
