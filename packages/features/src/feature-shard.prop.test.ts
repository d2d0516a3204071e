/** The shard against brute force over lists of events. */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { event, featureView, id, int, tiledWindow, type FeatureWindow } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import { CELL_STATUS, createCellRow } from './cell-row.ts'
import { FeatureShard } from './feature-shard.ts'
import { planView } from './plan.ts'
import { recordOf } from './testing/records.ts'

const HOUR_MS = 3_600_000
const T0 = 480_000 * HOUR_MS

const watched = event(
  'watched',
  { viewer: id('person'), ms: int(), bonus: int().optional() },
  { key: 'viewer' },
)
const liked = event('liked', { viewer: id('person') }, { key: 'viewer' })

interface Plain {
  readonly type: 'watched' | 'liked'
  readonly key: string
  readonly atMs: number
  readonly ms: number
  readonly bonus: number | undefined
}

/** What a feature of `view` says of the events, written naively. */
interface Naive {
  readonly window: FeatureWindow
  readonly takes: (e: Plain) => boolean
  readonly value: (events: readonly Plain[], tMs: number) => number | readonly number[]
}

const sumOf = (events: readonly Plain[], of: (e: Plain) => number): number =>
  events.reduce((sum, e) => sum + of(e), 0)
const isWatched = (e: Plain): boolean => e.type === 'watched'

const variance = (events: readonly Plain[]): number => {
  const mean = sumOf(events, e => e.ms) / events.length
  return sumOf(events, e => (e.ms - mean) ** 2) / events.length
}
const decayed = (events: readonly Plain[], tMs: number): number =>
  sumOf(events, e => e.ms * 2 ** ((e.atMs - tMs) / (6 * HOUR_MS)))
/** By time, those of one time in the order of the log. */
const inTime = (events: readonly Plain[]): readonly Plain[] =>
  events.toSorted((a, b) => a.atMs - b.atMs)

const naive: Readonly<Record<string, Naive>> = {
  mean: {
    window: '2d',
    takes: isWatched,
    value: events => sumOf(events, e => e.ms) / events.length,
  },
  variance: { window: '2d', takes: isWatched, value: variance },
  least: { window: '6h', takes: isWatched, value: events => Math.min(...events.map(e => e.ms)) },
  most: { window: '6h', takes: isWatched, value: events => Math.max(...events.map(e => e.ms)) },
  first: { window: '1d', takes: isWatched, value: events => inTime(events)[0]?.ms ?? 0 },
  last: { window: '1d', takes: isWatched, value: events => inTime(events).at(-1)?.ms ?? 0 },
  spread: {
    window: '2d',
    takes: isWatched,
    value: events => [
      events.filter(e => e.ms < 3).length,
      events.filter(e => e.ms >= 3 && e.ms < 6).length,
      events.filter(e => e.ms >= 6).length,
    ],
  },
  faded: { window: 'lifetime', takes: isWatched, value: decayed },
  rate: {
    window: 'lifetime',
    takes: isWatched,
    value: (events, tMs) =>
      (sumOf(events, e => 2 ** ((e.atMs - tMs) / (6 * HOUR_MS))) * Math.LN2) / 6,
  },
  all: { window: 'lifetime', takes: () => true, value: events => events.length },
  plays6h: { window: '6h', takes: isWatched, value: events => events.length },
  likesToday: {
    window: { tumbling: '1d' },
    takes: e => e.type === 'liked',
    value: events => events.length,
  },
  ms2d: {
    window: { sliding: '2d', step: '3h' },
    takes: isWatched,
    value: events => sumOf(events, e => e.ms),
  },
  finished1d: {
    window: '1d',
    takes: e => isWatched(e) && e.ms > 2,
    value: events => sumOf(events, e => (e.ms > 5 ? 1 : 0)) / events.length,
  },
  share: {
    window: 'lifetime',
    takes: e => isWatched(e) && e.bonus !== undefined,
    value: events => sumOf(events, e => e.bonus ?? 0) / sumOf(events, e => e.ms),
  },
}

