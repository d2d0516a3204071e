import type { Command } from 'commander'
import { withConnection, type ApiRequest } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { count, table, time } from '../output.ts'
import type { Run } from '../run-command.ts'

interface CorrectionJson {
  readonly offset: number
  readonly atMs: number
  readonly changeset?: string
  readonly action: string
  readonly reason: string
  readonly by: string
  readonly count: number
}

interface HistoryJson {
  readonly event: string
  readonly action: string
  readonly history: readonly { readonly action: string; readonly source?: string }[]
}

/** `corrections`: events that are retracted, held, corrected or restored. */
export function addCorrections(program: Command, run: Run): void {
  const group = program
    .command('corrections')
    .summary('events that do not hold as they were sent: list, show')
    .description(
      'A correction says what holds in place of an event, for every view. The event stays in the log.',
    )
  group
    .command('list')
    .summary('what was corrected')
    .description('Shows corrections in the order of the log, with who decided them and why.')
    .option('--from <offset>', 'first offset', '0')
    .option('-n, --n <count>', 'at most so many', '100')
    .action(run<[{ from: string; n: string }]>(list))
  group
    .command('show')
    .summary('what holds for an event')
    .description('Shows what was decided on one event, oldest first.')
    .argument('<event>', 'the id of the event')
    .action(run<[string]>(show))
}

function ask(context: CommandContext, request: ApiRequest): Promise<unknown> {
  return withConnection(context, async connection => (await connection.request(request)).body)
}

async function list(
  context: CommandContext,
  { from, n }: { readonly from: string; readonly n: string },
): Promise<void> {
  const query = { from, limit: n }
  const body = (await ask(context, { method: 'GET', path: '/v1/corrections', query })) as {
    readonly corrections: readonly CorrectionJson[]
    readonly next: number | null
  }
  const lines = body.corrections.map(correction => [
    String(correction.offset),
    time(correction.atMs),
    correction.action,
    count(correction.count),
    correction.changeset ?? '',
    correction.by,
    correction.reason,
  ])
  const heading = ['offset', 'at', 'action', 'events', 'changeset', 'by', 'reason']
  const more = body.next === null ? '' : `\nMore: --from ${body.next}`
  const text =
    lines.length === 0
      ? 'Nothing was corrected.'
      : table([heading, ...lines], context.output.terminal.columns) + more
  context.output.result(body, text)
}

async function show(context: CommandContext, event: string): Promise<void> {
  const path = `/v1/corrections/${encodeURIComponent(event)}`
  const body = (await ask(context, { method: 'GET', path })) as HistoryJson
  const lines = body.history.map(({ action, source }) => [action, source ?? ''])
  context.output.result(body, table([['action', 'by the correction'], ...lines], 100))
}
