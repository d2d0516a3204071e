/** `POST /v1/events`: one event, an array, or NDJSON; each has its result. */
import { timeSchema, type App, type JsonSchema, type Position } from '@millrace/core'
import { serverErrors } from '../errors.ts'
import type { IngestOptions } from '../ingest/ingest.ts'
import { refusalOf } from '../ingest/refusal.ts'
import { isRefused, quoteId, type EventResult } from '../ingest/results.ts'
import { POSITION_HEADER, createTokenCache } from './bind.ts'
import type { BodyBudget } from './bodies.ts'
import type { ServerContext } from './context.ts'
import { serveLines } from './event-lines.ts'
import type { Exchange, Operation } from './operation.ts'
import { problemSchema } from './problems.ts'
import type { Caller } from './security/gate.ts'

const JSON_TYPE = 'application/json; charset=utf-8'

/** Media types of a body with one event a line. */
export const NDJSON_TYPES = ['application/x-ndjson', 'application/ndjson', 'application/jsonl']

/** True for a Content-Type of one event a line. */
export function isNdjson(contentType: string | undefined): boolean {
  // What nearly every request says needs no look at its parameters.
  if (contentType === 'application/json') return false
  return NDJSON_TYPES.includes((contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '')
}

const resultSchema: JsonSchema = {
  type: 'object',
  description: 'What became of one event.',
  required: ['status'],
  properties: {
    status: {
      type: 'string',
      enum: ['appended', 'duplicate', 'conflict', 'invalid'],
      description:
        'appended: durable now. duplicate: it was before. conflict: its id belongs to another event. invalid: refused.',
    },
    id: { type: 'string', description: 'Its id; made by the server when it was sent without.' },
    index: { type: 'integer', description: 'Its place in the request, from 0.' },
    line: { type: 'integer', description: 'Its line in NDJSON, from 1.' },
    code: { type: 'string' },
    path: { type: 'string', description: 'JSON Pointer into the event.' },
    reason: { type: 'string' },
  },
}

const count: JsonSchema = { type: 'integer', minimum: 0 }

const batchSchema: JsonSchema = {
  type: 'object',
  required: ['appended', 'duplicates', 'conflicts', 'invalid', 'results'],
  properties: {
    appended: count,
    duplicates: count,
    conflicts: count,
    invalid: count,
    results: { type: 'array', items: resultSchema, description: 'One per event, in order.' },
    position: {
      type: 'string',
      description: 'In place of the header, in an answer that began before the body ended.',
    },
    error: {
      ...problemSchema,
      description:
        'Why the rest of the lines was not taken, in an answer that had begun. Events without a result have to be sent again.',
    },
  },
}

/** Schemas of the events of an app as they are sent, by type name. */
export function envelopeSchemas(app: App): Map<string, JsonSchema> {
  const schemas = new Map<string, JsonSchema>()
  for (const [name, event] of app.events) {
    schemas.set(name, {
      type: 'object',
      ...(event.definition.description === undefined
        ? {}
        : { description: event.definition.description }),
      required: ['type', 'data'],
      properties: {
        type: { type: 'string', const: name },
        id: {
          type: 'string',
          pattern: '^[^\\u0000-\\u001f\\u007f]{1,128}$',
          description: 'Recognises the event when it is sent again; a UUID of version 7 is best.',
        },
        at: {
          ...timeSchema,
          description: `When it happened. Default: now. ${timeSchema['description'] as string}`,
        },
        data: event.schema,
      },
      additionalProperties: false,
    })
  }
  return schemas
}

/** The operation; `eventSchema` describes any event of the app. */
export function eventOperations(
  context: ServerContext,
  eventSchema: JsonSchema,
  budget: BodyBudget,
): readonly Operation[] {
  const positionToken = createTokenCache()
  return [
    {
      method: 'POST',
      path: '/v1/events',
      operation: 'trackEvents',
      scope: 'public',
      tag: 'events',
      summary: 'Append events',
      description:
        'One event, a JSON array of events, or one event a line as application/x-ndjson. The answer comes when they are durable. Sending an event again with its id changes nothing. Lines are taken while they arrive, in order and without a limit to their number; a body that is cut off has been taken up to some line. An answer of more than about 10,000 results begins before the body ends: read it while sending. It then carries its position in itself.',
      query: {
        type: 'object',
        properties: {
          history: {
            type: 'boolean',
            default: false,
            description: 'Imported events: they do not age by the wall clock.',
          },
        },
      },
      body: { oneOf: [eventSchema, { type: 'array', items: eventSchema }] },
      bodies: {
        'application/json': {
          oneOf: [
            eventSchema,
            {
              type: 'array',
              items: {
                anyOf: [
                  eventSchema,
                  {
                    description:
                      'Anything else does not refuse the array: its result says that it is invalid.',
                  },
                ],
              },
            },
          ],
        },
        'application/x-ndjson': { type: 'string', description: 'One event a line.' },
      },
      response: { oneOf: [resultSchema, batchSchema] },
      answers: { 201: { description: 'The event is durable.', schema: resultSchema } },
      errors: [
        'EVENT_INVALID',
        'EVENT_TYPE_UNKNOWN',
        'EVENT_CONFLICT',
        'EVENT_TOO_LARGE',
        'EVENTS_TOO_MANY',
        'BODY_INVALID',
        'BODY_NOT_UTF8',
        'BODY_TOO_LARGE',
        'BODY_MISSING',
        'LOG_OVERLOADED',
        'LOG_READ_ONLY',
      ],
      serve: exchange =>
        isNdjson(exchange.request.headers['content-type'])
          ? serveLines(exchange, { context, budget, options: optionsOf(exchange) })
          : serveEvents(exchange, context, positionToken),
    },
  ]
}

/** Imported events do not age by the clock of the server: nobody says so with a key that everybody can read. */
function assertMayImport({ actor, scope }: Caller): void {
  if (scope !== 'public') return
  throw serverErrors.create('KEY_SCOPE_TOO_SMALL', { actor, scope, needed: 'server' })
}

function optionsOf({ request, query }: Exchange): IngestOptions {
  const isHistory = query['history'] === true
  if (isHistory) assertMayImport(request.caller)
  return { isHistory }
}

/** Answers. Hands nothing back: a reply that is returned is waited for at every level above. */
async function serveEvents(
  exchange: Exchange,
  context: ServerContext,
  positionToken: (position: Position) => string,
): Promise<void> {
  const { reply, body } = exchange
  const options = optionsOf(exchange)
  if (body === undefined || body.length === 0) throw serverErrors.create('BODY_MISSING')
  const outcome = await context.ingest.body(body, 'json', options)
  const position = outcome.position.size === 0 ? context.reflected() : outcome.position
  reply.header(POSITION_HEADER, positionToken(position))
  reply.header('content-type', JSON_TYPE)
  if (outcome.isBatch) {
    reply.send(outcome.text())
    return
  }
  const result = outcome.results()[0] as EventResult
  if (isRefused(result)) throw refusalOf(result)
  reply.code(result.status === 'appended' ? 201 : 200)
  reply.send(`{"status":"${result.status}","id":${quoteId(result.id)}}`)
}
