/** HTTP operations on features. */
import { ID_PATTERN, type Clock, type JsonSchema } from '@millrace/core'
import {
  CELL_STATUSES,
  createCellRow,
  featureFoldName,
  featuresErrors,
  type CompiledFeatures,
  type FeatureShard,
} from '@millrace/features'
import type { Streams } from '@millrace/streams'
import type { RouteDefinition } from '../module.ts'
import { featureKind, featureValue, object, statusName, text, texts } from './json-schemas.ts'
import { listFeatures } from './listed.ts'
import type { Features } from './module.ts'
import { textOfRows } from './rows-text.ts'

/** Rows of one request. */
const ROWS_MAX = 10_000

const listed = object({
  views: {
    type: 'array',
    items: object(
      {
        name: text,
        entity: text,
        pair: text,
        events: texts,
        version: text,
        isPersonal: { type: 'boolean' },
        freshness: text,
        ttl: text,
        owner: text,
        description: text,
        features: {
          type: 'array',
          items: object(
            {
              name: text,
              aggregation: text,
              window: text,
              values: featureKind,
              default: featureValue,
              fingerprint: text,
              description: text,
            },
            ['description'],
          ),
        },
      },
      ['pair', 'freshness', 'ttl', 'owner', 'description'],
    ),
  },
  services: {
    type: 'array',
    items: object(
      {
        name: text,
        entities: texts,
        columns: texts,
        values: { type: 'array', items: featureKind, description: 'of each column' },
        fingerprint: text,
        owner: text,
        description: text,
      },
      ['owner', 'description'],
    ),
  },
})

const readBody: JsonSchema = {
  ...object(
    {
      service: { type: 'string', maxLength: 64 },
      rows: {
        type: 'array',
        maxItems: ROWS_MAX,
        items: {
          type: 'object',
          description: 'an id for each kind of entity of the service',
          additionalProperties: { type: 'string', maxLength: 256 },
        },
      },
      context: { type: 'object', additionalProperties: true },
    },
    ['context'],
  ),
  additionalProperties: false,
}

const readResponse = object(
  {
    requestId: {
      type: 'string',
      description:
        'names what was served, for a check; absent from answers of more than 4,096 values',
    },
    service: text,
    fingerprint: { type: 'string', description: 'what the values depend on: a model pins it' },
    atMs: { type: 'number', description: 'the moment at which the windows end' },
    columns: texts,
    values: { type: 'array', items: { type: 'array', items: featureValue }, description: 'a row each, in the order of the columns' }, // prettier-ignore
    statuses: {
      type: 'array',
      items: { type: 'array', items: { type: 'integer' } },
      description: `by row and column: ${CELL_STATUSES.map((name, number) => `${number} ${name}`).join(', ')}`,
    },
  },
  ['requestId'],
)

const entityResponse = object({
  view: text,
  entity: text,
  atMs: { type: 'number' },
  values: {
    type: 'array',
    items: object({ pair: text, feature: text, value: featureValue, status: statusName }, ['pair']),
  },
})

interface Ports {
  readonly streams: Streams
  readonly clock: Clock
}

/** The routes of features. */
export function featureRoutes(features: Features, { streams, clock }: Ports): RouteDefinition[] {
  const { compiled } = features
  const folds = [...compiled.plans.keys()].map(featureFoldName)
  return [
    {
      method: 'GET',
      path: '/v1/features',
      operation: 'listFeatures',
      scope: 'server',
      summary: 'Lists feature views and feature services',
      response: listed,
      folds: [],
      handle: () => ({ body: listFeatures(compiled) }),
    },
    {
      method: 'POST',
      path: '/v1/features/read',
      operation: 'readFeatures',
      scope: 'server',
      summary: 'Reads rows of a feature service',
      description:
        'One row for each entry of `rows`, all at one position of the log, which the header `millrace-position` has.',
      body: readBody,
      response: readResponse,
      folds,
      errors: [
        'SERVICE_UNKNOWN',
        'SERVICE_UNFITTED',
        'FEATURE_ROW_INVALID',
        'FEATURE_CONTEXT_INVALID',
      ],
      handle({ body }) {
        const request = body as Omit<Parameters<Features['read']>[0], 'atMs'>
        const { rows, requestId } = features.parity.serve({ ...request, atMs: clock.nowMs() })
        // An id is plain ASCII, and needs no escape.
        const told = requestId === undefined ? '' : `"requestId":"${requestId}",`
        const bytes = `{${told}${textOfRows(rows)}}`
        return { body: undefined, bytes, position: features.reflected(request.service) }
      },
    },
    {
      method: 'GET',
      path: '/v1/features/:view/:entity',
      operation: 'getFeatures',
      scope: 'server',
      summary: 'Reads all features of one entity in a view',
      params: object({
        view: { type: 'string', maxLength: 64 },
        entity: { type: 'string', pattern: ID_PATTERN },
      }),
      response: entityResponse,
      folds,
      errors: ['FEATURE_UNKNOWN'],
      handle: ({ params: { view = '', entity = '' } }) => ({
        body: entityOf(compiled, view, entity, { streams, clock }),
      }),
    },
  ]
}

function entityOf(
  compiled: CompiledFeatures,
  view: string,
  entity: string,
  { streams, clock }: Ports,
): unknown {
  const plan = compiled.plans.get(view)
  if (plan === undefined) throw featuresErrors.create('FEATURE_UNKNOWN', { feature: view })
  const key = plan.entity === 'person' ? streams.identities.canonical(entity) : entity
  const shard = streams.fold<FeatureShard>(featureFoldName(view)).shardOf(key)
  const atMs = Math.max(clock.nowMs(), shard.watermarkMs)
  const indices = plan.features.map(({ index }) => index)
  const row = createCellRow(indices.length)
  const pair = plan.view.pair === undefined ? undefined : shard.subKeys(key)
  const values = (pair ?? ['']).flatMap(subKey => {
    shard.read({ plan, key, subKey, features: indices, tMs: atMs }, row, indices)
    return plan.features.map(({ name: feature, index }) => ({
      ...(pair === undefined ? {} : { pair: subKey }),
      feature,
      value: row.others[index] ?? row.values[index],
      status: CELL_STATUSES[row.statuses[index] as number],
    }))
  })
  return { view, entity, atMs, values }
}
