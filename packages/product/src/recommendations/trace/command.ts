/** `explain`: a past answer, how it came about, and the events behind a term of it. */
import type { CommandDefinition } from '../../module.ts'
import { percent, queryOf, table, wrapped } from '../command-text.ts'
import type { PastAnswer } from '../past-answers.ts'
import type { EventsBehind } from './behind.ts'
import type { Feature } from './features.ts'
import type { ReadSource } from './read-features.ts'
import type { TracedCandidate } from './trace.ts'
import type { TracedAnswer } from './traces.ts'

const FEATURES_SHOWN = 3
const CANDIDATES_DEFAULT = '15'

/** The command. */
export const explain: CommandDefinition = {
  name: 'explain',
  summary: 'Explains a past answer: how it came about, and the events behind it',
  arguments: [{ name: 'answerId', description: 'id that the answer gave', isRequired: true }],
  options: [
    { flags: '--person <id>', description: 'the person of the answer: a shorter search' },
    { flags: '-n, --n <count>', description: `candidates, or events; default ${CANDIDATES_DEFAULT}` }, // prettier-ignore
    { flags: '--brief', description: 'only what was logged with the answer: nothing is folded' },
    { flags: '--after <place>', description: 'go on behind this candidate' },
    { flags: '--item <kind/id>', description: 'only this candidate, with all that it was made from' }, // prettier-ignore
    { flags: '--stage <name>', description: '...or the events behind what this source added to it' }, // prettier-ignore
    { flags: '--before <offset>', description: 'go on with the events before this one' },
  ],
  request({ arguments: [answerId = ''], options }) {
    const { n = CANDIDATES_DEFAULT, item, stage, brief } = options
    const path = `/v1/answers/${encodeURIComponent(answerId)}`
    const all = { ...options, limit: String(n) }
    if (item !== undefined && stage !== undefined) {
      const query = queryOf(all, ['person', 'item', 'stage', 'before', 'limit'])
      return { method: 'GET', path: `${path}/events`, query }
    }
    if (brief === true) return { method: 'GET', path, query: queryOf(all, ['person']) }
    const query = queryOf(all, ['person', 'item', 'after', 'limit'])
    return { method: 'GET', path: `${path}/explanation`, query }
  },
  print(body, columns) {
    const isEvents = 'events' in (body as object)
    return isEvents ? events(body as EventsBehind, columns) : answer(body as PastAnswer, columns)
  },
}

const time = (atMs: number): string => new Date(atMs).toISOString()

function answer(traced: PastAnswer & Partial<TracedAnswer>, columns: number): string {
  const whom = traced.person === undefined ? 'anybody' : `person ${traced.person}`
  const line = (name: string, text: string): string => wrapped(`${name}: `, text, columns)
  const corrections = traced.versions?.corrections.was ?? 0
  return [
    `${traced.surface} for ${whom}, ${time(traced.atMs)}`,
    ...table({
      head: ['#', 'id', 'title', 'score', 'source', 'chance', 'explored'],
      rows: traced.items.map(item => [
        String(item.slot),
        item.id,
        item.title,
        item.score.toFixed(4),
        item.source,
        percent(item.propensity),
        item.isExplored ? 'yes' : '',
      ]),
      shrinks: 'title',
      columns,
    }),
    `of ${traced.candidates} candidates; exploration ${percent(traced.explore)} a slot`,
    line(
      'history then',
      traced.history.map(event => `${event.type} ${event.title}`).join(', ') || 'none',
    ),
    line(
      'made by',
      `definition ${traced.definition}, scoring ${traced.scoring}` +
        (corrections === 0 ? '' : `, over ${corrections} records of corrections`),
    ),
    ...(traced.missing ?? []).map(({ code, reason }) => line(code, reason)),
    ...(traced.isSame === undefined ? [] : how(traced, columns)),
  ].join('\n')
}

