import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { isError } from '@millrace/core'
import type { Command } from 'commander'
import type { CommandContext } from '../context.ts'
import { connect, type Connection } from '../connect.ts'
import { cliErrors } from '../errors.ts'
import { EXIT_PARTIAL } from '../exit-codes.ts'
import { count } from '../output.ts'
import type { Run } from '../run-command.ts'

interface TrackOptions {
  readonly id?: string
  readonly at?: string
  readonly file?: string
}

const HELP = `
Examples:
  millrace track watched viewer=ada clip=c1 watchedMs=12000
  millrace track watched '{"viewer":"ada","clip":"c1","watchedMs":12000}' --at 2026-01-31T12:00:00Z
  millrace track --file events.ndjson        # one {type, id?, at?, data} a line; - reads standard input
`

/** `track`: events from the command line. */
export function addTrack(program: Command, run: Run): void {
  program
    .command('track')
    .summary('append an event, or a file of events')
    .description('Appends an event and answers when it is durable.')
    .argument('[type]', 'the event type')
    .argument('[data...]', 'the data: one JSON object, or field=value ...')
    .option('--id <id>', 'event id, so that sending it again changes nothing')
    .option('--at <time>', 'when it happened: milliseconds since 1970, or RFC 3339; default now')
    .option(
      '--file <path>',
      'events from a file, one {type, id?, at?, data} a line; - is standard input',
    )
    .addHelpText('after', HELP)
    .action(run<[string | undefined, string[], TrackOptions]>(track))
}

async function track(
  context: CommandContext,
  type: string | undefined,
  data: readonly string[],
  options: TrackOptions,
): Promise<void> {
  if (options.file !== undefined) return trackFile(context, options.file)
  if (type === undefined) {
    throw cliErrors.create('CLI_USAGE', {
      reason: 'No event type is given.',
      next: 'millrace track <type> field=value ..., or millrace track --file <path>',
    })
  }
  const raw = dataOf(data)
  const connection = await connect(context)
  try {
    const event = {
      type,
      ...(options.id === undefined ? {} : { id: options.id }),
      ...(options.at === undefined ? {} : { at: timeOf(options.at) }),
      data: { ...raw, ...(await textsOf(connection, type, data, raw)) },
    }
    const { body, headers } = await connection.request({
      method: 'POST',
      path: '/v1/events',
      body: event,
    })
    const { status, id } = body as { status: string; id: string }
    const position = headers.get('millrace-position') ?? undefined
    const text =
      status === 'appended' ? `Appended ${id}.` : `${id} was there before: nothing changed.`
    context.output.result({ status, id, position }, text)
  } finally {
    await connection.close()
  }
}

function timeOf(text: string): number | string {
  return /^\d+$/.test(text) ? Number(text) : text
}

/** The fields of `field=value` words that read as JSON and are text by the definition: ids such as 42, titles such as 1984. */
async function textsOf(
  connection: Connection,
  type: string,
  words: readonly string[],
  data: Readonly<Record<string, unknown>>,
): Promise<Readonly<Record<string, string>>> {
  const unsure = words.filter(word => typeof data[fieldOf(word)] !== 'string')
  if (unsure.length === 0 || isObject(words)) return {}
  const { body } = await connection.request({ method: 'GET', path: '/openapi.json' })
  const { components } = body as {
    components: { schemas: Record<string, { properties?: { data?: DataSchema } } | undefined> }
  }
  const fields = components.schemas[`event.${type}`]?.properties?.data?.properties ?? {}
  const texts = unsure.filter(word => fields[fieldOf(word)]?.type === 'string')
  return Object.fromEntries(texts.map(word => [fieldOf(word), word.slice(word.indexOf('=') + 1)]))
}

interface DataSchema {
  readonly properties?: Readonly<Record<string, { readonly type?: unknown } | undefined>>
}

