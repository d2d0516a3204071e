import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSeededRandom, partitionOf } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import { transitionWeight, weightOf } from '@millrace/recommend'
import type { Emission } from '@millrace/streams'
import { itemSpaceOf } from '../catalogue/index.ts'
import { createMemoryStore, openMemoryLog } from '@millrace/log/memory'
import { createMemorySnapshotStore } from '@millrace/store/memory'
import { audience, clips, clipsApp } from '../testing/clips-app.ts'
import { createTestClock, openTestProduct, type TrackedEvent } from '../testing/open-product.ts'
import { ITEM_STATS_FOLD, itemStatsFold } from './item-stats-fold.ts'
import type { ItemStatsShard } from './item-stats-shard.ts'
import { PROFILE_FOLD, profileFold } from './profile-fold.ts'
import { RECENT_MAX, type ProfileShard } from './profile-shard.ts'

const app = clipsApp()
const tables = { asOf: () => undefined }
const WEIGHT = { watched: 1 / 1_000, rated: 1 }

function weightOfEvent({ type, data }: TrackedEvent): number {
  return type === 'watched'
    ? (data['ms'] as number) * WEIGHT.watched
    : (data['stars'] as number) - 2
}

/** Profiles as anybody would write them. */
function naiveProfiles(
  events: readonly TrackedEvent[],
): Map<string, { recent: string[]; seen: Set<string>; disliked: Set<string> }> {
  const people = new Map<string, { recent: string[]; seen: Set<string>; disliked: Set<string> }>()
  for (const event of events) {
    const who = event.data['viewer'] as string
    const clip = `clip/${event.data['clip'] as string}`
    const state = people.get(who) ?? { recent: [], seen: new Set(), disliked: new Set() }
    people.set(who, state)
    state.seen.add(clip)
    state.recent = state.recent.filter(other => other !== clip)
    if (weightOfEvent(event) <= 0) state.disliked.add(clip)
    else {
      state.disliked.delete(clip)
      state.recent = [...state.recent, clip].slice(-RECENT_MAX)
    }
  }
  return people
}

/** Counts and transitions as anybody would write them, without decay: the events span two hours. */
function naiveStatistics(events: readonly TrackedEvent[]): {
  counts: Map<string, number>
  next: Map<string, number>
} {
  const recent = new Map<string, { clip: string; atMs: number }[]>()
  const counts = new Map<string, number>()
  const next = new Map<string, number>()
  for (const event of events) {
    const who = event.data['viewer'] as string
    const clip = `clip/${event.data['clip'] as string}`
    const atMs = event.atMs as number
    const before = (recent.get(who) ?? []).filter(entry => entry.clip !== clip)
    recent.set(who, before)
    const weight = Math.min(weightOfEvent(event), 10)
    if (weight <= 0) continue
    counts.set(clip, (counts.get(clip) ?? 0) + 1)
    for (const [rank, entry] of before.slice(-8).reverse().entries()) {
      const name = `${entry.clip} ${clip}`
      const added = weight * transitionWeight(rank + 1, atMs - entry.atMs)
      next.set(name, (next.get(name) ?? 0) + added)
    }
    recent.set(who, [...before, { clip, atMs }].slice(-RECENT_MAX))
  }
  return { counts, next }
}

test('profiles and statistics equal a naive recomputation, whatever the partitions', async () => {
  const events = audience({ events: 700, people: 9, clips: 60, seed: 11 })
  const product = await openTestProduct(app)
  try {
    for (let from = 0; from < events.length; from += 37) {
      await product.track(events.slice(from, from + 37))
    }
    await product.settle()
    const profiles = product.streams.fold<ProfileShard>(PROFILE_FOLD)
    const space = itemSpaceOf(app)
    for (const [who, naive] of naiveProfiles(events)) {
      const shard = profiles.shardOf(who)
      const found = shard.interactions(who, RECENT_MAX).map(({ item }) => item)
      assert.deepEqual(found.reverse(), naive.recent)
      const row = shard.row(who)
      for (const key of naive.seen) assert.ok(shard.hasSeen(row, space.find(key)))
      assert.equal(shard.seen.length(row), naive.seen.size)
      assert.equal(shard.disliked.length(row), naive.disliked.size)
    }
    const stats = product.streams
      .fold<ItemStatsShard>(ITEM_STATS_FOLD)
      .shards()[0] as ItemStatsShard
    const { counts, next } = naiveStatistics(events)
    for (const [key, count] of counts) assert.equal(stats.countOf(space.find(key)), count)
    for (const [name, weight] of next) {
      const [from = '', to = ''] = name.split(' ')
      const row = space.find(from)
      const found = weightOf(stats.next, row, space.find(to)) * stats.next.scale(row)
      assert.ok(Math.abs(found - weight) < 1e-3 * weight, `${name}: ${found} is not ${weight}`)
    }
  } finally {
    await product.close()
  }
})

