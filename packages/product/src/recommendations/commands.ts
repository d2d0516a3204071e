/** CLI verbs of the recommendations module: each is one request. */
import type { CommandDefinition } from '../module.ts'
import { titleOf } from './answer-builder.ts'
import type { Answer, Explanation } from './answer.ts'
import { percent, queryOf, table, wrapped } from './command-text.ts'
import type { ListItem } from './recommender.ts'
import { explain } from './trace/command.ts'

const recommend: CommandDefinition = {
  name: 'recommend',
  summary: 'Recommends items to a person',
  options: [
    { flags: '--surface <name>', description: 'surface of the app definition', isRequired: true },
    { flags: '--person <id>', description: 'id of the person; without one: for anybody' },
    { flags: '-n, --n <count>', description: 'number of items' },
    { flags: '--explain', description: 'with reasons and what each stage did' },
    { flags: '--exclude <ids>', description: 'ids that must not appear, separated by commas' },
    { flags: '--item <id>', description: 'the item that the person looks at' },
    { flags: '--context <json>', description: 'what the request tells features of the context' },
  ],
  request: ({ options }) => ({
    method: 'GET',
    path: `/v1/surfaces/${encodeURIComponent(String(options['surface']))}/recommendations`,
    query: queryOf(options, ['person', 'n', 'explain', 'exclude', 'item', 'context']),
  }),
  print(body, columns) {
    const answer = body as Answer
    const whom = answer.person === undefined ? 'anybody' : `person ${answer.person}`
    const cold = answer.isColdStart ? ' (nothing known: popular, trending and new items)' : ''
    const [head = '', ...rows] = table({
      head: ['#', 'id', 'title', 'score', 'source', 'chance'],
      rows: answer.items.map(item => [
        String(item.slot),
        item.id,
        titleOf(item.id, item.attributes),
        item.score.toFixed(4),
        item.source,
        percent(item.propensity),
      ]),
      shrinks: 'title',
      columns,
    })
    const indent = ' '.repeat(head.indexOf('id'))
    return [
      wrapped('', `${answer.surface} for ${whom}${cold}`, columns),
      head,
      ...rows.flatMap((row, at) => {
        const reasons = answer.items[at]?.reasons ?? []
        return reasons.length === 0 ? [row] : [row, wrapped(indent, reasons.join('; '), columns)]
      }),
      `answer ${answer.answerId}`,
      ...(answer.explanation === undefined ? [] : stages(answer.explanation, columns)),
    ].join('\n')
  },
}

/** What each stage did, a line each. */
function stages(explanation: Explanation, columns: number): readonly string[] {
  const { history, sources, filters, limits, exploration } = explanation
  const removed = filters.filter(filter => filter.removed > 0)
  const explored = exploration.slots.map(s => `slot ${s.slot}, drawn from ${s.alternatives}`)
  const line = (name: string, text: string): string =>
    wrapped(`${name}:`.padEnd('exploration: '.length), text, columns)
  return [
    line('history', history.map(item => item.title).join(', ') || 'none'),
    line('sources', sources.map(s => `${s.name} ${s.shown} of ${s.proposed} shown`).join('; ')),
    line(
      'filters',
      removed.map(f => `${f.name} took ${f.removed} out`).join('; ') || 'took none out',
    ),
    line('candidates', String(explanation.candidates)),
    ...explanation.rerankers.map(r => line('re-ranker', `${r.name} moved ${r.moved.length}`)),
    ...limits.map(l => line('limit', `${l.max} per ${l.field}, ${l.passed} passed over`)),
    line(
      'exploration',
      `${percent(exploration.share)} a slot, taken in ${explored.join('; ') || 'none'}`,
    ),
  ]
}

const listPrint = (body: unknown, columns: number): string => {
  const { items } = body as { items: readonly ListItem[] }
  if (items.length === 0) return 'No items.'
  return table({
    head: ['#', 'kind', 'id', 'title', 'score'],
    rows: items.map((item, place) => [
      String(place + 1),
      item.kind,
      item.id,
      titleOf(item.id, item.attributes),
      item.score.toFixed(4),
    ]),
    shrinks: 'title',
    columns,
  }).join('\n')
}

const similar: CommandDefinition = {
  name: 'similar',
  summary: 'Lists the items related to an item',
  arguments: [
    { name: 'kind', description: 'item kind', isRequired: true },
    { name: 'id', description: 'id of the item', isRequired: true },
  ],
  options: [{ flags: '-n, --n <count>', description: 'number of items' }],
  request: ({ arguments: [kind = '', id = ''], options }) => ({
    method: 'GET',
    path: `/v1/items/${encodeURIComponent(kind)}/${encodeURIComponent(id)}/similar`,
    query: queryOf(options, ['n']),
  }),
  print: listPrint,
}

const trending: CommandDefinition = {
  name: 'trending',
  summary: 'Lists what people turn to now',
  options: [
    { flags: '--kind <name>', description: 'item kind; default: the first one' },
    { flags: '-n, --n <count>', description: 'number of items' },
  ],
  request: ({ options }) => ({
    method: 'GET',
    path: '/v1/trending',
    query: queryOf(options, ['kind', 'n']),
  }),
  print: listPrint,
}

/** The verbs of the module. */
export const recommendationCommands: readonly CommandDefinition[] = [
  recommend,
  similar,
  trending,
  explain,
]
