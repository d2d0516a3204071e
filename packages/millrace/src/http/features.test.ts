import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  attributeOf,
  bool,
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
  timestamp,
  type Clock,
} from '@millrace/core'
import { CELL_STATUS } from '@millrace/features'
import type { Millrace } from '../millrace.ts'
import { openForTest } from '../testing/clips.ts'
import { send } from '../testing/http.ts'

const Clip = item('clip', {
  title: text().optional(),
  topics: text().many(),
  isLong: bool(),
  publishedAt: timestamp(),
})
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), watchedMs: int() },
  { key: 'viewer' },
)
const clipStats = featureView({
  from: [watched],
  key: 'clip',
  features: f => ({
    plays: f.count({ window: 'lifetime' }),
    fussy: f.sum({
      window: '7d',
      default: -7,
      of({ data }) {
        if (data.watchedMs === 13) throw new Error('thirteen')
        return data.watchedMs
      },
    }),
  }),
})
const topicStats = featureView({
  from: [watched],
  key: 'viewer',
  join: { clip: Clip },
  pair: { name: 'topic', of: ({ data }, { clip }) => clip(data.clip)?.topics },
  freshness: '1d',
  ttl: '10d',
  features: f => ({ ms: f.sum({ window: 'lifetime', of: 'watchedMs', default: -1 }) }),
})
const topics = attributeOf(Clip, 'topics')
const ranking = featureService({
  entities: ['person', 'clip'],
  features: {
    plays: clipStats.features.plays,
    fussy: clipStats.features.fussy,
    most: crossed(topicStats.features.ms, topics, 'max'),
    all: crossed(topicStats.features.ms, topics, 'sum'),
    mean: crossed(topicStats.features.ms, topics, 'mean'),
    isLong: attributeOf(Clip, 'isLong'),
    title: attributeOf(Clip, 'title', { default: 'none' }),
    hours: derive(
      { publishedAt: attributeOf(Clip, 'publishedAt') },
      ({ publishedAt }, { atMs }) => Math.round((atMs - publishedAt) / 3_600_000),
      { default: 0 },
    ),
    fussyTwice: derive({ fussy: clipStats.features.fussy }, ({ fussy }) => 2 * fussy, {
      default: 5,
    }),
    odd: derive({ plays: clipStats.features.plays }, ({ plays }) => 1 / (plays - 1), {
      default: 9,
    }),
    device: contextOf('device', text(), { default: 'phone' }),
  },
})
const byTopic = featureService({
  entities: ['person', 'topic'],
  features: { ms: topicStats.features.ms },
})
const app = defineApp({
  name: 'features',
  items: [Clip],
  events: [watched],
  features: { clipStats, topicStats, ranking, byTopic },
})

const DAY_MS = 86_400_000
const S = CELL_STATUS

