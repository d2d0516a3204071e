// #region features
import {
  attributeOf,
  defineApp,
  event,
  featureService,
  featureView,
  float,
  id,
  int,
  item,
  text,
  trainingSet,
} from 'millrace'

const Clip = item('clip', { topic: text(), embedding: float().many() })

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
    plays1d: f.count({ window: '1d' }),
    watchedMs7d: f.sum({ window: '7d', of: 'watchedMs' }),
    lastClip: f.lastText({ window: '7d', of: 'clip' }),
    lastClips: f.lastTexts({ window: '7d', of: 'clip', n: 10 }),
    lastMs: f.lastNumbers({ window: '7d', of: 'watchedMs', n: 10 }),
  }),
})
const clipStats = featureView({
  from: [watched],
  key: 'clip',
  features: f => ({
    finishRate7d: f.ratio({ window: '7d', of: e => e.data.watchedMs > 20_000 }),
  }),
})
const ranking = featureService({
  entities: ['person', 'clip'],
  features: {
    ...viewerStats.features,
    ...clipStats.features,
    topic: attributeOf(Clip, 'topic'),
    embedding: attributeOf(Clip, 'embedding'),
  },
})
// #endregion

// #region training-set
/** A row for each clip that was shown; 1 where it was watched within a day. */
const clicks = trainingSet({
  service: ranking,
  observe: shown,
  entities: { person: 'viewer', clip: 'clip' },
  label: { event: watched, entities: { person: 'viewer', clip: 'clip' }, within: '1d' },
})

export default defineApp({
  name: 'clips',
  items: [Clip],
  events: [shown, watched],
  features: { viewerStats, clipStats, ranking },
  trainingSets: { clicks },
})
// #endregion
