import type { Command } from 'commander'
import { ask } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { count, table, time } from '../output.ts'
import type { Run } from '../run-command.ts'
import { wrap } from '../wrap.ts'
import { dataOf } from './track.ts'

interface LetterJson {
  readonly fold: string
  readonly key: string
  readonly partition: number
  readonly offset: number
  readonly error: string
  readonly attempts: number
  readonly waiting: number
  readonly sinceMs: number
  readonly version: string
}

interface WaitingJson extends LetterJson {
  readonly records: readonly {
    readonly offset: number
    readonly eventTimeMs: number
    readonly type: string
    readonly id: string
    readonly definition: string
    readonly data: unknown
  }[]
  readonly next: number | null
}

interface OutcomeJson {
  readonly tried: number
  readonly released: number
  readonly waiting: readonly LetterJson[]
}

interface SelectOptions {
  readonly fold?: string
  readonly key?: string
  readonly error?: string
}

/** `dead-letters`: keys that wait because a fold failed. */
export function addDeadLetters(program: Command, run: Run): void {
  const group = program
    .command('dead-letters')
    .summary('keys that wait because a fold failed: list, show, retry, skip, fix')
    .description(
      'A fold that fails on an event parks the key of it: later events of the key wait, other keys go on. Look at them, and decide.',
    )
  selecting(
    group
      .command('list')
      .summary('the keys that wait')
      .description('Shows the keys that wait, with the error of each.'),
  )
    .option('-n, --n <count>', 'at most so many', '100')
    .option('--after <place>', 'go on after this one, as the page before said')
    .action(run<[SelectOptions & { n: string; after?: string }]>(list))
  group
    .command('show')
    .summary('a key with the records that wait for it')
    .description('Shows one key with the records that wait for it. Personal fields are masked.')
    .argument('<fold>', 'the fold, as `dead-letters list` names it')
    .argument('<key>', 'the key')
    .option('--from <offset>', 'first offset')
    .option('-n, --n <count>', 'at most so many records', '20')
    .action(run<[string, string, { from?: string; n: string }]>(show))
  selecting(
    group
      .command('retry')
      .summary('try keys again, after the cause was removed')
      .description('Tries keys again: all, or those that the options choose.'),
  ).action(run<[SelectOptions]>(retry))
  selecting(
    group
      .command('skip')
      .summary('leave the failing record of keys out, for good')
      .description(
        'Leaves the record at which a key waits out of the fold, and goes on with the records behind it. Restarts and rebuilds leave it out too.',
      ),
  )
    .requiredOption('--reason <text>', 'why; it is kept with the decision')
    .option('--offset <number>', 'another record that waits; needs --fold and --key')
    .action(run<[SelectOptions & { reason: string; offset?: string }]>(skip))
  group
    .command('fix')
    .summary('fold other data in place of a record')
    .description(
      'Folds other data in place of the record at which a key waits. The record keeps what was sent.',
    )
    .argument('<fold>', 'the fold, as `dead-letters list` names it')
    .argument('<key>', 'the key')
    .argument('<data...>', 'the data: one JSON object, or field=value ...')
    .requiredOption('--reason <text>', 'why; it is kept with the decision')
    .option('--offset <number>', 'another record that waits for the key')
    .action(run<[string, string, string[], { reason: string; offset?: string }]>(fix))
}

function selecting(command: Command): Command {
  return command
    .option('--fold <name>', 'only of this fold')
    .option('--key <key>', 'only this key')
    .option('--error <text>', 'only those whose error has this text in it')
}

function chosen(options: SelectOptions): Record<string, string> {
  const names = ['fold', 'key', 'error'] as const
  return Object.fromEntries(
    names.flatMap(name => (options[name] === undefined ? [] : [[name, options[name]]])),
  )
}

