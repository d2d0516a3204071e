/** The app of the tests: clips with creators, two signals, surfaces for each question. */
import {
  attributeOf,
  contextOf,
  createSeededRandom,
  crossed,
  defineApp,
  derive,
  event,
  featureService,
  featureView,
  id,
  int,
  item,
  person,
  ranker,
  signal,
  surface,
  text,
  type App,
  type AppOptions,
} from '@millrace/core'
import type { TrackedEvent } from './open-product.ts'

export const Clip = item('clip', {
  title: text(),
  topics: text().many(),
  creator: id('creator'),
  note: text().optional().personal(),
})
export const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), ms: int() },
  { key: 'viewer' },
)
export const rated = event(
  'rated',
  { viewer: id('person'), clip: id('clip'), stars: int() },
  { key: 'viewer' },
)

/** What is known of clips, and of people and topics. */
const clipStats = featureView({
  from: [watched],
  key: 'clip',
  features: f => ({
    plays: f.count({ window: 'lifetime' }),
    plays1h: f.count({ window: '1h' }),
    ms: f.mean({ window: '7d', of: 'ms' }),
  }),
})
const taste = featureView({
  from: [watched, rated],
  key: 'viewer',
  join: { clip: Clip },
  pair: { name: 'topic', of: (e, { clip }) => clip(e.data.clip)?.topics },
  features: f => ({
    acts: f.count({ window: 'lifetime' }),
    stars: f.decayedCount({
      halfLife: '1d',
      of: e => (e.type === 'rated' ? e.data.stars - 2 : undefined),
    }),
  }),
})
const topics = attributeOf(Clip, 'topics')
const ranking = featureService({
  entities: ['person', 'clip'],
  features: {
    acts: crossed(taste.features.acts, topics, 'sum'),
    stars: crossed(taste.features.stars, topics, 'max'),
    plays: clipStats.features.plays,
    plays1h: clipStats.features.plays1h,
    ms: clipStats.features.ms,
    warm: derive(
      { ms: clipStats.features.ms, plays: clipStats.features.plays },
      ({ ms, plays }, { atMs }) => (ms * plays) / (atMs % 1_000),
      { default: -1 },
    ),
    hour: contextOf('hour', int({ min: 0, max: 23 })),
  },
})

/** Features to rank clips by, and the ranker. */
export const rankedClips = {
  features: { clipStats, taste, ranking },
  ranker: ranker({
    service: ranking,
    candidates: 70,
    terms: {
      taste: ({ acts, stars }) => Math.log1p(acts) + stars,
      plays: row => 0.2 * Math.log1p(row.plays) + 0.1 * row.plays1h,
      watched: ({ ms, warm }) => ms / 1_000 + Math.min(1, warm / 1_000),
      night: ({ hour, plays }) => (hour > 20 ? -plays : 0),
    },
  }),
}

/** The app, with the surfaces of a test beside `home`. */
export function clipsApp(
  surfaces: AppOptions['surfaces'] = {},
  features: AppOptions['features'] = {},
): App {
  return defineApp({
    name: 'clips',
    items: [Clip],
    people: person({ country: text() }),
    events: [watched, rated],
    signals: [
      signal(watched, { item: 'clip', weight: data => data.ms / 1_000 }),
      signal(rated, { item: 'clip', weight: data => data.stars - 2 }),
    ],
    surfaces: {
      home: surface({ items: Clip, limits: [{ field: 'creator', max: 3 }], explore: 0.1 }),
      plain: surface({ items: Clip, sources: ['forYou', 'popular'] }),
      ...surfaces,
    },
    features,
    partitions: 4,
  })
}

/** Clips c0, c1, ... */
export function clips(count: number): { id: string; attributes: Record<string, unknown> }[] {
  return Array.from({ length: count }, (_, number) => ({
    id: `c${number}`,
    attributes: {
      title: `Clip ${number}`,
      topics: [`topic ${number % 7}`],
      creator: `creator ${number % 10}`,
      note: 'only for the team',
    },
  }))
}

/** Events of people with tastes: person p prefers clips of its fifth of the catalogue. */
export function audience(options: {
  events: number
  people: number
  clips: number
  seed: number
  startMs?: number
}): TrackedEvent[] {
  const { events, people, clips: count, seed, startMs = 1_799_000_000_000 } = options
  const random = createSeededRandom(seed)
  return Array.from({ length: events }, (_, number): TrackedEvent => {
    const who = Math.floor(random.next() * people)
    const part = Math.floor(count / 5)
    const clip = (who % 5) * part + Math.floor(random.next() ** 2 * part)
    const data = { viewer: `p${who}`, clip: `c${clip}` }
    const atMs = startMs + number * 10_000
    return random.next() < 0.8
      ? { type: 'watched', data: { ...data, ms: Math.floor(random.next() * 3_000) + 1 }, atMs }
      : { type: 'rated', data: { ...data, stars: 1 + Math.floor(random.next() * 5) }, atMs }
  })
}
