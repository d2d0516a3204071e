import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isError } from '@millrace/core'
import { createSerialThreads } from '../kernels/threads.ts'
import { Workspace } from '../kernels/workspace.ts'
import { fitAls } from './als.ts'
import { packEvents, placesOf, recentValues, type Events } from './events.ts'
import { fitNeighbours, fitTransitions } from './lists.ts'
import type { Model } from './model.ts'
import { fitPopularity } from './popularity.ts'
import { fitEase, fitSequence } from './regression.ts'
import { createFilter, fitBasis } from './spectral.ts'
import { randomOf } from './validation.ts'

const workspace = new Workspace(createSerialThreads('fused'))
const ITEMS = 23

/** People with some of ITEMS items each, in an order that matters. */
const LISTS = ((): number[][] => {
  const random = randomOf(11)
  return Array.from({ length: 60 }, () => {
    const first = Math.floor(random() * ITEMS)
    const list = Array.from({ length: 3 + Math.floor(random() * 7) }, (_, at) =>
      random() < 0.7 ? (first + at) % ITEMS : Math.floor(random() * ITEMS),
    )
    return [...new Set(list)]
  })
})()

const eventsOf = (lists: readonly (readonly number[])[]): Events =>
  packEvents(workspace, lists, { items: ITEMS })

const events = eventsOf(LISTS)
const places = placesOf(workspace, events)
const counts = Array.from({ length: ITEMS }, (_, item) => LISTS.filter(list => list.includes(item)).length) // prettier-ignore

async function scoresOf(model: Model, lists: readonly (readonly number[])[]): Promise<number[][]> {
  const histories = eventsOf(lists)
  const out = workspace.floats(lists.length * ITEMS)
  await model.score(histories, out)
  const scale = model.itemScale ?? new Float32Array(ITEMS).fill(1)
  return lists.map((_, row) => Array.from({ length: ITEMS }, (_, item) => out[row * ITEMS + item]! * scale[item]!)) // prettier-ignore
}

function near(actual: readonly number[], expected: readonly number[], tolerance = 1e-4): void {
  const largest = Math.max(...expected.map(Math.abs))
  actual.forEach((value, at) =>
    assert.ok(Math.abs(value - expected[at]!) <= tolerance * largest, `${at}: ${value}, expected ${expected[at]}`)) // prettier-ignore
}

test('popularity counts, and newer events more when asked', async () => {
  const [all] = await scoresOf(fitPopularity(workspace, events, { halfLife: Infinity }), [[0]])
  assert.deepEqual(all, counts)
  const [recent] = await scoresOf(fitPopularity(workspace, events, { halfLife: 1 }), [[0]])
  const expected = Array.from({ length: ITEMS }, (_, item) =>
    LISTS.reduce((sum, list) => sum + (list.includes(item) ? 0.5 ** (list.length - 1 - list.indexOf(item)) : 0), 0)) // prettier-ignore
  near(recent!, expected)
})

test('cosine neighbours are what counting pairs gives', async () => {
  const settings = { personExponent: 0, rowExponent: 0.5, columnExponent: 0.5, width: ITEMS, halfLife: Infinity } // prettier-ignore
  const model = await fitNeighbours(workspace, events, places, settings)
  const history = [3, 7]
  const expected = Array.from({ length: ITEMS }, (_, item) =>
    history.reduce((sum, from) => {
      if (from === item) return sum
      const both = LISTS.filter(list => list.includes(from) && list.includes(item)).length
      return sum + both / Math.sqrt(counts[from]! * counts[item]!)
    }, 0),
  )
  const [scores] = await scoresOf(model, [history])
  near(scores!, expected)
})

test('a short list of neighbours keeps the best', async () => {
  const settings = { personExponent: 0, rowExponent: 0, columnExponent: 0.5, width: 3, halfLife: Infinity } // prettier-ignore
  const whole = await fitNeighbours(workspace, events, places, { ...settings, width: ITEMS })
  const [few] = await scoresOf(await fitNeighbours(workspace, events, places, settings), [[5]])
  const [all] = await scoresOf(whole, [[5]])
  const best = [...all!.keys()].sort((a, b) => all![b]! - all![a]! || a - b).slice(0, 3)
  near(few!, all!.map((value, item) => (best.includes(item) ? value : 0))) // prettier-ignore
})

test('transitions count what came after, less the further away', async () => {
  const settings = { lagHalfLife: 2, rowExponent: 0, columnExponent: 0, width: ITEMS, halfLife: Infinity } // prettier-ignore
  const model = await fitTransitions(workspace, events, places, settings)
  const expected = Array.from({ length: ITEMS }, (_, item) =>
    LISTS.reduce((sum, list) => {
      const lag = list.indexOf(item) - list.indexOf(4)
      const isAfter = list.includes(4) && list.includes(item) && lag > 0
      return sum + (isAfter ? 0.5 ** ((lag - 1) / 2) : 0)
    }, 0),
  )
  const [scores] = await scoresOf(model, [[4]])
  near(scores!, expected)
})