async function list(
  context: CommandContext,
  options: SelectOptions & { readonly n: string; readonly after?: string },
): Promise<void> {
  const body = (await ask(context, {
    method: 'GET',
    path: '/v1/dead-letters',
    query: {
      ...chosen(options),
      limit: options.n,
      ...(options.after === undefined ? {} : { after: options.after }),
    },
  })) as { deadLetters: readonly LetterJson[]; total: number; next?: string }
  const { deadLetters, total, next } = body
  const more = next === undefined ? '' : `\n${count(total)} in all. More: --after ${next}`
  const text = deadLetters.length === 0 ? 'Nothing waits.' : rows(context, deadLetters) + more
  context.output.result(body, text)
}

function rows(context: CommandContext, letters: readonly LetterJson[]): string {
  const lines = letters.map(({ fold, key, waiting, attempts, sinceMs, error }) => [
    fold,
    key,
    count(waiting),
    count(attempts),
    time(sinceMs),
    error,
  ])
  const heading = ['fold', 'key', 'waiting', 'attempts', 'since', 'error']
  return table([heading, ...lines], context.output.terminal.columns)
}

async function show(
  context: CommandContext,
  fold: string,
  key: string,
  options: { readonly from?: string; readonly n: string },
): Promise<void> {
  const body = (await ask(context, {
    method: 'GET',
    path: placeOf(fold, key),
    query: { limit: options.n, ...(options.from === undefined ? {} : { from: options.from }) },
  })) as WaitingJson
  const { columns } = context.output.terminal
  const facts = [
    `${body.fold} (version ${body.version}), key ${body.key}`,
    `error     ${body.error}`,
    `attempts  ${count(body.attempts)}`,
    `since     ${time(body.sinceMs)}`,
    `waiting   ${count(body.waiting)} records, from offset ${body.offset} of partition ${body.partition}`,
  ].map(line => wrap(line, columns, '          '))
  const records = body.records.map(({ offset, eventTimeMs, type, id, definition, data }) => {
    const head = `${offset}  ${time(eventTimeMs)}  ${type}  ${id}  definition ${definition}`
    return `\n${wrap(head, columns, '  ')}\n${wrap(`  ${JSON.stringify(data)}`, columns, '  ')}`
  })
  const more = body.next === null ? [] : [`\nMore: --from ${body.next}`]
  context.output.result(body, [...facts, ...records, ...more].join('\n'))
}

async function retry(context: CommandContext, options: SelectOptions): Promise<void> {
  const path = '/v1/dead-letters/retry'
  outcome(context, await ask(context, { method: 'POST', path, body: chosen(options) }))
}

async function skip(
  context: CommandContext,
  options: SelectOptions & { readonly reason: string; readonly offset?: string },
): Promise<void> {
  const body = { ...chosen(options), reason: options.reason, ...offsetOf(options.offset) }
  outcome(context, await ask(context, { method: 'POST', path: '/v1/dead-letters/skip', body }))
}

async function fix(
  context: CommandContext,
  fold: string,
  key: string,
  data: readonly string[],
  options: { readonly reason: string; readonly offset?: string },
): Promise<void> {
  const body = { data: dataOf(data), reason: options.reason, ...offsetOf(options.offset) }
  const path = `${placeOf(fold, key)}/fix`
  outcome(context, await ask(context, { method: 'POST', path, body }))
}

function outcome(context: CommandContext, body: unknown): void {
  const { tried, released, waiting } = body as OutcomeJson
  const lines = [`${count(tried)} tried, ${count(released)} released.`]
  if (waiting.length > 0) lines.push('Still waiting:', rows(context, waiting))
  context.output.result(body, tried === 0 ? 'Nothing waits.' : lines.join('\n'))
}

function offsetOf(text: string | undefined): { readonly offset?: number } {
  if (text === undefined) return {}
  if (/^\d{1,15}$/.test(text)) return { offset: Number(text) }
  throw cliErrors.create('CLI_USAGE', {
    reason: `--offset ${text} is not a number.`,
    next: 'Use an offset that `millrace dead-letters show` lists.',
  })
}

function placeOf(fold: string, key: string): string {
  return `/v1/dead-letters/${encodeURIComponent(fold)}/${encodeURIComponent(key)}`
}
