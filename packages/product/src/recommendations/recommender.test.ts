import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isError, surface } from '@millrace/core'
import fc from 'fast-check'
import { audience, Clip, clips, clipsApp } from '../testing/clips-app.ts'
import { openTestProduct, type TestProduct } from '../testing/open-product.ts'
import type { Answer } from './answer.ts'
import { EXPOSURES, type Exposure } from './events.ts'
import {
  defineEffect,
  defineFilter,
  defineReranker,
  defineScorer,
  defineSource,
  type StageContext,
} from './stages.ts'

const effects: string[] = []
const editorial = defineSource({
  name: 'editorial',
  weight: 5,
  reason: 'picked by the editors',
  candidates: () => [
    { kind: 'clip', id: 'c7', score: 2 },
    { kind: 'clip', id: 'c8', score: 1 },
    { kind: 'clip', id: 'missing', score: 9 },
    { kind: 'clip', id: 'c9', score: Number.NaN },
  ],
})
const app = clipsApp({
  staged: surface({
    items: Clip,
    sources: [editorial, 'popular'],
    filters: [
      'seen',
      defineFilter({
        name: 'even',
        keep: item => Number(item.id.slice(1)) % 2 === 0 || item.id === 'c7',
      }),
    ],
    scorers: [
      defineScorer({ name: 'broken', score: () => Number.NaN }),
      defineScorer({ name: 'boost', score: item => (item.id === 'c4' ? 100 : 0) }),
    ],
    rerankers: [defineReranker({ name: 'backwards', rerank: ranked => [...ranked].reverse() })],
    effects: [
      defineEffect({ name: 'note', run: answer => void effects.push(answer.answerId) }),
      defineEffect({
        name: 'failing',
        run: () => {
          throw new Error('planned')
        },
      }),
    ],
    size: { default: 200, max: 500 },
  }),
  limited: surface({
    items: Clip,
    limits: [
      { field: 'topics', max: 2 },
      { field: 'creator', max: 1 },
    ],
    explore: 0.5,
  }),
  everything: surface({ items: Clip, filters: [] }),
})
const EVENTS = audience({ events: 1_500, people: 30, clips: 200, seed: 21 })
let product: TestProduct

before(async () => {
  product = await openTestProduct(app)
  await product.catalogue.put('clip', clips(200))
  await product.track(EVENTS)
  await product.settle()
})
after(() => product.close())

const seenBy = (person: string): Set<string> =>
  new Set(
    EVENTS.filter(event => event.data['viewer'] === person).map(
      event => event.data['clip'] as string,
    ),
  )

test('no answer shows what the person saw, what is excluded, the item at hand, or an item twice', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 35 }),
      fc.integer({ min: 1, max: 100 }),
      fc.array(fc.integer({ min: 0, max: 99 }), { maxLength: 30 }),
      fc.constantFrom('home', 'plain', 'limited'),
      fc.boolean(),
      (who, n, excluded, name, explain) => {
        const exclude = excluded.map(number =>
          number % 2 === 0 ? `c${number}` : `clip/c${number}`,
        )
        const person = `p${who}`
        const answer = product.recommendations.recommend(name, {
          person,
          n,
          exclude,
          explain,
          item: 'c50',
        })
        const ids = answer.items.map(({ id }) => id)
        assert.equal(new Set(ids).size, ids.length)
        assert.ok(ids.length <= n)
        const forbidden = new Set([
          ...seenBy(person),
          ...excluded.map(number => `c${number}`),
          'c50',
        ])
        for (const id of ids) assert.ok(!forbidden.has(id), id)
        answer.items.forEach((item, place) => {
          assert.equal(item.slot, place + 1)
          assert.ok(item.propensity > 0 && item.propensity <= 1)
          assert.notEqual(item.source, '')
        })
      },
    ),
    { seed: 1, numRuns: 200 },
  )
})

test('limits hold for single and for listed values', () => {
  for (let who = 0; who < 30; who++) {
    const { items } = product.recommendations.recommend('limited', { person: `p${who}`, n: 100 })
    const counts = new Map<string, number>()
    for (const { attributes } of items) {
      const { creator, topics } = attributes as { creator: string; topics: string[] }
      for (const group of [creator, ...topics]) counts.set(group, (counts.get(group) ?? 0) + 1)
    }
    for (const [group, count] of counts)
      assert.ok(count <= (group.startsWith('topic') ? 2 : 1), group)
    assert.ok(items.length >= 5)
  }
})