/** How it came about. */
function how(
  { isSame, outcomes = [], traced = [], next, read }: Partial<TracedAnswer>,
  columns: number,
): string[] {
  const counts = outcomes.map(({ outcome, count }) => `${outcome} ${count}`).join(', ')
  const verdict = isSame === true ? 'The same code and state give it again.' : 'Another answer comes out today.' // prettier-ignore
  return [
    '',
    wrapped('', `${verdict} Candidates: ${counts}.`, columns),
    ...table({
      head: ['rank', 'item', 'outcome', 'score', 'terms'],
      rows: traced.map(candidate => [
        String(candidate.rank ?? ''),
        `${candidate.kind}/${candidate.id}`,
        outcomeText(candidate),
        candidate.score?.toFixed(4) ?? '',
        candidate.terms.map(term => `${term.stage} ${(term.weight * term.score).toFixed(4)}`).join(' + '), // prettier-ignore
      ]),
      shrinks: 'terms',
      columns,
    }),
    ...(read === undefined ? [] : [wrapped('features: ', `service ${read.service} (${read.fingerprint}) as of ${time(read.atMs)}, position ${read.position}`, columns)]), // prettier-ignore
    ...(traced.length === 1 ? madeFrom(traced[0] as TracedCandidate, columns) : featuresText(traced[0], columns)), // prettier-ignore
    ...(next === undefined ? [] : [`More candidates: --after ${next}`]),
  ]
}

const outcomeText = ({ outcome, slot }: TracedCandidate): string =>
  slot === undefined ? outcome : `slot ${slot}`

/** What the first of the candidates shown was made from. */
function featuresText(candidate: TracedCandidate | undefined, columns: number): string[] {
  if (candidate === undefined) return []
  const terms = candidate.terms.filter(({ features }) => features.length > 0)
  if (terms.length === 0) return []
  return [
    `behind ${candidate.kind}/${candidate.id}:`,
    ...terms.map(({ stage, features }) =>
      wrapped(
        `  ${stage}: `,
        features.slice(0, FEATURES_SHOWN).map(featureText).join(', '),
        columns,
      ),
    ),
  ]
}

/** All that a candidate was made from, with what tells the events behind it. */
function madeFrom(candidate: TracedCandidate, columns: number): string[] {
  const lines = candidate.terms.flatMap(({ stage, weight, score, features }) => [
    `  ${stage} ${(weight * score).toFixed(4)}`,
    ...features.flatMap(feature => [
      wrapped('    ', featureText(feature), columns),
      ...(feature.from ?? []).map(source => `      ${commandOf(source)}`),
    ]),
  ])
  return lines.length === 0 ? [] : [`behind ${candidate.kind}/${candidate.id}:`, ...lines]
}

/** What shows the events behind a value, as of the answer. It is to be copied, so it is never cut. */
function commandOf({ feature, entity, pair, events: path }: ReadSource): string {
  const query = new URLSearchParams(path.slice(path.indexOf('?')))
  const options = ['at', 'ends'].map(name => `--${name} ${query.get(name) ?? ''}`)
  const quoted = (text: string): string => (/^[\w.:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`) // prettier-ignore
  const paired = pair === undefined ? [] : [`--pair ${quoted(pair)}`]
  return ['millrace features explain', feature, quoted(entity), ...paired, ...options].join(' ')
}

function featureText({ name, value, with: other, status }: Feature): string {
  if (status !== undefined) {
    const figure = typeof value === 'number' ? String(Number(value.toPrecision(4))) : String(value)
    return `${name} ${figure}${status === 'value' ? '' : ` (${status})`}`
  }
  if (typeof value !== 'number') return name
  if (name === 'put') return `put ${time(value)}`
  const figure = name === 'signals' ? String(value) : value.toFixed(2)
  return `${name} ${other === undefined ? '' : `${other} `}${figure}`
}

function events({ events: found, next }: EventsBehind, columns: number): string {
  if (found.length === 0 && next === undefined) return 'No events.'
  const [head = '', ...rows] = table({
    head: ['when', 'what', 'who', 'weight', 'since'],
    rows: found.map(event => [
      time(event.atMs),
      event.type,
      event.person ?? '',
      event.weight === undefined ? '' : event.weight.toFixed(2),
      event.corrected ?? '',
    ]),
    shrinks: 'who',
    columns,
  })
  return [
    head,
    ...rows.flatMap((row, at) => [row, `  ${found[at]?.id}`]),
    ...(next === undefined ? [] : [`More: --before ${next}`]),
  ].join('\n')
}
