/** Random feature views, and random events for them. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  event,
  featureView,
  float,
  id,
  int,
  item,
  text,
  type AnyFeatureView,
  type FeatureBuilder,
  type FeatureDefinition,
  type FeatureWindow,
} from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import type { NaiveTables } from './oracle.ts'
import { recordOf } from './records.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
/** Midnight of some day. */
export const T0 = 20_000 * DAY_MS

const Clip = item('clip', { topics: text().many(), ms: int() })
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), ms: int(), share: float(), bonus: int().optional() },
  { key: 'viewer' },
)
const liked = event('liked', { viewer: id('person'), clip: id('clip') }, { key: 'viewer' })

/** Functions of views throw at plays of this length. */
const FAULTY_MS = 13
const TOPICS = [['art'], ['art', 'bees'], ['cats', 'dogs', 'eels'], []] as const

/** Rows of clips: `c1` has a second version a day later, and `c4` is in no table. */
export const clipTables: NaiveTables = {
  asOf(_kind, clip, timeMs) {
    if (clip === 'c4') return undefined
    const version = clip === 'c1' && timeMs >= T0 + DAY_MS ? 1 : 0
    const index = Number(clip.slice(1)) + version
    return { topics: TOPICS[index], ms: 1_000 * (index + 1) }
  },
}

type Builder = FeatureBuilder<typeof watched | typeof liked, { clips: typeof Clip }>
type Options = Parameters<Builder['count']>[0]

const windows: fc.Arbitrary<FeatureWindow> = fc.constantFrom<FeatureWindow>(
  'lifetime',
  '1h',
  '6h',
  '1d',
  '2d',
  { tumbling: '1h' },
  { tumbling: '1d' },
  { sliding: '2d', step: '3h' },
  { sliding: '100m', step: '30m' },
  { session: '90m', max: '6h' },
  { session: '6h' },
)

const wheres: readonly (Options['where'] | undefined)[] = [
  undefined,
  e => e.type === 'watched',
  e => e.type === 'liked',
  e => e.type === 'watched' && e.data.ms > 5,
  (e, { clips }) => clips(e.data.clip)?.topics.includes('art') ?? false,
  e => e.type === 'liked' || e.data.ms !== FAULTY_MS || fault(),
]

type Of = Parameters<Builder['sum']>[0]['of']
/** Whole numbers, sums of which are exact; fractions; large ones beside small ones; numbers of a table. */
const values: readonly Of[] = [
  'ms',
  'share',
  'bonus',
  e => (e.type === 'watched' ? e.data.share * 1e15 - e.data.ms : undefined),
  (e, { clips }) => clips(e.data.clip)?.ms,
  e => (e.type === 'watched' && e.data.ms === FAULTY_MS ? fault() : 0.1),
]

type TextOf = Parameters<Builder['lastText']>[0]['of']
/** Ids, texts of few kinds, texts of a table, and one that is not well-formed. */
const texts: readonly TextOf[] = [
  'clip',
  e => (e.type === 'watched' ? `d${e.data.ms % 3}` : undefined),
  e => `${e.type}\ud800`,
  e => `${e.data.viewer}${e.type === 'watched' ? e.data.ms : ''}`,
  (e, { clips }) => clips(e.data.clip)?.topics[0],
  e => (e.type === 'watched' && e.data.ms === FAULTY_MS ? fault() : 'same'),
]

function fault(): never {
  throw new Error('a faulty play')
}

/** What makes a feature of random options, by kind of aggregation. */
const MAKERS: Readonly<
  Record<
    string,
    (f: Builder, options: Options, of: Of, over: Of, text: TextOf) => FeatureDefinition
  >
