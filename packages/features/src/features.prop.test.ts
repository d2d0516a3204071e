/**
 * Values of features against brute force over lists of events, to the bit: random definitions, and
 * random streams with late events, history, and events out of order. `MILLRACE_PROP_RUNS=12000`
 * compares more than ten million values; each test says how many it compared.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import type { LogRecord } from '@millrace/log'
import type { Aggregation } from './aggregations/aggregation.ts'
import { CELL_STATUSES, createCellRow } from './cell-row.ts'
import { FeatureShard } from './feature-shard.ts'
import { planView, type FeaturePlan, type PlannedFeature } from './plan.ts'
import { arrivals, clipTables, KEYS, KINDS, recordsOf, viewOf, viewSpecs, type ViewSpec } from './testing/definitions.ts' // prettier-ignore
import { NaiveView } from './testing/oracle.ts'

const numRuns = Number(process.env['MILLRACE_PROP_RUNS'] ?? 60)
const seed = Number(process.env['MILLRACE_PROP_SEED'] ?? 20_261_122)
const HOUR_MS = 3_600_000
/** Moments of reads, after the watermark. */
const AHEAD_MS = [0, 1, 40 * 60_000, 26 * HOUR_MS]

const compared = new Map<string, number>()
after(() => {
  for (const [way, count] of compared) console.log(`# ${way}: ${count} values compared`)
})

/** True when numbers are equal to the bit, or lists of them are. */
function isSame(given: unknown, wanted: unknown): boolean {
  if (!Array.isArray(wanted)) return Object.is(given, wanted)
  if (!Array.isArray(given) || given.length !== wanted.length) return false
  return wanted.every((value, at) => Object.is(given[at], value))
}

/** Compares all values of all keys at some moments. */
function assertEqual(way: string, shard: FeatureShard, naive: NaiveView, plan: FeaturePlan): void {
  const { features } = plan
  const indices = features.map(({ index }) => index)
  const row = createCellRow(features.length)
  let count = 0
  for (const key of [...KEYS, 'nobody']) {
    const subKeys = naive.subKeys(key)
    assert.deepEqual(shard.subKeys(key), subKeys, `sub-keys of ${key}`)
    for (const subKey of [...subKeys, plan.view.pair === undefined ? '' : 'none']) {
      for (const aheadMs of AHEAD_MS) {
        const tMs = Math.max(0, naive.watermarkMs) + aheadMs
        shard.read({ key, subKey, features: indices, tMs }, row, indices)
        for (const { index, name, definition } of features) {
          const [value, status] = naive.cell(key, subKey, name, tMs)
          count += 1
          const given = Number.isNaN(row.values[index]) ? row.others[index] : row.values[index]
          if (isSame(given, value) && row.statuses[index] === status) continue
          const [is, was] = [row.statuses[index], status].map(own => CELL_STATUSES[own as number])
          assert.fail(
            `${name} (${definition.aggregation.kind}) of ${key}/${subKey} at ${tMs}: ${way} gives ${String(given)} (${is}), and brute force ${String(value)} (${was})`,
          )
        }
      }
    }
  }
  compared.set(way, (compared.get(way) ?? 0) + count)
}

const streams = fc.record({
  spec: viewSpecs(),
  arrived: fc.array(arrivals, { minLength: 1, maxLength: 50 }),
  latenessHours: fc.constantFrom(0, 1, 6),
})

const createShard = (plan: FeaturePlan): FeatureShard =>
  new FeatureShard(plan, { tables: clipTables })

/** A view of features alone. */
function plainViewOf({ features }: ViewSpec): ReturnType<typeof viewOf> {
  return viewOf({ features, pair: undefined, ttl: undefined, freshness: undefined, isJoined: false }) // prettier-ignore
}

function foldOne(shard: FeatureShard, record: LogRecord): void {
  shard.advance(record.watermarkMs)
  shard.fold(record)
}

