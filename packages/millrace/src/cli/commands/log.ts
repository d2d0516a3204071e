import type { Command } from 'commander'
import { readMessages } from '../../client/event-stream.ts'
import { withConnection, type Connection } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { bytes, count, cut, table, time } from '../output.ts'
import type { Run } from '../run-command.ts'

interface LogRecordJson {
  readonly stream: string
  readonly partition: number
  readonly offset: number
  readonly type: string
  readonly key: string
  readonly id: string
  readonly eventTimeMs: number
  readonly ingestTimeMs: number
  readonly isHistory: boolean
  readonly data: unknown
}

interface StreamJson {
  readonly name: string
  readonly bytes: number
  readonly partitions: readonly {
    readonly partition: number
    readonly start: number
    readonly end: number
    readonly watermarkMs: number | null
  }[]
}

/** `log`: reading the log. */
export function addLog(program: Command, run: Run): void {
  const group = program
    .command('log')
    .summary('read the event log: stats, read, tail')
    .description('Reads the event log. Personal fields are masked.')
  group
    .command('stats')
    .summary('streams, records, watermarks')
    .description('Shows the streams with their records and watermarks.')
    .action(run<[object]>(stats))
  group
    .command('read')
    .summary('records of a partition, or the history of a key')
    .description('Shows the records of one partition in order, or all records of one key.')
    .argument('<stream>', 'the stream, as `log stats` lists it')
    .option('--partition <number>', 'the partition', '0')
    .option('--from <offset>', 'first offset; default: the oldest record')
    .option('--since <time>', 'records that arrived from then on, in place of --from')
    .option('--key <key>', 'the history of this key, in place of a partition')
    .option('-n, --n <count>', 'at most so many records', '20')
    .action(run<[string, ReadOptions]>(read))
  group
    .command('tail')
    .summary('the newest records, and those that come')
    .description('Shows the newest records of a stream, and with --follow those that come.')
    .argument('[stream]', 'the stream', 'person')
    .option('-n, --n <count>', 'how many of the newest', '10')
    .option('-f, --follow', 'go on until Ctrl+C; with --json one object a line')
    .option('--type <type>', 'only records of this type')
    .action(run<[string, TailOptions]>(tail))
}

async function streamsOf(connection: Connection): Promise<readonly StreamJson[]> {
  const { body } = await connection.request({ method: 'GET', path: '/v1/log/streams' })
  return (body as { streams: readonly StreamJson[] }).streams
}

function stats(context: CommandContext): Promise<void> {
  return withConnection(context, async connection => {
    const streams = await streamsOf(connection)
    const rows = streams.map(({ name, partitions, bytes: size }) => {
      const records = partitions.reduce((sum, { start, end }) => sum + end - start, 0)
      const watermarks = partitions.map(({ watermarkMs }) => watermarkMs).filter(ms => ms !== null)
      const newest = watermarks.length === 0 ? '-' : time(Math.max(...watermarks))
      return [name, count(records), String(partitions.length), bytes(size), newest]
    })
    const heading = ['stream', 'records', 'partitions', 'bytes', 'watermark']
    context.output.result({ streams }, table([heading, ...rows], context.output.terminal.columns))
  })
}

interface ReadOptions {
  readonly partition: string
  readonly from?: string
  readonly since?: string
  readonly key?: string
  readonly n: string
}

const PAGE = 1000

function read(context: CommandContext, stream: string, options: ReadOptions): Promise<void> {
  const wanted = readCount('-n', options.n)
  const place =
    options.key === undefined
      ? `${encodeURIComponent(stream)}/${readCount('--partition', options.partition)}`
      : `${encodeURIComponent(stream)}/keys/${encodeURIComponent(options.key)}`
  return withConnection(context, async connection => {
    const records: LogRecordJson[] = []
    let from = options.from
    let next: number | null = null
    while (records.length < wanted) {
      const limit = Math.min(PAGE, wanted - records.length)
      const { body } = await connection.request({
        method: 'GET',
        path: `/v1/log/streams/${place}`,
        query: {
          limit: String(limit),
          ...(from === undefined ? {} : { from }),
          ...(from === undefined && options.since !== undefined ? { since: options.since } : {}),
        },
      })
      const page = body as { records: LogRecordJson[]; next: number | null; end?: number }
      records.push(...page.records)
      next =
        page.end !== undefined && page.next !== null && page.next >= page.end ? null : page.next
      if (page.records.length === 0 || next === null) break
      from = String(next)
    }
    const more = next === null ? [] : [`More: --from ${next}`]
    const lines = [...records.map(record => line(record, context)), ...more]
    context.output.result({ records, next }, lines.join('\n') || 'No records.')
  })
}

