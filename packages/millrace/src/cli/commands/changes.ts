import type { Command } from 'commander'
import { withConnection } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { count, table, time } from '../output.ts'
import type { Run } from '../run-command.ts'
import { valueText } from './view.ts'

interface ChangesOptions {
  readonly from?: string
  readonly to?: string
  readonly n?: string
  readonly after?: string
}

interface ChangeJson {
  readonly before: unknown
  readonly after: unknown
}

type TimedJson =
  | (ChangeJson & { readonly kind: 'time'; readonly watermarkMs: number })
  | (ChangeJson & {
      readonly kind: 'record'
      readonly record: { readonly type: string; readonly eventTimeMs: number }
    })

interface ChangesJson {
  readonly changes: readonly TimedJson[]
  readonly next?: number
  readonly isParked: boolean
}

const HELP = `
--from and --to take a position of an earlier answer, or a time of arrival. Examples:
  millrace changes plays c1                              # every event of c1, and what it did
  millrace changes plays c1 --from 2026-01-05T10:00:00Z  # what changed since then
`

/** `changes`: what changed a value. */
export function addChanges(program: Command, run: Run): void {
  program
    .command('changes')
    .summary('what changed the value of a key of a view between two moments')
    .description(
      'Folds the events of a key again and shows the value before and after each of those that arrived between two moments, and what time alone changed. Personal fields are masked.',
    )
    .argument('<view>', 'the view, as the app definition names it')
    .argument('<key>', 'the key')
    .option('--from <moment>', 'changes since then; default: all')
    .option('--to <moment>', 'changes until then; default: now')
    .option('-n, --n <count>', 'at most so many events; default 20')
    .option('--after <offset>', 'go on behind this one')
    .addHelpText('after', HELP)
    .action(run<[string, string, ChangesOptions]>(listChanges))
}

async function listChanges(
  context: CommandContext,
  name: string,
  key: string,
  { from, to, n = '20', after }: ChangesOptions,
): Promise<void> {
  const query: Record<string, string> = { limit: n }
  for (const [parameter, value] of Object.entries({ from, to, after })) {
    if (value !== undefined) query[parameter] = value
  }
  const path = `/v1/views/${encodeURIComponent(name)}/${encodeURIComponent(key)}/changes`
  await withConnection(context, async connection => {
    const { body } = await connection.request({ method: 'GET', path, query })
    context.output.result(body, textOf(body as ChangesJson, context.output.terminal.columns))
  })
}

function textOf({ changes, next, isParked }: ChangesJson, columns: number): string {
  const rows = changes.map(change => [
    time(change.kind === 'record' ? change.record.eventTimeMs : change.watermarkMs),
    change.kind === 'record' ? change.record.type : 'time passed',
    valueText(change.before),
    valueText(change.after),
  ])
  const text =
    rows.length === 0
      ? 'Nothing changed it.'
      : table([['when', 'what', 'before', 'after'], ...rows], columns)
  return [
    text,
    ...(next === undefined ? [] : [`More behind ${count(next)}: --after ${next}`]),
    ...(isParked ? ['The key waits for a repair: what came behind changed nothing.'] : []),
  ].join('\n')
}
