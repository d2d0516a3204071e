import assert from 'node:assert/strict'
import { test } from 'node:test'
import { surface } from '@millrace/core'
import { audience, Clip, clips, clipsApp } from '../testing/clips-app.ts'
import { openTestProduct } from '../testing/open-product.ts'

const DRAWS = 10_000
/** Of the standard normal at 1 %. */
const REJECTED_ABOVE = 2.326

/** About standard normal for a statistic of chi-square (Wilson, Hilferty 1931). */
function normalScore(statistic: number, freedom: number): number {
  const spread = 2 / (9 * freedom)
  return (Math.cbrt(statistic / freedom) - (1 - spread)) / Math.sqrt(spread)
}

test('what a surface says of its chances are the frequencies of what it shows: chi-square does not reject', async () => {
  const explored = surface({
    items: Clip,
    filters: ['disliked'],
    limits: [{ field: 'creator', max: 1 }],
    explore: 0.3,
  })
  const product = await openTestProduct(clipsApp({ explored }))
  try {
    await product.catalogue.put('clip', clips(13))
    await product.track(audience({ events: 200, people: 5, clips: 13, seed: 3 }))
    await product.settle()
    const slates = new Map<string, { count: number; chance: number }>()
    for (let draw = 0; draw < DRAWS; draw++) {
      const { items } = product.recommendations.recommend('explored', { person: 'p1', n: 3 })
      const slate = items.map(({ id }) => id).join(' ')
      const chance = items.reduce((product, { propensity }) => product * propensity, 1)
      const known = slates.get(slate)
      if (known === undefined) slates.set(slate, { count: 1, chance })
      else known.count += 1
    }
    let chances = 0
    let statistic = 0
    let cells = 0
    const rest = { count: DRAWS, expected: DRAWS }
    for (const { count, chance } of slates.values()) {
      chances += chance
      const expected = chance * DRAWS
      if (expected < 10) continue
      statistic += (count - expected) ** 2 / expected
      cells += 1
      rest.count -= count
      rest.expected -= expected
    }
    statistic += (rest.count - rest.expected) ** 2 / rest.expected
    const score = normalScore(statistic, cells)
    assert.ok(cells > 25 && chances > 0.9 && chances < 1 + 1e-9, `${cells} slates of ${chances}`)
    assert.ok(score < REJECTED_ABOVE, `chi-square ${statistic} of ${cells} cells: ${score}`)
  } finally {
    await product.close()
  }
})