test('explanations add up: terms to the score, stages to the candidates', () => {
  for (const name of ['home', 'plain', 'staged']) {
    const answer = product.recommendations.recommend(name, { person: 'p3', explain: true })
    assert.ok(answer.items.length > 0)
    for (const item of answer.items) {
      const sum = (item.terms ?? []).reduce((total, term) => total + term.weight * term.score, 0)
      assert.ok(Math.abs(sum - item.score) <= 1e-12 * Math.max(1, Math.abs(item.score)))
      for (const { stage, score } of item.terms ?? []) {
        if (stage !== 'boost') assert.ok(score >= 0 && score <= 1)
      }
      assert.ok((item.reasons ?? []).length > 0)
    }
    const { explanation } = answer
    assert.ok(explanation !== undefined)
    assert.equal(
      explanation.sources.reduce((sum, source) => sum + source.shown, 0),
      answer.items.length,
    )
    const seen = explanation.filters.find(filter => filter.name === 'seen')?.removed ?? 0
    assert.ok(seen > 0 && seen <= seenBy('p3').size)
    assert.ok(explanation.history.length > 0)
  }
})

test('the personal source prefers the taste of the person', () => {
  const { items } = product.recommendations.recommend('plain', {
    person: 'p1',
    n: 2,
    explain: true,
  })
  for (const item of items) {
    assert.equal(item.source, 'forYou')
    const number = Number(item.id.slice(1))
    assert.ok(number >= 40 && number < 80, item.id)
    assert.match(item.reasons?.[0] ?? '', /^because of Clip \d+$/)
  }
})

test('stages of a team are named, run in their order and are accounted for', async () => {
  // Effects of earlier answers run first.
  await new Promise(resolve => setImmediate(() => setImmediate(resolve)))
  effects.length = 0
  const failures = product.modules
    .get('recommendations')
    ?.metrics.find(metric => metric.name.endsWith('effect_failures_total'))
  const failedBefore = failures?.collect()[0]?.value ?? 0
  const answer = product.recommendations.recommend('staged', { person: 'nobody', explain: true })
  const ids = answer.items.map(({ id }) => id)
  // Backwards: the boosted item and the editors' picks come last.
  assert.equal(ids.at(-1), 'c4')
  assert.deepEqual(ids.slice(-3, -1), ['c8', 'c7'])
  assert.ok(ids.every(id => id === 'c7' || Number(id.slice(1)) % 2 === 0))
  const picked = answer.items.find(({ id }) => id === 'c7')
  assert.equal(picked?.source, 'editorial')
  assert.ok(picked?.reasons?.includes('picked by the editors'))
  assert.ok((answer.explanation?.filters.find(filter => filter.name === 'even')?.removed ?? 0) > 0)
  assert.equal(answer.explanation?.rerankers[0]?.name, 'backwards')
  assert.ok((answer.explanation?.rerankers[0]?.moved.length ?? 0) > 0)
  await new Promise(resolve => setImmediate(() => setImmediate(resolve)))
  assert.deepEqual(effects, [answer.answerId])
  assert.equal(failures?.collect()[0]?.value, failedBefore + 1)
})

test('a stage sees the person, the history and attributes', async () => {
  let seen: StageContext | undefined
  const probing = clipsApp({
    probe: surface({
      items: Clip,
      sources: [
        defineSource({
          name: 'probe',
          candidates(context) {
            seen = context
            return []
          },
        }),
      ],
    }),
  })
  const own = await openTestProduct(probing)
  try {
    await own.catalogue.put('clip', clips(3))
    await own.track([{ type: 'watched', data: { viewer: 'p1', clip: 'c1', ms: 500 } }])
    await own.settle()
    const answer = own.recommendations.recommend('probe', { person: 'p1', item: 'c2', n: 3 })
    assert.deepEqual(answer.items, [])
    assert.equal(seen?.person, 'p1')
    assert.equal(seen.size, 3)
    assert.deepEqual(seen.item, { kind: 'clip', id: 'c2' })
    assert.equal(seen.history()[0]?.item, 'clip/c1')
    assert.equal(seen.attributes({ kind: 'clip', id: 'c2' })?.['title'], 'Clip 2')
    assert.equal(seen.nowMs, own.clock.timeMs)
  } finally {
    await own.close()
  }
})

