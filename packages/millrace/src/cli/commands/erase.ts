/** `erase`: people are erased, and a report says what was and what could not be. */
import type { Command } from 'commander'
import { withConnection, type Connection } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { count, table, time } from '../output.ts'
import type { Run } from '../run-command.ts'

const ASK_MS = 200

interface ReportJson {
  readonly events: number
  readonly ofOthers: number
  readonly types: readonly {
    readonly type: string
    readonly events: number
    readonly sealed: number
    readonly clear: number
  }[]
  readonly views: readonly { readonly fold: string; readonly keys: number }[]
  readonly remains: readonly {
    readonly what: string
    readonly count?: number
    readonly remedy: string
  }[]
}

interface ErasureJson {
  readonly erasure: string
  readonly state: 'planned' | 'running' | 'ended'
  readonly people: readonly string[]
  readonly reason: string
  readonly by: string
  readonly begunMs?: number
  readonly report?: ReportJson
}

interface Options {
  readonly reason?: string
  readonly dryRun?: boolean
  readonly list?: boolean
}

/** Registers `erase`. */
export function addErase(program: Command, run: Run): void {
  program
    .command('erase')
    .summary('make what is known of people unreadable, everywhere')
    .description(
      'Erases people: their personal fields become unreadable in the log, in snapshots and in ' +
        'backups, every view is cleaned, and a report says what was erased and what could not be. ' +
        'It cannot be taken back.',
    )
    .argument('[people...]', 'ids of people')
    .option('--reason <text>', 'why, for the report')
    .option('--dry-run', 'say what it would come to, and change nothing')
    .option('--list', 'show the erasures that there were')
    .action(run<[string[], Options]>(erase))
}

async function erase(
  context: CommandContext,
  people: readonly string[],
  { reason, dryRun = false, list = false }: Options,
): Promise<void> {
  await withConnection(context, async connection => {
    if (list) return await show(context, connection)
    if (people.length === 0) throw usage('Nobody is named.', 'Name the ids of people.')
    if (reason === undefined && !dryRun) {
      throw usage('No reason is given.', 'Add one, which the report keeps: --reason <text>')
    }
    const body = { people, reason: reason ?? 'a dry run', dryRun }
    const answer = await connection.request({ method: 'POST', path: '/v1/erasures', body })
    const erased = await ended(context, connection, answer.body as ErasureJson)
    context.output.result(erased, textOf(erased, context.output.terminal.columns))
  })
}

function usage(reason: string, next: string): Error {
  return cliErrors.create('CLI_USAGE', { reason, next })
}

/** Asks until the erasure has ended. */
async function ended(
  { clock }: CommandContext,
  connection: Connection,
  first: ErasureJson,
): Promise<ErasureJson> {
  let erased = first
  while (erased.state === 'running') {
    await new Promise<void>(resolve => clock.after(ASK_MS, resolve))
    const path = `/v1/erasures/${encodeURIComponent(erased.erasure)}`
    erased = (await connection.request({ method: 'GET', path })).body as ErasureJson
  }
  return erased
}

function textOf({ state, people, erasure, report }: ErasureJson, columns: number): string {
  if (report === undefined) return ''
  const { events, ofOthers, types, views, remains } = report
  const who = people.length === 1 ? '1 id' : `${people.length} ids`
  const verb = state === 'planned' ? 'Would erase' : 'Erased'
  const others = ofOthers === 0 ? '' : `, ${count(ofOthers)} of them events of others`
  const heading = ['type', 'events', 'unreadable', 'readable as before']
  const rows = types.map(type => [
    type.type,
    count(type.events),
    count(type.sealed),
    count(type.clear),
  ])
  const folds = views.map(({ fold, keys }) => [fold, count(keys)])
  return [
    `${verb} ${who}: ${count(events)} events are retracted${others}.`,
    ...(rows.length === 0 ? [] : ['', table([heading, ...rows], columns)]),
    ...(folds.length === 0 ? [] : ['', table([['view', 'keys folded again'], ...folds], columns)]),
    '',
    'What remains:',
    ...remains.map(({ what, count: number, remedy }) => {
      const many = number === undefined ? '' : ` (${count(number)})`
      return `- ${what}${many}: ${remedy}`
    }),
    ...(state === 'planned' ? [] : ['', `The report is kept: millrace erase --list (${erasure})`]),
  ].join('\n')
}

async function show({ output }: CommandContext, connection: Connection): Promise<void> {
  const { body } = await connection.request({ method: 'GET', path: '/v1/erasures' })
  const { erasures } = body as { readonly erasures: readonly ErasureJson[] }
  const heading = ['erasure', 'begun', 'state', 'ids', 'events', 'by', 'reason']
  const rows = erasures.map(({ erasure, begunMs = 0, state, people, report, by, reason }) => [
    erasure,
    time(begunMs),
    state,
    count(people.length),
    report === undefined ? '' : count(report.events),
    by,
    reason,
  ])
  const text =
    rows.length === 0 ? 'Nobody was erased.' : table([heading, ...rows], output.terminal.columns)
  output.result(body, text)
}
