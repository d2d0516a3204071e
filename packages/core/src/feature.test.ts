import { test } from 'node:test'
import assert from 'node:assert/strict'
import { defineApp } from './app.ts'
import { event, item } from './definition.ts'
import { isError } from './errors.ts'
import {
  attributeOf,
  contextOf,
  crossed,
  derive,
  featureService,
  featureView,
  kindOfColumn,
  type AnyFeatureService,
  type AnyFeatureView,
} from './feature.ts'
import type { FeatureBuilder } from './feature-builder.ts'
import { tiledWindow } from './feature-window.ts'
import { bool, float, id, int, text } from './schema.ts'

const Clip = item('clip', { title: text(), topics: text().many(), isLong: bool(), seen: int() })
const Other = item('other', { title: text() })
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), ms: int(), device: text().optional() },
  { key: 'viewer' },
)
const rated = event('rated', { clip: id('clip'), score: float() }, { key: 'clip' })
const unknown = event('unknown', { viewer: id('person') }, { key: 'viewer' })

const stats = featureView({
  from: [watched],
  key: 'clip',
  features: f => ({
    plays: f.count({ window: '7d' }),
    ms: f.sum({ window: 'lifetime', of: 'ms' }),
    share: f.ratio({ window: { tumbling: '1d' }, of: e => e.data.ms > 10, over: 'ms' }),
  }),
})
const topics = featureView({
  from: [watched],
  key: 'viewer',
  pair: { name: 'topic', of: e => e.data.device },
  features: f => ({
    plays: f.count({ window: 'lifetime' }),
    last: f.lastText({ window: 'lifetime', of: 'clip' }),
  }),
})

function define(features: Record<string, AnyFeatureView | AnyFeatureService>): unknown {
  return defineApp({ name: 'app', items: [Clip], events: [watched, rated], features })
}

/** The view `stats` with another member, as JavaScript could have it. */
function viewWith(other: Readonly<Record<string, unknown>>): AnyFeatureView {
  return { ...(stats as AnyFeatureView), ...other }
}

function featureOf(make: (f: FeatureBuilder<never, {}>) => unknown): AnyFeatureView {
  return featureView({ from: [watched], key: 'clip', features: f => ({ it: make(f as never) }) as never }) // prettier-ignore
}

function serviceOf(
  features: Readonly<Record<string, unknown>>,
  entities = ['clip'],
): AnyFeatureService {
  return featureService({ entities, features: features as never })
}

void test('a definition of views and services that fit is taken', () => {
  const service = featureService({
    entities: ['person', 'clip'],
    features: {
      plays: stats.features.plays,
      isLong: attributeOf(Clip, 'isLong'),
      hour: contextOf('hour', int()),
      affinity: crossed(topics.features.plays, attributeOf(Clip, 'topics'), 'max'),
      twice: derive({ plays: stats.features.plays }, ({ plays }) => 2 * plays, { default: 0 }),
    },
  })
  assert.doesNotThrow(() => define({ stats, topics, service }))
  assert.equal(service.columns.isLong.default, 0)
  assert.deepEqual(attributeOf(Clip, 'topics').default, [])
  assert.equal(attributeOf(Clip, 'title').default, '')
  assert.equal(stats.isPersonal, false)
  assert.equal(topics.isPersonal, true)
})

void test('every aggregation is taken, and tells what its values are', () => {
  const all = featureView({
    from: [watched],
    key: 'clip',
    features: f => ({
      first: f.firstText({ window: '1d', of: 'device' }),
      numbers: f.lastNumbers({ window: 'lifetime', of: 'ms', n: 3 }),
      ids: f.lastTexts({ window: 'lifetime', of: 'viewer', n: 3, default: ['none'] }),
      viewers: f.distinct({ window: '7d', of: 'viewer' }),
      lengths: f.distinct({ window: '7d', of: 'ms', error: 0.1 }),
      median: f.quantile({ window: '7d', of: 'ms', q: 0.5 }),
      quartiles: f.quantiles({ window: '7d', of: 'ms', q: [0.25, 0.75] }),
      top: f.topTexts({ window: '7d', of: 'device', k: 3 }),
      length: f.span({ window: { session: '30m', max: '6h' } }),
      visits: f.sessions({ window: '7d', gap: '30m' }),
      own: f.custom({ ...custom, read: () => ['a'], default: [], list: 'texts' }),
    }),
  })
  const lists = derive(all.features, ({ ids }) => ids, { default: [], list: 'texts' })
  const service = featureService({ entities: ['clip'], features: { ...all.features, lists } })
  assert.doesNotThrow(() => define({ all, service }))
  assert.deepEqual(
    Object.values(service.columns).map(kindOfColumn),
    ['text', 'numbers', 'texts', 'number', 'number', 'number', 'numbers', 'texts', 'number', 'number', 'texts', 'texts'], // prettier-ignore
  )
  assert.deepEqual(kindOfColumn(attributeOf(Clip, 'isLong')), 'number')
  assert.deepEqual(kindOfColumn(contextOf('x', text().many())), 'texts')
  assert.deepEqual(kindOfColumn(contextOf('x', float().many())), 'numbers')
  assert.deepEqual(kindOfColumn(crossed(topics.features.plays, contextOf('x', text()), 'max')), 'number') // prettier-ignore
  assert.equal(all.definitions.top.aggregation.kind, 'topTexts')
  assert.deepEqual(all.definitions.quartiles.default, [0, 0])
})

