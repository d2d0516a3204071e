/** HTTP operations that prove what was served. */
import { ID_PATTERN, type JsonSchema } from '@millrace/core'
import { MOMENT_ERRORS } from '../moment.ts'
import type { RouteDefinition } from '../module.ts'
import { object, statusName, text } from './json-schemas.ts'
import type { Parity } from './parity.ts'
import { SERVED_KEPT_MS } from './served-writer.ts'

const integer: JsonSchema = { type: 'integer' }
const number: JsonSchema = { type: 'number' }

const mismatch = {
  row: integer,
  entities: { type: 'object', additionalProperties: text },
  feature: text,
  served: {},
  servedStatus: statusName,
  recomputed: {},
  recomputedStatus: statusName,
}

const check = object({
  service: text,
  atMs: number,
  fingerprint: object({ was: text, now: text }),
  rows: integer,
  values: integer,
  mismatches: { type: 'array', items: object(mismatch) },
})

const report = object({
  atMs: number,
  requests: integer,
  values: integer,
  ofOtherDefinitions: integer,
  mismatches: integer,
  byFeature: { type: 'object', additionalProperties: integer },
  examples: { type: 'array', items: object({ request: text, ...mismatch }) },
})

/** The routes. */
export function parityRoutes(parity: Parity): RouteDefinition[] {
  const days = SERVED_KEPT_MS / 86_400_000
  return [
    {
      method: 'GET',
      path: '/v1/features/served/:request/check',
      operation: 'checkServedFeatures',
      scope: 'admin',
      summary: 'Computes what a request was served again, and compares',
      description: `From the log alone, up to the position that the request saw and with the corrections of then, by the code that serves; numbers are compared to the bit. Requests can be checked for ${days} days.`,
      params: object({ request: { type: 'string', pattern: ID_PATTERN } }),
      response: check,
      folds: [],
      errors: ['FEATURE_REQUEST_UNKNOWN', 'FEATURE_STATE_NOT_NOTED', 'SERVICE_UNKNOWN', ...MOMENT_ERRORS], // prettier-ignore
      handle: async ({ params: { request = '' } }) => ({ body: await parity.check(request) }),
    },
    {
      method: 'POST',
      path: '/v1/features/parity',
      operation: 'reportFeatureParity',
      scope: 'admin',
      summary: 'Checks a sample of the newest requests now',
      description:
        'The same is done every ten minutes; `millrace_features_mismatches_total` counts what differs and stays at 0.',
      response: report,
      folds: [],
      errors: ['PAST_BUSY', 'MOMENT_GONE', 'FEATURE_STATE_NOT_NOTED'],
      handle: async () => ({ body: await parity.report() }),
    },
  ]
}
