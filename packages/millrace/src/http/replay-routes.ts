/**
 * Replay: a range of a stream, as lines, or as what a view makes of it in a fresh state. Lines of
 * JSON, at the reader's pace; personal values are masked.
 */
import { Readable } from 'node:stream'
import {
  decodePosition,
  encodePosition,
  POSITION_PATTERN,
  partitionName,
  readTime,
  timeSchema,
  type JsonSchema,
  type Position,
} from '@millrace/core'
import { TICK_TYPE, logErrors, type LogRecord } from '@millrace/log'
import { productErrors } from '@millrace/product'
import type { FoldShard } from '@millrace/streams'
import { idParams } from './bind.ts'
import type { ServerContext } from './context.ts'
import { recordJson } from './log-routes.ts'
import { createMask, createRowMask, type Mask, type RowMask } from './mask.ts'
import type { Exchange, Operation } from './operation.ts'
import { foldOfView } from './rebuild-routes.ts'

const LINES: NonNullable<Operation['media']> = {
  mediaType: 'application/x-ndjson',
  schema: { type: 'string' },
}
const BATCH_RECORDS = 500

const timeChoices = timeSchema['anyOf'] as readonly JsonSchema[]

const boundParameter = (what: string): JsonSchema => ({
  anyOf: [{ type: 'string', pattern: POSITION_PATTERN }, ...timeChoices],
  description: `${what}: a position of an earlier answer, or a time of arrival, in milliseconds since the epoch or RFC 3339.`,
})

const query: JsonSchema = {
  type: 'object',
  properties: {
    from: boundParameter('Begins there'),
    to: boundParameter('Ends before it'),
    key: { type: 'string', minLength: 1, maxLength: 512, description: 'Only of this key.' },
  },
}

const common = {
  method: 'GET' as const,
  scope: 'admin' as const,
  tag: 'rebuilds',
  isOutsideLog: true,
  query,
  media: LINES,
}

/** The operations that replay. */
export function replayOperations(context: ServerContext): readonly Operation[] {
  const mask = createMask(context.app, context.schemas)
  const maskRow = createRowMask(context.app)
  return [
    {
      ...common,
      path: '/v1/log/streams/:stream/replay',
      operation: 'replayStream',
      summary: 'A range of a stream as lines of JSON, partition by partition',
      params: idParams('stream'),
      errors: ['LOG_STREAM_UNKNOWN', 'LOG_OFFSET_GONE', 'POSITION_INVALID'],
      serve: exchange => replayStream(context, mask, exchange),
    },
    {
      ...common,
      path: '/v1/views/:view/replay',
      operation: 'replayView',
      summary: 'What a view makes of a range of its stream, in a fresh state',
      description:
        'A line `{"key", "value"}` for each row, then one with what was read: `records`, `rows`, `parked`. The live view is not touched, nothing is emitted.',
      params: idParams('view'),
      errors: ['VIEW_UNKNOWN', 'REPLAY_INVALID', 'POSITION_INVALID'],
      serve: exchange => replayView(context, maskRow, exchange),
    },
  ]
}

async function replayStream(
  context: ServerContext,
  mask: Mask,
  { params, query: asked, reply }: Exchange,
): Promise<void> {
  const stream = params['stream'] as string
  const { from, to } = await rangeOf(context, stream, asked)
  const key = asked['key'] as string | undefined
  const records =
    key === undefined
      ? recordsIn(context, stream, from, to)
      : historyIn(context, stream, key, from, to)
  reply.header('content-type', LINES.mediaType)
  await send(
    reply,
    (async function* () {
      for await (const record of records) {
        if (record.type !== TICK_TYPE) yield `${JSON.stringify(recordJson(record, mask))}\n`
      }
    })(),
  )
}

