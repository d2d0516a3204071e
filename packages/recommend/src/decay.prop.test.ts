import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addDecayed, decayedAt, decayedRank, decayFactor } from './decay.ts'

const HALF_LIFE_MS = 1_000
const events = fc.array(
  fc.record({
    weight: fc.double({ min: 0.1, max: 10, noNaN: true }),
    timeMs: fc.integer({ min: 0, max: 20_000 }),
  }),
  { minLength: 1, maxLength: 30 },
)

function fold(list: readonly { weight: number; timeMs: number }[]): {
  value: number
  timeMs: number
} {
  const first = list[0] ?? { weight: 0, timeMs: 0 }
  let value = first.weight
  let { timeMs } = first
  for (const event of list.slice(1)) {
    value = addDecayed(value, timeMs, event.weight, event.timeMs, HALF_LIFE_MS)
    timeMs = Math.max(timeMs, event.timeMs)
  }
  return { value, timeMs }
}

const naive = (list: readonly { weight: number; timeMs: number }[], atMs: number): number =>
  list.reduce(
    (sum, { weight, timeMs }) => sum + weight * 0.5 ** ((atMs - timeMs) / HALF_LIFE_MS),
    0,
  )

const isClose = (a: number, b: number): boolean =>
  Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b))

test('a decayed sum equals the sum of each event discounted for itself', () => {
  fc.assert(
    fc.property(events, list => {
      const { value, timeMs } = fold(list)
      assert.equal(timeMs, Math.max(...list.map(event => event.timeMs)))
      assert.ok(isClose(value, naive(list, timeMs)))
      assert.ok(isClose(decayedAt(value, timeMs, 30_000, HALF_LIFE_MS), naive(list, 30_000)))
    }),
    { seed: 1 },
  )
})

test('a decayed sum is the same in any order of arrival, up to rounding', () => {
  fc.assert(
    fc.property(events, fc.integer(), (list, seed) => {
      const shuffled = [...list].sort(
        (a, b) => ((a.timeMs * 31 + seed) % 17) - ((b.timeMs * 31 + seed) % 17),
      )
      assert.ok(isClose(fold(list).value, fold(shuffled).value))
    }),
    { seed: 2 },
  )
})

test('the rank orders sums as they stand at any common moment', () => {
  fc.assert(
    fc.property(events, events, (a, b) => {
      const [x, y] = [fold(a), fold(b)]
      const [naiveX, naiveY] = [naive(a, 25_000), naive(b, 25_000)]
      if (isClose(naiveX, naiveY)) return
      const difference =
        decayedRank(x.value, x.timeMs, HALF_LIFE_MS) - decayedRank(y.value, y.timeMs, HALF_LIFE_MS)
      assert.equal(difference > 0, naiveX > naiveY)
    }),
    { seed: 3 },
  )
})

test('a half-life halves', () => {
  assert.ok(isClose(decayFactor(HALF_LIFE_MS, HALF_LIFE_MS), 0.5))
  assert.equal(decayFactor(0, HALF_LIFE_MS), 1)
  assert.equal(decayedRank(0, 5, HALF_LIFE_MS), -Infinity)
})
