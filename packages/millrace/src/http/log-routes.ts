/** Reading the log: streams, ranges, the history of one key, and the tail as it grows. */
import {
  partitionName,
  POSITION_PATTERN,
  readTime,
  timeSchema,
  type JsonSchema,
  type Position,
} from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import type { RouteAnswer, RouteRequest } from '@millrace/product'
import { productErrors } from '@millrace/product'
import { idParams } from './bind.ts'
import type { ServerContext } from './context.ts'
import { createMask, type Mask } from './mask.ts'
import type { Operation } from './operation.ts'
import type { Subscriptions } from './subscriptions.ts'
import { serveTail } from './tail.ts'

const LIMIT_DEFAULT = 100
const LIMIT_MAX = 1000

const integer = (description?: string): JsonSchema => ({
  type: 'integer',
  ...(description === undefined ? {} : { description }),
})

/** JSON Schema of a record of the log. */
export const recordSchema: JsonSchema = {
  type: 'object',
  required: ['stream', 'partition', 'offset', 'type', 'key', 'id', 'eventTimeMs', 'data'],
  properties: {
    tenant: { type: 'string' },
    stream: { type: 'string' },
    partition: integer(),
    offset: integer('Place in the partition, from 0, without gaps.'),
    type: { type: 'string' },
    key: { type: 'string' },
    keys: { type: 'array', items: { type: 'string' } },
    id: { type: 'string' },
    eventTimeMs: integer('When it happened.'),
    ingestTimeMs: integer('When the log took it.'),
    watermarkMs: integer('No earlier event of the partition was expected after it.'),
    definition: { type: 'string', description: 'Version of the definition it was written under.' },
    generation: integer('Generation of the fold that emitted it; 0 for events from outside.'),
    isHistory: { type: 'boolean' },
    headers: { type: 'object', additionalProperties: { type: 'string' } },
    data: { description: 'Personal fields are masked.' },
  },
}

const pageSchema: JsonSchema = {
  type: 'object',
  required: ['records', 'next', 'end'],
  properties: {
    records: { type: 'array', items: recordSchema },
    next: integer('The offset to go on `from`.'),
    end: integer('The durable end of the partition: there is more when `next` is below it.'),
  },
}

const historySchema: JsonSchema = {
  type: 'object',
  required: ['records', 'next'],
  properties: {
    records: { type: 'array', items: recordSchema },
    next: {
      type: ['integer', 'null'],
      description: 'The offset to go on `from`; null at the end.',
    },
  },
}

const streamsSchema: JsonSchema = {
  type: 'object',
  required: ['streams'],
  properties: {
    streams: {
      type: 'array',
      items: {
        type: 'object',
        required: ['name', 'partitions', 'bytes'],
        properties: {
          name: { type: 'string' },
          bytes: integer(),
          partitions: {
            type: 'array',
            items: {
              type: 'object',
              required: ['partition', 'start', 'end', 'watermarkMs'],
              properties: {
                partition: integer(),
                start: integer(),
                end: integer(),
                watermarkMs: { type: ['integer', 'null'] },
              },
            },
          },
        },
      },
    },
  },
}

const limitParameter: JsonSchema = {
  type: 'integer',
  minimum: 1,
  maximum: LIMIT_MAX,
  default: LIMIT_DEFAULT,
}
/** The offset to begin at, as a query parameter. */
export const fromParameter: JsonSchema = {
  type: 'integer',
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'First offset.',
}
const errors = ['LOG_STREAM_UNKNOWN', 'LOG_PARTITION_UNKNOWN', 'LOG_OFFSET_GONE']

/** The operations on the log. */
export function logOperations(
  context: ServerContext,
  subscriptions: Subscriptions,
): readonly Operation[] {
  const mask = createMask(context.app, context.schemas)
  return [
    {
      method: 'GET',
      path: '/v1/log/streams',
      operation: 'listStreams',
      scope: 'admin',
      tag: 'log',
      summary: 'The streams of the log',
      isOutsideLog: true,
      response: streamsSchema,
      handle: () => ({ body: { streams: streamsOf(context) }, position: context.log.ends() }),
    },
    tailOperation(context, subscriptions, mask),
    {
      method: 'GET',
      path: '/v1/log/streams/:stream/keys/:key',
      operation: 'readHistory',
      scope: 'admin',
      tag: 'log',
      summary: 'The history of one key',
      isOutsideLog: true,
      params: idParams('stream', 'key'),
      query: { type: 'object', properties: { from: fromParameter, limit: limitParameter } },
      response: historySchema,
      errors,
      handle: request => readHistory(request, context, mask),
    },
    rangeOperation(context, mask),
  ]
}