test('a person of whom nothing is known gets a mix, a person with one event is known at once', async () => {
  const cold = product.recommendations.recommend('home', {
    person: 'newcomer',
    n: 20,
    explain: true,
  })
  assert.equal(cold.isColdStart, true)
  assert.equal(cold.items.length, 20)
  assert.ok(new Set(cold.items.map(item => item.source)).size >= 2)
  await product.track([{ type: 'watched', data: { viewer: 'newcomer', clip: 'c0', ms: 1_000 } }])
  await product.streams.reached({ position: new Map(product.log.ends()), timeoutMs: 60_000 })
  const warm = product.recommendations.recommend('plain', { person: 'newcomer', n: 3 })
  assert.equal(warm.isColdStart, false)
  assert.equal(warm.items[0]?.source, 'forYou')
  assert.equal(product.recommendations.recommend('home').person, undefined)
})

test('new items are shown, similar ones are found by content, removed ones disappear', async () => {
  const own = await openTestProduct(clipsApp())
  try {
    await own.catalogue.put('clip', clips(200))
    await own.track(EVENTS)
    await own.settle()
    own.clock.timeMs += 60_000
    await own.catalogue.put('clip', [
      { id: 'brand-new', attributes: { title: 'New', topics: ['topic 3'], creator: 'creator 3' } },
    ])
    await own.settle()
    const shown = Array.from({ length: 30 }, (_, who) =>
      own.recommendations.recommend('home', { person: `p${who}`, n: 20 }),
    ).filter(answer => answer.items.some(item => item.id === 'brand-new'))
    assert.ok(shown.length > 0, 'nobody saw the new item')
    const similar = own.recommendations.similar('clip', 'brand-new', { n: 3 }).items
    assert.ok(similar.length > 0)
    for (const item of similar) {
      const { topics, creator } = item.attributes as { topics: string[]; creator: string }
      assert.ok(topics.includes('topic 3') || creator === 'creator 3')
    }
    const known = own.recommendations.similar('clip', 'c1', { n: 5 }).items
    assert.equal(known[0]?.score, 1)
    assert.ok(known.every(item => item.id !== 'c1'))
    const [first] = own.recommendations.popular('clip', { n: 1 }).items
    await own.catalogue.remove('clip', { id: first?.id as string })
    await own.settle()
    const gone = (items: readonly { id: string }[]): void =>
      assert.ok(items.every(item => item.id !== first?.id))
    gone(own.recommendations.popular('clip', { n: 100 }).items)
    gone(own.recommendations.recommend('home', { n: 100 }).items)
    assert.throws(
      () => own.recommendations.similar('clip', first?.id as string),
      (error: unknown) => isError(error, 'ITEM_UNKNOWN'),
    )
  } finally {
    await own.close()
  }
})

test('an app without items in its catalogue recommends what it knows from events', async () => {
  const own = await openTestProduct(clipsApp())
  try {
    await own.track(EVENTS)
    await own.settle()
    const answer = own.recommendations.recommend('home', { person: 'p1', n: 5 })
    assert.equal(answer.items.length, 5)
    assert.equal(answer.items[0]?.attributes, undefined)
    assert.ok(own.recommendations.similar('clip', 'c1').items.length > 0)
  } finally {
    await own.close()
  }
})

test('what people turned down is not shown, even where seen items are', async () => {
  const own = await openTestProduct(
    clipsApp({ again: surface({ items: Clip, filters: ['disliked'] }) }),
  )
  try {
    await own.catalogue.put('clip', clips(20))
    await own.track([
      { type: 'rated', data: { viewer: 'p1', clip: 'c1', stars: 1 } },
      { type: 'rated', data: { viewer: 'p1', clip: 'c2', stars: 5 } },
      { type: 'rated', data: { viewer: 'p1', clip: 'c3', stars: 1 } },
      { type: 'rated', data: { viewer: 'p1', clip: 'c3', stars: 5 } },
      { type: 'rated', data: { viewer: 'p2', clip: 'c1', stars: 5 } },
    ])
    await own.settle()
    const ids = own.recommendations
      .recommend('again', { person: 'p1', n: 50 })
      .items.map(item => item.id)
    assert.ok(!ids.includes('c1'))
    assert.ok(ids.includes('c2') && ids.includes('c3'))
  } finally {
    await own.close()
  }
})

