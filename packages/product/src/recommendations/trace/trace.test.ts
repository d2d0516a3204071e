import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSeededRandom, isError, surface, systemClock } from '@millrace/core'
import { audience, Clip, clips, clipsApp, rankedClips } from '../../testing/clips-app.ts'
import { openTestProduct, testFolds, type TestProduct } from '../../testing/open-product.ts'
import type { Answer } from '../answer.ts'
import { EXPOSURES, ITEM_SIGNALS, type Exposure, type ItemSignal } from '../events.ts'
import { PROFILE_FOLD } from '../profile-fold.ts'
import { defineFilter, defineScorer } from '../stages.ts'
import { trace, type TracePorts } from './trace.ts'

const CLIPS = 90
const PEOPLE = 20
const EVENTS = audience({ events: 900, people: PEOPLE, clips: CLIPS, seed: 4 })
const noNinth = defineFilter({ name: 'no ninth', keep: ({ id }) => !id.endsWith('9') })
const short = defineScorer({ name: 'short', score: ({ id }) => 1 / id.length })
const surfaces = {
  ranked: surface({ items: Clip, ranker: rankedClips.ranker, scorers: [short], explore: 0.2 }),
  picky: surface({
    items: Clip,
    filters: ['seen', 'disliked', noNinth],
    scorers: [short],
    limits: [{ field: 'creator', max: 1 }],
    explore: 0.2,
  }),
}
const app = clipsApp(surfaces, rankedClips.features)

interface Given {
  readonly answer: Answer
  readonly surface: string
}

/** Answers while people act, so that the state of each is another. */
async function live(): Promise<{ product: TestProduct; given: Given[] }> {
  const product = await openTestProduct(app)
  const random = createSeededRandom(3)
  const given: Given[] = []
  await product.catalogue.put('clip', clips(CLIPS))
  for (let from = 0; from < EVENTS.length; from += 90) {
    await product.track(EVENTS.slice(from, from + 90))
    if (from % 180 === 0) await product.settle()
    for (const name of ['home', 'picky', 'ranked']) {
      const person = `p${Math.floor(random.next() * PEOPLE)}`
      const item = from === 450 ? { item: 'c7' } : {}
      const answer = product.recommendations.recommend(name, { person, explain: true, ...item })
      given.push({ answer, surface: name })
    }
  }
  await product.settle()
  return { product, given }
}

