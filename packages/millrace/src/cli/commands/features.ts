import type { ListedFeatures } from '@millrace/product'
import type { Command } from 'commander'
import { ask } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { table } from '../output.ts'
import type { Run } from '../run-command.ts'
import { limitOption, startRebuild, type RebuildOptions } from './rebuild.ts'
import { addTrainingSet } from './training-set.ts'
import { addFeatureExplain, shown } from './features-explain.ts'
import { addFeatureCheck } from './features-parity.ts'

interface EntityJson {
  readonly values: readonly {
    readonly pair?: string
    readonly feature: string
    readonly value: unknown
    readonly status: string
  }[]
}

/** `features`: what models read about people and items. */
export function addFeatures(program: Command, run: Run): void {
  const group = program
    .command('features')
    .summary(
      'what models read about people and items: list, get, explain, lineage, check, backfill, training-set',
    )
    .description(
      'Feature views and feature services of the definition, and the values that they have.',
    )
  group
    .command('list')
    .summary('all features, and the services that name them')
    .description(
      'Shows the features of all views with their windows, and the columns of all services.',
    )
    .action(run<[object]>(list))
  group
    .command('get')
    .summary('all features of one entity in a view')
    .description(
      'Shows the values of a view for one entity, now. A status other than `value` says why the ' +
        'default is served, or that the value is old.',
    )
    .argument('<view>', 'the feature view, as `features list` names it')
    .argument('<entity>', 'id of the person, item or other entity')
    .action(run<[string, string]>(get))
  group
    .command('backfill')
    .summary('build a feature view from the log beside the live one, compare, switch')
    .description(
      'Builds a feature view from the log, in parallel, beside the version that is served; ' +
        'compares all values of all entities, and switches when no more differ than may. With ' +
        '--dry-run it tells what a changed definition would change, and leaves what is served. ' +
        'An interrupted one goes on where it was. `rebuild status`, `switch`, `back` and `drop` ' +
        'take `feature.<view>`.',
    )
    .argument('<view>', 'the feature view, as `features list` names it')
    .option('--dry-run', 'compare, and leave the switch for later')
    .addOption(limitOption())
    .action(
      run<[string, RebuildOptions]>((context, view, options) =>
        startRebuild(context, `feature.${view}`, options),
      ),
    )
  addTrainingSet(group, run)
  addFeatureCheck(group, run)
  addFeatureExplain(group, run)
}

async function list(context: CommandContext): Promise<void> {
  const listed = (await ask(context, { method: 'GET', path: '/v1/features' })) as ListedFeatures
  const features = listed.views.flatMap(view =>
    view.features.map(feature => [
      `${view.name}.${feature.name}`,
      view.pair === undefined ? view.entity : `${view.entity} x ${view.pair}`,
      feature.aggregation,
      feature.window,
      view.owner ?? '',
    ]),
  )
  const services = listed.services.map(({ name, entities, columns }) => [
    name,
    entities.join(', '),
    columns.join(', '),
  ])
  const { columns: width } = context.output.terminal
  const parts = [
    ...(features.length === 0 ? [] : [table([['FEATURE', 'OF', 'IS', 'WINDOW', 'OWNER'], ...features], width)]), // prettier-ignore
    ...(services.length === 0 ? [] : [table([['SERVICE', 'OF', 'READS'], ...services], width)]),
  ]
  context.output.result(listed, parts.join('\n\n') || 'The definition has no features.')
}

async function get(context: CommandContext, view: string, entity: string): Promise<void> {
  const path = `/v1/features/${encodeURIComponent(view)}/${encodeURIComponent(entity)}`
  const found = (await ask(context, { method: 'GET', path })) as EntityJson
  const rows = found.values.map(({ pair, feature, value, status }) => [
    ...(pair === undefined ? [] : [pair]),
    feature,
    shown(value),
    status,
  ])
  const isPaired = found.values.some(({ pair }) => pair !== undefined)
  const head = [...(isPaired ? ['PAIR'] : []), 'FEATURE', 'VALUE', 'STATUS']
  context.output.result(found, rows.length === 0 ? `Nothing is known of ${entity}.` : table([head, ...rows], context.output.terminal.columns)) // prettier-ignore
}