test('personal attributes of items stay inside', () => {
  for (const { attributes } of product.recommendations.recommend('home', { person: 'p1' }).items) {
    assert.ok(attributes !== undefined && !('note' in attributes) && 'title' in attributes)
  }
  assert.ok(!('note' in (product.recommendations.popular('clip').items[0]?.attributes ?? {})))
})

test('requests that make no sense are refused with a code', () => {
  const { recommendations } = product
  const refused = (code: string, run: () => unknown): void =>
    assert.throws(run, (error: unknown) => isError(error, code))
  refused('SURFACE_UNKNOWN', () => recommendations.recommend('x'.repeat(1e6)))
  refused('SURFACE_UNKNOWN', () => recommendations.recommend('__proto__'))
  for (const n of [0, -1, 1.5, 101, Number.NaN, Infinity]) {
    refused('REQUEST_INVALID', () => recommendations.recommend('home', { n }))
    refused('REQUEST_INVALID', () => recommendations.trending('clip', { n }))
  }
  refused('REQUEST_INVALID', () => recommendations.recommend('home', { person: '' }))
  refused('REQUEST_INVALID', () => recommendations.recommend('home', { person: 'x'.repeat(257) }))
  refused('REQUEST_INVALID', () =>
    recommendations.recommend('home', { exclude: Array.from({ length: 1_001 }, () => 'a') }),
  )
  refused('KIND_UNKNOWN', () => recommendations.trending('constructor'))
  refused('KIND_UNKNOWN', () => recommendations.similar('nothing', 'c1'))
  refused('ITEM_UNKNOWN', () => recommendations.similar('clip', '../c1'))
  for (const person of ['__proto__', 'a/b', '💥', "'; drop"]) {
    assert.equal(recommendations.recommend('home', { person }).isColdStart, true)
  }
})

test('stages that do not fit are refused when the module opens', async () => {
  const open = (stages: object): Promise<unknown> =>
    openTestProduct(clipsApp({ bad: surface({ items: Clip, ...stages }) }))
  const isRefusal = (error: unknown): boolean => isError(error, 'STAGE_INVALID')
  const filter = defineFilter({ name: 'f', keep: () => true })
  await assert.rejects(open({ sources: [filter] }), isRefusal)
  await assert.rejects(open({ sources: [{ stage: 'source', name: 'empty' }] }), isRefusal)
  await assert.rejects(open({ sources: ['popular', 'popular'] }), isRefusal)
  await assert.rejects(open({ sources: ['magic'] }), isRefusal)
  await assert.rejects(open({ filters: ['magic'] }), isRefusal)
})

test('the shares that the runtime explores are the declared one', () => {
  let slots = 0
  let explored = 0
  for (let turn = 0; turn < 1_000; turn++) {
    const { items } = product.recommendations.recommend('home', { person: `p${turn % 30}`, n: 10 })
    slots += items.length
    for (const item of items) {
      if (item.isExplored) {
        explored += 1
        assert.ok(item.propensity < 0.1)
      } else assert.ok(Math.abs(item.propensity - 0.9) < 1e-12)
    }
  }
  // Five deviations of a binomial share.
  const deviation = Math.sqrt((0.1 * 0.9) / slots)
  assert.ok(Math.abs(explored / slots - 0.1) < 5 * deviation, `${explored} of ${slots}`)
})