test('a rebuild gives the same bytes for every fold, for all keys and for some', async () => {
  const product = await openTestProduct(app)
  try {
    await product.catalogue.put('clip', clips(60))
    await product.track(audience({ events: 1_500, people: 20, clips: 60, seed: 5 }))
    await product.settle()
    for (const fold of [PROFILE_FOLD, ITEM_STATS_FOLD, 'table.clip']) {
      const { keys, different } = await product.streams.rebuild({ fold })
      assert.ok(keys > 0)
      assert.deepEqual(different, [])
    }
    const keys = ['clip/c0', 'clip/c13']
    assert.deepEqual((await product.streams.rebuild({ fold: ITEM_STATS_FOLD, keys })).different, [])
  } finally {
    await product.close()
  }
})

test('after a restart from snapshots the state goes on as if nothing had happened', async () => {
  const events = audience({ events: 900, people: 12, clips: 60, seed: 8 })
  const encode = (shards: readonly (ProfileShard | ItemStatsShard)[]): Map<string, string> =>
    new Map(
      shards.flatMap(shard =>
        [...shard.keys()].map(key => [
          key,
          Buffer.from(shard.encodeKey(key) ?? []).toString('hex'),
        ]),
      ),
    )
  const states: Map<string, string>[] = []
  for (const isRestarted of [false, true]) {
    const clock = createTestClock(1_800_000_000_000)
    const store = createMemoryStore()
    const snapshots = createMemorySnapshotStore()
    const own = clipsApp()
    const open = (): ReturnType<typeof openTestProduct> =>
      openTestProduct(own, { clock, snapshots, log: openMemoryLog({ clock, store }) })
    let product = await open()
    await product.track(events.slice(0, 450))
    await product.settle()
    if (isRestarted) {
      await product.streams.snapshot()
      await product.close()
      product = await open()
    }
    await product.track(events.slice(450))
    await product.settle()
    states.push(encode(product.streams.fold<ProfileShard>(PROFILE_FOLD).shards()))
    states.push(encode(product.streams.fold<ItemStatsShard>(ITEM_STATS_FOLD).shards()))
    await product.close()
  }
  assert.ok((states[0] as Map<string, string>).size > 0)
  assert.deepEqual(states[2], states[0])
  assert.deepEqual(states[3], states[1])
})

/** A record as a fold sees it. */
function recordOf(fields: Partial<LogRecord>): LogRecord {
  return { ingestTimeMs: 2e12, keys: [fields.key], ...fields } as unknown as LogRecord
}

