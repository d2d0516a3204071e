import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSimRandom } from './index.ts'

test('equal seeds give equal sequences; branches depend on seed and label alone', () => {
  const draw = (seed: number): number[] => {
    const random = createSimRandom(seed)
    return Array.from({ length: 20 }, () => random.next())
  }
  assert.deepEqual(draw(1), draw(1))
  assert.notDeepEqual(draw(1), draw(2))
  const used = createSimRandom(1)
  used.next()
  assert.equal(used.fork('a').next(), createSimRandom(1).fork('a').next())
  assert.notEqual(used.fork('a').next(), used.fork('b').next())
})

test('draws have the moments of their distributions', () => {
  const random = createSimRandom('moments')
  const mean = (draw: () => number): number => {
    let sum = 0
    for (let count = 0; count < 100_000; count++) sum += draw()
    return sum / 100_000
  }
  const near = (value: number, wanted: number, within: number): void =>
    assert.ok(Math.abs(value - wanted) < within, `${value} is not near ${wanted}`)
  near(
    mean(() => random.next()),
    0.5,
    0.005,
  )
  near(
    mean(() => random.between(2, 4)),
    3,
    0.01,
  )
  near(
    mean(() => random.normal()),
    0,
    0.015,
  )
  near(
    mean(() => random.normal() ** 2),
    1,
    0.03,
  )
  near(
    mean(() => random.exponential(3)),
    3,
    0.05,
  )
  near(
    mean(() => random.integer(10)),
    4.5,
    0.05,
  )
  near(
    mean(() => (random.chance(0.3) ? 1 : 0)),
    0.3,
    0.01,
  )
  const bytes = random.fill(new Uint8Array(50_000))
  near(bytes.reduce((sum, byte) => sum + byte, 0) / 50_000, 127.5, 2)
})

test('shuffle keeps the items and reaches every order', () => {
  const random = createSimRandom('shuffle')
  const orders = new Set<string>()
  for (let count = 0; count < 500; count++) orders.add(random.shuffle(['a', 'b', 'c']).join(''))
  assert.equal(orders.size, 6)
  assert.ok(['a', 'b'].includes(random.pick(['a', 'b'])))
})
