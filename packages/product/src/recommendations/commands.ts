/** CLI verbs of the recommendations module: each is one request. */
import type { CommandDefinition } from '../module.ts'
import { titleOf } from './answer-builder.ts'
import type { Answer, Explanation } from './answer.ts'
import type { PastAnswer } from './past-answers.ts'
import type { ListItem } from './recommender.ts'

const TITLE_WIDTH_MAX = 48

type Options = Readonly<Record<string, string | boolean | undefined>>

function queryOf(options: Options, names: readonly string[]): Record<string, string> {
  const query: Record<string, string> = {}
  for (const name of names) {
    const value = options[name]
    if (value !== undefined && value !== false) query[name] = String(value)
  }
  return query
}

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
  ],
  request: ({ options }) => ({
    method: 'GET',
    path: `/v1/surfaces/${encodeURIComponent(String(options['surface']))}/recommendations`,
    query: queryOf(options, ['person', 'n', 'explain', 'exclude', 'item']),
  }),
  print(body) {
    const answer = body as Answer
    const isExplained = answer.explanation !== undefined
    const rows = answer.items.map(item => [
      String(item.slot),
      item.id,
      titleOf(item.id, item.attributes),
      item.score.toFixed(4),
      item.source,
      percent(item.propensity),
      ...(isExplained ? [(item.reasons ?? []).join('; ')] : []),
    ])
    const head = ['#', 'id', 'title', 'score', 'source', 'chance', ...(isExplained ? ['why'] : [])]
    const whom = answer.person === undefined ? 'anybody' : `person ${answer.person}`
    const cold = answer.isColdStart ? ' (nothing known: popular, trending and new items)' : ''
    const parts = [
      `${answer.surface} for ${whom}${cold}`,
      table(head, rows),
      `answer ${answer.answerId}`,
    ]
    if (answer.explanation !== undefined) parts.push(stages(answer.explanation))
    return parts.join('\n')
  },
}

function stages(explanation: Explanation): string {
  const { history, sources, filters, limits, exploration } = explanation
  const lines = [
    `history:     ${history.map(item => item.title).join(', ') || 'none'}`,
    `sources:     ${sources.map(s => `${s.name} ${s.proposed} proposed, ${s.shown} shown`).join('; ')}`,
    `filters:     ${filters.map(f => `${f.name} -${f.removed}`).join('; ')}`,
    `candidates:  ${explanation.candidates}`,
    ...explanation.rerankers.map(r => `re-ranker:   ${r.name} moved ${r.moved.length}`),
    ...limits.map(l => `limit:       ${l.max} per ${l.field}, ${l.passed} passed over`),
    `exploration: ${percent(exploration.share)} a slot, taken in ${
      exploration.slots.map(s => `slot ${s.slot} (of ${s.alternatives})`).join(', ') || 'none'
    }`,
  ]
  return lines.join('\n')
}

const listPrint = (body: unknown): string => {
  const { items } = body as { items: readonly ListItem[] }
  return table(
    ['#', 'kind', 'id', 'title', 'score'],
    items.map((item, place) => [
      String(place + 1),
      item.kind,
      item.id,
      titleOf(item.id, item.attributes),
      item.score.toFixed(4),
    ]),
  )
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

const explain: CommandDefinition = {
  name: 'explain',
  summary: 'Explains a past answer',
  arguments: [{ name: 'answerId', description: 'id that the answer gave', isRequired: true }],
  options: [{ flags: '--person <id>', description: 'the person of the answer: a shorter search' }],
  request: ({ arguments: [answerId = ''], options }) => ({
    method: 'GET',
    path: `/v1/answers/${encodeURIComponent(answerId)}`,
    query: queryOf(options, ['person']),
  }),
  print(body) {
    const answer = body as PastAnswer
    const whom = answer.person === undefined ? 'anybody' : `person ${answer.person}`
    const at = new Date(answer.atMs).toISOString()
    return [
      `${answer.surface} for ${whom}, ${at}, definition ${answer.definition}, scoring ${answer.scoring}`,
      table(
        ['#', 'id', 'title', 'score', 'source', 'chance', 'explored'],
        answer.items.map(item => [
          String(item.slot),
          item.id,
          item.title,
          String(item.score),
          item.source,
          percent(item.propensity),
          item.isExplored ? 'yes' : '',
        ]),
      ),
      `of ${answer.candidates} candidates; exploration ${percent(answer.explore)} a slot`,
      `history then: ${answer.history.map(event => `${event.type} ${event.title}`).join(', ') || 'none'}`,
    ].join('\n')
  },
}

/** The verbs of the module. */
export const recommendationCommands: readonly CommandDefinition[] = [
  recommend,
  similar,
  trending,
  explain,
]

/** At least three significant digits: a chance of 0.002 % is not 0. */
function percent(share: number): string {
  const value = share * 100
  return `${value >= 1 || value === 0 ? Number(value.toFixed(2)) : Number(value.toPrecision(2))} %`
}

/** Columns, aligned; long titles are cut. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cut = (cell: string, column: number): string =>
    head[column] === 'title' && cell.length > TITLE_WIDTH_MAX
      ? `${cell.slice(0, TITLE_WIDTH_MAX - 1)}…`
      : cell
  const all = [head, ...rows].map(row => row.map(cut))
  const widths = head.map((_, column) => Math.max(...all.map(row => (row[column] ?? '').length)))
  return all
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] as number))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
