import type { CheckReport } from '@millrace/product'
import type { Command } from 'commander'
import { ask } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { EXIT_PARTIAL } from '../exit-codes.ts'
import { count, table, time } from '../output.ts'
import type { Run } from '../run-command.ts'
import { wrap } from '../wrap.ts'
import { describeChecks } from '../check-report.ts'

interface CheckJson {
  readonly name: string
  readonly of: string
  readonly field: string | null
  readonly rule: string
  readonly severity: string
  readonly description: string | null
  readonly state: string
  readonly found: string
  readonly fromMs: number | null
  readonly toMs: number | null
  readonly held: number
  readonly refused: number
  readonly disliked: number
}

interface ShownJson extends CheckJson {
  readonly examples: readonly { readonly place: string; readonly reason: string }[]
  readonly heldEvents: readonly { readonly id: string; readonly type: string; readonly atMs: number }[] // prettier-ignore
}

/** `checks`: what is expected of events. */
export function addChecks(program: Command, run: Run): void {
  const group = program
    .command('checks')
    .summary('what is expected of events, and whether it is so: list, show, run, release')
    .description(
      'The checks of the definition. A verdict is that of the newest window that is over; an event that does not fit shows at once.',
    )
  group
    .command('list')
    .summary('all checks with their verdicts')
    .description('Shows all checks with their verdicts, and how many events each holds.')
    .action(run<[object]>(list))
  group
    .command('show')
    .summary('a check, the newest events that it does not like, and those that it holds')
    .description(
      'Shows one check, the newest events that it does not like, and the oldest that it holds. Personal values are not told.',
    )
    .argument('<check>', 'the check, as `checks list` names it')
    .action(run<[string]>(show))
  group
    .command('run')
    .summary('run checks over all events of the log')
    .description(
      'Runs all checks, or one, over all events of the log that count. Exits with 3 when one fails.',
    )
    .argument('[check]', 'the check, as `checks list` names it')
    .action(run<[string | undefined]>(runAll))
  group
    .command('release')
    .summary('take held events back into the folds')
    .description(
      'Releases the events that a check holds and that fit by now: the item exists, the definition was changed. Each is folded at its place in the log.',
    )
    .argument('<check>', 'the check, as `checks list` names it')
    .option('--all', 'also those that do not fit')
    .option('--reason <text>', 'why, for those who look later')
    .action(run<[string, { all?: boolean; reason?: string }]>(release))
}

async function list(context: CommandContext): Promise<void> {
  const body = (await ask(context, { method: 'GET', path: '/v1/checks' })) as { checks: readonly CheckJson[] } // prettier-ignore
  const rows = body.checks.map(({ name, of, field, rule, severity, state, held }) => [
    name,
    field === null ? of : `${of}.${field}`,
    rule,
    severity,
    state,
    count(held),
  ])
  const head = ['CHECK', 'OF', 'RULE', 'SEVERITY', 'STATE', 'HELD']
  const { columns } = context.output.terminal
  const failing = body.checks.filter(({ state }) => state === 'failing')
  const found = failing.map(each => wrap(`${each.name}: ${each.found}`, columns, '  '))
  const shown = [table([head, ...rows], columns), ...(found.length === 0 ? [] : ['', ...found])]
  const text = rows.length === 0 ? 'The definition has no checks.' : shown.join('\n')
  context.output.result(body, text)
}

async function show(context: CommandContext, check: string): Promise<void> {
  const body = (await ask(context, { method: 'GET', path: pathOf(check) })) as ShownJson
  const { columns } = context.output.terminal
  const { name, of, field, rule, severity, description, state, found } = body
  const window = body.fromMs === null || body.toMs === null ? '' : `, ${time(body.fromMs)} to ${time(body.toMs)}` // prettier-ignore
  const lines = [
    `${name}: ${rule} of ${field === null ? of : `${of}.${field}`}, ${severity}`,
    ...(description === null ? [] : [description]),
    `${state}${window}: ${found}`,
    `Since the start ${count(body.refused)} refused, ${count(body.disliked)} taken that do not fit; ${count(body.held)} held.`,
    ...(body.examples.length === 0 ? [] : ['', 'The newest that do not fit:']),
    ...body.examples.map(({ place, reason }) => `  ${place}: ${reason}`),
    ...(body.heldEvents.length === 0 ? [] : ['', 'Held, the oldest first:']),
    ...body.heldEvents.map(({ id, type, atMs }) => `  ${id} ${type}, since ${time(atMs)}`),
  ]
  context.output.result(body, lines.map(line => wrap(line, columns, '    ')).join('\n'))
}

async function runAll(context: CommandContext, check: string | undefined): Promise<void> {
  const body = (await ask(context, {
    method: 'POST',
    path: '/v1/checks/run',
    body: check === undefined ? {} : { check },
  })) as { checks: readonly CheckReport[] }
  if (body.checks.some(({ state }) => state === 'failing')) context.exitWith(EXIT_PARTIAL)
  context.output.result(body, describeChecks(body.checks, context.output.terminal.columns))
}

async function release(
  context: CommandContext,
  check: string,
  { all, reason }: { readonly all?: boolean; readonly reason?: string },
): Promise<void> {
  const body = (await ask(context, {
    method: 'POST',
    path: `${pathOf(check)}/release`,
    body: {
      ...(all === undefined ? {} : { all }),
      ...(reason === undefined ? {} : { reason }),
    },
  })) as { released: number; held: number }
  context.output.result(body, `${count(body.released)} released, ${count(body.held)} still held.`)
}

function pathOf(check: string): string {
  return `/v1/checks/${encodeURIComponent(check)}`
}