const isObject = ([first = '']: readonly string[]): boolean => first.trimStart().startsWith('{')
const fieldOf = (word: string): string => word.slice(0, word.indexOf('='))

/** One JSON object, or `field=value` pairs whose values are JSON where they are JSON and text otherwise. */
export function dataOf(words: readonly string[]): Readonly<Record<string, unknown>> {
  if (isObject(words)) {
    const parsed = parse(words.join(' '))
    if (typeof parsed === 'object' && parsed !== null) return parsed as Record<string, unknown>
    throw cliErrors.create('CLI_USAGE', {
      reason: 'The data is not a JSON object.',
      next: 'Put it in single quotes: \'{"field":"value"}\', or write field=value ...',
    })
  }
  const data: Record<string, unknown> = {}
  for (const word of words) {
    const at = word.indexOf('=')
    if (at < 1) {
      throw cliErrors.create('CLI_USAGE', {
        reason: `${word} is not field=value.`,
        next: 'Write the data as field=value ..., or as one JSON object.',
      })
    }
    const text = word.slice(at + 1)
    const value = parse(text)
    data[word.slice(0, at)] = value === undefined ? text : value
  }
  return data
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

interface BatchAnswer {
  readonly appended: number
  readonly duplicates: number
  readonly conflicts: number
  readonly invalid: number
  readonly results: readonly {
    readonly status: string
    readonly line?: number
    readonly code?: string
    readonly path?: string
    readonly reason?: string
  }[]
}

const BATCH_LINES = 1000
const SHOWN_MAX = 10

async function trackFile(context: CommandContext, path: string): Promise<void> {
  const text = await readInput(path === '-' ? path : resolve(context.cwd, path))
  const lines = text.split('\n')
  const total = { appended: 0, duplicates: 0, conflicts: 0, invalid: 0 }
  const refused: { line: number; code: string; reason: string }[] = []
  const connection = await connect(context)
  try {
    for (let from = 0; from < lines.length; from += BATCH_LINES) {
      const chunk = lines.slice(from, from + BATCH_LINES).join('\n')
      if (chunk.trim() === '') continue
      const raw = { bytes: Buffer.from(chunk), mediaType: 'application/x-ndjson' }
      const { body } = await connection.request({ method: 'POST', path: '/v1/events', raw })
      const answer = body as BatchAnswer
      total.appended += answer.appended
      total.duplicates += answer.duplicates
      total.conflicts += answer.conflicts
      total.invalid += answer.invalid
      for (const result of answer.results) {
        if (result.status !== 'conflict' && result.status !== 'invalid') continue
        const line = from + (result.line ?? 1)
        const reason = `${result.path ?? ''} ${result.reason ?? ''}`.trim()
        refused.push({ line, code: result.code ?? 'EVENT_INVALID', reason })
      }
    }
  } finally {
    await connection.close()
  }
  if (refused.length > 0) context.exitWith(EXIT_PARTIAL)
  const shown = refused
    .slice(0, SHOWN_MAX)
    .map(({ line, code, reason }) => `  line ${line}: ${code} ${reason}`)
  const more =
    refused.length > SHOWN_MAX ? [`  ... and ${count(refused.length - SHOWN_MAX)} more`] : []
  context.output.result(
    { ...total, refused },
    [
      `Appended ${count(total.appended)}, there before ${count(total.duplicates)}, refused ${count(refused.length)}.`,
      ...shown,
      ...more,
    ].join('\n'),
  )
}

async function readInput(path: string): Promise<string> {
  try {
    if (path !== '-') return await readFile(path, 'utf8')
    const parts: Buffer[] = []
    for await (const chunk of process.stdin) parts.push(chunk as Buffer)
    return Buffer.concat(parts).toString('utf8')
  } catch (error) {
    if (isError(error)) throw error
    throw cliErrors.create('CLI_USAGE', {
      reason: `${path} cannot be read: ${(error as Error).message}.`,
      next: 'Name a file with one event a line, or - for standard input.',
    })
  }
}
