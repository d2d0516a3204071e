import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { ChangesetView } from '@millrace/product'
import { Option, type Command } from 'commander'
import { readChangesetRows } from '../changeset-rows.ts'
import { connect, type Connection } from '../connect.ts'
import type { BranchSurfaceAnswer } from '../../client/index.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { bytes, count, table } from '../output.ts'
import type { Run } from '../run-command.ts'
import { describeChangeset } from './changeset.ts'
import { readCount } from './log.ts'
import { linesOf, writeLines } from './replay.ts'

interface WhatIfOptions {
  readonly file?: string
  readonly do: string
  readonly events?: string
  readonly items?: string
  readonly merge: readonly string[]
  readonly split: readonly string[]
  readonly definition?: string
  readonly set: readonly string[]
  readonly recordsMax?: string
  readonly memoryMax?: string
  readonly surface?: string
  readonly person?: string
  readonly explain?: boolean
  readonly plan?: boolean
  readonly title?: string
  readonly at?: string
  readonly branch?: string
  readonly view?: string
  readonly key?: string
  readonly n?: string
  readonly toFile?: string
  readonly keep?: boolean
}

interface BranchJson {
  readonly id: string
  /** Absent where there are so many that they were not looked for yet. */
  readonly results?: {
    readonly corrected: number
    readonly unchanged: number
    readonly refused: readonly { readonly id: string; readonly reason: string }[]
  }
  readonly estimate: { readonly keys: number; readonly records: number; readonly bytes: number }
  /** What of its definition is otherwise. */
  readonly definition?: Readonly<
    Record<'folds' | 'surfaces' | 'added' | 'removed', readonly string[]>
  >
}

interface ViewDifferencesJson {
  readonly view: string
  readonly keys: number
  readonly changed: number
  readonly added: number
  readonly removed: number
  readonly fields: Readonly<Record<string, number>>
  readonly samples: readonly {
    readonly key: string
    readonly field: string
    readonly before?: unknown
    readonly after?: unknown
  }[]
}

const REFUSED_SHOWN = 5
const SAMPLES = 5

const HELP = `
Examples:
  millrace what-if --file bots.csv                        # without these events
  millrace what-if --file bots.csv --view plays --key c1  # one key without them
  millrace what-if --events more.jsonl --to-file all.jsonl
  millrace what-if --file bots.csv --surface home --person ana   # what Ana would be shown
  millrace what-if --items edited.jsonl --surface home           # with other items
  millrace what-if --merge visitor-7=ana --view seen --key ana   # if the visitor were Ana
  millrace what-if --definition changed.ts                # by another definition, all that differs
  millrace what-if --definition changed.ts --view seen --key ana
  millrace what-if --set surfaces.home.explore=0.2 --surface home
  millrace what-if --file bots.csv --at 2026-01-05T10:00:00Z --keep
  millrace what-if --branch <id> --view plays             # one that was kept
  millrace what-if --branch <id> --plan                   # plans it as a changeset
`

const NONE: readonly string[] = []
const all = (text: string, before: readonly string[]): readonly string[] => [...before, text]

