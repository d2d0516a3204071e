/** `backtest`: past answers given again by another definition. */
import { createWriteStream, existsSync } from 'node:fs'
import { once } from 'node:events'
import { resolve } from 'node:path'
import type { BacktestReport } from '@millrace/product'
import type { Command } from 'commander'
import { readConfig } from '../../config.ts'
import { runBacktest } from '../../wiring/backtest.ts'
import { appOf } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { count, table } from '../output.ts'
import type { Run } from '../run-command.ts'
import { wrap } from '../wrap.ts'

interface BacktestCommand {
  readonly surface?: string
  readonly answer?: string
  readonly from?: string
  readonly to?: string
  readonly within?: string
  readonly clip?: string
  readonly out?: string
}

const HELP = `
The definition is that of --app, or of the folder: with the one that answered, nothing differs.
  millrace backtest --surface home --app changed.ts --from 2026-01-05 --to 2026-01-12
  millrace backtest --surface home --answer 019b8c1e-...   # one answer again, with its scores
`
const MINUTE_MS = 60_000
const PROGRESS_MS = 2_000
/** From this share on it is told that the log has never shown what the definition would show. */
const UNTRIED_TOLD = 0.1

/** Registers `backtest`. */
export function addBacktest(program: Command, run: Run): void {
  program
    .command('backtest')
    .summary('answer past requests again by another definition, and compare')
    .description(
      'Answers past requests of a surface again, each as of its own moment, by the definition that ' +
        '--app names, and says what would have been shown otherwise: by stage, by group of items, ' +
        'and what people would have done. Reads the log beside a server that runs; changes nothing.',
    )
    .requiredOption('--surface <name>', 'surface of the definition')
    .option('--answer <id>', 'only this answer')
    .option('--from <time>', 'answers from then on; default: all')
    .option('--to <time>', 'answers before then')
    .option('--within <minutes>', 'a slot earns when its person acts on its item so soon', '60')
    .option('--clip <weight>', 'count no slot for more than so many; default: none is cut')
    .option('--out <file>', 'write each answer that differs there, a JSON object a line')
    .addHelpText('after', HELP)
    .action(run<[BacktestCommand]>(backtest))
}

async function backtest(context: CommandContext, options: BacktestCommand): Promise<void> {
  const { surface = '', answer, from, to, within, clip, out } = options
  const { data, clock, output } = context
  const { database } = readConfig({}, context.environment)
  if (database === '' && !existsSync(resolve(data, 'log'))) {
    throw usage(`${data} holds no log.`, 'Name the data directory with --data.')
  }
  const { app } = await appOf(context)
  const withinMs = Number(within) * MINUTE_MS
  if (!(withinMs > 0))
    throw usage(`--within ${within ?? ''} is no number of minutes.`, 'Give one above 0.')
  const clipAt = clip === undefined ? undefined : Number(clip)
  if (clipAt !== undefined && !(clipAt > 0)) throw usage(`--clip ${clip} is no weight.`, 'Give one above 0.') // prettier-ignore
  const file = out === undefined ? undefined : createWriteStream(resolve(context.cwd, out))
  if (file !== undefined) await once(file, 'open')
  let toldMs = clock.monotonicMs()
  try {
    const report = await runBacktest(
      { app, data, database, clock },
      {
        surface,
        answerId: answer,
        fromMs: timeOf('--from', from),
        toMs: timeOf('--to', to),
        withinMs,
        clipAt,
        async onDifference(difference) {
          if (file?.write(`${JSON.stringify(difference)}\n`) === false) await once(file, 'drain')
        },
        onProgress(answered) {
          if (clock.monotonicMs() - toldMs < PROGRESS_MS) return
          toldMs = clock.monotonicMs()
          output.note(`${count(answered)} answers given again ...`)
        },
      },
    )
    output.result(report, textOf(report, Math.min(output.terminal.columns, 100)))
  } finally {
    if (file !== undefined) {
      file.end()
      await once(file, 'close')
    }
  }
}

