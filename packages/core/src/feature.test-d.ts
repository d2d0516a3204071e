import {
  attributeOf,
  contextOf,
  crossed,
  defineApp,
  derive,
  event,
  featureService,
  featureView,
  float,
  id,
  int,
  item,
  text,
  type FeatureRow,
} from './index.ts'

const Clip = item('clip', { topics: text().many(), durationMs: int(), vector: float().many() })
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), watchedMs: int(), device: text().optional() },
  { key: 'viewer' },
)
const liked = event('liked', { viewer: id('person'), clip: id('clip') }, { key: 'viewer' })

const clipStats = featureView({
  from: [watched, liked],
  key: 'clip',
  join: { clip: Clip },
  features: f => ({
    plays7d: f.count({ window: '7d', where: e => e.type === 'watched' }),
    watched1d: f.sum({ of: 'watchedMs', window: { tumbling: '1d' } }),
    finishRate7d: f.ratio({
      window: '7d',
      where: e => e.type === 'watched',
      of: (e, { clip }) =>
        e.type === 'watched'
          ? e.data.watchedMs >= 0.9 * (clip(e.data.clip)?.durationMs ?? Infinity)
          : undefined,
    }),
  }),
})
const topics = featureView({
  from: [watched],
  key: 'viewer',
  join: { clip: Clip },
  pair: { name: 'topic', of: (e, { clip }) => clip(e.data.clip)?.topics },
  features: f => ({ plays: f.count({ window: 'lifetime' }) }),
})

const sequences = featureView({
  from: [watched, liked],
  key: 'clip',
  features: f => ({
    device: f.lastText({ of: 'device', window: '7d' }),
    viewers: f.lastTexts({ of: 'viewer', n: 10, window: '7d' }),
    lengths: f.lastNumbers({ of: 'watchedMs', n: 10, window: { session: '30m' } }),
    people: f.distinct({ of: 'viewer', window: '7d' }),
    quartiles: f.quantiles({ of: 'watchedMs', q: [0.25, 0.75], window: '7d' }),
    longest: f.custom({
      window: '7d',
      of: e => (e.type === 'watched' ? e.data.watchedMs : undefined),
      init: () => ({ ms: 0 }),
      add: (state, value) => ({ ms: Math.max(state.ms, value) }),
      merge: (a, b) => ({ ms: Math.max(a.ms, b.ms) }),
      read: state => state.ms,
      default: 0,
    }),
  }),
})
const lists = featureService({ entities: ['clip'], features: sequences.features })

const ranking = featureService({
  entities: ['person', 'clip'],
  features: {
    plays: clipStats.features.plays7d,
    finish: clipStats.features.finishRate7d,
    affinity: crossed(topics.features.plays, attributeOf(Clip, 'topics'), 'max'),
    vector: attributeOf(Clip, 'vector'),
    hour: contextOf('hour', int()),
    smooth: derive(
      { plays: clipStats.features.plays7d, ms: attributeOf(Clip, 'durationMs') },
      ({ plays, ms }) => plays / (ms + 1),
      { default: 0 },
    ),
  },
})

defineApp({
  name: 'types',
  items: [Clip],
  events: [watched, liked],
  features: { clipStats, topics, ranking },
})

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const isTrue = <_T extends true>(): void => undefined

isTrue<Equal<FeatureRow<typeof ranking>['plays'], number>>()
isTrue<
  Equal<
    FeatureRow<typeof lists>,
    {
      readonly device: string
      readonly viewers: readonly string[]
      readonly lengths: readonly number[]
      readonly people: number
      readonly quartiles: readonly number[]
      readonly longest: number
    }
  >
>()
isTrue<Equal<FeatureRow<typeof ranking>['vector'], number[]>>()
isTrue<Equal<FeatureRow<typeof ranking>['hour'], number>>()
isTrue<
  Equal<
    keyof FeatureRow<typeof ranking>,
    'plays' | 'finish' | 'affinity' | 'vector' | 'hour' | 'smooth'
  >
>()

// A key is an id field of all events.
// @ts-expect-error
featureView({ from: [watched], key: 'watchedMs', features: f => ({ n: f.count({ window: '1d' }) }) }) // prettier-ignore
// What is aggregated is a field of numbers of some event, or computed.
// @ts-expect-error
featureView({ from: [watched], key: 'clip', features: f => ({ n: f.sum({ of: 'device', window: '1d' }) }) }) // prettier-ignore
// @ts-expect-error
featureView({ from: [liked], key: 'clip', features: f => ({ n: f.sum({ of: 'watchedMs', window: '1d' }) }) }) // prettier-ignore
// @ts-expect-error
featureView({ from: [watched], key: 'clip', features: f => ({ n: f.sum({ of: e => e.data.missing, window: '1d' }) }) }) // prettier-ignore
// @ts-expect-error
featureView({ from: [watched], key: 'clip', features: f => ({ n: f.count({}) }) })
// @ts-expect-error
featureView({ from: [watched], key: 'clip', features: f => ({ n: f.count({ window: 'ever' }) }) }) // prettier-ignore
// Texts are of fields of texts, and sequences have a length.
// @ts-expect-error
featureView({ from: [watched], key: 'clip', features: f => ({ n: f.lastText({ of: 'watchedMs', window: '1d' }) }) }) // prettier-ignore
// @ts-expect-error
featureView({ from: [watched], key: 'clip', features: f => ({ n: f.lastTexts({ of: 'viewer', window: '1d' }) }) }) // prettier-ignore
// @ts-expect-error
featureView({ from: [watched], key: 'clip', features: f => ({ n: f.quantile({ of: 'viewer', q: 0.5, window: '1d' }) }) }) // prettier-ignore
// @ts-expect-error
featureView({ from: [watched], key: 'clip', features: f => ({ n: f.custom({ window: '1d', of: () => 1, init: () => 0, add: (a, b) => a + b, read: a => a, default: 0 }) }) }) // prettier-ignore
// A row is about all that its features are about.
// @ts-expect-error
featureService({ entities: ['person'], features: { plays: clipStats.features.plays7d } })
// @ts-expect-error
featureService({ entities: ['person'], features: { plays: topics.features.plays } })
// Only pairs are crossed, and only with texts.
// @ts-expect-error
crossed(topics.features.plays, attributeOf(Clip, 'durationMs'), 'max')
// @ts-expect-error
attributeOf(Clip, 'missing')
// @ts-expect-error
derive({ plays: clipStats.features.plays7d }, ({ missing }) => missing, { default: 0 })
// @ts-expect-error a model's row has no such column
void ((row: FeatureRow<typeof ranking>) => row.missing)