describe('features over HTTP', () => {
  let millrace: Millrace<typeof app>
  let url = ''
  let position = ''
  const nowMs = Date.UTC(2026, 4, 20, 12)
  before(async () => {
    millrace = await openForTest({ app, clock: clockAt(nowMs) })
    url = (await millrace.listen()).url
    const put = (clip: string, attributes: object): Promise<unknown> =>
      send(url, `/v1/items/clip/${clip}?at=${nowMs - 30 * DAY_MS}`, { method: 'PUT', body: attributes }) // prettier-ignore
    const publishedAt = nowMs - DAY_MS
    await put('c1', { topics: ['pasta', 'soup'], isLong: true, publishedAt })
    await put('c2', { topics: [], isLong: false, publishedAt, title: 'Two' })
    await put('c3', { topics: ['rice'], isLong: false, publishedAt })
    const watch = (viewer: string, clip: string, watchedMs: number, at: number): unknown => ({
      type: 'watched',
      at,
      data: { viewer, clip, watchedMs },
    })
    const answer = await send(url, '/v1/events', {
      body: [
        watch('old', 'c1', 5, nowMs - 20 * DAY_MS),
        watch('ben', 'c3', 8, nowMs - 2 * DAY_MS),
        watch('ana', 'c1', 100, nowMs),
        watch('ana', 'c3', 13, nowMs),
        watch('ana', 'c3', 14, nowMs),
      ],
    })
    position = answer.headers.get('millrace-position') as string
    await send(url, `/v1/features/clipStats/c1?atLeast=${position}`)
  })
  after(() => millrace.close())

  const read = async (
    service: string,
    rows: readonly unknown[],
    context?: object,
  ): Promise<Record<string, readonly (readonly [unknown, unknown])[]>> => {
    const body = { service, rows, ...(context === undefined ? {} : { context }) }
    const answer = await send(url, '/v1/features/read', { body })
    assert.equal(answer.status, 200, answer.text)
    const { columns, values, statuses } = answer.json as {
      columns: string[]
      values: unknown[][]
      statuses: unknown[][]
    }
    return Object.fromEntries(
      columns.map((name, column) => [
        name,
        values.map((row, index) => [row[column], statuses[index]?.[column]] as const),
      ]),
    )
  }

  it('are rows, each cell with what it is', async () => {
    const rows = [
      { person: 'ana', clip: 'c1' },
      { person: 'ana', clip: 'c3' },
      { person: 'nobody', clip: 'c2' },
      { person: 'old', clip: 'gone' },
    ]
    const got = await read('ranking', rows, { device: 'tv' })
    assert.deepEqual(got['plays'], [[2, S.value], [3, S.value], [0, S.default], [0, S.missing]]) // prettier-ignore
    // One event of c3 made it throw; c1 had no such event.
    assert.deepEqual(got['fussy'], [[100, S.value], [-7, S.failed], [-7, S.default], [-7, S.missing]]) // prettier-ignore
    assert.deepEqual(got['most'], [[100, S.value], [27, S.value], [-1, S.default], [-1, S.default]]) // prettier-ignore
    assert.deepEqual(got['all']?.[0], [200, S.value])
    assert.deepEqual(got['mean']?.[0], [100, S.value])
    assert.deepEqual(got['isLong'], [[1, S.value], [0, S.value], [0, S.value], [0, S.missing]]) // prettier-ignore
    assert.deepEqual(got['title'], [['none', S.default], ['none', S.default], ['Two', S.value], ['none', S.missing]]) // prettier-ignore
    assert.deepEqual(got['hours']?.[0], [24, S.value])
    assert.deepEqual(got['fussyTwice']?.slice(0, 2), [[200, S.value], [5, S.failed]]) // prettier-ignore
    assert.deepEqual(got['odd']?.slice(0, 2), [[1, S.value], [0.5, S.value]]) // prettier-ignore
    assert.deepEqual(got['device']?.[0], ['tv', S.value])
    assert.deepEqual((await read('ranking', rows))['device']?.[0], ['phone', S.default])
  })

  it('are stale, expired or fresh by the newest event of the pair', async () => {
    const rows = [
      { person: 'ana', topic: 'pasta' },
      { person: 'ben', topic: 'rice' },
      { person: 'old', topic: 'pasta' },
      { person: 'ana', topic: 'fish' },
    ]
    const { ms } = await read('byTopic', rows)
    assert.deepEqual(ms, [[100, S.value], [8, S.stale], [-1, S.expired], [-1, S.default]]) // prettier-ignore
    const stale = await read('ranking', [{ person: 'ben', clip: 'c3' }])
    assert.deepEqual(stale['most'], [[8, S.stale]])
  })

  it('fail alone, and are counted', async () => {
    const { text: metrics } = await send(url, '/metrics')
    assert.match(metrics, /millrace_features_failures_total\{feature="clipStats\.fussy"\} 1/)
    assert.match(metrics, /millrace_features_failed_keys_count\{view="clipStats"\} 1/)
    const odd = await read('ranking', [{ person: 'ana', clip: 'c2' }])
    assert.deepEqual(odd['odd'], [[-1, S.value]])
    assert.match((await send(url, '/metrics')).text, /millrace_features_tiles_bytes\{view="topicStats"\} \d+/) // prettier-ignore
  })

  it('are listed, and told of one entity', async () => {
    const { json } = await send(url, '/v1/features')
    const { views, services } = json as { views: { name: string }[]; services: { name: string }[] }
    assert.deepEqual(views.map(({ name }) => name), ['clipStats', 'topicStats']) // prettier-ignore
    assert.deepEqual(services.map(({ name }) => name), ['ranking', 'byTopic']) // prettier-ignore
    const one = await send(url, `/v1/features/topicStats/ana?atLeast=${position}`)
    assert.deepEqual(one.json['values'], [
      { pair: 'pasta', feature: 'ms', value: 100, status: 'value' },
      { pair: 'soup', feature: 'ms', value: 100, status: 'value' },
      { pair: 'rice', feature: 'ms', value: 27, status: 'value' },
    ])
    const none = await send(url, '/v1/features/missing/ana')
    assert.deepEqual([none.status, none.json['code']], [404, 'FEATURE_UNKNOWN'])
  })

  it('refuse what is no row of the service', async () => {
    const refused = async (body: object): Promise<unknown[]> => {
      const { status, json } = await send(url, '/v1/features/read', { body })
      return [status, json['code']]
    }
    assert.deepEqual(await refused({ service: 'x', rows: [] }), [404, 'SERVICE_UNKNOWN'])
    const rows = [{ person: 'ana' }]
    assert.deepEqual(await refused({ service: 'ranking', rows }), [400, 'FEATURE_ROW_INVALID'])
    const body = { service: 'ranking', rows: [], context: { device: 5 } }
    assert.deepEqual(await refused(body), [400, 'FEATURE_CONTEXT_INVALID'])
  })

  it('of people who are one are those of the one', async () => {
    await send(url, '/v1/people/ben/merge', { body: { into: 'ana' } })
    const { ms } = await read('byTopic', [{ person: 'ben', topic: 'rice' }])
    assert.deepEqual(ms, [[35, S.value]])
  })
})

function clockAt(timeMs: number): Clock {
  return { ...systemClock, nowMs: () => timeMs }
}