/** `what-if`: what the views would say if other things had happened. */
export function addWhatIf(program: Command, run: Run): void {
  program
    .command('what-if')
    .summary('what the views would say if other things had happened')
    .description(
      'Opens a branch of the log in which events are retracted, held, corrected, restored or added, items are otherwise, people are merged or split, or another definition answers, and says what that changes: by view, key and field, or on a surface. Nothing is written, and nobody sees it. Personal values are masked, but for the value of --key.',
    )
    .option('--file <path>', 'ids of events: JSON Lines (.jsonl), or a table with a header')
    .addOption(
      new Option('--do <what>', 'what becomes of these events')
        .choices(['retract', 'hold', 'correct', 'restore'])
        .default('retract'),
    )
    .option('--events <path>', 'events that did not happen, as they would be sent: JSON Lines')
    .option(
      '--items <path>',
      'items that are otherwise: JSON Lines with kind, id and attributes (null: removed)',
    )
    .option('--merge <id=person>', 'an id is this person; may be given several times', all, NONE)
    .option(
      '--split <id>',
      'an id that was merged is itself; may be given several times',
      all,
      NONE,
    )
    .option('--definition <file>', 'another definition, in the folder of the app that is served')
    .option(
      '--set <path=value>',
      'a value of a surface, such as surfaces.home.explore=0.2; may be given several times',
      all,
      NONE,
    )
    .option('--at <place>', 'begin at a position, or a time of arrival; default: now')
    .addOption(
      new Option('--branch <id>', 'ask a branch that is open').conflicts([
        'file',
        'events',
        'items',
        'merge',
        'split',
        'definition',
        'set',
        'at',
        'recordsMax',
        'memoryMax',
      ]),
    )
    .option('--view <name>', 'only this view')
    .option('--key <key>', 'the value of this key of the view')
    .option('--surface <name>', 'what this surface would answer, beside what it does')
    .option('--person <id>', 'to whom the surface answers; without one: to anybody')
    .option('--explain', 'with the reasons of each item of the surface')
    .option('-n, --n <count>', 'samples of each view; items of the surface')
    .option('--to-file <file>', 'write every difference to a file of JSON Lines')
    .option('--records-max <count>', 'refuse what would fold more records; default: 5,000,000')
    .option('--memory-max <MiB>', 'refuse what would hold more; default: 64')
    .option('--plan', 'plan its corrections and its items as changesets, in place of comparing')
    .option('--title <text>', 'with --plan: what people call them')
    .option('--keep', 'leave it open in the server, until nobody asks it anything any more')
    .addHelpText('after', HELP)
    .action(run<[WhatIfOptions]>(whatIf))
}

async function whatIf(context: CommandContext, options: WhatIfOptions): Promise<void> {
  const { view, key, surface, keep = false } = options
  const n = options.n === undefined ? undefined : readCount('-n', options.n)
  if (options.person !== undefined && surface === undefined) throw usage('--person goes with --surface.') // prettier-ignore
  if (key !== undefined && view === undefined) throw usage('--key goes with --view.')
  const body = options.branch === undefined ? await requestOf(context, options) : undefined
  const connection = await connect(context)
  try {
    if (keep && !connection.isRemote) throw usage('--keep needs a server that runs.')
    const branch = await branchOf(connection, options.branch, body)
    try {
      if (options.plan === true) await plan(context, connection, branch, options)
      else if (surface !== undefined) await recommend(context, connection, branch, options, n)
      else if (key === undefined) await compare(context, connection, branch, options, n ?? SAMPLES)
      else await read(context, connection, branch, view as string, key)
    } finally {
      if (!keep && body !== undefined) {
        await connection.request({ method: 'DELETE', path: placeOf(branch) })
      }
    }
  } finally {
    await connection.close()
  }
}

function usage(reason: string): Error {
  return cliErrors.create('CLI_USAGE', { reason, next: 'See: millrace what-if --help' })
}

/** What is to be otherwise. Throws CLI_USAGE. */
async function requestOf(
  { cwd }: CommandContext,
  { file, do: verb, events, items, merge, split, at, definition, set, recordsMax, memoryMax }: WhatIfOptions, // prettier-ignore
): Promise<unknown> {
  const isSame = definition === undefined && set.length === 0
  const isAlike = isSame && merge.length + split.length === 0
  if ([file, events, items].every(each => each === undefined) && isAlike) {
    throw usage('Give --file, --events, --items, --merge, --split, --definition, --set or --branch.') // prettier-ignore
  }
  const limits = {
    ...(recordsMax === undefined ? {} : { records: readCount('--records-max', recordsMax) }),
    ...(memoryMax === undefined ? {} : { bytes: readCount('--memory-max', memoryMax) * 2 ** 20 }),
  }
  const rows = file === undefined ? [] : await readChangesetRows(resolve(cwd, file), undefined)
  return {
    ...(at === undefined ? {} : { at }),
    corrections: rows.map(row => ({ do: verb, ...row })),
    events: events === undefined ? [] : await readLines(resolve(cwd, events), 'event'),
    items: items === undefined ? [] : await readLines(resolve(cwd, items), 'item'),
    ...(isSame ? {} : { definition: definitionOf(cwd, definition, set) }),
    identities: [...merge.map(mergeIn), ...split.map(from => ({ from }))],
    limits,
  }
}