function usage(reason: string, next: string): Error {
  return cliErrors.create('CLI_USAGE', { reason, next })
}

function timeOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const timeMs = Date.parse(text)
  if (!Number.isNaN(timeMs)) return timeMs
  throw usage(`${option} ${text} is no time.`, 'Give one as 2026-01-05 or 2026-01-05T10:00:00Z.')
}

function textOf(report: BacktestReport, columns: number): string {
  const { requests, slots, stages, losing, winning, earnings } = report
  const { answered, different, people, peopleDifferent } = requests
  const left = [
    [requests.withoutState, 'logged by a version that did not note its state'],
    [requests.outOfOrder, 'answered by a process behind another one'],
    [requests.refused, 'not allowed any more'],
  ] as const
  const head = `${report.surface}: ${count(answered)} answers given again, ${count(different)} differ, of ${count(peopleDifferent)} of ${count(people)} people.`
  const lines = [
    wrap(head, columns),
    ...left.flatMap(([number, why]) =>
      number === 0 ? [] : [`Not given again: ${count(number)}, ${why}.`],
    ),
    wrap(
      `Of ${count(slots.shown)} slots ${count(slots.dropped)} would hold another item, ${count(slots.moved)} items would be elsewhere; new items had ${count(slots.newBefore)}, would have ${count(slots.newAfter)}.`,
      columns,
    ),
  ]
  if (stages.length > 0) {
    const rows = stages.map(({ stage, dropped, share }) => [stage, count(dropped), percent(share)])
    lines.push('', table([['taken by', 'slots', 'of all'], ...rows], columns))
  }
  const groups = [...losing, ...winning]
  if (groups.length > 0) {
    const rows = groups.map(({ field, value, before, after }) => [
      field,
      value,
      count(before),
      count(after),
    ])
    lines.push('', table([['group', '', 'slots then', 'again'], ...rows], columns))
  }
  if (earnings !== undefined) lines.push('', ...earningsText(earnings, columns))
  if (report.answer !== undefined) lines.push('', ...answerText(report.answer, columns))
  return lines.join('\n')
}

function earningsText(
  { logged, selfNormalised }: NonNullable<BacktestReport['earnings']>,
  columns: number,
): readonly string[] {
  const { target, weights, choices } = selfNormalised
  const within = Number.isNaN(target.low)
    ? 'one person is too few for an interval'
    : `95 % between ${percent(Math.max(0, target.low))} and ${percent(Math.min(1, target.high))}`
  const told =
    weights.effectiveSampleSize < 1
      ? 'The log never shows what this definition would show: nothing can be said of it.'
      : `By this definition ${percent(target.value)}, ${within}; ${count(weights.effectiveSampleSize)} of ${count(choices)} slots tell of it.`
  const untried = 1 - weights.mean
  const missing =
    untried < UNTRIED_TOLD
      ? ''
      : ` The log has not tried ${percent(untried)} of what this definition would show: no figure tells of that.`
  const clipped =
    weights.clippedShare === 0
      ? ''
      : ` The weights of ${percent(weights.clippedShare)} of the slots were cut; the greatest was ${weights.max.toFixed(1)}.`
  return [
    wrap(`People acted on ${percent(logged)} of the slots. ${told}${missing}${clipped}`, columns),
  ]
}

function answerText(
  { isSame, items, definition, definitionNow }: NonNullable<BacktestReport['answer']>,
  columns: number,
): readonly string[] {
  const rows = items.map(({ slot, id, score, terms = [], reasons = [] }) => [
    String(slot),
    id,
    score.toFixed(4),
    terms.map(term => `${term.stage} ${(term.weight * term.score).toFixed(4)}`).join(' + '),
    reasons.join('; '),
  ])
  const by =
    definition === definitionNow ? '' : ` (it was made by ${definition}, this is ${definitionNow})`
  return [
    wrap(isSame ? 'The very same answer.' : `Another answer${by}.`, columns),
    table([['#', 'id', 'score', 'terms', 'reasons'], ...rows], columns),
  ]
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}
