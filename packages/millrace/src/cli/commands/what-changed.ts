import type { Cause, ChangedField, ChangedKey, ChangedRate } from '@millrace/streams'
import type { Command } from 'commander'
import { withConnection } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { count, table } from '../output.ts'
import type { Run } from '../run-command.ts'

interface WhatChangedOptions {
  readonly from: string
  readonly to?: string
  readonly rate?: string
  readonly person?: string
  readonly item?: string
}

interface CausesJson {
  readonly view?: string
  readonly kind?: string
  readonly id?: string
  readonly key?: string
  readonly fields: readonly ChangedField[]
  readonly causes: readonly Cause[]
  readonly unmeasured: readonly string[]
  readonly keys?: readonly ChangedKey[]
  readonly rate?: ChangedRate
  readonly isParked: boolean
}

/** Fields of one cause that are shown; --json has all. */
const EFFECTS_SHOWN = 5

const HELP = `
--from and --to take a position of an earlier answer, or a time of arrival. Examples:
  millrace what-changed plays c1 --from 2026-01-05T10:00:00Z   # one clip
  millrace what-changed plays --from 2026-01-05T10:00:00Z      # all clips together
  millrace what-changed --person ana --from 2026-01-05T10:00:00Z     # what is known of Ana
  millrace what-changed --item clip/c1 --from 2026-01-05T10:00:00Z
  millrace what-changed shown --from 2026-01-05 --to 2026-01-06 --rate clicks/views
`

/** `what-changed`: what changed between two moments, and why. */
export function addWhatChanged(program: Command, run: Run): void {
  program
    .command('what-changed')
    .summary(
      'what changed a view, a person or an item between two moments, and which causes had how much of it',
    )
    .description(
      'Tells the value of a key, or the sums over all keys, at two moments, and each cause of the difference - events by type, changesets, merges, another version of the view, joined rows, the passing of time - with what the value would be without it: the events are folded once more without each. What only several causes do together is told as such. Personal values are masked.',
    )
    .argument('[view]', 'the view, as the app definition names it')
    .argument('[key]', 'the key; default: all keys together')
    .requiredOption('--from <moment>', 'the first moment')
    .option('--to <moment>', 'the second moment; default: now')
    .option('--rate <of/per>', 'of all keys: a quotient of two numbers too, by mix and rate')
    .option('--person <id>', 'what is known of a person, in place of a view')
    .option('--item <kind/id>', 'an item, in place of a view')
    .addHelpText('after', HELP)
    .action(run<[string | undefined, string | undefined, WhatChangedOptions]>(whatChanged))
}

async function whatChanged(
  context: CommandContext,
  view: string | undefined,
  key: string | undefined,
  { from, to, rate, person, item }: WhatChangedOptions,
): Promise<void> {
  const path = pathOf({ view, key, person, item })
  const query = { from, ...(to === undefined ? {} : { to }), ...rateOf(rate, key) }
  await withConnection(context, async connection => {
    const { body } = await connection.request({ method: 'GET', path, query })
    context.output.result(body, textOf(body as CausesJson, context.output.terminal.columns))
  })
}

/** Of a view, a person or an item. Throws CLI_USAGE unless it is one of them. */
function pathOf({
  view,
  key,
  person,
  item,
}: Readonly<Record<'view' | 'key' | 'person' | 'item', string | undefined>>): string {
  const [kind = '', ...rest] = item?.split('/') ?? []
  const paths = [
    view === undefined ? undefined : ['causes', view, ...(key === undefined ? [] : [key])],
    person === undefined ? undefined : ['people', person, 'causes'],
    item === undefined ? undefined : ['items', kind, rest.join('/'), 'causes'],
  ].filter(path => path !== undefined)
  const [path] = paths
  if (path === undefined || paths.length > 1 || path.includes('')) {
    const reason = 'Name one: a view, --person <id>, or --item <kind/id>.'
    throw cliErrors.create('CLI_USAGE', { reason, next: 'See: millrace what-changed --help' })
  }
  return `/v1/${path.map(encodeURIComponent).join('/')}`
}

function rateOf(rate: string | undefined, key: string | undefined): Record<string, string> {
  if (rate === undefined) return {}
  const [of = '', per = '', ...rest] = rate.split('/').map(part => part.trim())
  if (key !== undefined || of === '' || per === '' || rest.length > 0) {
    const reason = '--rate takes two numbers of the values of all keys, such as clicks/views.'
    throw cliErrors.create('CLI_USAGE', { reason, next: 'See: millrace what-changed --help' })
  }
  return { of, per }
}

function textOf(body: CausesJson, columns: number): string {
  const { view, kind, id, key, fields, causes, unmeasured, keys = [], rate, isParked } = body
  const thing = kind === undefined ? id : `${kind}/${id}`
  const of = view ?? thing ?? ''
  const name = key === undefined ? of : `${of} of ${key}`
  return [
    ...(fields.length === 0 ? [`${name}: what it was.`] : fields.map(field => fieldText(name, field))), // prettier-ignore
    ...(rate === undefined ? [] : [rateText(rate)]),
    ...(causes.length === 0 ? [] : [causesText(causes, columns)]),
    ...(keys.length === 0 ? [] : [table([['key', 'before', 'after', ''], ...keys.map(keyRow)], columns)]), // prettier-ignore
    ...unmeasured.map(reason => `Not measured: ${reason}.`),
    ...(isParked ? ['A key waits for a repair: what came behind changed nothing.'] : []),
  ].join('\n')
}

function fieldText(
  name: string,
  { field, before, after, difference, together = 0 }: ChangedField,
): string {
  // prettier-ignore
  const head = field === '' ? name : `${name}, ${field}`
  if (difference === 0) return `${head}: what it was; ${signed(together)} by several causes together.` // prettier-ignore
  const values = `${head}: ${text(before)} -> ${text(after)}`
  if (difference === undefined) return `${values}.`
  const rest = isNothing(together) ? '' : `, of which ${signed(together)} by several causes together` // prettier-ignore
  return `${values} (${signed(difference)}${rest}).`
}

function rateText({ of, per, before, after, mix, rate }: ChangedRate): string {
  if (before === null || after === null) return `${of} / ${per}: nothing to divide by.`
  return `Of that ${signed(mix)} because keys have other shares of ${per}, ${signed(rate)} because keys have other ${of} / ${per}.` // prettier-ignore
}

function causesText(causes: readonly Cause[], columns: number): string {
  const rows = causes.flatMap(({ kind, name, records, effects }) =>
    effects
      .slice(0, EFFECTS_SHOWN)
      .map(({ field, without, with: is, amount }, at) => [
        at > 0 ? '' : name === 'all' ? kind : `${kind} ${name}`,
        at > 0 || records === undefined ? '' : count(records),
        field,
        amount === undefined ? '' : signed(amount),
        `${text(without)} -> ${text(is)}`,
      ]),
  )
  return table([['cause', 'events', 'field', 'amount', 'without it -> with it'], ...rows], columns)
}

function keyRow({ key, before, after }: ChangedKey): readonly string[] {
  return [key, text(before), text(after), signed(after - before)]
}

const isNothing = (amount: number): boolean => Math.abs(amount) < 1e-9

function text(value: unknown): string {
  return value === undefined ? '-' : typeof value === 'number' ? rounded(value) : JSON.stringify(value) // prettier-ignore
}

function signed(amount: number): string {
  return `${amount < 0 ? '' : '+'}${rounded(isNothing(amount) ? 0 : amount)}`
}

function rounded(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)))
}
