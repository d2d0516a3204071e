/** JSON Schemas that the routes of items and of people share. */
import { timeSchema, type JsonSchema } from '@millrace/core'
import { BULK_ROWS_MAX } from './table-writer.ts'

const eventId: JsonSchema = {
  type: 'string',
  pattern: '^[^\\u0000-\\u001f\\u007f]{1,128}$',
  description: 'id of the change: sent again, it changes nothing',
}
const at: JsonSchema = {
  ...timeSchema,
  description: 'when it became so: milliseconds since the epoch or RFC 3339 text; default: now',
}

/** Query of a single change. */
export const changeQuery: JsonSchema = { type: 'object', properties: { eventId, at } }

/** Body of a single put: the attributes. They are checked against the kind by the module. */
export const rowBody: JsonSchema = {
  type: 'object',
  additionalProperties: true,
  description: 'all attributes, as the app declares them',
}

const issue: JsonSchema = {
  type: 'object',
  properties: { path: { type: 'string' }, reason: { type: 'string' } },
  required: ['path', 'reason'],
}

/** What a single change answers. */
export const changeResponse: JsonSchema = {
  type: 'object',
  properties: {
    kind: { type: 'string' },
    id: { type: 'string' },
    status: { type: 'string', enum: ['put', 'removed', 'duplicate'] },
    eventId: { type: 'string' },
  },
  required: ['id', 'status', 'eventId'],
}

/** Body of a bulk put. Every row is checked for itself, so that one bad row refuses only itself. */
export const bulkBody: JsonSchema = {
  type: 'array',
  maxItems: BULK_ROWS_MAX,
  items: {
    type: 'object',
    properties: { id: { type: 'string' }, attributes: {}, eventId, at },
    required: ['id', 'attributes'],
  },
}

/** What a bulk put answers. */
export const bulkResponse: JsonSchema = {
  type: 'object',
  properties: {
    results: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          id: { type: 'string', description: 'absent when what was sent is no id' },
          status: { type: 'string', enum: ['put', 'removed', 'duplicate', 'refused'] },
          eventId: { type: 'string' },
          code: { type: 'string' },
          reason: { type: 'string' },
          issues: { type: 'array', items: issue },
        },
        required: ['status'],
      },
    },
  },
  required: ['results'],
}
