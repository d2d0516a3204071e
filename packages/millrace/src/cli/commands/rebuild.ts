import { Option, type Command } from 'commander'
import { connect, type Connection } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { count, table } from '../output.ts'
import { createProgress, duration } from '../progress.ts'
import type { Run } from '../run-command.ts'
import { shortPath } from './start.ts'

interface BuildJson {
  readonly build: number
  readonly version: string
}

interface StatusJson {
  readonly view: string
  readonly live: BuildJson
  readonly before?: BuildJson
  readonly open?: BuildJson
  readonly state: 'idle' | 'building' | 'comparing' | 'ready' | 'switching' | 'failed'
  readonly error?: { readonly code?: string; readonly message: string; readonly remedy?: string }
  readonly folded: number
  readonly total: number
  readonly foldedNow: number
  readonly elapsedMs: number
  readonly where?: string
  readonly comparison?: {
    readonly build: number
    readonly keys: number
    readonly different: number
    readonly samples: readonly {
      readonly key: string
      readonly kind: string
      readonly live?: unknown
      readonly built?: unknown
    }[]
    readonly file?: string
  }
}

interface LimitOptions {
  readonly maxDifferences?: string
}

/** What a rebuild may be told. */
export interface RebuildOptions extends LimitOptions {
  readonly dryRun?: boolean
}

const POLL_MS = 100
const SAMPLES_SHOWN = 10
/** Fewer records say nothing about a rate. */
const RATE_FROM = 10_000
const UNDER_WAY: readonly StatusJson['state'][] = ['building', 'comparing', 'switching']

const HELP = `
Examples:
  millrace rebuild plays                        # build, compare, switch when nothing differs
  millrace rebuild plays --dry-run              # build and compare
  millrace rebuild plays --max-differences all  # for a changed version: any number may
  millrace rebuild back plays                   # serve what was served before
`

/** `rebuild`: a view from the log, beside the live one. */
export function addRebuild(program: Command, run: Run): void {
  const group = program
    .command('rebuild')
    .summary('build a view from the log beside the live one, compare, switch, go back')
    .description(
      'Builds a view from the log beside the live one, compares them row by row, and switches at one position. The live view is served all the while.',
    )
    .addHelpText('after', HELP)
  group
    .command('start', { isDefault: true })
    .summary(
      'build, compare, and switch when no more rows differ than may; `start` may be left out',
    )
    .description(
      'Builds the view, or goes on with a build that was interrupted; compares; switches when no more rows differ than may.',
    )
    .argument(
      '<view>',
      'the view, as the app definition names it; feature.<name> for a feature view',
    )
    .option('--dry-run', 'compare, and leave the switch for later')
    .addOption(limitOption())
    .action(run<[string, RebuildOptions]>(startRebuild))
  group
    .command('status')
    .summary('the builds of a view, and how a rebuild is doing')
    .description('Shows the builds of a view, and how a rebuild is doing.')
    .argument('<view>', 'the view')
    .action(run<[string, object]>((context, view) => show(context, view, 'GET')))
  group
    .command('switch')
    .summary('serve the build that was compared')
    .description('Serves the build that `rebuild --dry-run` compared, or whose switch was refused.')
    .argument('<view>', 'the view')
    .addOption(limitOption())
    .action(
      run<[string, LimitOptions]>((context, view, options) =>
        show(context, view, 'POST', '/switch', limitOf(options)),
      ),
    )
  group
    .command('back')
    .summary('serve the build that was served before')
    .description('Brings the build that was served before up to date and serves it again.')
    .argument('<view>', 'the view')
    .action(run<[string, object]>((context, view) => show(context, view, 'POST', '/back')))
  group
    .command('drop')
    .summary('end a rebuild, or forget the build that was served before')
    .description(
      'Ends a rebuild and forgets its build; where none is made, forgets the build that was served before.',
    )
    .argument('<view>', 'the view')
    .action(run<[string, object]>((context, view) => show(context, view, 'POST', '/drop')))
}

/** How many rows may differ. */
export const limitOption = (): Option =>
  new Option(
    '--max-differences <count>',
    'rows that may differ: a number, or all; default 0 where the version stays the same',
  )

/** Throws CLI_USAGE. */
function limitOf({ maxDifferences: text }: LimitOptions): { readonly maxDifferences?: number } {
  if (text === undefined) return {}
  if (text === 'all') return { maxDifferences: Number.MAX_SAFE_INTEGER }
  if (/^\d{1,15}$/.test(text)) return { maxDifferences: Number(text) }
  throw cliErrors.create('CLI_USAGE', {
    reason: `--max-differences ${text} is not a number.`,
    next: 'Use a whole number, or all.',
  })
}

