/** Exports over HTTP: every record of the log as a line of JSON, partition after partition. */
import { Readable } from 'node:stream'
import { encodePosition, partitionName, type JsonSchema, type Position } from '@millrace/core'
import { logErrors } from '@millrace/log'
import { Slices } from '@millrace/streams'
import { exportedRecord, type ExportHead } from '../export/index.ts'
import type { ServerContext } from './context.ts'
import { createMask } from './mask.ts'
import type { Exchange, Operation } from './operation.ts'

const NDJSON = 'application/x-ndjson'
const BATCH_RECORDS = 500
/** How long the records of an export may hold the loop before other requests get their turn. */
const SLICE_MS = 2

/** A partition with the offsets to export. */
interface Range {
  readonly stream: string
  readonly partition: number
  readonly from: number
  readonly to: number
}

/** What an export is of, settled when it is asked for. */
interface Plan {
  readonly ranges: readonly Range[]
  readonly isMasked: boolean
  readonly head: ExportHead
}

/** The operations. */
export function exportOperations(context: ServerContext): readonly Operation[] {
  const mask = createMask(context.app, context.schemas)
  return [
    {
      method: 'POST',
      path: '/v1/exports/:personal',
      operation: 'exportLog',
      scope: 'admin',
      tag: 'operations',
      summary: 'All records of the log, as lines of JSON',
      description:
        'The first line says what is exported, as of now; then come the records, partition after partition, each in order; the last line says how many there were. What `millrace export` asks for.',
      isOutsideLog: true,
      params,
      query: {
        type: 'object',
        properties: {
          streams: { type: 'string', description: 'Names with commas between; default: all.' },
        },
      },
      media: { mediaType: NDJSON, schema: { type: 'string' } },
      errors: ['LOG_STREAM_UNKNOWN'],
      serve({ reply, params: { personal }, query }: Exchange) {
        const plan = planOf(context, { isMasked: personal === 'masked', streams: query['streams'] as string | undefined }) // prettier-ignore
        reply.header('content-type', NDJSON)
        reply.send(Readable.from(chunks(context, plan, mask), { objectMode: false }))
      },
    },
  ]
}

const params: JsonSchema = {
  type: 'object',
  properties: {
    personal: {
      type: 'string',
      pattern: '^(masked|kept)$',
      description: 'Whether personal fields are masked. Only what keeps them can be imported.',
    },
  },
  required: ['personal'],
  additionalProperties: false,
}

function planOf(
  { app, log, clock }: ServerContext,
  { isMasked, streams }: { readonly isMasked: boolean; readonly streams: string | undefined },
): Plan {
  const wanted = streams === undefined ? undefined : new Set(streams.split(','))
  const position: Position = new Map(log.ends())
  const stats = log.stats().streams.filter(({ stream }) => wanted?.has(stream) !== false)
  const found = new Set(stats.map(({ stream }) => stream))
  for (const stream of wanted ?? []) {
    if (!found.has(stream)) {
      throw logErrors.create('LOG_STREAM_UNKNOWN', { stream: stream.slice(0, 100) })
    }
  }
  const ranges = stats.flatMap(({ stream, partitions }) =>
    partitions.map(({ start }, partition) => {
      const to = position.get(partitionName(stream, partition)) ?? 0
      return { stream, partition, from: Math.min(start, to), to }
    }),
  )
  return {
    ranges,
    isMasked,
    head: {
      app: app.name,
      definition: app.fingerprint,
      takenMs: clock.nowMs(),
      position: encodePosition(position),
      personal: isMasked ? 'masked' : 'kept',
      isWhole: wanted === undefined,
      streams: stats.map(({ stream, partitions }) => ({ name: stream, partitions: partitions.length })), // prettier-ignore
      records: ranges.reduce((sum, { from, to }) => sum + to - from, 0),
    },
  }
}

/** The answer, a slice of records at a time: the next is made when the reader has room, and others had their turn. */
async function* chunks(
  { log, clock, isClosing }: ServerContext,
  { ranges, isMasked, head }: Plan,
  mask: ReturnType<typeof createMask>,
): AsyncGenerator<string, void> {
  yield `${JSON.stringify({ export: head })}\n`
  let sent = 0
  const slices = new Slices(clock, SLICE_MS)
  for (const { stream, partition, from, to } of ranges) {
    for (let next = from; next < to;) {
      // Without its last line the answer is not whole, which is what the reader must see.
      if (isClosing()) return
      const recordsMax = Math.min(BATCH_RECORDS, to - next)
      const records = await log.read({ stream, partition, from: next, recordsMax })
      let text = ''
      for (const record of records) {
        const data = isMasked ? mask(record) : record.data
        text += `${JSON.stringify({ record: exportedRecord(record, data) })}\n`
        if (!slices.isOver()) continue
        yield text
        text = ''
        await slices.next()
      }
      next = (records.at(-1)?.offset ?? to) + 1
      sent += records.length
      yield text
    }
  }
  yield `${JSON.stringify({ end: { records: sent } })}\n`
}