const view = featureView({
  from: [watched, liked],
  key: 'viewer',
  freshness: '12h',
  ttl: '2d',
  features: f => ({
    mean: f.mean({ window: '2d', of: 'ms', default: -1 }),
    variance: f.variance({ window: '2d', of: 'ms', default: -1 }),
    least: f.min({ window: '6h', of: 'ms', default: -1 }),
    most: f.max({ window: '6h', of: 'ms', default: -1 }),
    first: f.first({ window: '1d', of: 'ms', default: -1 }),
    last: f.last({ window: '1d', of: 'ms', default: -1 }),
    spread: f.histogram({ window: '2d', of: 'ms', bounds: [3, 6] }),
    faded: f.decayedCount({ halfLife: '6h', of: 'ms', default: -1 }),
    rate: f.decayedRate({
      halfLife: '6h',
      per: '1h',
      where: e => e.type === 'watched',
      default: -1,
    }),
    all: f.count({ window: 'lifetime', default: -1 }),
    plays6h: f.count({ window: '6h', where: e => e.type === 'watched', default: -1 }),
    likesToday: f.count({
      window: { tumbling: '1d' },
      where: e => e.type === 'liked',
      default: -1,
    }),
    ms2d: f.sum({ window: { sliding: '2d', step: '3h' }, of: 'ms', default: -1 }),
    finished1d: f.ratio({
      window: '1d',
      where: e => e.type === 'watched' && e.data.ms > 2,
      of: e => e.type === 'watched' && e.data.ms > 5,
      default: -1,
    }),
    share: f.ratio({ window: 'lifetime', of: 'bonus', over: 'ms', default: -1 }),
  }),
})
/** What is exact in any order. */
const EXACT = ['all', 'plays6h', 'likesToday', 'ms2d', 'finished1d', 'share', 'mean', 'spread']
const exact = featureView({
  from: [watched, liked],
  key: 'viewer',
  features: () =>
    Object.fromEntries(Object.entries(view.definitions).filter(([name]) => EXACT.includes(name))),
})
/** What can be taken out where it left no trace. */
const traced = featureView({
  from: [watched, liked],
  key: 'viewer',
  features: () => {
    const { least, most, first, last } = view.definitions
    return { least, most, first, last }
  },
})
const plan = planView('stats', view)
const names = plan.features.map(feature => feature.name)
const indices = plan.features.map(feature => feature.index)

const plain: fc.Arbitrary<Plain> = fc.record({
  type: fc.constantFrom('watched' as const, 'liked' as const),
  key: fc.constantFrom('a', 'b', 'c'),
  atMs: fc.integer({ min: 0, max: 96 * 4 }).map(quarters => T0 + quarters * (HOUR_MS / 4)),
  ms: fc.integer({ min: 0, max: 9 }),
  bonus: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }),
})

/** Records in the order of arrival; the watermark is the newest event time less `latenessMs`. */
function recordsOf(events: readonly Plain[], latenessMs: number): readonly LogRecord[] {
  let newestMs = -Infinity
  return events.map(({ type, key, atMs, ms, bonus }, offset) => {
    newestMs = Math.max(newestMs, atMs)
    const data =
      type === 'liked' ? { viewer: key } : { viewer: key, ms, ...(bonus === undefined ? {} : { bonus }) } // prettier-ignore
    return recordOf({
      type,
      key,
      offset,
      eventTimeMs: atMs,
      watermarkMs: newestMs - latenessMs,
      data,
    })
  })
}

function foldAll(shard: FeatureShard, records: readonly LogRecord[]): FeatureShard {
  for (const record of records) {
    shard.advance(record.watermarkMs)
    shard.fold(record)
  }
  return shard
}

/** What the shard adds up in another way than the naive one. */
const ROUNDED = ['variance', 'faded', 'rate']

const tables = { asOf: () => undefined }
const createShard = (): FeatureShard => new FeatureShard(plan, { tables })
const bytesOf = (shard: FeatureShard): Record<string, string> =>
  Object.fromEntries(
    [...shard.keys()]
      .sort()
      .map(key => [key, Buffer.from(shard.encodeKey(key) ?? []).toString('hex')]),
  )

function expected(
  events: readonly Plain[],
  name: string,
  tMs: number,
): [number | readonly number[], number] {
  const { window, takes, value } = naive[name] as Naive
  const { stepMs, count } = tiledWindow(window)
  const tile = Math.floor(tMs / stepMs)
  const counted = events.filter(takes)
  const inside = counted.filter(({ atMs }) => {
    const own = Math.floor(atMs / stepMs)
    return own > tile - count && own <= tile
  })
  const none = name === 'spread' ? [0, 0, 0] : -1
  const found = inside.length === 0 ? NaN : value(inside, tMs)
  if (typeof found === 'number' && !Number.isFinite(found)) return [none, CELL_STATUS.default]
  const taken = events.filter(e => Object.values(naive).some(feature => feature.takes(e)))
  const ageMs = tMs - Math.max(...taken.map(({ atMs }) => atMs))
  if (ageMs > 48 * HOUR_MS) return [none, CELL_STATUS.expired]
  return [found, ageMs > 12 * HOUR_MS ? CELL_STATUS.stale : CELL_STATUS.value]
}

