import { createWriteStream } from 'node:fs'
import { resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ChangesetView, DryRun, EntryView } from '@millrace/product'
import { Option, type Command } from 'commander'
import { readChangesetRows } from '../changeset-rows.ts'
import { appOf, withConnection, type ApiRequest, type Connection } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { EXIT_PARTIAL } from '../exit-codes.ts'
import { count, table, time } from '../output.ts'
import { createProgress } from '../progress.ts'
import type { Run } from '../run-command.ts'
import { readCount } from './log.ts'
import { dataOf } from './track.ts'

interface PlanOptions {
  readonly id?: string
  readonly title?: string
  readonly table?: string
  readonly do?: string
  readonly file?: string
  readonly where?: readonly string[]
  readonly set?: readonly string[]
}

interface RunOptions {
  readonly hash?: string
  readonly rate?: string
  readonly moved?: string
}

const POLL_MS = 100
const PAGE = 1000

const HELP = `
Examples:
  millrace changeset plan catalogue --table clip --file new.csv --id new-titles
  millrace changeset plan catalogue --table clip --do remove --where creator=ann
  millrace changeset plan catalogue --table clip --do patch --where topics=cats --set title=Cats
  millrace changeset plan corrections --do retract --file bots.csv --id bots
  millrace changeset plan corrections '{"query":{"stream":"person","keys":["bot-7"]}}'
  millrace changeset dry-run new-titles --file differences.jsonl
  millrace changeset apply new-titles && millrace changeset undo new-titles
`

