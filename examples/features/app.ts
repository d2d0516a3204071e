// #region app
import {
  attributeOf,
  contextOf,
  crossed,
  defineApp,
  derive,
  event,
  featureService,
  featureView,
  id,
  int,
  item,
  ranker,
  surface,
  text,
} from 'millrace'

const Clip = item('clip', { topics: text().many(), durationMs: int() })

const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), watchedMs: int() },
  { key: 'viewer' },
)
const liked = event('liked', { viewer: id('person'), clip: id('clip') }, { key: 'viewer' })

/** What is known of a clip, from everybody's events. */
const clipStats = featureView({
  from: [watched, liked],
  key: 'clip',
  join: { clip: Clip },
  owner: 'ranking',
  features: f => ({
    plays7d: f.count({ window: '7d', where: e => e.type === 'watched' }),
    likes: f.count({ window: 'lifetime', where: e => e.type === 'liked' }),
    watchedMs: f.sum({ window: 'lifetime', of: 'watchedMs' }),
    finishRate7d: f.ratio({
      window: '7d',
      of: (e, { clip }) =>
        e.type === 'watched'
          ? e.data.watchedMs >= 0.9 * (clip(e.data.clip)?.durationMs ?? Infinity)
          : undefined,
    }),
  }),
})

/** What a person watched of each topic. */
const topicStats = featureView({
  from: [watched],
  key: 'viewer',
  join: { clip: Clip },
  pair: { name: 'topic', of: (e, { clip }) => clip(e.data.clip)?.topics },
  features: f => ({ plays: f.count({ window: 'lifetime' }) }),
})

/** What a person did of late, and in the visit that goes on. */
const viewerStats = featureView({
  from: [watched],
  key: 'viewer',
  features: f => ({
    lastClips: f.lastTexts({ window: '30d', of: 'clip', n: 20 }),
    clips30d: f.distinct({ window: '30d', of: 'clip' }),
    watchedMs30d: f.quantiles({ window: '30d', of: 'watchedMs', q: [0.5, 0.9] }),
    inVisit: f.count({ window: { session: '30m' } }),
    visits30d: f.sessions({ window: '30d', gap: '30m' }),
    longest7d: f.custom({
      window: '7d',
      of: e => e.data.watchedMs,
      init: () => 0,
      add: (longestMs, watchedMs) => Math.max(longestMs, watchedMs),
      merge: (earlier, later) => Math.max(earlier, later),
      read: longestMs => longestMs,
      default: 0,
    }),
  }),
})

/** What a model reads of a person and a clip. */
const ranking = featureService({
  entities: ['person', 'clip'],
  features: {
    plays: clipStats.features.plays7d,
    finishRate: clipStats.features.finishRate7d,
    affinity: crossed(topicStats.features.plays, attributeOf(Clip, 'topics'), 'max'),
    likesPerPlay: derive(
      { likes: clipStats.features.likes, plays: clipStats.features.plays7d },
      ({ likes, plays }) => (likes + 1) / (plays + 20),
      { default: 0 },
    ),
    hour: contextOf('hour', int({ min: 0, max: 23 })),
  },
})

/** The home page, ranked by these features. */
const home = surface({
  items: Clip,
  ranker: ranker({
    service: ranking,
    terms: {
      taste: row => Math.log1p(row.affinity),
      quality: row => 2 * row.finishRate + 10 * row.likesPerPlay,
      popular: row => 0.1 * Math.log1p(row.plays),
    },
  }),
})

export default defineApp({
  name: 'clips',
  items: [Clip],
  events: [watched, liked],
  features: { clipStats, topicStats, viewerStats, ranking },
  surfaces: { home },
})
// #endregion