void test('stream: at every position, values are those of brute force', () => {
  fc.assert(
    fc.property(streams, ({ spec, arrived, latenessHours }) => {
      const view = viewOf(spec)
      const plan = planView('random', view)
      const shard = createShard(plan)
      const naive = new NaiveView(view, clipTables)
      for (const record of recordsOf(arrived, latenessHours * HOUR_MS)) {
        foldOne(shard, record)
        naive.take(record)
        assertEqual('stream', shard, naive, plan)
      }
    }),
    { numRuns, seed },
  )
})

/** The state of all keys as bytes. */
const bytesOf = (shard: FeatureShard): Record<string, string> =>
  Object.fromEntries(
    [...shard.keys()].sort().map(key => [key, Buffer.from(shard.encodeKey(key) ?? []).toString('hex')]), // prettier-ignore
  )

function restored(plan: FeaturePlan, from: FeatureShard): FeatureShard {
  const shard = createShard(plan)
  shard.decodeShared(from.encodeShared())
  for (const key of from.keys()) shard.decodeKey(key, from.encodeKey(key))
  return shard
}

void test('backfill: history in several partitions, gone on with from a snapshot at any place', () => {
  fc.assert(
    fc.property(streams, fc.nat(50), ({ spec, arrived, latenessHours }, cut) => {
      const view = viewOf(spec)
      const plan = planView('random', view)
      for (const partition of [0, 1]) {
        const own = arrived.filter(({ key }) => KEYS.indexOf(key as 'ana') % 2 === partition)
        const records = recordsOf(own, latenessHours * HOUR_MS)
        const naive = new NaiveView(view, clipTables)
        const live = createShard(plan)
        let built = createShard(plan)
        for (const [at, record] of records.entries()) {
          if (at === cut) built = restored(plan, built)
          for (const shard of [live, built]) foldOne(shard, record)
          naive.take(record)
        }
        assertEqual('backfill', built, naive, plan)
        assert.deepEqual(bytesOf(built), bytesOf(live))
      }
    }),
    { numRuns, seed },
  )
})

/** Aggregations that take numbers and keep nothing else. */
const OF_NUMBERS = ['count', 'sum', 'ratio', 'mean', 'variance', 'min', 'max', 'first', 'last', 'histogram', 'decayed', 'decayed rate'] // prettier-ignore

void test('training: events that wait until their entity is read give what they give when they are folded as they come', () => {
  fc.assert(
    fc.property(
      viewSpecs(OF_NUMBERS),
      fc.array(arrivals, { minLength: 1, maxLength: 50 }),
      fc.constantFrom(0, 1, 6),
      fc.array(fc.nat(9), { minLength: 1 }),
      (spec, arrived, latenessHours, looks) => {
        const view = plainViewOf(spec)
        const plan = planView('random', view)
        const live = createShard(plan)
        const late = createShard(plan)
        assert.equal(late.putOff(7), true)
        const naive = new NaiveView(view, clipTables)
        for (const [at, record] of recordsOf(arrived, latenessHours * HOUR_MS).entries()) {
          for (const shard of [live, late]) foldOne(shard, record)
          naive.take(record)
          const key = KEYS[looks[at % looks.length] as number]
          if (key !== undefined) assert.deepEqual(late.encodeKey(key), live.encodeKey(key))
        }
        assertEqual('training', late, naive, plan)
        assert.deepEqual(bytesOf(late), bytesOf(live))
      },
    ),
    { numRuns, seed },
  )
})

void test('corrections: an event taken out, or put in at its place, leaves what a fold without it or with it leaves', () => {
  let changed = 0
  fc.assert(
    fc.property(streams, fc.nat(), ({ spec, arrived, latenessHours }, chosen) => {
      const view = plainViewOf(spec)
      const plan = planView('random', view)
      const records = recordsOf(arrived, latenessHours * HOUR_MS)
      const event = records[chosen % records.length] as LogRecord
      const folded = (without?: LogRecord): FeatureShard => {
        const shard = createShard(plan)
        for (const record of records) {
          // A record that is taken out still counts for time.
          shard.advance(record.watermarkMs)
          if (record !== without) shard.fold(record)
        }
        return shard
      }
      const shard = folded()
      const whole = bytesOf(shard)
      if (!shard.invert(event)) return
      changed += 1
      assert.deepEqual(bytesOf(shard), bytesOf(folded(event)))
      if (shard.insert(event)) assert.deepEqual(bytesOf(shard), whole)
    }),
    { numRuns, seed },
  )
  assert.ok(changed > numRuns / 10, `${changed} of ${numRuns} changed in place`)
})

