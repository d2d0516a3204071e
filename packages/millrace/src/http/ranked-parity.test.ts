/** A surface that ranks by features: what it was served is computed again, and what fails is named while it goes on. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  attributeOf,
  contextOf,
  defineApp,
  derive,
  event,
  featureService,
  featureView,
  id,
  int,
  item,
  ranker,
  signal,
  surface,
  text,
} from '@millrace/core'
import type { FeatureShard } from '@millrace/features'
import type { Millrace } from '../millrace.ts'
import { openForTest } from '../testing/clips.ts'
import { send } from '../testing/http.ts'

const Clip = item('clip', { title: text(), ms: int() })
const watched = event('watched', { viewer: id('person'), clip: id('clip'), ms: int() }, { key: 'viewer' }) // prettier-ignore
const fault = (isFaulty: boolean): number => {
  if (isFaulty) throw new TypeError('the code of a feature throws')
  return 1
}
const stats = featureView({
  from: [watched],
  key: 'clip',
  features: f => ({
    plays: f.count({ window: 'lifetime' }),
    odd: f.sum({ window: 'lifetime', of: e => fault(e.data.ms === 13), default: -5 }),
  }),
})
const service = featureService({
  entities: ['clip'],
  features: {
    plays: stats.features.plays,
    odd: stats.features.odd,
    share: derive({ ms: attributeOf(Clip, 'ms') }, ({ ms }) => 100 / ms, { default: -1 }),
    hour: contextOf('hour', int({ min: 0, max: 23 })),
  },
})
const app = defineApp({
  name: 'ranked',
  items: [Clip],
  events: [watched],
  signals: [signal(watched, { item: 'clip' })],
  features: { stats, service },
  surfaces: {
    home: surface({
      items: Clip,
      filters: [],
      ranker: ranker({
        service,
        terms: {
          plays: row => row.plays,
          odd: row => row.odd / 10,
          share: row => row.share,
          late: ({ hour, plays }) => (hour > 20 ? 0 : Math.log(plays - 3)),
        },
      }),
    }),
  },
})

interface Shown {
  readonly id: string
  readonly score: number
  readonly terms: readonly { readonly stage: string; readonly score: number }[]
}

describe('a surface that ranks by features', () => {
  let millrace: Millrace<typeof app>
  let url = ''
  const ask = async (query: string): Promise<{ answerId: string; items: Shown[] }> => {
    const { json, status } = await send(url, `/v1/surfaces/home/recommendations?${query}`)
    assert.equal(status, 200, JSON.stringify(json))
    return json as { answerId: string; items: Shown[] }
  }
  const told = 'explain=true&context=%7B%22hour%22%3A21%7D'
  const check = async (
    answerId: string,
  ): Promise<{ values: number; mismatches: { feature: string }[] }> =>
    // prettier-ignore
    (await send(url, `/v1/features/served/${answerId}/check`)).json as never
  const warnings = async (): Promise<unknown> => (await send(url, '/readyz')).json['warnings']

  before(async () => {
    millrace = await openForTest({ app })
    url = (await millrace.listen()).url
    const clips = ['c0', 'c1', 'c2', 'c3'].map((clip, at) => ({ id: clip, attributes: { title: clip, ms: at * 10 } })) // prettier-ignore
    for (const { id: clip, attributes } of clips) {
      await send(url, `/v1/items/clip/${clip}`, { method: 'PUT', body: attributes })
    }
    for (const [at, clip] of [
      'c0',
      'c1',
      'c1',
      'c2',
      'c2',
      'c2',
      'c3',
      'c3',
      'c3',
      'c3',
    ].entries()) {
      // prettier-ignore
      await millrace.track('watched', { viewer: `p${at}`, clip, ms: at })
    }
    await millrace.reached(millrace.log.ends(), { timeoutMs: 60_000 })
  })
  after(() => millrace.close())

  it('scores by its terms, and what was read is what the log says', async () => {
    const { answerId, items } = await ask(told)
    assert.deepEqual(
      items.map(({ id: clip, score }) => [clip, score]),
      [['c1', 12.2], ['c2', 8.3], ['c3', 4.4 + 100 / 30], ['c0', 1 + 0.1 - 1]], // prettier-ignore
    )
    for (const { score, terms } of items) {
      assert.deepEqual(terms.map(({ stage }) => stage), ['plays', 'odd', 'share', 'late']) // prettier-ignore
      assert.equal(
        terms.reduce((sum, term) => sum + term.score, 0),
        score,
      )
    }
    const { values, mismatches } = await check(answerId)
    assert.deepEqual([values, mismatches], [16, []])
    const { text: metrics } = await send(url, '/metrics')
    assert.doesNotMatch(metrics, /millrace_features_mismatches_total\{/)
  })

  it('serves the default of a feature whose code throws, marks, counts and tells it', async () => {
    await millrace.track('watched', { viewer: 'p1', clip: 'c2', ms: 13 })
    await millrace.reached(millrace.log.ends(), { timeoutMs: 60_000 })
    const { answerId, items } = await ask(told)
    const c2 = items.find(({ id: clip }) => clip === 'c2')
    assert.deepEqual(c2?.terms.map(({ score }) => score), [4, -0.5, 5, 0]) // prettier-ignore
    assert.deepEqual((await check(answerId)).mismatches, [])
    const { json } = await send(url, `/v1/answers/${answerId}/explanation`)
    const traced = json['traced'] as { id: string; terms: { features: { name: string; value: unknown; status: string }[] }[] }[] // prettier-ignore
    const statusOf = (clip: string, name: string): unknown =>
      traced.find(({ id: one }) => one === clip)?.terms.flatMap(({ features }) => features).find(feature => feature.name === name)?.status // prettier-ignore
    assert.equal(json['isSame'], true)
    assert.deepEqual([statusOf('c2', 'odd'), statusOf('c1', 'odd'), statusOf('c0', 'share')], ['failed', 'value', 'failed']) // prettier-ignore
    const { text: metrics } = await send(url, '/metrics')
    assert.match(metrics, /millrace_features_failures_total\{feature="stats\.odd"\} 1/)
    assert.match(metrics, /millrace_features_failures_total\{feature="service\.share"\} [1-9]/)
    const [ofKeys, ofRows] = (await warnings()) as string[]
    assert.equal(ofKeys, 'a feature of stats failed for 1 entities, which are served its default')
    assert.match(String(ofRows), /^service\.share failed in \d+ rows/)
  })

  it('leaves out a term that gives no number, and counts it', async () => {
    const { items } = await ask('explain=true')
    const lates = items.map(({ id: clip, terms }) => [clip, terms[3]?.score])
    assert.deepEqual(lates.sort(), [['c0', 0], ['c1', 0], ['c2', 0], ['c3', 0]]) // prettier-ignore
    const { text: metrics } = await send(url, '/metrics')
    assert.match(metrics, /millrace_recommendations_term_failures_total\{term="home\.late"\} 2/)
    for (const wrong of ['%7B%22hour%22%3A24%7D', '%5B1%5D', 'x', '%7B%22day%22%3A1%7D']) {
      const { status, json } = await send(url, `/v1/surfaces/home/recommendations?context=${wrong}`)
      assert.deepEqual([status, json['code']], [400, 'REQUEST_INVALID'])
    }
  })

  it('names a cell that was wrong when it answered', async () => {
    const shard = millrace.streams.fold<FeatureShard>('feature.stats').shardOf('c1')
    const right = shard.encodeKey('c1')
    shard.decodeKey('c1', millrace.streams.fold('feature.stats').shardOf('c3').encodeKey('c3'))
    const { answerId } = await ask(told)
    shard.decodeKey('c1', right)
    const { mismatches } = await check(answerId)
    assert.deepEqual(mismatches.map(({ feature }) => feature).sort(), ['odd', 'plays'])
    assert.match(String(((await warnings()) as string[])[0]), /^1 served values of service\.plays are not those of the log/) // prettier-ignore
    assert.equal((await send(url, '/readyz')).json['status'], 'ready')
  })

  it('keeps the rows of a sample of the other answers', async () => {
    const answers: string[] = []
    for (let asked = 0; asked < 64; asked++) answers.push((await ask('n=2')).answerId)
    const found = await Promise.all(answers.map(async answer => 'values' in (await check(answer))))
    assert.equal(found.filter(Boolean).length, 2)
  })
})
