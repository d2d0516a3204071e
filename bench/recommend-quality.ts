/**
 * How good the recommendations are on public data sets. Prints one JSON object.
 *
 *   node bench/recommend-quality.ts [--data ../shared/data] [--validation]
 *
 * Each data set is replayed event by event through the folds; then every person with hidden items is
 * asked for twenty. `forYou`: the personal source, with popular items for people without a history.
 * `home`: the default surface, whose reserved slot goes to new items. `popular`: the same for
 * everybody. People's seen items are never shown. `--validation` uses the cuts on which the defaults
 * were chosen. The others were not tuned on, but they were looked at early on while versions were
 * compared: they are not figures of a blind test.
 */
import { parseArgs } from 'node:util'
import { createSeededRandom } from '@millrace/core'
import { coverageAt, exposureGini, ndcgAt, recallAt } from '@millrace/recommend'
import { cuts, type Cut } from './recommend/data-sets.ts'
import { measuredApp, openDirect } from './recommend/direct.ts'

const { values } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    validation: { type: 'boolean', default: false },
  },
})

/** Of the anchors: Gorse 0.5.9, collaborative, MovieLens-1M, last ten hidden. */
const PUBLISHED = {
  'movielens-1m last 10': {
    'gorse 0.5.9 collaborative': { recall10: 0.0598, recall20: 0.109, ndcg10: 0.0621 },
  },
  gowalla: { 'lightgcn (published, recall@20)': { recall20: 0.183 } },
} as Readonly<Record<string, unknown>>

const SURFACES = ['forYou', 'home', 'popular'] as const

async function measure(cut: Cut): Promise<unknown> {
  const product = await openDirect(measuredApp(0), createSeededRandom(1))
  const items = new Map<string, number>()
  for (const { item } of cut.known) if (!items.has(item)) items.set(item, items.size)
  const startMs = performance.now()
  for (const { person, item, atMs } of cut.known) product.act(person, item, atMs)
  const foldMs = performance.now() - startMs
  const result: Record<string, unknown> = {
    name: cut.name,
    events: cut.known.length,
    people: cut.hidden.size,
    items: items.size,
    eventsPerSecond: Math.round(cut.known.length / (foldMs / 1_000)),
  }
  for (const surface of SURFACES) result[surface] = ask(product, cut, surface, items)
  if (!values.validation && cut.name in PUBLISHED) result['published'] = PUBLISHED[cut.name]
  return result
}

function ask(
  product: Awaited<ReturnType<typeof openDirect>>,
  cut: Cut,
  surface: string,
  items: Map<string, number>,
): unknown {
  const lists: number[][] = []
  const sums = { recall10: 0, recall20: 0, ndcg10: 0 }
  const numberOf = (item: string): number => {
    const known = items.get(item)
    if (known !== undefined) return known
    items.set(item, items.size)
    return items.size - 1
  }
  const startMs = performance.now()
  for (const [person, hidden] of cut.hidden) {
    const answer = product.recommendations.recommend(surface, { person, n: 20 })
    const list = answer.items.map(({ id }) => numberOf(id))
    const relevant = new Set([...hidden].map(numberOf))
    lists.push(list)
    sums.recall10 += recallAt(list, relevant, 10)
    sums.recall20 += recallAt(list, relevant, 20)
    sums.ndcg10 += ndcgAt(list, relevant, 10)
  }
  const elapsedMs = performance.now() - startMs
  const mean = (sum: number): number => Number((sum / cut.hidden.size).toFixed(4))
  return {
    recall10: mean(sums.recall10),
    recall20: mean(sums.recall20),
    ndcg10: mean(sums.ndcg10),
    coverage20: Number(coverageAt(lists, 20, items.size).toFixed(4)),
    gini20: Number(exposureGini(lists, 20, items.size).toFixed(4)),
    microsecondsPerAnswer: Number(((elapsedMs * 1_000) / cut.hidden.size).toFixed(1)),
  }
}

const results: unknown[] = []
for (const cut of cuts(values.data, values.validation)) results.push(await measure(cut))
console.log(
  JSON.stringify({ bench: 'recommend-quality', isValidation: values.validation, results }, null, 2),
)