function definitionOf(cwd: string, file: string | undefined, set: readonly string[]): unknown {
  const settings = set.map(text => {
    const [, path, value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? []
    if (path === undefined) throw usage(`--set ${text} is not path=value.`)
    return [path, valueIn(value)]
  })
  const from = file === undefined ? {} : { file: resolve(cwd, file) }
  return { ...from, settings: Object.fromEntries(settings) as object }
}

/** Throws CLI_USAGE. */
function mergeIn(text: string): { readonly from: string; readonly into: string } {
  const [, from, into] = /^([^=]+)=(.+)$/s.exec(text) ?? []
  if (from === undefined || into === undefined) throw usage(`--merge ${text} is not id=person.`)
  return { from, into }
}

/** JSON, or else the text. */
function valueIn(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

async function readLines(path: string, what: string): Promise<readonly unknown[]> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw usage(`${path} cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'no file'}.`)
  }
  return text.split('\n').flatMap((line, index): unknown[] => {
    if (line.trim() === '') return []
    try {
      return [JSON.parse(line)]
    } catch {
      throw usage(`${path} holds no ${what} in line ${index + 1}.`)
    }
  })
}

async function branchOf(
  connection: Connection,
  id: string | undefined,
  body: unknown,
): Promise<BranchJson> {
  const request =
    id === undefined
      ? { method: 'POST', path: '/v1/branches', body }
      : { method: 'GET', path: placeOf({ id }) }
  return (await connection.request(request)).body as BranchJson
}

const placeOf = ({ id }: { readonly id: string }): string =>
  `/v1/branches/${encodeURIComponent(id)}`

async function read(
  { output }: CommandContext,
  connection: Connection,
  branch: BranchJson,
  view: string,
  key: string,
): Promise<void> {
  const names = `${encodeURIComponent(view)}/${encodeURIComponent(key)}`
  const path = `${placeOf(branch)}/views/${names}`
  const { value } = (await connection.request({ method: 'GET', path })).body as {
    readonly value: unknown
  }
  output.result({ branch: branch.id, view, key, value }, JSON.stringify(value))
}

async function recommend(
  { output }: CommandContext,
  connection: Connection,
  branch: BranchJson,
  { surface = '', person, explain, keep = false }: WhatIfOptions,
  n: number | undefined,
): Promise<void> {
  const query = {
    ...(person === undefined ? {} : { person }),
    ...(n === undefined ? {} : { n: String(n) }),
    ...(explain === true ? { explain: 'true' } : {}),
  }
  const path = `${placeOf(branch)}/surfaces/${encodeURIComponent(surface)}/recommendations`
  const { body } = await connection.request({ method: 'GET', path, query })
  const answer = body as BranchSurfaceAnswer
  const lines = [describeAnswer(answer, output.terminal.columns)]
  if (keep) lines.push(`It stays open: millrace what-if --branch ${branch.id}`)
  output.result({ branch: branch.id, ...answer }, lines.join('\n'))
}

async function plan(
  { output }: CommandContext,
  connection: Connection,
  branch: BranchJson,
  { title }: WhatIfOptions,
): Promise<void> {
  const path = `${placeOf(branch)}/changesets`
  const body = title === undefined ? {} : { title }
  const answer = await connection.request({ method: 'POST', path, body })
  const { changesets } = answer.body as { readonly changesets: readonly ChangesetView[] }
  const text = changesets.map(describeChangeset).join('\n')
  output.result({ branch: branch.id, changesets }, text)
}

function describeAnswer(answer: BranchSurfaceAnswer, columns: number): string {
  const { surface, person, items, gone, different } = answer
  const whom = person === undefined ? 'anybody' : person
  const head = `${surface} for ${whom}: ${count(different)} of ${count(items.length)} slots would hold another item.`
  const rows = items.map(({ slot, slotBefore, id, score, source, reasons = [] }) => [
    String(slot),
    slotBefore === slot ? '' : slotBefore === undefined ? 'new' : `was ${slotBefore}`,
    id,
    score.toFixed(4),
    source,
    reasons.join('; '),
  ])
  const lost = gone.map(({ id, slot }) => `${id} (was ${slot})`).join(', ')
  return [
    head,
    table([['#', '', 'id', 'score', 'source', ''], ...rows], columns),
    ...(gone.length === 0 ? [] : [`Not shown any more: ${lost}.`]),
  ].join('\n')
}