async function replayView(
  context: ServerContext,
  maskRow: RowMask,
  { params, query: asked, reply }: Exchange,
): Promise<void> {
  const { fold } = foldOfView(context, params)
  const { definition } = context.streams.fold(fold)
  const { from, to } = await rangeOf(context, definition.source, asked)
  const key = asked['key'] as string | undefined
  const { shards, ...rest } = await context.streams.replay({
    fold,
    from,
    to,
    ...(key === undefined ? {} : { key }),
  })
  const valueOf = (shard: FoldShard, row: string): unknown =>
    maskRow(fold, definition.readKey?.(shard, row))
  reply.header('content-type', LINES.mediaType)
  await send(
    reply,
    (async function* () {
      let rows = 0
      for (const shard of shards) {
        for (const row of shard.keys()) {
          const value = valueOf(shard, row)
          if (value === undefined) continue
          rows += 1
          yield `${JSON.stringify({ key: row, value })}\n`
        }
      }
      yield `${JSON.stringify({ ...rest, rows, to: encodePosition(to) })}\n`
    })(),
  )
}

/** Sends what is made of the lines, in pieces; a reader that goes ends it. */
function send(reply: Exchange['reply'], lines: AsyncIterable<string>): Promise<void> {
  return new Promise(resolve => {
    const body = Readable.from(lines, { objectMode: false, highWaterMark: 64 * 1024 })
    body.once('close', resolve)
    void reply.send(body)
  })
}

/** The range that a request names, within what the stream holds. */
async function rangeOf(
  context: ServerContext,
  name: string,
  { from, to }: Readonly<Record<string, unknown>>,
): Promise<{ readonly from: Position; readonly to: Position }> {
  const stats = context.log.stats().streams.find(({ stream }) => stream === name)
  if (stats === undefined) {
    throw logErrors.create('LOG_STREAM_UNKNOWN', { stream: name.slice(0, 100) })
  }
  const begin = new Map<string, number>()
  const end = new Map<string, number>()
  const read = (text: unknown, at: 'from' | 'to'): BoundOf => boundOf(context, name, text, at)
  const [first, last] = [read(from, 'from'), read(to, 'to')]
  for (const [partition, { start, end: durable }] of stats.partitions.entries()) {
    const place = partitionName(name, partition)
    begin.set(place, Math.max(start, (await first(partition)) ?? start))
    end.set(place, Math.min(durable, (await last(partition)) ?? durable))
  }
  return { from: begin, to: end }
}

type BoundOf = (partition: number) => Promise<number | undefined>

function boundOf(
  { log }: ServerContext,
  stream: string,
  bound: unknown,
  at: 'from' | 'to',
): BoundOf {
  if (bound === undefined) return () => Promise.resolve(undefined)
  if (typeof bound === 'string' && bound.startsWith('p1.')) {
    const position = decodePosition(bound)
    return partition => Promise.resolve(position.get(partitionName(stream, partition)) ?? 0)
  }
  const timeMs = readTime(bound)
  if (timeMs === undefined) {
    const reason = 'it is a position, milliseconds since the epoch, or RFC 3339 text'
    throw productErrors.create('REQUEST_INVALID', { name: `the query, /${at}`, reason })
  }
  return partition => log.seek({ stream, partition, timeMs })
}

async function* recordsIn(
  { log }: ServerContext,
  stream: string,
  from: Position,
  to: Position,
): AsyncGenerator<LogRecord> {
  for (let partition = 0; partition < from.size; partition++) {
    const place = partitionName(stream, partition)
    const end = to.get(place) ?? 0
    for (let at = from.get(place) ?? 0; at < end;) {
      const recordsMax = Math.min(BATCH_RECORDS, end - at)
      const records = await log.read({ stream, partition, from: at, recordsMax })
      if (records.length === 0) break
      yield* records
      at += records.length
    }
  }
}

async function* historyIn(
  { log }: ServerContext,
  stream: string,
  key: string,
  from: Position,
  to: Position,
): AsyncGenerator<LogRecord> {
  for await (const record of log.history({ stream, keys: [key] })) {
    const place = partitionName(stream, record.partition)
    const isInside = record.offset >= (from.get(place) ?? 0) && record.offset < (to.get(place) ?? 0)
    if (isInside) yield record
  }
}