async function ask(
  connection: Connection,
  view: string,
  request: { readonly method: string; readonly path?: string; readonly body?: unknown },
): Promise<StatusJson> {
  const { method, path = '', body } = request
  const answer = await connection.request({
    method,
    path: `/v1/rebuilds/${encodeURIComponent(view)}${path}`,
    ...(body === undefined ? {} : { body }),
  })
  return answer.body as StatusJson
}

async function show(
  context: CommandContext,
  view: string,
  method: 'GET' | 'POST',
  path = '',
  body: unknown = method === 'POST' ? {} : undefined,
): Promise<void> {
  const connection = await connect(context)
  try {
    const status = await ask(connection, view, { method, path, body })
    context.output.result(status, describe(context, status))
  } finally {
    await connection.close()
  }
}

/** Builds a view or a feature view (`feature.<name>`), and tells how it goes. */
export async function startRebuild(
  context: CommandContext,
  view: string,
  options: RebuildOptions,
): Promise<void> {
  const body = { isDryRun: options.dryRun === true, ...limitOf(options) }
  const connection = await connect(context)
  try {
    const begun = await ask(connection, view, { method: 'POST', body })
    const status = await follow(context, connection, begun)
    const { error } = status
    if (error !== undefined) {
      if (status.comparison !== undefined) context.output.note(describe(context, status))
      throw cliErrors.create('CLI_REFUSED', {
        reason: error.message,
        next: error.remedy ?? 'Start it again: it goes on with what was kept.',
        code: error.code,
      })
    }
    context.output.result(status, describe(context, status))
  } finally {
    await connection.close()
  }
}

/** Shows the progress until nothing is under way. */
async function follow(
  { output, clock }: CommandContext,
  connection: Connection,
  begun: StatusJson,
): Promise<StatusJson> {
  const progress = createProgress(output, clock)
  let status = begun
  let shown: StatusJson['state'] | undefined
  while (UNDER_WAY.includes(status.state)) {
    if (status.state !== shown) progress.begin(status.state, 'rows')
    shown = status.state
    const { folded, total, foldedNow } = status
    if (folded < total) progress.update(folded, total, foldedNow)
    await new Promise<void>(resolve => clock.after(POLL_MS, resolve))
    status = await ask(connection, begun.view, { method: 'GET' })
  }
  progress.end()
  return status
}

function describe({ output, cwd }: CommandContext, status: StatusJson): string {
  const { view, live, before, open, state, comparison, total, folded, foldedNow, where } = status
  const seconds = status.elapsedMs / 1000
  const lines = [`${view}: build ${live.build} is served, version ${live.version}.`]
  if (foldedNow >= RATE_FROM) {
    const rate = count(foldedNow / Math.max(seconds, 0.001))
    lines.push(`${count(foldedNow)} records folded in ${duration(seconds)}, ${rate} a second.`)
  }
  if (UNDER_WAY.includes(state)) {
    lines.push(`Build ${open?.build} is ${state}: ${count(folded)} of ${count(total)} records.`)
  } else if (where !== undefined) {
    lines.push(`Build ${open?.build} is with the process at ${where}.`)
  } else if (open !== undefined) {
    const next = state === 'ready' ? 'rebuild switch' : 'rebuild'
    const what = state === 'ready' ? 'is compared and waits' : 'was begun; to go on'
    lines.push(`Build ${open.build}, version ${open.version}, ${what}: millrace ${next} ${view}`)
  }
  if (before !== undefined) {
    lines.push(`Build ${before.build} is kept: millrace rebuild back ${view}`)
  }
  if (comparison !== undefined) {
    lines.push(...describeComparison(comparison, cwd, output.terminal.columns))
  }
  return lines.join('\n')
}

function describeComparison(
  { keys, different, samples, file, build }: NonNullable<StatusJson['comparison']>,
  cwd: string,
  columns: number,
): readonly string[] {
  const counts = `${count(keys)} rows of build ${build} compared, ${count(different)} differ`
  if (different === 0) return [`${counts}.`]
  const text = (value: unknown): string => (value === undefined ? '-' : JSON.stringify(value))
  const rows = samples
    .slice(0, SAMPLES_SHOWN)
    .map(({ key, kind, live, built }) => [key, kind, text(live), text(built)])
  const where = file === undefined ? [] : [`All of them: ${shortPath(cwd, file)}`]
  return [`${counts}:`, table([['key', '', 'served', 'from the log'], ...rows], columns), ...where]
}