> = {
  count: (f, options) => f.count(options),
  sum: (f, options, of) => f.sum({ ...options, of }),
  ratio: (f, options, of, over) => f.ratio({ ...options, of, over }),
  mean: (f, options, of) => f.mean({ ...options, of }),
  variance: (f, options, of) => f.variance({ ...options, of }),
  min: (f, options, of) => f.min({ ...options, of }),
  max: (f, options, of) => f.max({ ...options, of }),
  first: (f, options, of) => f.first({ ...options, of }),
  last: (f, options, of) => f.last({ ...options, of }),
  histogram(f, { window, where }, of) {
    return f.histogram({
      window,
      ...(where === undefined ? {} : { where }),
      of,
      bounds: [0, 0.1, 6],
    })
  },
  decayed(f, options, of) {
    const { window: _, ...timeless } = options
    return f.decayedCount({ ...timeless, of, halfLife: '6h' })
  },
  firstText: (f, options, _of, _over, of) => f.firstText({ ...untold(options), of }),
  lastText: (f, options, _of, _over, of) => f.lastText({ ...untold(options), of, default: 'none' }),
  lastNumbers: (f, options, of) => f.lastNumbers({ ...untold(options), of, n: 3 }),
  lastTexts: (f, options, _of, _over, of) => f.lastTexts({ ...untold(options), of, n: 2 }),
  distinct: (f, options, _of, _over, of) => f.distinct({ ...options, of }),
  'distinct, rough': (f, options, of) => f.distinct({ ...options, of, error: 0.26 }),
  quantile: (f, options, of) => f.quantile({ ...options, of, q: 0.5 }),
  quantiles: (f, options, of) => f.quantiles({ ...untold(options), of, q: [0, 0.25, 1], error: 0.1 }), // prettier-ignore
  topTexts: (f, options, _of, _over, of) => f.topTexts({ ...untold(options), of, k: 2 }),
  'topTexts, rough': (f, options, _of, _over, of) =>
    f.topTexts({ ...untold(options), of, k: 2, capacity: 2 }),
  span: (f, options) => f.span(options),
  sessions(f, { window, ...options }) {
    // What ends never has no end of sessions.
    return f.sessions({ ...options, window: window === 'lifetime' ? '2d' : window, gap: '90m' })
  },
  custom: (f, options, of) =>
    f.custom({
      ...options,
      of: e => (typeof of === 'string' ? (e.data as Record<string, unknown>)[of] as number | undefined : of(e, { clips: () => undefined })), // prettier-ignore
      default: -1,
      ...alternating,
    }),
  'decayed rate'(f, options, of) {
    const { window: _, ...timeless } = options
    return f.decayedRate({ ...timeless, of, halfLife: '2d', per: '1h' })
  },
}

/** Numbers with signs that alternate, and how many there were: another order gives another value. Faults at the seventh. */
export const alternating = {
  init: () => ({ events: 0, sum: 0 }),
  add({ events, sum }: { events: number; sum: number }, value: number) {
    if (events === 6) throw new Error('a faulty number')
    return { events: events + 1, sum: events % 2 === 0 ? sum + value : sum - value }
  },
  merge: (
    a: { events: number; sum: number },
    b: { events: number; sum: number },
  ): { events: number; sum: number } => ({
    events: a.events + b.events,
    sum: a.events % 2 === 0 ? a.sum + b.sum : a.sum - b.sum,
  }),
  read: ({ events, sum }: { events: number; sum: number }, { atMs }: { atMs: number }) =>
    events > 12 ? undefined : sum + (atMs % 1_000),
}

/** A default is of the kind of the values. */
function untold({ default: fallback, ...options }: Options): Omit<Options, 'default'> {
  assert.equal(typeof fallback, 'number')
  return options
}

/** Kinds of aggregations that random views have. */
export const KINDS = Object.keys(MAKERS)

interface Made {
  readonly kind: string
  readonly window: FeatureWindow
  readonly where: number
  readonly of: number
  readonly over: number
  readonly fallback: number
}

/** What tells a view apart from another one. */
export interface ViewSpec {
  readonly features: readonly Made[]
  /** Undefined: the view has no pairs. */
  readonly pair: { readonly by: number; readonly max: number } | undefined
  readonly ttl: '1d' | undefined
  readonly freshness: '6h' | undefined
  /** False: its functions read no table. */
  readonly isJoined: boolean
}

const pairs = [
  { of: (e: { data: { clip: string } }) => e.data.clip },
  {
    of: (
      e: { data: { clip: string } },
      { clips }: { clips: (clip: string) => { topics: readonly string[] } | undefined },
    ) => clips(e.data.clip)?.topics,
  },
]

const index = (of: readonly unknown[]): fc.Arbitrary<number> => fc.nat(of.length - 1)