void test('stream: a key whose tiles are gone begins anew, whenever its memory is given back', () => {
  const made = { where: 0, of: 0, over: 0, fallback: 0, kind: 'count' }
  const view = viewOf({
    features: [
      { ...made, where: 2, window: '1h' },
      { ...made, where: 1, window: '2d' },
    ],
    pair: undefined,
    ttl: undefined,
    freshness: '6h',
    isJoined: false,
  })
  const plan = planView('aged', view)
  const like = { key: 'ana', clip: 'c0', isLike: true, ms: 1, share: 0, bonus: undefined, waitMinutes: 0, ageMinutes: 0, isHistory: false } // prettier-ignore
  const others = Array.from({ length: 20 }, (_, at) => ({ ...like, key: `other${at}`, isLike: false })) // prettier-ignore
  const records = recordsOf(
    [
      ...others,
      { ...like, waitMinutes: 480 },
      { ...like, key: 'other0', isLike: false, waitMinutes: 120 },
      // It happened before the like, whose tile is gone.
      { ...like, isLike: false, ageMinutes: 360 },
    ],
    0,
  )
  const naive = new NaiveView(view, clipTables)
  const live = createShard(plan)
  for (const record of records.slice(0, -1)) foldOne(live, record)
  for (const record of records) naive.take(record)
  const last = records.at(-1) as LogRecord
  const built = restored(plan, live)
  for (const shard of [live, built]) {
    foldOne(shard, last)
    assertEqual('stream', shard, naive, plan)
  }
  assert.deepEqual(bytesOf(built), bytesOf(live))
})

/** What has one tile for ever, or is in the oldest one, is not changed by what is merged into it: the number is forgotten where it is added. */
const UNMERGED: readonly string[] = ['first', 'firstText', 'decayed', 'decayed rate']

function unadded(aggregation: Aggregation): Aggregation {
  return aggregation.isObject === undefined
    ? { ...aggregation, add: (cells, at) => void (cells[at]! += 1) }
    : { ...aggregation, add: state => state }
}

function unmerged(aggregation: Aggregation): Aggregation {
  return aggregation.isObject === undefined
    ? { ...aggregation, merge: () => undefined }
    : { ...aggregation, merge: into => into }
}

/** A plan in which one kind of aggregation merges tiles, or adds numbers, wrongly. */
function sabotaged(plan: FeaturePlan, kind: string): FeaturePlan {
  const broken = new Map<PlannedFeature, PlannedFeature>()
  const featureOf = (feature: PlannedFeature): PlannedFeature => {
    const known = broken.get(feature)
    if (known !== undefined) return known
    const { aggregation } = feature
    const made = UNMERGED.includes(kind) ? unadded(aggregation) : unmerged(aggregation)
    const wrong = { ...feature, aggregation: made }
    broken.set(feature, wrong)
    return wrong
  }
  return {
    ...plan,
    features: plan.features.map(featureOf),
    groups: plan.groups.map(group => ({ ...group, features: group.features.map(featureOf) })),
  }
}

for (const kind of KINDS) {
  void test(`a fault that is planted in the tiles of ${kind} is found`, () => {
    const found = fc.check(
      fc.property(
        viewSpecs([kind]),
        fc.array(arrivals, { minLength: 1, maxLength: 50 }),
        (spec, arrived) => {
          const view = viewOf(spec)
          const plan = sabotaged(planView('random', view), kind)
          const shard = createShard(plan)
          const naive = new NaiveView(view, clipTables)
          for (const record of recordsOf(arrived, HOUR_MS)) {
            foldOne(shard, record)
            naive.take(record)
          }
          assertEqual('sabotage', shard, naive, plan)
        },
      ),
      { numRuns: 60, seed, endOnFailure: true },
    )
    assert.equal(found.failed, true)
    assert.match(String(found.errorInstance), / gives .* and brute force /)
  })
}