void test('values at any admissible moment equal brute force over the events', () => {
  fc.assert(
    fc.property(
      fc.array(plain, { maxLength: 60 }),
      fc.integer({ min: 0, max: 60 }),
      fc.integer({ min: 0, max: 24 }),
      (events, aheadHours, latenessHours) => {
        const records = recordsOf(events, latenessHours * HOUR_MS)
        const shard = foldAll(createShard(), records.slice(0, records.length / 2))
        const tMs = T0 + (96 + aheadHours) * HOUR_MS
        const row = createCellRow(names.length)
        // What was read before must not be what is read after more events.
        for (const key of ['a', 'b', 'c']) {
          shard.read({ key, subKey: '', features: indices, tMs }, row, indices)
        }
        foldAll(shard, records.slice(records.length / 2))
        for (const key of ['a', 'b', 'c', 'd']) {
          shard.read({ key, subKey: '', features: indices, tMs }, row, indices)
          const own = events.filter(e => e.key === key)
          for (const [index, name] of names.entries()) {
            const [value, status] = expected(own, name, tMs)
            const got = row.others[index] ?? row.values[index]
            assert.equal(row.statuses[index], status, `${name} of ${key}`)
            if (!ROUNDED.includes(name)) assert.deepEqual(got, value, `${name} of ${key}`)
            else assert.ok(Math.abs(Number(got) - Number(value)) <= 1e-9 * (1 + Math.abs(Number(value))), `${name} of ${key}`) // prettier-ignore
          }
        }
      },
    ),
  )
})

void test('a state that was written and read goes on as the one it was written from', () => {
  fc.assert(
    fc.property(
      fc.array(plain, { maxLength: 60 }),
      fc.nat(60),
      fc.integer({ min: 0, max: 24 }),
      (events, at, latenessHours) => {
        const records = recordsOf(events, latenessHours * HOUR_MS)
        const whole = foldAll(createShard(), records)
        const before = foldAll(createShard(), records.slice(0, at))
        const after = createShard()
        after.decodeShared(before.encodeShared())
        for (const key of before.keys()) after.decodeKey(key, before.encodeKey(key))
        assert.deepEqual(bytesOf(after), bytesOf(before))
        assert.deepEqual(bytesOf(foldAll(after, records.slice(at))), bytesOf(whole))
      },
    ),
  )
})

void test('an event is taken out, and put in at its place, as if it had never been or always', () => {
  fc.assert(
    fc.property(
      fc.array(plain, { minLength: 1, maxLength: 40 }),
      fc.nat(),
      fc.integer({ min: 0, max: 24 }),
      (events, chosen, latenessHours) => {
        const own = planView('stats', exact)
        const records = recordsOf(events, latenessHours * HOUR_MS)
        const record = records[chosen % records.length] as LogRecord
        const create = (): FeatureShard => new FeatureShard(own, { tables })
        const others = foldAll(create(), records.filter(other => other !== record)) // prettier-ignore
        others.advance((records.at(-1) as LogRecord).watermarkMs)
        const shard = foldAll(create(), records)
        const whole = bytesOf(shard)
        assert.equal(shard.invert(record), true)
        assert.deepEqual(bytesOf(shard), bytesOf(others))
        assert.equal(shard.insert(record), true)
        assert.deepEqual(bytesOf(shard), whole)
      },
    ),
  )
})

void test('what was taken out left no trace, or the key is to be folded again', () => {
  let inverted = 0
  fc.assert(
    fc.property(fc.array(plain, { minLength: 1, maxLength: 40 }), fc.nat(), (events, chosen) => {
      const own = planView('stats', traced)
      const records = recordsOf(events, 0)
      const record = records[chosen % records.length] as LogRecord
      const create = (): FeatureShard => new FeatureShard(own, { tables })
      const others = foldAll(create(), records.filter(other => other !== record)) // prettier-ignore
      others.advance((records.at(-1) as LogRecord).watermarkMs)
      const shard = foldAll(create(), records)
      if (!shard.invert(record)) return
      inverted += 1
      assert.deepEqual(bytesOf(shard), bytesOf(others))
    }),
  )
  assert.ok(inverted > 0)
})
