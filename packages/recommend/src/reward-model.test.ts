import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSeededRandom, isError } from '@millrace/core'
import { estimateOffPolicy } from './off-policy.ts'
import { expectRewards, type ListedChoices } from './reward-model.ts'

const ITEMS = 40
const SLOTS = 8
const LISTS = 300
const LOG = 0.3
const TARGET = 0.03

/** How likely a person acts: by place and by item. */
const truth = (slot: number, item: number): number => (1 + slot) ** -0.7 * (0.6 - item / 80)

interface Row {
  readonly reward: number
  readonly list: number
  readonly slot: number
  readonly shown: number
  readonly best: number
  readonly isBest: boolean
  /** What the target would earn there, less what the log does. */
  readonly gain: number
}

/** Lists that explore, each slot judged under a policy that explores less, after those above it. */
function simulate(seed: number): readonly Row[] {
  const random = createSeededRandom(seed)
  const rows: Row[] = []
  for (let list = 0; list < LISTS; list++) {
    const open = [...Array(ITEMS).keys()]
    for (let slot = 0; slot < SLOTS; slot++) {
      const best = open[0] as number
      const isBest = random.next() >= LOG
      const place = isBest ? 0 : 1 + Math.floor(random.next() * (open.length - 1))
      const others = open.slice(1).reduce((sum, item) => sum + truth(slot, item), 0) / (open.length - 1) // prettier-ignore
      const [shown] = open.splice(place, 1) as [number]
      const expected = (1 - TARGET) * truth(slot, best) + TARGET * others
      const gain = expected - truth(slot, shown)
      const reward = random.next() < truth(slot, shown) ? 1 : 0
      rows.push({ reward, list, slot, shown, best, isBest, gain })
    }
  }
  return rows
}

test('50 simulated logs of lists: the doubly robust intervals hold, signs are right, and they are the narrowest', t => {
  const LOGS = 50
  const held = { inversePropensity: 0, selfNormalised: 0, doublyRobust: 0 }
  const error = { inversePropensity: 0, selfNormalised: 0, doublyRobust: 0 }
  let right = 0
  for (let log = 0; log < LOGS; log++) {
    const rows = simulate(100 + log)
    const gain = rows.reduce((sum, row) => sum + row.gain, 0) / rows.length
    const listed: ListedChoices = {
      rewards: Float64Array.from(rows, row => row.reward),
      clusters: Int32Array.from(rows, row => row.list),
      slots: Int32Array.from(rows, row => row.slot),
      shown: Int32Array.from(rows, row => row.shown),
      best: Int32Array.from(rows, row => row.best),
      bestChances: new Float64Array(rows.length).fill(1 - TARGET),
    }
    const chance = (explore: number) =>
      Float64Array.from(rows, ({ isBest, slot }) => isBest ? 1 - explore : explore / (ITEMS - slot - 1)) // prettier-ignore
    const choices = { ...listed, propensities: chance(LOG), targets: chance(TARGET) }
    const judged = { ...choices, ...expectRewards(listed) }
    for (const estimator of ['inversePropensity', 'selfNormalised', 'doublyRobust'] as const) {
      const { change } = estimateOffPolicy(judged, { estimator })
      if (change.low <= gain && gain <= change.high) held[estimator] += 1
      error[estimator] += (change.value - gain) ** 2
      if (estimator === 'doublyRobust' && Math.sign(change.value) === Math.sign(gain)) right += 1
    }
  }
  const told = JSON.stringify({ held, error, right })
  t.diagnostic(told)
  assert.ok(held.doublyRobust >= 0.88 * LOGS && right >= 0.9 * LOGS, told)
  assert.ok(error.doublyRobust < error.selfNormalised, told)
  assert.ok(error.doublyRobust < error.inversePropensity, told)
})

test('nobody is judged by a model of their own acts, and what the target does not fill brings nothing', () => {
  const listed = {
    rewards: Float64Array.of(1, 0, 0, 0),
    clusters: Int32Array.of(0, 0, 1, 1),
    slots: Int32Array.of(0, 1, 0, 1),
    shown: Int32Array.of(1, 2, 1, 2),
    best: Int32Array.of(1, -1, 1, 1),
    bestChances: Float64Array.of(1, 0, 1, 0.9),
  }
  const { predicted, expected } = expectRewards(listed)
  assert.deepEqual([predicted[0], predicted[1], expected[0], expected[1]], [0, 0, 0, 0])
  assert.ok((predicted[2] as number) > (predicted[3] as number))
  assert.ok((expected[3] as number) > 0)
  const short = { ...listed, slots: Int32Array.of(0) }
  assert.throws(
    () => expectRewards(short),
    error => isError(error, 'RECOMMEND_ARGUMENT_INVALID'),
  )
})