/** `changeset`: many changes as one. */
export function addChangeset(program: Command, run: Run): void {
  const group = program
    .command('changeset')
    .summary('change many things as one: plan, dry-run, approve, apply, undo')
    .description(
      'Changes many things as one: a plan says what would change and changes nothing; it is applied when whoever has to approve it did; and it is taken back as a whole.',
    )
    .addHelpText('after', HELP)
  addPlan(group, run)
  group
    .command('dry-run')
    .summary('what a changeset would change, and what stands in its way')
    .description(
      'Shows what a changeset would change, in counts and samples, and what stands in its way.',
    ) // prettier-ignore
    .argument('<id>', 'the changeset')
    .option('-n, --n <count>', 'samples of each action', '5')
    .option('--file <path>', 'write every difference to a file of JSON Lines')
    .action(run<[string, { n: string; file?: string }]>(dryRun))
  group
    .command('approve')
    .summary('approve a plan, as a second person')
    .description('Approves the plan of this hash. MILLRACE_KEY holds an admin key that is not that of whoever planned it.') // prettier-ignore
    .argument('<id>', 'the changeset')
    .argument('<hash>', 'the hash of the plan, as dry-run shows it')
    .action(run<[string, string, object]>((context, id, hash) => act(context, id, 'approve', { hash }))) // prettier-ignore
  running(group.command('apply'), 'apply what was planned', 'Applies a changeset and shows how far it is. Ctrl+C ends the showing; the run goes on in the server.') // prettier-ignore
    .addOption(new Option('--moved <what>', 'values that others changed since').choices(['refuse', 'skip'])) // prettier-ignore
    .action(run<[string, RunOptions]>((context, id, options) => begin(context, id, 'apply', options))) // prettier-ignore
  running(group.command('undo'), 'take back what was applied', 'Takes back what of a changeset is in effect, and shows how far it is.') // prettier-ignore
    .addOption(new Option('--moved <what>', 'values that others changed since').choices(['refuse', 'skip', 'overwrite'])) // prettier-ignore
    .action(run<[string, RunOptions]>((context, id, options) => begin(context, id, 'undo', options))) // prettier-ignore
  for (const [verb, summary] of [
    ['pause', 'stop a run until it is resumed'],
    ['resume', 'go on with a run that was paused'],
    ['cancel', 'end a run where it is, or drop a plan'],
  ] as const) {
    group
      .command(verb)
      .summary(summary)
      .description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`)
      .argument('<id>', 'the changeset')
      .action(run<[string, object]>((context, id) => act(context, id, verb, {})))
  }
  group
    .command('show')
    .summary('a changeset, and how far its run is')
    .description('Shows a changeset, and how far its run is.')
    .argument('<id>', 'the changeset')
    .action(run<[string, object]>((context, id) => act(context, id)))
  group
    .command('list')
    .summary('all changesets, the newest first')
    .description('Shows changesets, the newest first.')
    .option('--state <state>', 'only those: planned, applying, applied, undoing, undone, cancelled')
    .option('-n, --n <count>', 'at most so many', '20')
    .action(run<[{ state?: string; n: string }]>(list))
}

function addPlan(group: Command, run: Run): void {
  group
    .command('plan')
    .summary('say what is to change; changes nothing')
    .description('Plans a changeset on the state of now. Nothing is changed.')
    .argument('<kind>', 'the kind of change: catalogue, corrections, or one that a module brings')
    .argument('[request]', 'what the kind takes, as JSON; where the options do not say it')
    .option('--id <id>', 'names the changeset; default: a new one')
    .option('--title <text>', 'what people call it')
    .option('--table <kind>', 'the item kind, or person')
    .addOption(
      new Option(
        '--do <what>',
        'what is done with the rows: put (default), patch or remove; with events: retract (default), hold, correct or restore',
      ).choices(['put', 'patch', 'remove', 'retract', 'hold', 'correct', 'restore']),
    )
    .option(
      '--file <path>',
      'the rows, or ids of events: JSON Lines (.jsonl), or a table with a header',
    )
    .option('--where <field=value...>', 'in place of a file: all rows that have these values')
    .option('--set <field=value...>', 'with --where and --do patch: the values to be')
    .action(run<[string, string | undefined, PlanOptions]>(plan))
}

function running(command: Command, summary: string, description: string): Command {
  return command
    .summary(summary)
    .description(description)
    .argument('<id>', 'the changeset')
    .option('--hash <hash>', 'only if this is the plan')
    .option('--rate <number>', 'at most so many values a second')
}

async function plan(
  context: CommandContext,
  kind: string,
  given: string | undefined,
  options: PlanOptions,
): Promise<void> {
  const { id, title } = options
  const request = given === undefined ? await requestOf(context, kind, options) : jsonOf(given)
  const body = {
    kind,
    request,
    ...(id === undefined ? {} : { id }),
    ...(title === undefined ? {} : { title }),
  }
  await show(context, { method: 'POST', path: '/v1/changesets', body })
}

/** What a kind takes, from options. Throws CLI_USAGE. */
async function requestOf(
  context: CommandContext,
  kind: string,
  options: PlanOptions,
): Promise<unknown> {
  const { table: name, file, where, set, do: verb } = options
  const what = verb === undefined ? {} : { do: verb }
  const from = resolve(context.cwd, file ?? '.')
  if (kind !== 'catalogue') {
    if (file === undefined) throw usage('Give the request as JSON, or --file.')
    return { ...what, rows: await readChangesetRows(from, undefined) }
  }
  if (name === undefined) throw usage('--table is missing.')
  if ((file === undefined) === (where === undefined)) throw usage('Give either --file or --where.')
  const request = { table: name, ...what }
  if (where !== undefined) {
    // `--where ''` is every row.
    const all = dataOf(where.filter(word => word !== ''))
    return { ...request, where: all, ...(set === undefined ? {} : { set: dataOf(set) }) }
  }
  const { app } = await appOf(context)
  const declared = app.tables.get(name)
  if (declared === undefined) throw usage(`The app has no table ${name}.`)
  const rows = await readChangesetRows(from, declared)
  return { ...request, rows: verb === 'remove' ? rows.map(({ id }) => ({ id })) : rows }
}

function usage(reason: string): Error {
  return cliErrors.create('CLI_USAGE', { reason, next: 'See: millrace changeset plan --help' })
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    const next = 'Put it in single quotes: \'{"field":"value"}\''
    throw cliErrors.create('CLI_USAGE', { reason: 'The request is not JSON.', next })
  }
}

const placeOf = (id: string): string => `/v1/changesets/${encodeURIComponent(id)}`

function act(context: CommandContext, id: string, verb?: string, body?: unknown): Promise<void> {
  if (verb === undefined) return show(context, { method: 'GET', path: placeOf(id) })
  return show(context, { method: 'POST', path: `${placeOf(id)}/${verb}`, body })
}

function show(context: CommandContext, request: ApiRequest): Promise<void> {
  return withConnection(context, async connection => {
    const { body } = await connection.request(request)
    context.output.result(body, describeChangeset(body as ChangesetView))
  })
}

function begin(
  context: CommandContext,
  id: string,
  verb: 'apply' | 'undo',
  { hash, rate, moved }: RunOptions,
): Promise<void> {
  const body = {
    ...(hash === undefined ? {} : { hash }),
    ...(rate === undefined ? {} : { perSecond: readCount('--rate', rate) }),
    ...(moved === undefined ? {} : { onMoved: moved }),
  }
  return withConnection(context, async connection => {
    const path = placeOf(id)
    const begun = await connection.request({ method: 'POST', path: `${path}/${verb}`, body })
    const view = await follow(context, connection, begun.body as ChangesetView)
    if ((view.run?.refused ?? 0) > 0) context.exitWith(EXIT_PARTIAL)
    context.output.result(view, describeChangeset(view))
  })
}

/** Shows the progress until the run has ended or waits for people. */
async function follow(
  { output, clock }: CommandContext,
  connection: Connection,
  begun: ChangesetView,
): Promise<ChangesetView> {
  const progress = createProgress(output, clock)
  let view = begun
  progress.begin(view.state, 'rows')
  while (view.run !== undefined && !view.run.hasEnded && !view.run.isPaused) {
    progress.update(view.run.processed, view.run.total)
    await new Promise<void>(done => clock.after(POLL_MS, done))
    const { body } = await connection.request({ method: 'GET', path: placeOf(view.id) })
    view = body as ChangesetView
  }
  progress.end()
  return view
}

function dryRun(
  context: CommandContext,
  id: string,
  { n, file }: { readonly n: string; readonly file?: string },
): Promise<void> {
  return withConnection(context, async connection => {
    const query = { samples: String(readCount('-n', n)) }
    const path = placeOf(id)
    const { body } = await connection.request({ method: 'GET', path: `${path}/dry-run`, query })
    const dry = body as DryRun
    const lines = [
      describeChangeset(dry),
      describeDifferences(dry, context.output.terminal.columns),
    ]
    if (file !== undefined) {
      await pipeline(Readable.from(entryLines(connection, path)), createWriteStream(resolve(context.cwd, file))) // prettier-ignore
      lines.push(`All of them: ${file}`)
    }
    context.output.result(dry, lines.filter(line => line !== '').join('\n'))
  })
}

/** Every difference, as a line of JSON. */
async function* entryLines(connection: Connection, path: string): AsyncGenerator<string, void> {
  for (let from: number | undefined = 0; from !== undefined;) {
    const query = { from: String(from), limit: String(PAGE) }
    const answer = await connection.request({ method: 'GET', path: `${path}/entries`, query })
    const page = answer.body as { entries: readonly EntryView[]; next?: number }
    for (const entry of page.entries) yield `${JSON.stringify(entry)}\n`
    from = page.next
  }
}

async function list(
  context: CommandContext,
  { state, n }: { readonly state?: string; readonly n: string },
): Promise<void> {
  await withConnection(context, async connection => {
    const query = { limit: String(readCount('-n', n)), ...(state === undefined ? {} : { state }) }
    const { body } = await connection.request({ method: 'GET', path: '/v1/changesets', query })
    const { changesets } = body as { changesets: readonly ChangesetView[] }
    const rows = changesets.map(view => [
      view.id,
      view.kind,
      stateOf(view),
      count(view.effects),
      count(view.applied),
      time(view.plannedMs),
      view.plannedBy,
      view.title,
    ])
    const heading = ['id', 'kind', 'state', 'effects', 'applied', 'planned', 'by', 'title']
    const text = rows.length === 0 ? 'There are none.' : table([heading, ...rows], context.output.terminal.columns) // prettier-ignore
    context.output.result(body, text)
  })
}

function stateOf({ state, run }: ChangesetView): string {
  return run?.isPaused === true && !run.hasEnded ? `${state}, paused` : state
}

/** How a changeset stands, and what comes next. */
export function describeChangeset(view: ChangesetView): string {
  const { id, effects, refused, unchanged, approvals, approvalsNeeded, run, hash, applied } = view
  const rest = [
    ...(refused === 0 ? [] : [`${count(refused)} refused`]),
    ...(unchanged === 0 ? [] : [`${count(unchanged)} as they are to be`]),
  ]
  const more = rest.length === 0 ? '' : ` (${rest.join(', ')})`
  const lines = [`${id} is ${stateOf(view)}: ${count(effects)} effects${more}, ${count(applied)} in effect.`] // prettier-ignore
  if (view.state === 'planned') {
    const left = approvalsNeeded - approvals.length
    const approve = `Somebody else has to approve it: millrace changeset approve ${id} ${hash}`
    lines.push(left > 0 ? approve : `Next: millrace changeset apply ${id}`)
  }
  if (run !== undefined) {
    const left = run.refused === 0 ? '' : `, ${count(run.refused)} left out`
    const why = run.reason === undefined ? '' : `; it paused: ${run.reason}`
    lines.push(`Run ${run.run} (${run.direction}): ${count(run.processed)} of ${count(run.total)}${left}${why}.`) // prettier-ignore
  }
  return lines.join('\n')
}

function describeDifferences(dry: DryRun, columns: number): string {
  const { adds, changes, removes, fields, samples, consequences, moved, overlaps } = dry
  const rows = samples.map(sample => [sample.target, sample.action, sampleText(sample)])
  const names = Object.entries(fields).map(([name, times]) => `${name} ${count(times)}`)
  return [
    `${count(adds)} added, ${count(changes)} changed, ${count(removes)} removed.`,
    ...(names.length === 0 ? [] : [`Fields: ${names.join(', ')}.`]),
    ...consequences.map(({ what, before, count: number, samples: some = [] }) => {
      const was = before === undefined ? '' : `${count(before)} -> `
      const names = some.length === 0 ? '' : `, such as ${some.slice(0, 3).join(', ')}`
      return `${what}: ${was}${count(number)}${names}.`
    }),
    ...(rows.length === 0 ? [] : [table(rows, columns)]),
    ...(moved.count === 0 ? [] : [`Stale: ${count(moved.count)} were changed by others since: ${moved.targets.join(', ')}`]), // prettier-ignore
    ...(overlaps.length === 0 ? [] : [`Under way and about the same: ${overlaps.join(', ')}`]),
  ].join('\n')
}

/** What becomes of a sample; of one that changes, the members that do. */
function sampleText({ action, before, after, reason }: DryRun['samples'][number]): string {
  if (reason !== undefined) return reason
  const value = action === 'remove' ? before : after
  if (action !== 'change' || !isObject(before) || !isObject(after)) return JSON.stringify(value)
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  const text = (one: unknown): string => (one === undefined ? '-' : JSON.stringify(one))
  return [...names]
    .filter(name => text(before[name]) !== text(after[name]))
    .map(name => `${name}: ${text(before[name])} -> ${text(after[name])}`)
    .join(', ')
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
