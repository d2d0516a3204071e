import { createWriteStream } from 'node:fs'
import { resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Option, type Command } from 'commander'
import { connect, type Connection } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { count } from '../output.ts'
import type { Run } from '../run-command.ts'

interface ReplayOptions {
  readonly stream?: string
  readonly processor?: string
  readonly from?: string
  readonly to?: string
  readonly key?: string
  readonly toFile?: string
}

interface SummaryJson {
  readonly records: number
  readonly rows: number
  readonly parked: readonly {
    readonly key: string
    readonly offset: number
    readonly error: string
  }[]
}

const HELP = `
--from and --to take a position of an earlier answer, or a time of arrival. Examples:
  millrace replay --stream person --from 2026-01-05T10:00:00Z --to-file day.jsonl
  millrace replay --stream person --key ana --to-file ana.jsonl
  millrace replay --processor spent --to 2026-01-05T10:00:00Z   # what the view said then
`

/** `replay`: a range of a stream to a file, or to a view in a fresh state. */
export function addReplay(program: Command, run: Run): void {
  program
    .command('replay')
    .summary('send a range of the log to a file, or to a view in a fresh state')
    .description(
      'Sends a range of a stream to a file, one JSON object a line; or folds it with a view into a fresh state and prints the rows. The live view is not touched, and nothing is emitted. Personal fields are masked.',
    )
    .option('--stream <name>', 'the stream, as `log stats` lists it')
    .addOption(
      new Option('--processor <view>', 'fold the range with this view').conflicts('stream'),
    )
    .option('--from <place>', 'begin there; default: the oldest record')
    .option('--to <place>', 'end before it; default: now')
    .option('--key <key>', 'only records of this key')
    .option('--to-file <file>', 'write the lines there; a file that exists is replaced')
    .addHelpText('after', HELP)
    .action(run<[ReplayOptions]>(replay))
}

async function replay(context: CommandContext, options: ReplayOptions): Promise<void> {
  const { stream, processor } = options
  const usage = (reason: string, next: string): Error =>
    cliErrors.create('CLI_USAGE', { reason, next })
  if (stream === undefined && processor === undefined) {
    throw usage('Nothing is named.', 'Name a stream, or a view with --processor.')
  }
  if (processor === undefined && options.toFile === undefined) {
    throw usage('There is no file to write to.', 'Name it with --to-file.')
  }
  const connection = await connect(context)
  try {
    const lines = linesOf(connection, pathOf(options))
    if (processor === undefined) {
      await toFile(context, lines, options)
    } else {
      await fromView(context, lines, options)
    }
  } finally {
    await connection.close()
  }
}

function pathOf({ stream = '', processor, from, to, key }: ReplayOptions): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries({ from, to, key })) {
    if (value !== undefined) query.set(name, value)
  }
  const place =
    processor === undefined
      ? `/v1/log/streams/${encodeURIComponent(stream)}`
      : `/v1/views/${encodeURIComponent(processor)}`
  return `${place}/replay?${query.toString()}`
}

/** The lines of an answer; what was cut off is not told from an end, so the end is checked by who reads. */
export async function* linesOf(connection: Connection, path: string): AsyncGenerator<string> {
  const answer = await connection.open(path, new AbortController().signal)
  if (answer.body === null) return
  let rest = ''
  for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + part).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
}

async function toFile(
  context: CommandContext,
  lines: AsyncIterable<string>,
  { toFile: name = '' }: ReplayOptions,
): Promise<void> {
  const file = resolve(context.cwd, name)
  const records = await writeLines(file, lines)
  context.output.result({ records, file }, `${count(records)} records written to ${name}.`)
}

/** Writes lines as they come; resolves to their number. */
export async function writeLines(file: string, lines: AsyncIterable<string>): Promise<number> {
  let written = 0
  const counted = async function* (): AsyncGenerator<string> {
    for await (const line of lines) {
      written += 1
      yield `${line}\n`
    }
  }
  await pipeline(counted, createWriteStream(file, { mode: 0o600 }))
  return written
}

async function fromView(
  context: CommandContext,
  lines: AsyncIterable<string>,
  { processor, toFile: name }: ReplayOptions,
): Promise<void> {
  const { output } = context
  let summary: SummaryJson | undefined
  const rows = (async function* () {
    for await (const line of lines) {
      const value = JSON.parse(line) as
        SummaryJson | { readonly key: string; readonly value: unknown }
      if ('key' in value) yield { line, ...value }
      else summary = value
    }
  })()
  if (name === undefined) {
    for await (const { key, value } of rows) {
      output.item({ key, value }, `${key}  ${JSON.stringify(value)}`)
    }
  } else {
    const onlyLines = (async function* () {
      for await (const { line } of rows) yield line
    })()
    await writeLines(resolve(context.cwd, name), onlyLines)
  }
  if (summary === undefined) {
    throw cliErrors.create('CLI_REFUSED', {
      reason: 'The answer ended before it was whole.',
      next: 'Try again.',
      code: 'CLI_UNREACHABLE',
    })
  }
  const { records, rows: found, parked } = summary
  const waiting = parked.map(({ key, offset, error }) => `${key} stopped at ${offset}: ${error}`)
  const text = `${processor}: ${count(found)} rows of ${count(records)} records${name === undefined ? '' : `, written to ${name}`}.`
  if (name === undefined) output.note([text, ...waiting].join('\n'))
  else output.result({ ...summary, file: name }, [text, ...waiting].join('\n'))
}
