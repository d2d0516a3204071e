/** What requests were served is computed again from the log, whatever came since; a wrong cell of the state is named. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  attributeOf,
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
  systemClock,
  text,
  type Clock,
} from '@millrace/core'
import type { FeatureShard } from '@millrace/features'
import type { Millrace } from '../millrace.ts'
import { openForTest } from '../testing/clips.ts'
import { send } from '../testing/http.ts'

const Clip = item('clip', { topics: text().many() })
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), ms: int() },
  { key: 'viewer' },
)
const clipStats = featureView({
  from: [watched],
  key: 'clip',
  join: { clip: Clip },
  freshness: '6h',
  features: f => ({
    plays: f.count({ window: 'lifetime' }),
    ms1d: f.sum({ window: '1d', of: 'ms', default: -1 }),
    art: f.count({ window: '7d', where: (e, t) => t.clip(e.data.clip)?.topics.includes('art') ?? false }), // prettier-ignore
  }),
})
const topicStats = featureView({
  from: [watched],
  key: 'viewer',
  join: { clip: Clip },
  pair: { name: 'topic', of: ({ data }, { clip }) => clip(data.clip)?.topics },
  features: f => ({ share: f.ratio({ window: '1d', of: e => e.data.ms > 5 }) }),
})
const ranking = featureService({
  entities: ['person', 'clip'],
  features: {
    plays: clipStats.features.plays,
    ms1d: clipStats.features.ms1d,
    art: clipStats.features.art,
    topics: attributeOf(Clip, 'topics'),
    taste: crossed(topicStats.features.share, attributeOf(Clip, 'topics'), 'mean'),
    double: derive({ ms: clipStats.features.ms1d }, ({ ms }) => ms * 2, { default: 0 }),
  },
})
const app = defineApp({
  name: 'parity',
  items: [Clip],
  events: [watched],
  features: { clipStats, topicStats, ranking },
})

const HOUR_MS = 3_600_000
const CLIPS = ['c0', 'c1', 'c2', 'none']

describe('what requests were served', () => {
  let millrace: Millrace<typeof app>
  let url = ''
  const clock: Clock & { timeMs: number } = {
    ...systemClock,
    timeMs: Date.UTC(2026, 4, 20, 12),
    nowMs: () => clock.timeMs,
  }
  const requests: string[] = []

  const track = async (random: { next(): number }): Promise<string> => {
    const data = {
      viewer: `p${Math.floor(random.next() * 3)}`,
      clip: CLIPS[Math.floor(random.next() * 3)],
      ms: Math.floor(random.next() * 10),
    }
    const at = new Date(clock.timeMs - Math.floor(random.next() * 2) * 5 * HOUR_MS).toISOString()
    const { json } = await send(url, '/v1/events', { body: { type: 'watched', data, at } })
    return json['id'] as string
  }
  const read = async (): Promise<string> => {
    const rows = ['p0', 'p1', 'p2'].flatMap(person => CLIPS.map(clip => ({ person, clip })))
    const { json, status } = await send(url, '/v1/features/read', { body: { service: 'ranking', rows } }) // prettier-ignore
    assert.equal(status, 200)
    return json['requestId'] as string
  }
  const check = async (request: string): Promise<Record<string, unknown>> => {
    const { json, status } = await send(url, `/v1/features/served/${request}/check`)
    assert.equal(status, 200, JSON.stringify(json))
    return json
  }

  before(async () => {
    millrace = await openForTest({ app, clock })
    url = (await millrace.listen()).url
  })
  after(() => millrace.close())

  it('is what the log says, up to what each saw', async () => {
    const random = createSeededRandom(7)
    const events: string[] = []
    for (let step = 0; step < 60; step++) {
      clock.timeMs += Math.floor(random.next() * HOUR_MS)
      events.push(await track(random))
      if (step % 9 === 4) {
        const topics = random.next() < 0.5 ? ['art'] : ['art', 'bees']
        const at = clock.timeMs - Math.floor(random.next() * 3) * HOUR_MS
        await send(url, `/v1/items/clip/c${step % 3}?at=${at}`, { method: 'PUT', body: { topics } })
      }
      if (step % 20 === 13) {
        const event = events[step - 5] as string
        const { results } = await millrace.streams.corrections.apply({
          corrections: [{ id: event, action: 'retract' }],
          reason: 'a robot',
          by: 'test',
        })
        assert.equal(results[0]?.status, 'corrected')
      }
      if (step % 3 === 0) requests.push(await read())
    }
    for (const request of requests) {
      const { values, mismatches } = await check(request)
      assert.deepEqual([values, mismatches], [72, []])
    }
  })

  it('is reported by samples, with nothing in the metric', async () => {
    const { json } = await send(url, '/v1/features/parity', { method: 'POST' })
    assert.deepEqual([json['requests'], json['values'], json['mismatches']], [20, 1_440, 0])
    const { text } = await send(url, '/metrics')
    assert.match(text, /millrace_features_checked_values_total \d{4}/)
    assert.doesNotMatch(text, /millrace_features_mismatches_total\{/)
  })

  it('is named where a cell of the state was wrong', async () => {
    const shard = millrace.streams.fold<FeatureShard>('feature.clipStats').shardOf('c1')
    const right = shard.encodeKey('c1')
    const other = millrace.streams.fold<FeatureShard>('feature.clipStats').shardOf('c0').encodeKey('c0') // prettier-ignore
    shard.decodeKey('c1', other)
    const request = await read()
    shard.decodeKey('c1', right)
    const { mismatches } = (await check(request)) as {
      mismatches: { feature: string; entities: object; served: number; recomputed: number }[]
    }
    assert.ok(mismatches.length > 0)
    assert.ok(mismatches.every(({ entities }) => (entities as { clip: string }).clip === 'c1'))
    const plays = mismatches.find(({ feature }) => feature === 'plays')
    assert.notEqual(plays?.served, plays?.recomputed)
    const { json } = await send(url, '/v1/features/parity', { method: 'POST' })
    assert.equal((json['byFeature'] as Record<string, number>)['ranking.plays'], 3)
    const { text } = await send(url, '/metrics')
    assert.match(text, /millrace_features_mismatches_total\{feature="ranking\.plays"\} 3/)
  })

  it('is not known of a request that was never there', async () => {
    const { json } = await send(url, '/v1/features/served/nobody/check')
    assert.equal(json['code'], 'FEATURE_REQUEST_UNKNOWN')
  })
})
