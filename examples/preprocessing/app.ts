// #region app
import { existsSync, readFileSync } from 'node:fs'
import {
  attributeOf,
  defineApp,
  event,
  featureService,
  featureView,
  id,
  int,
  item,
  preparedService,
  text,
  trainingSet,
  type FeatureRow,
  type FittedState,
} from 'millrace'

const Clip = item('clip', { topic: text() })
const shown = event('shown', { viewer: id('person'), clip: id('clip') }, { key: 'viewer' })
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), watchedMs: int() },
  { key: 'viewer' },
)
const viewerStats = featureView({
  from: [watched],
  key: 'viewer',
  features: f => ({
    watchedMs: f.mean({ window: 'lifetime', of: 'watchedMs' }),
  }),
})
const clipStats = featureView({
  from: [watched],
  key: 'clip',
  features: f => ({ plays: f.count({ window: 'lifetime' }) }),
})

/** What is known. */
const ranking = featureService({
  entities: ['person', 'clip'],
  features: {
    watchedMs: viewerStats.features.watchedMs,
    plays: clipStats.features.plays,
    topic: attributeOf(Clip, 'topic'),
  },
})

/** What a model reads. Its steps learn when a training set is made; until then there is no such file. */
const learnt = new URL('./fitted.json', import.meta.url)
const fitted = existsSync(learnt)
  ? (JSON.parse(readFileSync(learnt, 'utf8')) as FittedState)
  : undefined

const ready = preparedService({
  from: ranking,
  features: c => ({
    watchedMs: c.watchedMs.impute('median', { by: c.topic }).log1p().standard(),
    isNewViewer: c.watchedMs.isMissing(),
    plays: c.plays.imputeConstant(0).winsorize({ low: 0.01, high: 0.99 }).minMax(),
    topic: c.topic.imputeConstant('none').oneHot({ max: 2 }),
  }),
  ...(fitted === undefined ? {} : { fitted }),
})

/** Numbers alone, as the compiler knows. */
export function score(row: FeatureRow<typeof ready>): number {
  return row.watchedMs + 2 * row.plays + (row.topic[0] ?? 0)
}

const clicks = trainingSet({
  service: ready,
  observe: shown,
  entities: { person: 'viewer', clip: 'clip' },
  label: { event: watched, entities: { person: 'viewer', clip: 'clip' }, within: '1d' },
})

export default defineApp({
  name: 'clips',
  items: [Clip],
  events: [shown, watched],
  features: { viewerStats, clipStats, ranking, ready },
  trainingSets: { clicks },
})
// #endregion