test("EASE solves its normal equations: (X'X + lambda) B = X'X off the diagonal of B, up to one factor a column", async () => {
  const lambda = 5
  const model = await fitEase(workspace, events, places, { lambda, personExponent: 0, halfLife: Infinity }) // prettier-ignore
  assert.ok(model !== undefined)
  const b = await scoresOf(
    model,
    Array.from({ length: ITEMS }, (_, item) => [item]),
  )
  const gram = (i: number, j: number): number =>
    LISTS.filter(list => list.includes(i) && list.includes(j)).length
  for (let j = 0; j < ITEMS; j++) {
    assert.equal(b[j]![j], 0)
    for (let i = 0; i < ITEMS; i++) {
      if (i === j) continue
      // The gradient of |X - XB|^2 + lambda |B|^2 with respect to B(i, j) is zero.
      let gradient = -gram(i, j) + lambda * b[i]![j]!
      for (let p = 0; p < ITEMS; p++) gradient += gram(i, p) * b[p]![j]!
      assert.ok(Math.abs(gradient) < 1e-3, `${i}, ${j}: ${gradient}`)
    }
  }
})

test('the sequence regression solves ridge regression on the windows of long histories', async () => {
  // Long rows: what the closed tables leave out at the ends of rows is small.
  const random = randomOf(3)
  const long = Array.from({ length: 4 }, () => {
    const list = Array.from({ length: ITEMS }, (_, item) => item)
    for (let at = 0; at < ITEMS; at++) if (random() < 0.3) list.push(list.splice(at, 1)[0]!)
    return list
  })
  const rowsOfLong = eventsOf(long)
  const settings = { lambda: 2, halfLife: 1, ahead: 1, decay: 0.75 }
  const model = await fitSequence(workspace, rowsOfLong, placesOf(workspace, rowsOfLong), settings)
  assert.ok(model !== undefined)
  const following = long[0]![11]!
  const [scores] = await scoresOf(model, [long[0]!.slice(0, 11)])
  const unseen = [...scores!.keys()].filter(item => !long[0]!.slice(0, 11).includes(item))
  const best = unseen.sort((a, b) => scores![b]! - scores![a]!).slice(0, 3)
  assert.ok(best.includes(following), `${following} is not among ${best.join(', ')}`)
})

test('a basis is orthonormal, and its first columns are the basis of a lower rank', async () => {
  const settings = { personExponent: 0.5, itemExponent: 0.5, rounds: 24, seed: 3 }
  const filter = { inExponent: 0.5, outExponent: 0.5, halfLife: Infinity }
  const basis = await fitBasis(workspace, events, places, { ...settings, rank: 8 })
  const { vectors } = basis
  for (let a = 0; a < 8; a++) {
    for (let b = 0; b < 8; b++) {
      let sum = 0
      for (let item = 0; item < ITEMS; item++)
        sum += vectors[item * 8 + a]! * vectors[item * 8 + b]!
      assert.ok(Math.abs(sum - (a === b ? 1 : 0)) < 1e-3, `${a}, ${b}: ${sum}`)
    }
  }
  const model = createFilter(workspace, events, basis, { ...filter, rank: 8 })
  assert.equal(model.itemScale?.length, ITEMS)
  const [one] = await scoresOf(createFilter(workspace, events, await fitBasis(workspace, events, places, { ...settings, rank: 4 }), { ...filter, rank: 4 }), [[2]]) // prettier-ignore
  const [two] = await scoresOf(createFilter(workspace, events, basis, { ...filter, rank: 4 }), [
    [2],
  ])
  near(one!, two!, 0.05)
})

test('ALS lowers its own loss, measured by folding everybody in', async () => {
  const settings = {
    factors: 16,
    unseen: 0.2,
    lambda: 0.05,
    steps: 16,
    halfLife: Infinity,
    seed: 4,
  }
  const lossOf = async (rounds: number): Promise<number> => {
    const model = await fitAls(workspace, events, places, { ...settings, rounds })
    const scores = await scoresOf(model, LISTS)
    return scores.reduce((loss, row, person) => loss + row.reduce((sum, score, item) =>
      sum + settings.unseen * score ** 2 + (LISTS[person]!.includes(item) ? (1 - score) ** 2 : 0), 0), 0) // prettier-ignore
  }
  const [early, late] = [await lossOf(1), await lossOf(12)]
  assert.ok(late < early, `${late} after 12 rounds, ${early} after 1`)
})

test('values halve with every half-life from the newest', () => {
  const rows = eventsOf([[1, 2, 3], [4]])
  assert.deepEqual([...recentValues(workspace, rows, 1)], [0.25, 0.5, 1, 1])
  assert.deepEqual([...recentValues(workspace, rows, Infinity)], [1, 1, 1, 1])
})

test('a number that is no item is refused', () => {
  for (const id of [ITEMS, -1, 0.5])
    assert.throws(() => eventsOf([[id]]), error => isError(error, 'RECOMMEND_ARGUMENT_INVALID')) // prettier-ignore
})