async function compare(
  { cwd, output }: CommandContext,
  connection: Connection,
  branch: BranchJson,
  { view, toFile, keep = false }: WhatIfOptions,
  samples: number,
): Promise<void> {
  const only: Readonly<Record<string, string>> = view === undefined ? {} : { view }
  const path = `${placeOf(branch)}/differences`
  const query = { ...only, samples: String(samples) }
  const { body } = await connection.request({ method: 'GET', path, query })
  const { views } = body as { readonly views: readonly ViewDifferencesJson[] }
  const told =
    branch.results === undefined
      ? ((await connection.request({ method: 'GET', path: placeOf(branch) })).body as BranchJson)
      : branch
  const lines = [describe(told), ...views.map(each => describeView(each, output.terminal.columns))]
  const kept = keep ? [`It stays open: millrace what-if --branch ${branch.id}`] : []
  let file: string | undefined
  if (toFile !== undefined) {
    file = resolve(cwd, toFile)
    const written = await writeLines(
      file,
      linesOf(connection, `${path}/lines?${new URLSearchParams(only).toString()}`),
    )
    lines.push(`${count(written)} differences written to ${toFile}.`)
  }
  output.result({ branch: told, views, ...(file === undefined ? {} : { file }) }, [...lines, ...kept].join('\n')) // prettier-ignore
}

/** What of a definition is otherwise, in a sentence; what only one of both has is told apart. */
function describeDefinition({
  folds,
  surfaces,
  added,
  removed,
}: NonNullable<BranchJson['definition']>): readonly string[] {
  const all = [...folds.map(nameOf), ...surfaces.map(name => `surface ${name}`)]
  const others = [
    ['Not in what is served, and so without a state: ', added],
    ['Not in this definition any more: ', removed],
  ] as const
  return [
    all.length === 0
      ? 'The definition is the one that is served.'
      : `Otherwise: ${all.join(', ')}.`,
    ...others.flatMap(([head, names]) =>
      names.length === 0 ? [] : [`${head}${names.map(nameOf).join(', ')}.`],
    ),
  ]
}

const nameOf = (fold: string): string => fold.replace(/^([a-z]+)\./, '$1 ')

function describe({ results, estimate, definition }: BranchJson): string {
  const { corrected = 0, unchanged = 0, refused = [] } = results ?? {}
  const shown = refused.slice(0, REFUSED_SHOWN).map(({ id, reason }) => `  ${id}: ${reason}`)
  const states = `${count(estimate.keys)} states (${bytes(estimate.bytes)}) can differ at least`
  const isCorrected = corrected + unchanged + refused.length > 0 || definition === undefined
  return [
    ...(definition === undefined ? [] : describeDefinition(definition)),
    ...(isCorrected
      ? [
          `${count(corrected)} events count otherwise, ${count(unchanged)} are so already, ${count(refused.length)} are refused.`,
        ]
      : []),
    ...shown,
    `${states}; about ${count(estimate.records)} records are folded for them.`,
  ].join('\n')
}

function describeView(
  { view, keys, changed, added, removed, fields, samples }: ViewDifferencesJson,
  columns: number,
): string {
  const head = `${view}: ${count(changed)} changed, ${count(added)} added, ${count(removed)} removed, of ${count(keys)} that can differ.`
  if (samples.length === 0) return head
  const named = Object.entries(fields).filter(([name]) => name !== '')
  const text = (value: unknown): string => (value === undefined ? '-' : JSON.stringify(value))
  const rows = samples.map(({ key, field, before, after }) => [
    `  ${key}`,
    field,
    `${text(before)} -> ${text(after)}`,
  ])
  return [
    head,
    ...(named.length === 0
      ? []
      : [`  Fields: ${named.map(([name, times]) => `${name} ${count(times)}`).join(', ')}.`]),
    table(rows, columns),
  ].join('\n')
}
