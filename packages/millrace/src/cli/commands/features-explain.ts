import type { FeatureExplanation, Lineage } from '@millrace/product'
import { Option, type Command } from 'commander'
import { ask } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { table } from '../output.ts'
import type { Run } from '../run-command.ts'

interface ExplainOptions {
  readonly at?: string
  readonly ends?: string
  readonly pair?: string
  readonly after?: string
  readonly limit?: string
}

/** `features explain` and `features lineage`: where values come from. */
export function addFeatureExplain(group: Command, run: Run): void {
  group
    .command('explain')
    .summary('the events behind the value of a feature')
    .description(
      'Shows the value of one feature of one entity, and the events of its window that changed ' +
        'it, in the order in which they counted.',
    )
    .argument('<feature>', '`<view>.<feature>`, as `features list` names it')
    .argument('<entity>', 'id of the person, item or other entity')
    .option('--at <moment>', 'as it was then: a time of arrival, or the position of an answer')
    .option('--ends <time>', 'where its window ends; default: at the moment of --at')
    .option('--pair <text>', 'of a view of pairs: what the entity is paired with')
    .addOption(new Option('--limit <n>', 'at most so many events').default('50'))
    .option('--after <n>', 'go on behind this event: `next` of the page before')
    .action(run<[string, string, ExplainOptions]>(explain))
  group
    .command('lineage')
    .summary('what features are made of, and what events go into')
    .description(
      'Shows the columns of all services with the features and events that they depend on. With ' +
        'a name, those that depend on that event, feature, attribute or service.',
    )
    .argument('[name]', 'an event, `<view>.<feature>`, `<kind>.<attribute>`, or a service')
    .action(run<[string | undefined]>(lineage))
}

async function explain(
  context: CommandContext,
  name: string,
  entity: string,
  { at, ends, pair, after, limit = '' }: ExplainOptions,
): Promise<void> {
  const [view = '', feature = ''] = name.split('.')
  if (feature === '') throw cliErrors.create('CLI_USAGE', { reason: `${name} is no feature: it is named <view>.<feature>.`, next: '`millrace features list` has them.' }) // prettier-ignore
  const query = new URLSearchParams({ limit })
  for (const [member, value] of Object.entries({ at, ends, pair, after })) {
    if (value !== undefined) query.set(member, value)
  }
  const path = `/v1/features/${[view, entity, feature].map(encodeURIComponent).join('/')}/events?${query}` // prettier-ignore
  const found = (await ask(context, { method: 'GET', path })) as FeatureExplanation
  const { value, status, atMs, events, next } = found
  const rows = events.map(event => [
    timeText(event.atMs),
    shown(event.before),
    shown(event.after),
    event.type,
    event.id,
  ])
  const lines = [
    `${name} of ${entity}${pair === undefined ? '' : ` and ${pair}`} is ${shown(value)}${status === 'value' ? '' : ` (${status})`} at ${timeText(atMs)}.`, // prettier-ignore
    rows.length === 0
      ? 'No event of the window changed it.'
      : table([['WHEN', 'WAS', 'BECAME', 'EVENT', 'ID'], ...rows], context.output.terminal.columns),
    ...(next === undefined ? [] : [`There are more: --after ${next}`]),
  ]
  context.output.result(found, lines.join('\n'))
}

async function lineage(context: CommandContext, name: string | undefined): Promise<void> {
  const all = (await ask(context, { method: 'GET', path: '/v1/features/lineage' })) as Lineage
  const services = all.services.map(({ service, columns }) => ({
    service,
    columns: columns.filter(
      ({ features, attributes, events }) =>
        name === undefined || [service, ...features, ...attributes, ...events].includes(name),
    ),
  }))
  const isIn = ({ event, features }: Lineage['events'][number]): boolean =>
    name === undefined || event === name || features.includes(name)
  const found: Lineage = {
    services: services.filter(({ columns }) => columns.length > 0),
    events: all.events.filter(isIn),
  }
  const columns = found.services.flatMap(({ service, columns: own }) =>
    own.map(({ column, features, attributes, context: told, events }) => {
      const parts = [...features, ...attributes, ...told.map(each => `context ${each}`)]
      const from = events.length === 0 ? '' : `, by ${events.join(', ')}`
      return `${service}.${column} is made of ${parts.join(', ')}${from}`
    }),
  )
  const events = found.events.map(({ event, features }) => `${event} goes into ${features.join(', ')}`) // prettier-ignore
  const lines = [...columns, ...events]
  context.output.result(found, lines.length === 0 ? 'Nothing depends on it.' : lines.join('\n'))
}

/** In UTC, to the second. */
const timeText = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace('T', ' ')

/** A value of a feature, its numbers to six digits; '' for none. */
export function shown(value: unknown): string {
  const rounded = (_key: string, each: unknown): unknown =>
    typeof each === 'number' ? Number(each.toPrecision(6)) : each
  return value === undefined ? '' : JSON.stringify(value, rounded)
}