test('past answers are traced: candidates, terms, features, and the events behind them', async t => {
  const { product, given } = await live()
  t.after(() => product.close())
  const { traces } = product.recommendations

  await t.test('every candidate tells what became of it, as the answer counted it', async () => {
    for (const { answer } of given) {
      const traced = await traces.answer(answer.answerId, { limit: 10_000 })
      assert.equal(traced.isSame, true)
      assert.deepEqual(traced.missing, [])
      const { traced: candidates = [], explanation, outcomes = [] } = traced
      assert.deepEqual(explanation, answer.explanation)
      const counts = new Map(outcomes.map(({ outcome, count }) => [outcome, count]))
      assert.equal(counts.get('shown'), answer.items.length)
      for (const { name, removed } of explanation?.filters ?? []) {
        if (name !== 'listed') assert.equal(counts.get(`filter ${name}`) ?? 0, removed, name)
      }
      const scored = candidates.filter(({ rank }) => rank !== undefined)
      assert.equal(scored.length, explanation?.candidates)
      for (const { score, terms } of scored) {
        const sum = terms.reduce((total, term) => total + term.weight * term.score, 0)
        assert.ok(score !== undefined && Math.abs(sum - score) < 1e-12)
      }
      answer.items.forEach(({ id, score, terms = [] }, slot) => {
        const shown = candidates[slot]
        assert.deepEqual([shown?.id, shown?.score, shown?.slot], [id, score, slot + 1])
        assert.deepEqual(
          shown?.terms.map(({ stage, weight, score: own }) => ({ stage, weight, score: own })),
          terms,
        )
      })
    }
  })

  await t.test(
    'a surface that ranks by features tells the columns, as they were read',
    async () => {
      const { answer } = given.findLast(({ surface: name }) => name === 'ranked') as Given
      const { read, traced = [], explanation, versions } = await traces.answer(answer.answerId, { limit: 500 }) // prettier-ignore
      assert.equal(explanation?.service, 'ranking')
      const scored = traced.filter(({ score }) => score !== undefined)
      const { service, fingerprint, position, rows } = read ?? {}
      assert.deepEqual([service, position, rows], ['ranking', answer.position, scored.length])
      assert.match(String(fingerprint), /^[0-9a-z]{12}$/)
      assert.ok(versions.folds.some(({ name }) => name === 'feature.taste'))
      assert.ok(traced.some(({ outcome, terms }) => outcome === 'candidates' && terms.length === 0))
      for (const { id, terms } of scored) {
        assert.deepEqual(terms.map(({ stage }) => stage), ['taste', 'plays', 'watched', 'night', 'short']) // prettier-ignore
        const values = new Map(
          terms.flatMap(({ features }) => features.map(each => [each.name, each])),
        )
        const of = (name: string): number => values.get(name)?.value as number
        assert.equal(terms[0]?.score, Math.log1p(of('acts')) + of('stars'))
        assert.equal(terms[1]?.score, 0.2 * Math.log1p(of('plays')) + 0.1 * of('plays1h'))
        assert.deepEqual(terms[3]?.features.map(({ name, status }) => [name, status])[0], ['hour', 'default']) // prettier-ignore
        const [acts] = values.get('acts')?.from ?? []
        const topic = `topic ${Number(id.slice(1)) % 7}`
        assert.deepEqual(
          [acts?.feature, acts?.entity, acts?.pair],
          ['taste.acts', answer.person, topic],
        )
        const [plays] = values.get('plays')?.from ?? []
        assert.equal(plays?.events, `/v1/features/clipStats/${id}/plays/events?at=${position}&ends=${read?.atMs}`) // prettier-ignore
      }
    },
  )

  await t.test('a candidate is asked for alone, and reasons name what ranked it', async () => {
    const { answer } = given.findLast(({ surface: name }) => name === 'ranked') as Given
    const { traced: all = [] } = await traces.answer(answer.answerId, { limit: 500 })
    const item = `clip/${answer.items[2]?.id}`
    const { traced, next } = await traces.answer(answer.answerId, { item, limit: 500 })
    assert.deepEqual([traced, next], [[all[2]], undefined])
    for (const { reasons = [], terms = [], isExplored } of answer.items) {
      const most = Math.max(...terms.map(({ score }) => Math.abs(score)))
      const first = terms.find(({ score }) => Math.abs(score) === most)
      const ranked = reasons[Number(isExplored)] ?? ''
      assert.ok(ranked.startsWith(`ranked by ${first?.stage} ${(first?.score ?? 0) < 0 ? '−' : '+'}${most.toFixed(2)}`), ranked) // prettier-ignore
      assert.match(reasons.at(-1) ?? '', /^proposed: /)
    }
    await assert.rejects(traces.behind(answer.answerId, { item, stage: 'taste', limit: 1 }), error =>
      isError(error, 'REQUEST_INVALID') && error.message.includes('term over features'),
    ) // prettier-ignore
  })

  await t.test('the features make up the terms', async () => {
    let compared = 0
    for (const { answer } of given.slice(1, 7)) {
      const { traced = [] } = await traces.answer(answer.answerId, { limit: 500 })
      const sums = traced.flatMap(({ terms }) =>
        terms
          .filter(({ stage }) => stage === 'forYou')
          .map(({ score, features }) => {
            const transitions = features.filter(({ name }) => name === 'transition')
            return {
              score,
              sum: transitions.reduce((sum, { value }) => sum + (value as number), 0),
              transitions,
            }
          }),
      )
      const [first] = sums.filter(({ transitions }) => transitions.length < 5)
      for (const { score, sum, transitions } of sums) {
        if (first === undefined || transitions.length === 5) continue
        // Sums are kept as 32-bit numbers.
        assert.ok(Math.abs(sum / first.sum - score / first.score) < 1e-5)
        compared += 1
      }
    }
    assert.ok(compared > 10, `${compared}`)
  })

  await t.test('candidates come in pages, from one fold of the past', async () => {
    const { answerId } = (given[5] as Given).answer
    const whole = await traces.answer(answerId, { limit: 10_000 })
    const pages = []
    for (let after: number | undefined = 0; after !== undefined;) {
      const page = await traces.answer(answerId, { limit: 7, after })
      pages.push(...(page.traced ?? []))
      after = page.next
    }
    assert.deepEqual(pages, whole.traced)
  })

  await t.test(
    'the events behind a term are those that the answer knew, and say who and what since',
    async () => {
      const { answer } = given[9] as Given
      const exposure = await exposureOf(product, answer.answerId)
      const { traced = [] } = await traces.answer(answer.answerId, { limit: 500 })
      const found = traced.find(({ terms }) => terms.some(({ stage }) => stage === 'trending'))
      const item = `clip/${found?.id}`
      const all = []
      for (let before: number | undefined; ;) {
        const page = await traces.behind(answer.answerId, { item, stage: 'trending', limit: 3, before }) // prettier-ignore
        all.push(...page.events)
        if (page.next === undefined) break
        before = page.next
      }
      const to = exposure.x?.[2][0]
      const signals = []
      for await (const record of product.log.history({
        stream: ITEM_SIGNALS,
        keys: [item],
        ...(to === undefined ? {} : { to }),
      })) {
        // prettier-ignore
        if (record.key === item) signals.push({ atMs: record.eventTimeMs, weight: (record.data as ItemSignal).weight }) // prettier-ignore
      }
      assert.ok(all.length > 3, `${all.length}`)
      assert.deepEqual(
        all.map(({ atMs, weight }) => ({ atMs, weight })),
        signals.reverse(),
      )
      for (const { id, person, type } of all) {
        const event = await product.log.find(id)
        assert.deepEqual([event?.type, event?.stream], [type, 'person'])
        assert.ok(person !== undefined && person.startsWith('p'))
      }
      const [first] = all
      await product.streams.corrections.apply({
        corrections: [{ id: first?.id as string, action: 'retract' }],
        reason: 'not a person',
        by: 'test',
      })
      const [now] = (await traces.behind(answer.answerId, { item, stage: 'trending', limit: 1 })).events // prettier-ignore
      assert.deepEqual(now, { ...first, corrected: 'retract' })
      for (const stage of ['forYou', 'because', 'fresh'] as const) {
        const shown = traced.find(({ terms }) => terms.some(term => term.stage === stage))
        const page = await traces.behind(answer.answerId, { item: `clip/${shown?.id}`, stage, limit: 9 }) // prettier-ignore
        assert.ok(page.events.length > 0 || stage === 'because', stage)
        if (stage === 'fresh') assert.deepEqual(page.events.map(({ type }) => type), ['clip.put']) // prettier-ignore
      }
      const refused = { item: 'clip/c1', stage: 'short', limit: 1 }
      await assert.rejects(traces.behind(answer.answerId, refused), error =>
        isError(error, 'REQUEST_INVALID'),
      )
    },
  )

  await t.test(
    'an answer from before a correction is as it was, and says what was corrected',
    async () => {
      const { answer } = given.find(
        one => (one.answer.explanation?.history.length ?? 0) > 3,
      ) as Given
      const { history } = await traces.answer(answer.answerId, { limit: 1 })
      await product.streams.corrections.apply({
        corrections: history.map(({ eventId }) => ({ id: eventId, action: 'retract' })),
        reason: 'not a person',
        by: 'test',
      })
      await product.catalogue.remove('clip', { id: answer.items[0]?.id as string })
      await product.settle()
      const traced = await traces.answer(answer.answerId, { limit: 1 })
      assert.equal(traced.isSame, true)
      assert.deepEqual(
        traced.missing.map(({ code }) => code),
        ['ITEMS_GONE', 'EVENTS_CORRECTED'],
      )
      const { was, now } = traced.versions.corrections
      assert.ok(was < now)
      await assert.rejects(traces.answer('nothing', { limit: 1 }), error =>
        isError(error, 'ANSWER_UNKNOWN'),
      )
    },
  )

  await t.test('what a person was given is listed, as of any time', async () => {
    const { person = '' } = (given[4] as Given).answer
    const own = given.filter(({ answer }) => answer.person === person).reverse()
    const all = await traces.given(person, { limit: 100 })
    assert.deepEqual(
      all.answers.map(({ answerId, surface: name }) => [answerId, name]),
      own.map(({ answer, surface: name }) => [answer.answerId, name]),
    )
    const [newest] = all.answers
    assert.equal(newest?.items.length, own[0]?.answer.items.length)
    const last = all.answers.at(-1)
    assert.deepEqual((await traces.given(person, { limit: 100, atMs: (last?.atMs ?? 0) - 1 })).answers, []) // prettier-ignore
    const first = await traces.given(person, { limit: 1 })
    assert.deepEqual(first.answers, [newest])
  })

  await t.test('what cannot be folded is named', async () => {
    const exposure = await exposureOf(product, (given[3] as Given).answer.answerId)
    const folds = testFolds(app)
    const codeOf = async (changed: Exposure, ports: Partial<TracePorts> = {}): Promise<unknown> => {
      const { log } = product
      const made = await trace({ app, log, clock: systemClock, folds, ...ports }, changed, 0)
      return 'code' in made ? made.code : made.isSame
    }
    const { x: state = [0, [0], [0], [0]], ...old } = exposure
    assert.equal(await codeOf(exposure), true)
    assert.equal(await codeOf(old), 'STATE_NOT_NOTED')
    const { f: features, ...ranked } = await exposureOf(
      product,
      (given[5] as Given).answer.answerId,
    )
    assert.deepEqual(Object.keys(features ?? {}), ['feature.clipStats', 'feature.taste', 'table.person']) // prettier-ignore
    assert.equal(await codeOf(ranked), 'STATE_NOT_NOTED')
    assert.equal(await codeOf({ ...exposure, s: 'gone' }), 'SURFACE_GONE')
    assert.equal(await codeOf({ ...exposure, x: [4e6, [0], [0], state[3]] }), 'STATE_TOO_FAR')
    assert.equal(await codeOf({ ...exposure, q: { n: 10_000 } }), 'REQUEST_REFUSED')
    const other = folds.map(fold => (fold.name === PROFILE_FOLD ? { ...fold, version: 'x' } : fold))
    assert.equal(await codeOf(exposure, { folds: other }), 'DEFINITION_CHANGED')
  })
})

async function exposureOf({ log }: TestProduct, answerId: string): Promise<Exposure> {
  for (let partition = 0; partition < 4; partition++) {
    const records = await log.read({ stream: EXPOSURES, partition, from: 0 })
    const found = records.find(({ id }) => id === answerId)
    if (found !== undefined) return found.data as Exposure
  }
  throw new Error(`no exposure of ${answerId}`)
}