test('a state frame goes through decoding unchanged, and forgetting a key leaves nothing', () => {
  const random = createSeededRandom(3)
  const definition = profileFold(app)
  const shard = definition.createShard({ partition: 0, partitions: 1, tables })
  const copy = definition.createShard({ partition: 0, partitions: 1, tables })
  const stats = itemStatsFold(app).createShard({ partition: 0, partitions: 1, tables })
  const statsCopy = itemStatsFold(app).createShard({ partition: 0, partitions: 1, tables })
  const output = {
    emit: (emission: Emission) =>
      stats.fold(recordOf({ ...emission, eventTimeMs: emission.eventTimeMs ?? 0 })),
    fail: () => undefined,
  }
  for (let turn = 0; turn < 3_000; turn++) {
    const clip = `ü${Math.floor(random.next() * 400)}${'x'.repeat(turn % 2 === 0 ? 0 : 150)}`
    const data = { viewer: 'p', clip, stars: Math.floor(random.next() * 6) }
    shard.fold(recordOf({ type: 'rated', key: 'p', eventTimeMs: turn * 1e7, data }), output)
  }
  copy.decodeKey('p', shard.encodeKey('p'))
  assert.deepEqual(copy.encodeKey('p'), shard.encodeKey('p'))
  copy.decodeKey('p', undefined)
  assert.equal(copy.encodeKey('p'), undefined)
  assert.equal(copy.keyCount(), 0)
  for (const key of stats.keys()) {
    statsCopy.decodeKey(key, stats.encodeKey(key))
    assert.deepEqual(statsCopy.encodeKey(key), stats.encodeKey(key))
    statsCopy.decodeKey(key, undefined)
    assert.equal(statsCopy.encodeKey(key), undefined)
  }
  assert.equal(statsCopy.keyCount(), 0)
})

test('each shard keeps the keys of its partition, or those that are asked for, as one of all does', () => {
  const partitions = 4
  const whole = itemStatsFold(app).createShard({ partition: 0, partitions: 1, tables })
  const parts = Array.from({ length: partitions }, (_, partition) =>
    itemStatsFold(app).createShard({ partition, partitions, tables }),
  )
  const keys = new Set(['clip/c3', 'clip/c17', 'clip/c29'])
  const some = itemStatsFold(app).createShard({ partition: 0, partitions: 1, tables, keys })
  const random = createSeededRandom(9)
  for (let turn = 0; turn < 500; turn++) {
    const name = (): string => `clip/c${Math.floor(random.next() * 30)}`
    const item = name()
    const from = [...new Set([name(), name(), name()])].filter(other => other !== item)
    const data = { item, weight: 1, from, gaps: from.map(() => 1_000) }
    const record = recordOf({ key: item, keys: [item, ...from], eventTimeMs: turn, data })
    whole.fold(record)
    some.fold(record)
    for (const partition of new Set(record.keys.map(key => partitionOf(key, partitions)))) {
      ;(parts[partition] as ItemStatsShard).fold(record)
    }
  }
  for (const key of whole.keys()) {
    const own = parts[partitionOf(key, partitions)] as ItemStatsShard
    assert.deepEqual(own.encodeKey(key), whole.encodeKey(key))
  }
  assert.deepEqual([...some.keys()].sort(), [...keys].sort())
  for (const key of keys) assert.deepEqual(some.encodeKey(key), whole.encodeKey(key))
  assert.equal(
    parts.reduce((sum, part) => sum + part.keyCount(), 0),
    whole.keyCount(),
  )
})

test('one event from a wrong clock does not make an item the newest for ever', async () => {
  const product = await openTestProduct(app)
  try {
    const nowMs = product.clock.timeMs
    const view = (clip: string, atMs: number): TrackedEvent => ({
      type: 'watched',
      data: { viewer: `p${clip}${atMs}`, clip, ms: 1_000 },
      atMs,
    })
    await product.track([
      view('wrong', nowMs + 1e12),
      ...[1, 2, 3].map(n => view('right', nowMs - n)),
    ])
    await product.settle()
    assert.equal(product.recommendations.trending('clip', { n: 5 }).items[0]?.id, 'right')
  } finally {
    await product.close()
  }
})

test('a weight that is no number parks the person, and answers say so', async () => {
  const product = await openTestProduct(app)
  try {
    const bad = { viewer: 'p1', clip: 'c1', ms: 1 }
    const { log, clock } = product
    await log.commit({
      events: [
        {
          stream: 'person',
          type: 'watched',
          key: 'p1',
          id: 'bad',
          eventTimeMs: clock.nowMs(),
          data: { ...bad, ms: 'x' },
        },
      ],
    })
    await product.settle()
    assert.equal(product.streams.fold(PROFILE_FOLD).parked()[0]?.key, 'p1')
    assert.equal(product.recommendations.recommend('plain', { person: 'p1' }).isIncomplete, true)
    assert.equal(
      product.recommendations.recommend('plain', { person: 'p2' }).isIncomplete,
      undefined,
    )
  } finally {
    await product.close()
  }
})
