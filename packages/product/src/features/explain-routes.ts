/** HTTP operations that tell where values come from. */
import { ID_PATTERN, readTime, timeSchema } from '@millrace/core'
import { atParameter, MOMENT_ERRORS, momentIn } from '../moment.ts'
import type { RouteDefinition } from '../module.ts'
import { explainFeature, type ExplainPorts } from './explained.ts'
import { featureValue, object, statusName, text, texts } from './json-schemas.ts'
import { lineageOf } from './lineage.ts'

const LIMIT_DEFAULT = 50
const LIMIT_MAX = 500

const explanation = object(
  {
    value: featureValue,
    status: statusName,
    atMs: { type: 'number', description: 'the moment at which the window ends' },
    events: {
      type: 'array',
      description:
        'Events of the window that changed the value when they came, in the order in which they counted.',
      items: object(
        {
          id: text,
          type: text,
          atMs: { type: 'integer' },
          arrivedMs: { type: 'integer' },
          before: { ...featureValue, description: 'the value when it came; absent for none' },
          after: { ...featureValue, description: 'the value by it' },
        },
        ['before', 'after'],
      ),
    },
    next: { type: 'integer', description: 'Go on `after` this event; absent at the end.' },
    isParked: {
      type: 'boolean',
      description: 'True when the key waited for a repair: what came behind that changed nothing.',
    },
  },
  ['next'],
)

const lineage = object({
  services: {
    type: 'array',
    items: object({
      service: text,
      columns: {
        type: 'array',
        items: object({
          column: text,
          features: texts,
          attributes: texts,
          context: texts,
          events: texts,
        }),
      },
    }),
  },
  events: { type: 'array', items: object({ event: text, features: texts, columns: texts }) },
})

/** The routes. */
export function explainRoutes(ports: ExplainPorts): RouteDefinition[] {
  const name = { type: 'string', maxLength: 64 }
  return [
    {
      method: 'GET',
      path: '/v1/features/lineage',
      operation: 'getFeatureLineage',
      scope: 'server',
      summary: 'What features are made of, and what they go into',
      description:
        'The columns of each service with the features, attributes and events that they depend on; and each event type with what it goes into. Events `<kind>.put` change tables.',
      response: lineage,
      folds: [],
      handle: () => ({ body: lineageOf(ports.compiled) }),
    },
    {
      method: 'GET',
      path: '/v1/features/:view/:entity/:feature/events',
      operation: 'explainFeature',
      scope: 'admin',
      summary: 'The events behind the value of a feature',
      description:
        'The value of one feature of one entity at a moment, and the events of its window that changed it. The history of the entity is folded again.',
      params: object({
        view: name,
        entity: { type: 'string', pattern: ID_PATTERN },
        feature: name,
      }),
      query: {
        type: 'object',
        properties: {
          at: atParameter,
          ends: { ...timeSchema, description: 'where the window ends, if that is behind the watermark; default: at `at`, of a position at its watermark' }, // prettier-ignore
          pair: {
            type: 'string',
            maxLength: 256,
            default: '',
            description: 'of a view of pairs: what the entity is paired with',
          },
          after: {
            type: 'integer',
            minimum: 0,
            maximum: Number.MAX_SAFE_INTEGER,
            description: 'The `next` of the page before.',
          },
          limit: { type: 'integer', minimum: 1, maximum: LIMIT_MAX, default: LIMIT_DEFAULT },
        },
      },
      response: explanation,
      folds: [],
      errors: ['FEATURE_UNKNOWN', 'REQUEST_INVALID', ...MOMENT_ERRORS],
      handle: async ({ params: { view = '', entity = '', feature = '' }, query }) => ({
        body: await explainFeature(ports, {
          view,
          entity,
          feature,
          pair: query['pair'] as string,
          at: momentIn(query, 'at'),
          endsMs: readTime(query['ends']),
          after: query['after'] as number | undefined,
          limit: query['limit'] as number,
        }),
      }),
    },
  ]
}