void test('windows become tiles', () => {
  const session = { stepMs: 1_800_000, count: 49, gapMs: 1_800_000 }
  assert.deepEqual(tiledWindow({ session: '30m' }), session)
  assert.deepEqual(tiledWindow('lifetime'), { stepMs: Infinity, count: 1 })
  assert.deepEqual(tiledWindow('1d'), { stepMs: 3_600_000, count: 24 })
  assert.deepEqual(tiledWindow({ sliding: '7d', step: '1d' }), { stepMs: 86_400_000, count: 7 })
  assert.deepEqual(tiledWindow({ tumbling: '1h' }), { stepMs: 3_600_000, count: 1 })
})

const circle = derive({ plays: stats.features.plays }, ({ plays }) => plays, { default: 0 })
Object.assign(circle.inputs, { again: circle })

const twice = derive({ ms: stats.features.ms }, ({ ms }) => 2 * ms, { default: 0 })
const custom = {
  window: '1d' as const,
  of: () => 1,
  init: () => [0, '', null, true, {}],
  add: () => [],
  merge: () => [],
  read: () => 1,
  default: 0,
}

const refusals: readonly (readonly [
  Record<string, AnyFeatureView | AnyFeatureService>,
  path: string,
  reason: RegExp,
])[] = [
  [{ 'a b': stats }, 'features.a b', /is named/],
  [{ a: stats, b: stats }, 'features.b', /declared twice/],
  [{ ['a'.repeat(60)]: stats }, `features.${'a'.repeat(60)}`, /too long/],
  [{ a: viewWith({ from: [] }) }, 'features.a.from', /reads nothing/],
  [{ a: viewWith({ from: [unknown] }) }, 'features.a.from', /unknown is not among the events/],
  [{ a: viewWith({ from: [watched, rated] }) }, 'features.a.from', /several streams/],
  [{ a: viewWith({ key: 'ms' }) }, 'features.a.key', /not a required id field/],
  [{ a: viewWith({ join: { other: Other } }) }, 'features.a.join', /other is not among the items/],
  [{ a: viewWith({ ttl: 'soon' }) }, 'features.a.ttl', /soon/],
  [{ a: viewWith({ pair: { name: 'a b', max: 1 } }) }, 'features.a.pair.name', /it is named/],
  [{ a: viewWith({ pair: { name: 'clip', max: 1 } }) }, 'features.a.pair.name', /paired with/],
  [{ a: viewWith({ pair: { name: 'topic', max: 0 } }) }, 'features.a.pair.max', /whole number/],
  [{ a: viewWith({ definitions: {} }) }, 'features.a.features', /there are none/],
  [{ a: viewWith({ definitions: { 'x y': {} } }) }, 'features.a.features.x y', /is named/],
  [{ a: viewWith({ definitions: { it: {} } }) }, 'features.a.features.it', /not made by/],
  [{ a: viewWith({ replaces: topics }) }, 'features.a.replaces', /another key or stream/],
  [
    { a: viewWith({ replaces: viewWith({ replaces: stats }) }) },
    'features.a.replaces',
    /keep one version before/,
  ],
  [{ a: featureOf(f => f.count({} as never)) }, 'features.a.features.it.window', /unbounded; say/],
  [
    { a: featureOf(f => f.count({ window: Infinity })) },
    'features.a.features.it.window',
    /unbounded/,
  ],
  [{ a: featureOf(f => f.count({ window: '500d' })) }, 'features.a.features.it.window', /lifetime/],
  [
    { a: featureOf(f => f.count({ window: { sliding: '90d', step: '1m' } })) },
    'features.a.features.it.window',
    /longer step/,
  ],
  [
    { a: featureOf(f => f.sum({ window: '1d', of: 'missing' as never })) },
    'features.a.features.it.of',
    /watched has no field missing/,
  ],
  [
    { a: featureOf(f => f.sum({ window: '1d', of: 'device' as never })) },
    'features.a.features.it.of',
    /device is string, and integer or number is needed/,
  ],
  [{ a: featureOf(f => f.sum({ window: '1d' } as never)) }, 'features.a.features.it.of', /neither/],
  [
    { a: featureOf(f => f.ratio({ window: '1d', of: 'ms' as never, over: 'clip' as never })) },
    'features.a.features.it.over',
    /clip is string/,
  ],
  [
    { a: featureOf(f => f.count({ window: '1d', default: NaN })) },
    'features.a.features.it.default',
    /finite/,
  ],
  [
    { a: featureOf(f => f.histogram({ window: '1d', of: () => 1, bounds: [2, 1] })) },
    'features.a.features.it.bounds',
    /each greater/,
  ],
  [
    {
      a: featureOf(f => f.histogram({ window: '1d', of: () => 1, bounds: [1], default: [0] })),
    },
    'features.a.features.it.default',
    /list of 2 numbers/,
  ],
  [
    { a: featureOf(f => f.decayedRate({ halfLife: '1d', per: 'now' as never })) },
    'features.a.features.it.per',
    /now/,
  ],
  [
    { a: featureOf(f => f.count({ window: { session: 'soon' as never } })) },
    'features.a.features.it.window',
    /soon/,
  ],
  [
    { a: featureOf(f => f.count({ window: { session: '1m' } })) },
    'features.a.features.it.window',
    /1441 steps, and at most 1000; use a longer gap, or a shorter max/,
  ],
  [
    { a: featureOf(f => f.lastText({ window: '1d', of: 'ms' as never })) },
    'features.a.features.it.of',
    /ms is integer, and string is needed/,
  ],
  [
    { a: featureOf(f => f.topTexts({ window: '1d', of: 'gone' as never, k: 3 })) },
    'features.a.features.it.of',
    /watched has no field gone/,
  ],
  [
    { a: featureOf(f => f.quantile({ window: '1d', of: 'clip' as never, q: 0.5 })) },
    'features.a.features.it.of',
    /clip is string/,
  ],
  [
    { a: featureOf(f => f.lastNumbers({ window: '1d', of: () => 1, n: 1_001 })) },
    'features.a.features.it.n',
    /from 1 to 1000/,
  ],
  [
    { a: featureOf(f => f.lastTexts({ window: '1d', of: () => '', n: 2, default: [1] as never })) },
    'features.a.features.it.default',
    /it is numbers, and the values are lists of texts/,
  ],
  [
    { a: featureOf(f => f.distinct({ window: '1d', of: () => '', error: 0.001 })) },
    'features.a.features.it.error',
    /from 0.008 to 0.26/,
  ],
  [
    { a: featureOf(f => f.quantile({ window: '1d', of: () => 1, q: 0.5, error: 1 })) },
    'features.a.features.it.error',
    /from 0.001 to 0.2/,
  ],
  [
    { a: featureOf(f => f.quantile({ window: '1d', of: () => 1, q: 50 })) },
    'features.a.features.it.q',
    /shares from 0 to 1/,
  ],
  [
    { a: featureOf(f => f.quantiles({ window: '1d', of: () => 1, q: [] })) },
    'features.a.features.it.q',
    /shares from 0 to 1/,
  ],
  [
    { a: featureOf(f => f.quantiles({ window: '1d', of: () => 1, q: [0.5], default: [1, 2] })) },
    'features.a.features.it.default',
    /list of 1 numbers/,
  ],
  [
    { a: featureOf(f => f.topTexts({ window: '1d', of: () => '', k: 0 })) },
    'features.a.features.it.k',
    /from 1 to 100/,
  ],
  [
    { a: featureOf(f => f.topTexts({ window: '1d', of: () => '', k: 10, capacity: 5 })) },
    'features.a.features.it.capacity',
    /fewer texts than k, 10/,
  ],
  [
    { a: featureOf(f => f.sessions({ window: 'lifetime', gap: '30m' })) },
    'features.a.features.it.window',
    /more than 10000 sessions; use a shorter window/,
  ],
  [
    { a: featureOf(f => f.sessions({ window: '1d', gap: 'now' as never })) },
    'features.a.features.it.gap',
    /now/,
  ],
  [
    { a: featureOf(f => f.custom({ ...custom, merge: undefined as never })) },
    'features.a.features.it.merge',
    /cannot be put together; add merge\(earlier, later\)/,
  ],
  [
    { a: featureOf(f => f.custom({ ...custom, read: undefined as never })) },
    'features.a.features.it.read',
    /no such function/,
  ],
  [
    { a: featureOf(f => f.custom({ ...custom, init: () => new Map() as never })) },
    'features.a.features.it.init',
    /kept as JSON/,
  ],
  [
    { a: featureOf(f => f.custom({ ...custom, of: 'gone' as never })) },
    'features.a.features.it.of',
    /no field gone/,
  ],
  [
    { a: featureOf(f => f.custom({ ...custom, read: () => [1], default: [] })) },
    'features.a.features.it.default',
    /for an empty list give list/,
  ],
  [
    { stats, s: serviceOf({ n: stats.features.ms, x: { ...twice, values: undefined } }) },
    'features.s.features.x.default',
    /does not tell what the values are/,
  ],
  [
    { topics, s: serviceOf({ x: crossed(topics.features.last as never, attributeOf(Clip, 'topics'), 'sum') }, ['person', 'clip']) }, // prettier-ignore
    'features.s.features.x',
    /last is text, and only numbers are crossed/,
  ],
  [
    { topics, s: serviceOf({ x: crossed(topics.features.plays, attributeOf(Clip, 'seen') as never, 'sum') }, ['person', 'clip']) }, // prettier-ignore
    'features.s.features.x.over',
    /it is number, and a text or texts are needed/,
  ],
  [{ stats, s: serviceOf({}) }, 'features.s.features', /there are none/],
  [{ stats, s: serviceOf({ 'x y': stats.features.ms }) }, 'features.s.features.x y', /is named/],
  [{ stats, s: serviceOf({ x: {} }) }, 'features.s.features.x', /not a feature of a view/],
  [{ s: serviceOf({ x: stats.features.ms }) }, 'features.s.features.x', /not among the features/],
  [
    { stats, s: serviceOf({ x: stats.features.ms }, ['person']) },
    'features.s.features.x',
    /about clip, which is not among the entities/,
  ],
  [
    { stats, s: serviceOf({ x: stats.features.ms }, ['clip', 'person']) },
    'features.s.entities',
    /no feature is about person/,
  ],
  [
    { stats, s: serviceOf({ x: stats.features.ms }, ['clip', 'clip']) },
    'features.s.entities',
    /twice/,
  ],
  [{ stats, s: serviceOf({ x: circle }) }, 'features.s.features.x.again', /derived from itself/],
  [
    { stats, s: serviceOf({ x: { source: 'derived', inputs: {} } }) },
    'features.s.features.x',
    /no function/,
  ],
  [
    { stats, s: serviceOf({ x: crossed(stats.features.ms, attributeOf(Clip, 'title'), 'sum') }) },
    'features.s.features.x',
    /feature of no pair/,
  ],
  [
    { s: serviceOf({ x: attributeOf(Other, 'title') }) },
    'features.s.features.x',
    /other is not among the items/,
  ],
  [
    { s: serviceOf({ x: { ...attributeOf(Clip, 'seen'), field: 'gone' } }) },
    'features.s.features.x',
    /clip has no attribute gone/,
  ],
  [
    { s: serviceOf({ x: { ...contextOf('x', int()), field: { schema: { type: 'object' } } } }) },
    'features.s.features.x',
    /x is object: a feature is/,
  ],
  [{ a: { kind: 'view' } as never }, 'features.a', /featureView\(\) or featureService\(\)/],
]

for (const [features, path, reason] of refusals) {
  void test(`refused at ${path}: ${reason.source}`, () => {
    assert.throws(
      () => define(features),
      (error: unknown) => {
        assert.ok(isError(error, 'DEFINITION_INVALID'))
        assert.match(error.message, reason)
        assert.equal((error.details as { path?: unknown } | undefined)?.path, path)
        return true
      },
    )
  })
}