test('every answer is an exposure, and can be explained from it', async () => {
  const answer = product.recommendations.recommend('home', { person: 'p5', n: 7 })
  await product.recommendations.flush()
  const records = []
  for await (const record of product.log.history({ stream: EXPOSURES, keys: ['p5'] }))
    records.push(record)
  const record = records.find(entry => entry.id === answer.answerId)
  const exposure = record?.data as Exposure
  assert.equal(exposure.s, 'home')
  assert.equal(exposure.r, answer.position)
  assert.deepEqual(
    exposure.i.map(([key, , , propensity]) => [key, propensity]),
    answer.items.map(item => [`clip/${item.id}`, item.propensity]),
  )
  for (const person of [undefined, 'p5']) {
    const past = await product.recommendations.explainAnswer(answer.answerId, person)
    assert.equal(past.person, 'p5')
    assert.deepEqual(
      past.items.map(({ id, source }) => [id, source]),
      answer.items.map(({ id, source }) => [id, source]),
    )
    assert.ok(past.history.length > 0)
    assert.equal(
      past.history[0]?.type,
      EVENTS.findLast(event => event.data['viewer'] === 'p5')?.type,
    )
  }
  const isUnknown = (error: unknown): boolean => isError(error, 'ANSWER_UNKNOWN')
  await assert.rejects(product.recommendations.explainAnswer('nothing'), isUnknown)
  await assert.rejects(product.recommendations.explainAnswer(answer.answerId, 'p6'), isUnknown)
  await assert.rejects(
    product.recommendations.explainAnswer(answer.answerId.replace(/.$/, 'x')),
    isUnknown,
  )
})

test('the bytes of an answer say what the answer says, and its token what was logged', async () => {
  const route = product.routes.find(({ operation }) => operation === 'recommend')
  for (const surface of ['plain', 'staged', 'everything']) {
    for (const person of ['p5', 'nobody "at" all', undefined]) {
      for (const explain of [false, true]) {
        const told = await route?.handle({
          params: { surface },
          query: { person, explain, n: 10 },
          body: undefined,
        })
        const body = JSON.parse(Buffer.from(told?.bytes ?? '', 'latin1').toString()) as Answer
        const { positionVector, token, answerId, ...answer } = product.recommendations.recommend(
          surface,
          { person, explain, n: 10 },
        )
        const { token: textToken, answerId: textId, ...text } = body
        for (const [place, { score }] of text.items.entries()) {
          const exact = answer.items[place]?.score ?? NaN
          // Explained scores are the sums of their terms; others have six digits.
          assert.ok(Math.abs(score - exact) <= (explain ? 0 : 5.1e-6 * exact))
        }
        const items = answer.items.map((item, place) => ({
          ...item,
          score: text.items[place]?.score,
        }))
        assert.deepEqual(text, JSON.parse(JSON.stringify({ ...answer, items })))
        assert.equal(told?.position, positionVector)
        assert.notEqual(textId, answerId)
        const logged = product.recommendations.readToken(textToken)
        assert.equal(logged.a, textId)
        assert.deepEqual({ ...logged, a: answerId }, product.recommendations.readToken(token))
        assert.deepEqual(
          logged.i.map(([key, source]) => [key, logged.c[source]]),
          text.items.map(({ kind, id, source }) => [`${kind}/${id}`, source]),
        )
        for (const [place, [, , score, propensity]] of logged.i.entries()) {
          const item = text.items[place] as (typeof text.items)[number]
          assert.ok(Math.abs(score - item.score) <= 1e-5 * Math.abs(item.score))
          assert.equal(propensity, item.propensity)
        }
      }
    }
  }
})

test('tokens carry the exposure, and only ours are believed', () => {
  const answer = product.recommendations.recommend('home', { person: 'p5', n: 3 })
  const { token } = answer
  assert.equal(token, answer.token)
  const exposure = product.recommendations.readToken(token)
  assert.equal(exposure.a, answer.answerId)
  assert.equal(exposure.i.length, 3)
  const [version = '', body = '', mac = ''] = token.split('.')
  const forged = Buffer.from(JSON.stringify({ ...exposure, e: 1 })).toString('base64url')
  for (const bad of [
    '',
    'a.b.c',
    `${version}.${forged}.${mac}`,
    `${version}.${body}.`,
    `${version}.${body}.${mac.slice(1)}`,
    `${version}.${body}`,
    'x'.repeat(300_000),
  ]) {
    assert.throws(
      () => product.recommendations.readToken(bad),
      (error: unknown) => isError(error, 'TOKEN_INVALID'),
    )
  }
})