/** Random views; `kinds` are the aggregations that they have. */
export function viewSpecs(kinds: readonly string[] = KINDS): fc.Arbitrary<ViewSpec> {
  const made = fc.record({
    kind: fc.constantFrom(...kinds),
    window: windows,
    where: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, index(wheres)),
    of: index(values),
    over: index(values),
    fallback: fc.constantFrom(0, -1, 0.5),
  })
  return fc
    .record({
      features: fc.array(made, { minLength: 1, maxLength: 8 }),
      pair: fc.option(fc.record({ by: index(pairs), max: fc.integer({ min: 1, max: 4 }) }), { freq: 2 }), // prettier-ignore
      ttl: fc.option(fc.constant('1d' as const), { nil: undefined, freq: 1 }),
      freshness: fc.option(fc.constant('6h' as const), { nil: undefined, freq: 1 }),
    })
    .map(spec => ({ ...spec, pair: spec.pair ?? undefined, isJoined: true }))
}

/** Functions that read a table; a view without tables has the first one in their place. */
const JOINING = 4

/** Declares a view. */
export function viewOf({ features, pair, ttl, freshness, isJoined }: ViewSpec): AnyFeatureView {
  const own = <T>(functions: readonly T[], at: number): T | undefined =>
    functions[at === JOINING && !isJoined ? 0 : at]
  return featureView({
    from: [watched, liked],
    key: 'viewer',
    ...(isJoined ? { join: { clips: Clip } } : {}),
    ...(pair === undefined
      ? {}
      : { pair: { name: 'side', of: (pairs[pair.by] as (typeof pairs)[1]).of, max: pair.max } }),
    ...(ttl === undefined ? {} : { ttl }),
    ...(freshness === undefined ? {} : { freshness }),
    features: f =>
      Object.fromEntries(
        features.map((made, place) => {
          const where = own(wheres, made.where)
          const options = {
            window: made.window,
            default: made.fallback,
            ...(where === undefined ? {} : { where }),
          }
          const make = MAKERS[made.kind] as (typeof MAKERS)[string]
          return [
            `f${place}`,
            make(
              f,
              options,
              own(values, made.of) as Of,
              own(values, made.over) as Of,
              own(texts, made.of) as TextOf,
            ),
          ]
        }),
      ),
  })
}

/** Keys that random events have. */
export const KEYS = ['ana', 'ben', 'cyd'] as const

/** A random event, as it came. */
export interface Arrival {
  readonly key: string
  readonly clip: string
  readonly isLike: boolean
  readonly ms: number
  readonly share: number
  readonly bonus: number | undefined
  /** How far time had come when it arrived, since the arrival before, in minutes. */
  readonly waitMinutes: number
  /** How long before its arrival it happened, in minutes. */
  readonly ageMinutes: number
  readonly isHistory: boolean
}

/** Random arrivals: most at once, some hours or days late. */
export const arrivals: fc.Arbitrary<Arrival> = fc.record({
  key: fc.constantFrom(...KEYS),
  clip: fc.constantFrom('c0', 'c1', 'c2', 'c3', 'c4'),
  isLike: fc.boolean(),
  ms: fc.oneof({ weight: 9, arbitrary: fc.nat(12) }, { weight: 1, arbitrary: fc.nat(20) }),
  share: fc.double({ min: -1, max: 1, noNaN: true }),
  bonus: fc.option(fc.nat(5), { nil: undefined, freq: 1 }),
  waitMinutes: fc.oneof(fc.nat(90), fc.constant(0), fc.nat(600)),
  ageMinutes: fc.oneof({ weight: 4, arbitrary: fc.nat(3) }, fc.nat(240), fc.nat(3_000)),
  isHistory: fc.boolean(),
})

/** The data of an arrival's event. */
export function dataOf({ key, clip, isLike, ms, share, bonus }: Arrival): Record<string, unknown> {
  if (isLike) return { viewer: key, clip }
  return { viewer: key, clip, ms, share, ...(bonus === undefined ? {} : { bonus }) }
}

/** The arrivals as one partition of a log keeps them: the watermark is the newest event time less `latenessMs`. */
export function recordsOf(all: readonly Arrival[], latenessMs: number): readonly LogRecord[] {
  let nowMs = T0
  let newestMs = Number.NEGATIVE_INFINITY
  return all.map((arrival, offset) => {
    nowMs += arrival.waitMinutes * MINUTE_MS
    const eventTimeMs = nowMs - arrival.ageMinutes * MINUTE_MS
    newestMs = Math.max(newestMs, eventTimeMs)
    return recordOf({
      type: arrival.isLike ? 'liked' : 'watched',
      key: arrival.key,
      offset,
      eventTimeMs,
      ingestTimeMs: nowMs,
      isHistory: arrival.isHistory,
      watermarkMs: newestMs - latenessMs,
      data: dataOf(arrival),
    })
  })
}
