import { Option, type Command } from 'commander'
import type { CommandContext } from '../context.ts'
import { connect } from '../connect.ts'
import { cliErrors } from '../errors.ts'
import { count, table } from '../output.ts'
import type { Run } from '../run-command.ts'

interface ViewOptions {
  readonly key?: string
  readonly n?: string
  readonly after?: string
  readonly top?: boolean
  readonly at?: string
}

interface ViewJson {
  readonly name: string
  readonly key: string
  readonly from: readonly string[]
  readonly window?: string
  readonly state: string
  readonly lag: number
  readonly keys: number
  readonly parkedKeys: number
}

interface EntryJson {
  readonly key: string
  readonly value: unknown
  readonly isParked: boolean
}

const HELP = `
Examples:
  millrace view                    # the declared views
  millrace view plays --top -n 5   # the greatest values
  millrace view plays --key c1     # the value of one key
  millrace view plays --key c1 --at 2026-01-05T10:00:00Z   # the value that it had then
`

/** `view`: what a declared view holds. */
export function addView(program: Command, run: Run): void {
  program
    .command('view')
    .summary('read a declared view, or list them')
    .description(
      'Shows the value of one key of a view, its keys and values, or, without a name, the views.',
    )
    .argument('[name]', 'the view, as the app definition names it')
    .option('--key <key>', 'the value of this key alone')
    .option('--at <moment>', 'with --key: as it was, at a time of arrival or a position')
    .option('-n, --n <count>', 'at most so many keys; default 20')
    .option('--after <key>', 'go on behind this key')
    .addOption(new Option('--top', 'the greatest values first').conflicts('after'))
    .addHelpText('after', HELP)
    .action(run<[string | undefined, ViewOptions]>(view))
}

async function view(
  context: CommandContext,
  name: string | undefined,
  options: ViewOptions,
): Promise<void> {
  if (name === undefined && Object.keys(options).some(isOwn)) {
    throw cliErrors.create('CLI_USAGE', {
      reason: 'No view is named.',
      next: 'millrace view <name> ...; without anything, millrace view lists the views.',
    })
  }
  if (options.at !== undefined && options.key === undefined) {
    throw cliErrors.create('CLI_USAGE', {
      reason: 'The past is read key by key, and no key is named.',
      next: 'Name one with --key; millrace replay --processor <view> --to <moment> folds them all.',
    })
  }
  const connection = await connect(context)
  const get = async (path: string, query: Record<string, string> = {}): Promise<unknown> =>
    (await connection.request({ method: 'GET', path, query })).body
  try {
    if (name === undefined) return printViews(context, await get('/v1/views'))
    const path = `/v1/views/${encodeURIComponent(name)}`
    const { key, n = '20', after, top, at } = options
    if (key !== undefined) {
      const query: Record<string, string> = at === undefined ? {} : { at }
      return printEntry(context, await get(`${path}/${encodeURIComponent(key)}`, query))
    }
    const page = { limit: n, ...(after === undefined ? {} : { after }) }
    printEntries(context, await get(path, top === true ? { ...page, top: 'true' } : page))
  } finally {
    await connection.close()
  }
}

const isOwn = (option: string): boolean => ['key', 'n', 'after', 'top', 'at'].includes(option)

function printViews({ output }: CommandContext, body: unknown): void {
  const { views } = body as { views: readonly ViewJson[] }
  const rows = views.map(found => [
    found.name,
    found.key,
    found.window ?? '-',
    count(found.keys),
    count(found.parkedKeys),
    found.lag === 0 ? found.state : `${found.state}, ${count(found.lag)} behind`,
    found.from.join(', '),
  ])
  const head = ['view', 'by', 'window', 'keys', 'parked', 'state', 'from']
  const text =
    views.length === 0
      ? 'The app declares no views; add them under `views` in its definition.'
      : table([head, ...rows], output.terminal.columns)
  output.result(body, text)
}

function printEntry({ output }: CommandContext, body: unknown): void {
  const { value, isParked } = body as EntryJson
  output.result(body, textOf(value, isParked))
}

function printEntries({ output }: CommandContext, body: unknown): void {
  const { entries, next } = body as { entries: readonly EntryJson[]; next?: string }
  const rows = entries.map(({ key, value, isParked }) => [key, textOf(value, isParked)])
  const more = next === undefined ? [] : [`More behind ${next}: --after ${next}`]
  const text =
    rows.length === 0
      ? 'No key has a value.'
      : table([['key', 'value'], ...rows], output.terminal.columns)
  output.result(body, [text, ...more].join('\n'))
}

/** A value for people: numbers as they are, anything else as JSON. */
export function valueText(value: unknown): string {
  return value === null ? 'nothing' : typeof value === 'string' ? value : JSON.stringify(value)
}

function textOf(value: unknown, isParked: boolean): string {
  const text = valueText(value)
  return isParked ? `${text} (parked: older than it seems)` : text
}