function tailOperation(
  context: ServerContext,
  subscriptions: Subscriptions,
  mask: Mask,
): Operation {
  return {
    method: 'GET',
    path: '/v1/log/streams/:stream/tail',
    operation: 'tailStream',
    scope: 'admin',
    tag: 'log',
    summary: 'Records as they become durable, as server-sent events',
    description:
      'Each message `record` has as its id the position after it; a reader that connects again with `Last-Event-ID` misses nothing.',
    isOutsideLog: true,
    params: idParams('stream'),
    query: {
      type: 'object',
      properties: {
        from: {
          type: 'string',
          pattern: POSITION_PATTERN,
          description: 'A position from an earlier answer; default: only what comes now.',
        },
        type: { type: 'string', description: 'Only records of this type.' },
      },
    },
    media: { mediaType: 'text/event-stream', schema: {} },
    errors: [...errors, 'SUBSCRIPTIONS_TOO_MANY', 'POSITION_INVALID'],
    serve: exchange =>
      serveTail(exchange, context, subscriptions, record => recordJson(record, mask)),
  }
}

function rangeOperation(context: ServerContext, mask: Mask): Operation {
  return {
    method: 'GET',
    path: '/v1/log/streams/:stream/:partition',
    operation: 'readStream',
    scope: 'admin',
    tag: 'log',
    summary: 'Records of one partition in order',
    isOutsideLog: true,
    params: {
      type: 'object',
      properties: {
        stream: { type: 'string', minLength: 1, maxLength: 100 },
        partition: { type: 'string', pattern: '^[0-9]{1,5}$' },
      },
      required: ['stream', 'partition'],
      additionalProperties: false,
    },
    query: {
      type: 'object',
      properties: {
        from: fromParameter,
        limit: limitParameter,
        since: {
          ...timeSchema,
          description:
            'Instead of `from`: records that arrived from this time on; milliseconds since the epoch or RFC 3339.',
        },
      },
    },
    response: pageSchema,
    errors,
    handle: request => readRange(request, context, mask),
  }
}

function streamsOf(context: ServerContext): unknown {
  return context.log.stats().streams.map(({ stream, bytes, partitions }) => ({
    name: stream,
    bytes,
    partitions: partitions.map(({ start, end, watermarkMs }, partition) => ({
      partition,
      start,
      end,
      watermarkMs: Number.isFinite(watermarkMs) ? watermarkMs : null,
    })),
  }))
}

async function readRange(
  { params, query }: RouteRequest,
  context: ServerContext,
  mask: Mask,
): Promise<RouteAnswer> {
  const { log } = context
  const stream = params['stream'] as string
  const partition = Number(params['partition'])
  const since = query['since'] as string | number | undefined
  const from =
    since === undefined
      ? ((query['from'] as number | undefined) ?? startOf(context, stream, partition))
      : await log.seek({ stream, partition, timeMs: timeOf(since) })
  const limit = query['limit'] as number
  const records = await log.read({ stream, partition, from, recordsMax: limit })
  const end = log.ends().get(partitionName(stream, partition)) ?? 0
  const next = (records.at(-1)?.offset ?? from - 1) + 1
  return {
    body: { records: records.map(record => recordJson(record, mask)), next, end },
    position: positionAt(stream, partition, end),
  }
}

function startOf(context: ServerContext, name: string, partition: number): number {
  const stats = context.log.stats().streams.find(({ stream }) => stream === name)
  return stats?.partitions[partition]?.start ?? 0
}

function timeOf(since: string | number): number {
  const timeMs = readTime(since)
  if (timeMs !== undefined) return timeMs
  const reason = 'it is milliseconds since the epoch or RFC 3339 text'
  throw productErrors.create('REQUEST_INVALID', { name: 'the query, /since', reason })
}

async function readHistory(
  { params, query }: RouteRequest,
  context: ServerContext,
  mask: Mask,
): Promise<RouteAnswer> {
  const limit = query['limit'] as number
  const history = context.log.history({
    stream: params['stream'] as string,
    keys: [params['key'] as string],
    from: (query['from'] as number | undefined) ?? 0,
  })
  const position = new Map(context.log.ends())
  const records: unknown[] = []
  let next: number | null = null
  for await (const record of history) {
    if (records.length === limit) {
      next = record.offset
      break
    }
    records.push(recordJson(record, mask))
  }
  return { body: { records, next }, position }
}

function positionAt(stream: string, partition: number, end: number): Position {
  return new Map([[partitionName(stream, partition), end]])
}

/** A record as it is shown. */
export function recordJson(record: LogRecord, mask: Mask): Readonly<Record<string, unknown>> {
  return {
    tenant: record.tenant,
    stream: record.stream,
    partition: record.partition,
    offset: record.offset,
    type: record.type,
    key: record.key,
    ...(record.keys.length > 1 ? { keys: record.keys } : {}),
    id: record.id,
    eventTimeMs: record.eventTimeMs,
    ingestTimeMs: record.ingestTimeMs,
    watermarkMs: record.watermarkMs,
    definition: record.definition,
    generation: record.generation,
    isHistory: record.isHistory,
    headers: record.headers,
    data: mask(record),
  }
}
