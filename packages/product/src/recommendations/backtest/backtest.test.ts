import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createSeededRandom,
  isError,
  surface,
  systemClock,
  type App,
  type AppOptions,
} from '@millrace/core'
import { createMemorySnapshotStore } from '@millrace/store/memory'
import type { IdentityLink, RequestedCorrection } from '@millrace/streams'
import { audience, Clip, clips, clipsApp, rankedClips } from '../../testing/clips-app.ts'
import {
  createTestClock,
  openTestProduct,
  testFolds,
  type TestProduct,
} from '../../testing/open-product.ts'
import type { Answer } from '../answer.ts'
import { EXPOSURES, type Exposure } from '../events.ts'
import { defineFilter } from '../stages.ts'
import { backtest, type BacktestOptions, type BacktestReport } from './backtest.ts'
import type { AnswerDifference } from './differences.ts'

const CLIPS = 120
const PEOPLE = 40
const EVENTS = audience({ events: 1_800, people: PEOPLE, clips: CLIPS, seed: 11 })
const surfaces = {
  new: surface({ items: Clip, sources: ['fresh', 'because', 'popular'], explore: 0.2 }),
  ranked: surface({ items: Clip, ranker: rankedClips.ranker, explore: 0.1 }),
}
const appOf = (named: AppOptions['surfaces']): App => clipsApp(named, rankedClips.features)

/** A product that answers while people act, items change and the process restarts. */
async function live(): Promise<{
  readonly product: TestProduct
  readonly answers: readonly Answer[]
}> {
  const clock = createTestClock(1_799_000_000_000)
  const snapshots = createMemorySnapshotStore()
  /** Given for p4 around each merge. */
  const answers: Answer[] = []
  const open = (log?: TestProduct['log']): Promise<TestProduct> =>
    openTestProduct(appOf(surfaces), { clock, snapshots, ...(log === undefined ? {} : { log }) })
  let product = await open()
  const random = createSeededRandom(9)
  const pick = (below: number): number => Math.floor(random.next() * below)
  await product.catalogue.put('clip', clips(CLIPS - 20))
  for (let from = 0; from < EVENTS.length; from += 30) {
    const batch = EVENTS.slice(from, from + 30)
    clock.timeMs = Math.max(clock.timeMs, batch.at(-1)?.atMs ?? 0)
    await product.track(batch)
    // Answers come while the folds are somewhere on the way.
    if (pick(2) === 0)
      await product.streams.reached({ position: new Map(product.log.ends()), timeoutMs: 60_000 })
    for (let count = pick(12); count > 0; count--) {
      clock.timeMs += pick(90)
      const person = pick(10) === 0 ? undefined : `p${pick(PEOPLE + 3)}`
      const special =
        pick(4) === 0
          ? { n: 1 + pick(20), exclude: [`c${pick(CLIPS)}`, 'c3'], item: `c${pick(CLIPS)}` }
          : {}
      const name = (['new', 'ranked', 'ranked', 'home', 'home'] as const)[pick(5)] as string
      const told = name === 'ranked' && pick(3) === 0 ? { context: { hour: pick(24) } } : {}
      product.recommendations.recommend(name, { person, ...special, ...told })
    }
    if (from % 300 === 0) {
      const put = clips(CLIPS)[CLIPS - 20 + from / 300]
      if (put !== undefined) await product.catalogue.put('clip', [put])
      if (from % 900 === 0) await product.catalogue.remove('clip', { id: `c${pick(50)}` })
    }
    if (from === 1_500) await product.track([{ ...late(1), atMs: EVENTS[300]?.atMs }])
    const links = LINKS.get(from)
    if (links !== undefined) {
      answers.push(product.recommendations.recommend('home', { person: 'p4' }))
      await merge(product, links)
      answers.push(product.recommendations.recommend('home', { person: 'p4' }))
    }
    if (from === 600) await correct(product, 'retract')
    if (from === 1_200) await correct(product, 'restore')
    if (from === 900) {
      await product.settle()
      await product.recommendations.flush()
      await product.streams.snapshot()
      const { log } = product
      for (const module of [...product.modules.values()].reverse()) await module.close?.()
      await product.streams.close()
      product = await open(log)
    }
  }
  await product.settle()
  await product.recommendations.flush()
  return { product, answers }
}

/** A version of a clip that says other topics. */
const late = (clip: number) => ({
  type: 'clip.put',
  data: {
    id: `c${clip}`,
    attributes: { ...clips(clip + 1)[clip]?.attributes, topics: ['topic 3'] },
  },
})

/** Takes the events of some people back, or back in: answers before that knew them. */
async function correct(
  { log, streams }: TestProduct,
  action: 'retract' | 'restore',
): Promise<void> {
  const corrections: RequestedCorrection[] = []
  for await (const { id, type } of log.history({ stream: 'person', keys: ['p1', 'p2', 'p3'] })) {
    if (type === 'watched') corrections.push({ id, action })
  }
  const { results } = await streams.corrections.apply({ corrections, reason: 'bots', by: 'test' })
  assert.ok(results.some(({ status }) => status === 'corrected'))
}

/** Who turns out to be whom, or nobody else after all, after so many events. */
const LINKS: ReadonlyMap<number, readonly IdentityLink[]> = new Map([
  [450, [{ from: 'p4', into: 'p5' }, { from: 'p6', into: 'p5' }, { from: 'p1', into: 'p7' }]],
  [1_350, [{ from: 'p4', into: null }, { from: 'p1', into: null }, { from: 'p8', into: 'p9' }]],
]) // prettier-ignore

