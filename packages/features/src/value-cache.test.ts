/** Values that are kept between reads of one moment give way to every change of their entity. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { event, featureView, id, int } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import { CELL_STATUS, createCellRow } from './cell-row.ts'
import { FeatureShard } from './feature-shard.ts'
import { planView } from './plan.ts'
import { recordOf } from './testing/records.ts'

const HOUR_MS = 3_600_000
const T0 = 480_000 * HOUR_MS

const watched = event('watched', { viewer: id('person'), ms: int() }, { key: 'viewer' })
const view = featureView({
  from: [watched],
  key: 'viewer',
  features: f => ({
    plays: f.count({ window: '1d' }),
    ms: f.sum({ window: '1h', of: 'ms', default: -1 }),
    ever: f.count({ window: 'lifetime' }),
    trend: f.decayedCount({ halfLife: '1h' }),
    lengths: f.histogram({ window: '1d', of: 'ms', bounds: [10] }),
  }),
})
const plan = planView('viewers', view)

function eventOf(offset: number, atMs: number, { key = 'ana', ms = 5 } = {}): LogRecord {
  const data = { viewer: key, ms }
  return recordOf({ type: 'watched', key, offset, eventTimeMs: atMs, watermarkMs: T0, data })
}

const createShard = (): FeatureShard =>
  new FeatureShard(plan, { tables: { asOf: () => undefined } })

function readOf(shard: FeatureShard, tMs: number, key = 'ana'): readonly unknown[] {
  const indices = plan.features.map(({ index }) => index)
  const row = createCellRow(indices.length)
  shard.read({ key, subKey: '', features: indices, tMs }, row, indices)
  return indices.map(cell => row.others[cell] ?? row.values[cell])
}

const tMs = T0 + 30 * 60_000

test('an event, one taken out, one put in and a state that is restored show in the next read of the moment', () => {
  const shard = createShard()
  shard.advance(T0)
  const [first, second] = [eventOf(0, tMs), eventOf(1, tMs, { ms: 20 })]
  shard.fold(first)
  const one = [1, 5, 1, 1, [1, 0]]
  assert.deepEqual(readOf(shard, tMs), one)
  const bytes = Uint8Array.from(shard.encodeKey('ana') as Uint8Array)
  shard.fold(second)
  const both = [2, 25, 2, 2, [1, 1]]
  assert.deepEqual(readOf(shard, tMs), both)
  assert.deepEqual(readOf(shard, tMs), both)
  shard.decodeKey('ana', bytes)
  assert.deepEqual(readOf(shard, tMs), one)
  shard.decodeKey('ana', undefined)
  assert.deepEqual(readOf(shard, tMs), [0, -1, 0, 0, [0, 0]])
})

test('an event that is taken out or put in at its place shows', () => {
  const { trend: _, ...inverted } = view.definitions
  const exact = planView('viewers', { ...view, definitions: inverted })
  const shard = new FeatureShard(exact, { tables: { asOf: () => undefined } })
  const plays = (): number => {
    const row = createCellRow(1)
    shard.read({ key: 'ana', subKey: '', features: [0], tMs }, row, [0])
    return row.values[0] as number
  }
  shard.advance(T0)
  shard.fold(eventOf(0, tMs))
  shard.fold(eventOf(1, tMs))
  assert.equal(plays(), 2)
  assert.equal(shard.invert(eventOf(1, tMs)), true)
  assert.equal(plays(), 1)
  assert.equal(shard.insert(eventOf(1, tMs)), true)
  assert.equal(plays(), 2)
})

test('a value is kept until the shortest step ends, and no value that changes with every moment', () => {
  const shard = createShard()
  shard.advance(T0)
  shard.fold(eventOf(0, T0))
  const later = [0, HOUR_MS / 2, HOUR_MS, 2 * HOUR_MS].map(aheadMs => readOf(shard, T0 + aheadMs))
  assert.deepEqual(
    later.map(([, ms]) => ms),
    [5, 5, -1, -1],
  )
  assert.deepEqual(
    later.map(([, , , trend]) => Math.round(Number(trend) * 100)),
    [100, 71, 50, 25],
  )
  // The moment goes back as well: requests bring theirs.
  assert.deepEqual(readOf(shard, T0).slice(0, 3), [1, 5, 1])
})

test('entities that share a slot have their own values', () => {
  const shard = createShard()
  shard.advance(T0)
  const entities = 10_000
  for (let n = 0; n < entities; n++) shard.fold(eventOf(n, tMs, { key: `k${n}`, ms: n }))
  for (const n of [0, 4_096, 8_192, 0, 5_000, 904, 5_000]) {
    assert.deepEqual(readOf(shard, tMs, `k${n}`).slice(0, 3), [1, n, 1])
  }
})

test('what is not of the entity is not found with it', () => {
  const shard = createShard()
  shard.fold(eventOf(0, tMs))
  readOf(shard, tMs)
  const row = createCellRow(1)
  shard.read({ key: 'nobody', subKey: '', features: [1], tMs }, row, [0])
  assert.deepEqual([row.values[0], row.statuses[0]], [-1, CELL_STATUS.default])
})
