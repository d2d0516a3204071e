/** The events behind the value of a feature, and what features are made of. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
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
  systemClock,
  text,
  type Clock,
} from '@millrace/core'
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
  features: f => ({
    long: f.count({ window: '1d', where: e => e.data.ms > 5 }),
    longest: f.max({ window: 'lifetime', of: 'ms' }),
    spread: f.histogram({ window: 'lifetime', of: 'ms', bounds: [5] }),
  }),
})
const topicStats = featureView({
  from: [watched],
  key: 'viewer',
  join: { clip: Clip },
  pair: { name: 'topic', of: ({ data }, { clip }) => clip(data.clip)?.topics },
  features: f => ({ plays: f.count({ window: '7d' }) }),
})
const ranking = featureService({
  entities: ['person', 'clip'],
  features: {
    long: clipStats.features.long,
    taste: crossed(topicStats.features.plays, attributeOf(Clip, 'topics'), 'sum'),
    share: derive(
      { long: clipStats.features.long, hour: contextOf('hour', int()) },
      ({ long, hour }) => long / (hour + 1),
      { default: 0 },
    ),
  },
})
const app = defineApp({
  name: 'explained',
  items: [Clip],
  events: [watched],
  // The newest events are ahead of the watermark.
  lateness: '6h',
  features: { clipStats, topicStats, ranking },
})

const HOUR_MS = 3_600_000
const START_MS = Date.UTC(2026, 4, 20, 12)

describe('the events behind a feature', () => {
  let millrace: Millrace<typeof app>
  let url = ''
  const clock: Clock & { timeMs: number } = {
    ...systemClock,
    timeMs: START_MS,
    nowMs: () => clock.timeMs,
  }
  const ids: string[] = []

  const get = async (path: string): Promise<Record<string, unknown>> => {
    const { json, status } = await send(url, path)
    assert.equal(status, 200, JSON.stringify(json))
    return json
  }
  const idsOf = ({ events }: Record<string, unknown>): readonly string[] =>
    (events as { id: string }[]).map(own => own.id)

  before(async () => {
    millrace = await openForTest({ app, clock })
    url = (await millrace.listen()).url
    await send(url, '/v1/items/clip/c1', { method: 'PUT', body: { topics: ['art', 'bees'] } })
    // Every hour, one of them six hours late.
    for (const [hour, ms] of [9, 3, 7, 12, 4, 10].entries()) {
      clock.timeMs = START_MS + hour * 8 * HOUR_MS
      const at = clock.timeMs - (hour === 3 ? 6 * HOUR_MS : 0)
      const data = { viewer: `p${hour % 2}`, clip: 'c1', ms }
      const { json } = await send(url, '/v1/events', { body: { type: 'watched', data, at } })
      ids.push(json['id'] as string)
    }
  })
  after(() => millrace.close())

  it('are those of the window that it counted', async () => {
    const found = await get('/v1/features/clipStats/c1/long/events')
    assert.equal(found['value'], 2)
    assert.deepEqual(idsOf(found), [ids[3], ids[5]])
    const [first] = found['events'] as Record<string, unknown>[]
    assert.equal(first?.['atMs'], START_MS + 18 * HOUR_MS)
    assert.equal(first?.['type'], 'watched')
  })

  it('are those that a greatest number, or a list, came from', async () => {
    const longest = await get('/v1/features/clipStats/c1/longest/events')
    assert.equal(longest['value'], 12)
    assert.deepEqual(idsOf(longest), [ids[0], ids[3]])
    const spread = await get('/v1/features/clipStats/c1/spread/events')
    assert.deepEqual(spread['value'], [2, 4])
    assert.deepEqual(idsOf(spread), ids)
  })

  it('are told of one pair, and in pages', async () => {
    const path = '/v1/features/topicStats/p1/plays/events?pair=bees&limit=2'
    const first = await get(path)
    assert.equal(first['value'], 3)
    assert.deepEqual(idsOf(first), [ids[1], ids[3]])
    const second = await get(`${path}&after=${first['next'] as number}`)
    assert.deepEqual(idsOf(second), [ids[5]])
    assert.equal(second['next'], undefined)
    assert.deepEqual(idsOf(await get('/v1/features/topicStats/p1/plays/events?pair=cats')), [])
  })

  it('are as known at a moment', async () => {
    const at = START_MS + 2 * 8 * HOUR_MS
    const found = await get(`/v1/features/clipStats/c1/long/events?at=${at}`)
    assert.deepEqual([found['value'], found['atMs']], [2, at])
    assert.deepEqual(idsOf(found), [ids[0], ids[2]])
  })

  it('are those of the window that an answer read, which ended behind the watermark of its position', async () => {
    const body = { service: 'ranking', rows: [{ person: 'p1', clip: 'c1' }] }
    const { headers, json } = await send(url, '/v1/features/read', { body })
    const at = `at=${encodeURIComponent(headers.get('millrace-position') ?? '')}`
    const path = '/v1/features/clipStats/c1/long/events'
    const found = await get(`${path}?${at}&ends=${clock.timeMs}`)
    assert.deepEqual([found['value'], found['atMs']], [2, clock.timeMs])
    assert.equal((json['values'] as number[][])[0]?.[0], found['value'])
    assert.deepEqual(idsOf(found), [ids[3], ids[5]])
    const { atMs } = await get(`${path}?${at}`)
    assert.equal(atMs, clock.timeMs - 6 * HOUR_MS)
    const later = await get(`${path}?${at}&ends=${new Date(clock.timeMs + 48 * HOUR_MS).toISOString()}`) // prettier-ignore
    assert.deepEqual([later['value'], idsOf(later)], [0, []])
  })

  it('leave out what was retracted', async () => {
    await millrace.streams.corrections.apply({
      corrections: [{ id: ids[3] as string, action: 'retract' }],
      reason: 'a robot',
      by: 'test',
    })
    const found = await get('/v1/features/clipStats/c1/longest/events')
    assert.equal(found['value'], 10)
    assert.deepEqual(idsOf(found), [ids[0], ids[5]])
  })

  it('are refused of what is no feature', async () => {
    const { json, status } = await send(url, '/v1/features/clipStats/c1/plays/events')
    assert.deepEqual([status, json['code']], [404, 'FEATURE_UNKNOWN'])
  })

  it('lead to services, and back', async () => {
    const { services, events } = await get('/v1/features/lineage')
    const plays = { features: ['clipStats.long'], attributes: [], context: [], events: ['watched'] }
    assert.deepEqual(services, [
      {
        service: 'ranking',
        columns: [
          { column: 'long', ...plays },
          {
            column: 'taste',
            features: ['topicStats.plays'],
            attributes: ['clip.topics'],
            context: [],
            events: ['clip.put', 'watched'],
          },
          { column: 'share', ...plays, context: ['hour'] },
        ],
      },
    ])
    const all = ['clipStats.long', 'clipStats.longest', 'clipStats.spread', 'topicStats.plays']
    assert.deepEqual(events, [
      { event: 'clip.put', features: ['topicStats.plays'], columns: ['ranking.taste'] },
      {
        event: 'watched',
        features: all,
        columns: ['ranking.long', 'ranking.taste', 'ranking.share'],
      },
    ])
  })
})