async function merge({ streams }: TestProduct, links: readonly IdentityLink[]): Promise<void> {
  const { results } = await streams.identities.apply({ links, reason: 'logged in', by: 'test' })
  assert.ok(results.every(({ status }) => status === 'changed'), JSON.stringify(results)) // prettier-ignore
}

async function run(
  { log }: TestProduct,
  app: App,
  options: Partial<BacktestOptions> = {},
): Promise<{ readonly report: BacktestReport; readonly differences: readonly AnswerDifference[] }> {
  const differences: AnswerDifference[] = []
  const report = await backtest(
    { app, folds: testFolds(app), log, clock: systemClock },
    { surface: 'home', onDifference: difference => void differences.push(difference), ...options },
  )
  return { report, differences }
}

test('past answers are given again: exactly by the same definition, otherwise by another', async t => {
  const { product, answers } = await live()
  t.after(() => product.close())

  await t.test('the definition that answered gives every answer again', async () => {
    for (const name of ['home', 'new', 'ranked']) {
      const { report, differences } = await run(product, appOf(surfaces), { surface: name })
      assert.deepEqual(differences.slice(0, 3), [])
      const { answered, different, withoutState, outOfOrder, refused } = report.requests
      assert.deepEqual(
        { different, withoutState, outOfOrder, refused },
        { different: 0, withoutState: 0, outOfOrder: 0, refused: 0 },
      )
      assert.ok(answered > 50, `${name}: ${answered}`)
      assert.deepEqual([report.stages, report.losing, report.winning], [[], [], []])
      const { earnings } = report
      assert.ok(earnings !== undefined && earnings.logged > 0)
      assert.ok(Math.abs(earnings.inversePropensity.change.value) < 1e-12)
      assert.ok(Math.abs(earnings.inversePropensity.weights.mean - 1) < 1e-12)
    }
  })

  await t.test('who was merged, and split again, was answered as each was then', async () => {
    const exposed = new Map<string, string | undefined>()
    for (let partition = 0; partition < 4; partition++) {
      for (const { data } of await product.log.read({ stream: EXPOSURES, partition, from: 0 })) {
        const { a: answerId, p: person } = data as Exposure
        exposed.set(answerId, person)
      }
    }
    // Before the first merge, after it, before the split, after it.
    assert.deepEqual(answers.map(({ answerId }) => exposed.get(answerId)), ['p4', 'p5', 'p5', 'p4']) // prettier-ignore
    for (const { answerId, items } of answers) {
      const { answer } = (await run(product, appOf(surfaces), { answerId })).report
      assert.deepEqual(answer?.items.map(({ id }) => id), items.map(({ id }) => id)) // prettier-ignore
    }
  })

  await t.test('a rule that is added takes its slots, and says whose', async () => {
    const without = defineFilter({
      name: 'without creator 1',
      keep: item => item.attributes?.['creator'] !== 'creator 1',
    })
    const home = surface({
      items: Clip,
      limits: [{ field: 'creator', max: 3 }],
      explore: 0.1,
      filters: ['seen', 'disliked', without],
    })
    const { report, differences } = await run(product, appOf({ ...surfaces, home }))
    const [first] = report.stages
    assert.equal(first?.stage, 'filter without creator 1')
    const [most] = report.losing.filter(({ field }) => field === 'creator')
    assert.deepEqual([most?.value, most?.after], ['creator 1', 0])
    assert.equal(first.dropped, most?.before)
    assert.equal(first.share, first.dropped / report.slots.shown)
    assert.equal(report.requests.different, differences.length)
    const dropped = differences.flatMap(difference => difference.dropped)
    assert.equal(dropped.length, report.slots.dropped)
    assert.ok(report.slots.added > 0 && report.slots.moved > 0)
    assert.ok(
      report.requests.peopleDifferent > 0 &&
        report.requests.peopleDifferent <= report.requests.people,
    )
    // Slots that it takes say nothing of it.
    const { weights, choices } = report.earnings?.selfNormalised ?? {}
    assert.ok((weights?.effectiveSampleSize ?? Infinity) < (choices ?? 0))
  })

  await t.test('a span, or one answer, is answered alone', async () => {
    const all = await run(product, appOf({ home: surface({ items: Clip, sources: ['popular'] }) }))
    const [one] = all.differences
    assert.ok(one !== undefined)
    const alone = await run(product, appOf(surfaces), { answerId: one.answerId })
    assert.deepEqual([alone.report.requests.answered, alone.report.requests.different], [1, 0])
    const { answer } = alone.report
    assert.ok(answer?.isSame === true && answer.definition === answer.definitionNow)
    for (const { score, terms = [] } of answer.items) {
      const sum = terms.reduce((total, term) => total + term.weight * term.score, 0)
      assert.ok(terms.length > 0 && Math.abs(sum - score) < 1e-12)
    }
    assert.ok((answer.explanation?.sources.length ?? 0) > 0)
    const { report } = await run(product, appOf(surfaces), {
      fromMs: one.atMs,
      toMs: one.atMs + 1,
    })
    assert.ok(
      report.requests.answered >= 1 && report.requests.answered < all.report.requests.answered,
    )
    assert.equal(report.requests.different, 0)
  })

  await t.test('what cannot be answered again is refused or counted', async () => {
    await assert.rejects(run(product, appOf(surfaces), { surface: 'missing' }), error =>
      isError(error, 'SURFACE_UNKNOWN'),
    )
    const small = surface({ items: Clip, size: { default: 2, max: 3 } })
    const { report } = await run(product, appOf({ ...surfaces, home: small }))
    assert.ok(report.requests.refused > 0)
  })
})
