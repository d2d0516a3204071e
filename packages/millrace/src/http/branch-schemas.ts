/** What goes in and out of the operations on branches. */
import type { JsonSchema } from '@millrace/core'
import { momentParameter } from '@millrace/product'

const EVENTS_MAX = 1_000_000
const LINKS_MAX = 10_000
const IDLE_MS_MAX = 24 * 3_600_000
const RECORDS_MAX = 1_000_000_000
const BYTES_MAX = 1024 * 1024 * 1024

const verb: JsonSchema = { type: 'string', enum: ['retract', 'hold', 'correct', 'restore'] }

/** Another definition. */
const definitionSchema: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  description:
    'Another definition. What differs is found by fingerprint, and folded when it is asked for; surfaces answer by it.',
  properties: {
    file: {
      type: 'string',
      minLength: 1,
      maxLength: 1024,
      description:
        'A file in the folder of the app that is served, whose default export is a definition. It runs in the server: refused to callers with a key.',
    },
    settings: {
      type: 'object',
      maxProperties: 100,
      description: 'Values of surfaces by path, such as `surfaces.home.explore`.',
    },
  },
}

/** People who are others. */
const identitiesSchema: JsonSchema = {
  type: 'array',
  maxItems: LINKS_MAX,
  description: 'People who are others: one id is merged into another one, or is itself again.',
  items: {
    type: 'object',
    required: ['from'],
    additionalProperties: false,
    properties: {
      from: { type: 'string', minLength: 1, maxLength: 512 },
      into: {
        type: 'string',
        minLength: 1,
        maxLength: 512,
        description: 'Who it is; absent: itself.',
      },
    },
  },
}

/** What it may cost. */
const limitsSchema: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    records: {
      type: 'integer',
      minimum: 1,
      maximum: RECORDS_MAX,
      description: 'Records that one question may fold. Default 5,000,000.',
    },
    bytes: {
      type: 'integer',
      minimum: 1,
      maximum: BYTES_MAX,
      description: 'Memory of what was folded. Default 64 MiB.',
    },
  },
}

/** What a branch is opened with; `event` describes an event of the app as it is sent. */
export const bodySchema = (event: JsonSchema): JsonSchema => ({
  type: 'object',
  additionalProperties: false,
  properties: {
    at: momentParameter('Where it leaves the live world; default: now'),
    corrections: {
      type: 'array',
      maxItems: EVENTS_MAX,
      description: 'Events that count otherwise.',
      items: {
        type: 'object',
        required: ['id'],
        additionalProperties: false,
        properties: {
          id: { type: 'string', minLength: 1, maxLength: 128 },
          do: { ...verb, default: 'retract' },
          data: { description: 'With `correct`: what is folded in place of the data.' },
        },
      },
    },
    events: {
      type: 'array',
      maxItems: EVENTS_MAX,
      description:
        'Events that did not happen, as they would be sent, each with its time `at`. They stand behind all others and pass no time.',
      items: event,
    },
    items: {
      type: 'array',
      maxItems: EVENTS_MAX,
      description: 'Items that are otherwise: put with these attributes, or removed.',
      items: {
        type: 'object',
        required: ['kind', 'id', 'attributes'],
        additionalProperties: false,
        properties: {
          kind: { type: 'string', maxLength: 64 },
          id: { type: 'string', minLength: 1, maxLength: 256 },
          attributes: { type: ['object', 'null'], description: 'All of them; null removes it.' },
        },
      },
    },
    identities: identitiesSchema,
    definition: definitionSchema,
    limits: limitsSchema,
    idleMs: {
      type: 'integer',
      minimum: 1_000,
      maximum: IDLE_MS_MAX,
      description:
        'It is thrown away when nobody asked it anything for so long. Default 15 minutes.',
    },
  },
})

const count: JsonSchema = { type: 'integer' }
const names: JsonSchema = { type: 'array', items: { type: 'string' } }

/** A branch. */
export const branchSchema: JsonSchema = {
  type: 'object',
  required: ['id', 'at', 'expiresInMs', 'estimate', 'overlay'],
  properties: {
    id: { type: 'string' },
    at: { type: 'string', description: 'Where it leaves the live world, as a position.' },
    expiresInMs: { type: 'integer' },
    results: {
      type: 'object',
      description: 'What became of the corrections that were asked for.',
      required: ['corrected', 'unchanged', 'refused'],
      properties: {
        corrected: count,
        unchanged: count,
        refused: {
          type: 'array',
          items: {
            type: 'object',
            required: ['id', 'reason'],
            properties: { id: { type: 'string' }, reason: { type: 'string' } },
          },
        },
      },
    },
    definition: {
      type: 'object',
      description: 'What of its definition is not what is served; absent where it has none.',
      required: ['fingerprint', 'folds', 'surfaces', 'added', 'removed'],
      properties: {
        fingerprint: { type: 'string' },
        folds: { ...names, description: 'They compute otherwise.' },
        surfaces: { ...names, description: 'They answer by other rules.' },
        added: { ...names, description: 'Folds that only it has: without a state here.' },
        removed: { ...names, description: 'Folds that it has no more.' },
      },
    },
    estimate: {
      type: 'object',
      description:
        'What reading all that differs would cost, but for what follows from emissions; and fold by fold.',
      required: ['keys', 'records', 'bytes', 'folds'],
      properties: {
        keys: count,
        records: count,
        bytes: count,
        folds: {
          type: 'array',
          items: {
            type: 'object',
            required: ['fold', 'keys', 'records', 'bytes', 'emits'],
            properties: {
              fold: { type: 'string' },
              keys: count,
              records: count,
              bytes: count,
              emits: { type: 'boolean', description: 'What is behind it may differ as well.' },
            },
          },
        },
      },
    },
    overlay: {
      type: 'object',
      description: 'What it has folded and still holds.',
      required: ['keys', 'bytes'],
      properties: { keys: count, bytes: count },
    },
  },
}

/** A field that is not the same. */
const differenceSchema: JsonSchema = {
  type: 'object',
  required: ['view', 'key', 'field'],
  properties: {
    view: { type: 'string' },
    key: { type: 'string' },
    field: { type: 'string', description: 'Empty for the value itself.' },
    before: { description: 'Without the changes; personal values are masked.' },
    after: { description: 'With them.' },
  },
}

/** How the views differ. */
export const differencesSchema: JsonSchema = {
  type: 'object',
  required: ['views'],
  properties: {
    views: {
      type: 'array',
      items: {
        type: 'object',
        required: ['view', 'keys', 'changed', 'added', 'removed', 'fields', 'samples'],
        properties: {
          view: { type: 'string' },
          keys: { type: 'integer', description: 'Keys that can differ.' },
          changed: count,
          added: count,
          removed: count,
          fields: {
            type: 'object',
            additionalProperties: count,
            description: 'In how many keys each field differs.',
          },
          samples: { type: 'array', items: differenceSchema },
        },
      },
    },
  },
}

/** Names a view. */
export const viewParameter: JsonSchema = {
  type: 'string',
  minLength: 1,
  maxLength: 64,
  description: 'Only of this view.',
}
