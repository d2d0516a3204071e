import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSeededRandom, surface, systemClock } from '@millrace/core'
import { createCatalogue } from '../../catalogue/index.ts'
import { Clip, clips, clipsApp } from '../../testing/clips-app.ts'
import { openTestProduct } from '../../testing/open-product.ts'
import { createRecommendations } from '../module.ts'
import { defineScorer } from '../stages.ts'
import { backtest } from './backtest.ts'
import type { AnswerDifference } from './differences.ts'

const CLIPS = 12
const PEOPLE = 50
const REQUESTS = 2_000
const SLOTS = 3

/** What the oracle knows: how likely a person acts on a clip that is shown. */
function truth(person: string, item: string): number {
  const clip = Number(item.slice(item.indexOf('/') + 2))
  const who = Number(person.slice(1))
  return 0.05 + 0.3 * (clip / CLIPS) + (((who * 7 + clip * 5) % 10) / 10) * 0.2
}

test('in a world whose truth is known, the gain of a change is inside its interval', async () => {
  const options = { items: Clip, sources: ['popular', 'fresh'], filters: [], explore: 0.5 } as const
  const product = await openTestProduct(clipsApp({ home: surface(options) }))
  try {
    const random = createSeededRandom(17)
    const { clock } = product
    await product.catalogue.put('clip', clips(CLIPS))
    await product.settle()
    for (let asked = 0; asked < REQUESTS; asked++) {
      clock.timeMs += 20_000
      const person = `p${Math.floor(random.next() * PEOPLE)}`
      const { items } = product.recommendations.recommend('home', { person, n: SLOTS })
      const acts = items
        .filter(({ id }) => random.next() < truth(person, `clip/${id}`))
        .map(({ id }) => ({
          type: 'watched',
          data: { viewer: person, clip: id, ms: 1_000 },
          atMs: clock.timeMs + 1,
        }))
      if (acts.length > 0) await product.track(acts)
      if (asked % 500 === 0) await product.recommendations.flush()
    }
    await product.settle()
    await product.recommendations.flush()

    const later = defineScorer({ name: 'later', score: ({ id }) => Number(id.slice(1)) })
    const app = clipsApp({ home: surface({ ...options, scorers: [later] }) })
    const folds = [createCatalogue(), createRecommendations()].flatMap(
      module => module.folds?.(app) ?? [],
    )
    let gain = 0
    const onDifference = ({ person = '', added, dropped }: AnswerDifference): void => {
      for (const { item } of added) gain += truth(person, item)
      for (const { item } of dropped) gain -= truth(person, item)
    }
    const { requests, slots, earnings } = await backtest(
      { app, folds, log: product.log, clock: systemClock },
      { surface: 'home', withinMs: 10_000, onDifference },
    )
    assert.equal(requests.answered, REQUESTS)
    assert.ok(earnings !== undefined)
    const trueGain = gain / slots.shown
    const { inversePropensity, selfNormalised, doublyRobust } = earnings
    for (const estimate of [inversePropensity, selfNormalised, doublyRobust]) {
      const { change, target, weights } = estimate
      const told = JSON.stringify({ trueGain, change, weights })
      assert.ok(trueGain > 0.05, told)
      assert.ok(change.low <= trueGain && trueGain <= change.high, told)
      assert.ok(change.low > 0 && change.high - change.low < 0.2, told)
      assert.ok(Math.abs(target.value - change.value - earnings.logged) < 1e-9)
      assert.ok(Math.abs(weights.mean - 1) < 0.2 && weights.effectiveSampleSize > 300, told)
    }
  } finally {
    await product.close()
  }
})