interface TailOptions {
  readonly n: string
  readonly follow?: boolean
  readonly type?: string
}

async function tail(context: CommandContext, stream: string, options: TailOptions): Promise<void> {
  const wanted = readCount('-n', options.n)
  await withConnection(context, async connection => {
    const found = (await streamsOf(connection)).find(({ name }) => name === stream)
    if (found === undefined) {
      throw cliErrors.create('CLI_REFUSED', {
        reason: `There is no stream ${stream}.`,
        next: 'Name one that `millrace log stats` lists.',
        code: 'LOG_STREAM_UNKNOWN',
      })
    }
    const newest = await newestOf(connection, found, wanted, options.type)
    if (options.follow !== true) {
      const text = newest.map(record => line(record, context)).join('\n') || 'No records.'
      context.output.result({ records: newest }, text)
      return
    }
    if (!connection.isRemote) {
      context.output.note('No server owns this directory: nothing will come until one does.')
    }
    for (const record of newest) context.output.item(record, line(record, context))
    await follow(context, connection, found, options.type)
  })
}

async function newestOf(
  connection: Connection,
  stream: StreamJson,
  wanted: number,
  type: string | undefined,
): Promise<readonly LogRecordJson[]> {
  const records: LogRecordJson[] = []
  for (const { partition, start, end } of stream.partitions) {
    const limit = Math.min(PAGE, type === undefined ? wanted : PAGE)
    if (end === start || limit === 0) continue
    const from = Math.max(start, end - limit)
    const { body } = await connection.request({
      method: 'GET',
      path: `/v1/log/streams/${stream.name}/${partition}`,
      query: { from: String(from), limit: String(limit) },
    })
    records.push(...(body as { records: LogRecordJson[] }).records)
  }
  return records
    .filter(record => (type === undefined ? !record.type.startsWith('$') : record.type === type))
    .sort(
      (left, right) =>
        left.ingestTimeMs - right.ingestTimeMs || left.eventTimeMs - right.eventTimeMs,
    )
    .slice(-wanted)
}

async function follow(
  context: CommandContext,
  connection: Connection,
  stream: StreamJson,
  type: string | undefined,
): Promise<void> {
  const abort = new AbortController()
  void context.stopped().then(() => abort.abort())
  const query = type === undefined ? '' : `?type=${encodeURIComponent(type)}`
  try {
    const answer = await connection.open(
      `/v1/log/streams/${stream.name}/tail${query}`,
      abort.signal,
    )
    if (answer.body === null) return
    for await (const { event, data } of readMessages(answer.body)) {
      if (event !== 'record') continue
      const record = JSON.parse(data) as LogRecordJson
      context.output.item(record, line(record, context))
    }
  } catch (error) {
    if (!abort.signal.aborted) throw error
  }
}

/** A whole number that an option gives. Throws CLI_USAGE. */
export function readCount(option: string, text: string): number {
  if (/^\d{1,7}$/.test(text)) return Number(text)
  throw cliErrors.create('CLI_USAGE', {
    reason: `${option} ${text} is not a number.`,
    next: 'Use a whole number.',
  })
}

function line(record: LogRecordJson, context: CommandContext): string {
  const place = `${record.partition}:${record.offset}`.padEnd(9)
  const text = `${place} ${time(record.eventTimeMs)}  ${record.type}  ${record.key}  ${JSON.stringify(record.data)}`
  return context.output.terminal.isInteractive ? cut(text, context.output.terminal.columns) : text
}
