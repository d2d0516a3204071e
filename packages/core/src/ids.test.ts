import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createIdSource, createSeededRandom, deriveId, partitionOf, timeOfId } from './index.ts'
import type { Clock } from './index.ts'

const clockAt = (times: readonly number[]): Clock => {
  let index = 0
  return {
    nowMs: () => times[Math.min(index++, times.length - 1)] as number,
    monotonicMs: () => 0,
    after: () => ({ cancel: () => undefined }),
    soon: () => undefined,
  }
}

test('ids of one source are distinct, ordered and carry their time, whatever the clock does', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 2, maxLength: 50 }),
      fc.integer(),
      (jumps, seed) => {
        const start = 1_700_000_000_000
        const next = createIdSource({
          clock: clockAt(jumps.map(jump => start + jump)),
          random: createSeededRandom(seed),
        })
        const ids = jumps.map(() => next())
        assert.deepEqual([...ids].sort(), ids)
        assert.equal(new Set(ids).size, ids.length)
        for (const id of ids) {
          const timeMs = timeOfId(id)
          assert.ok(timeMs !== undefined && timeMs >= start && timeMs <= start + 6)
        }
      },
    ),
  )
})

test('more ids in one millisecond than the counter holds stay distinct and ordered', () => {
  const next = createIdSource({ clock: clockAt([1_000]), random: createSeededRandom(1) })
  const ids = Array.from({ length: 10_000 }, next)
  assert.equal(new Set(ids).size, ids.length)
  assert.deepEqual([...ids].sort(), ids)
})

test('a derived id follows from time and content alone', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.string(), fc.string(), (at, a, b) => {
      assert.equal(deriveId(at, a), deriveId(at, a))
      assert.equal(timeOfId(deriveId(at, a)), at)
      assert.equal(deriveId(at, a) === deriveId(at, b), a === b)
    }),
  )
})

test('only versions 7 and 8 in lower case are read as ordered', () => {
  assert.equal(timeOfId('0189d1a0-0000-4000-8000-000000000000'), undefined)
  assert.equal(timeOfId('0189D1A0-0000-7000-8000-000000000000'), undefined)
  assert.equal(timeOfId('order-17'), undefined)
  assert.equal(timeOfId('00000000-03e8-7000-8000-000000000000'), 1000)
})

test('partitions are in range, spread, and stable for ever', () => {
  assert.deepEqual(
    ['', 'a', 'p1', 'p2', 'clip-42', 'ключ'].map(key => partitionOf(key, 256)),
    [11, 179, 57, 161, 239, 120],
  )
  const counts = new Array<number>(4).fill(0)
  for (let index = 0; index < 40_000; index++) {
    const partition = partitionOf(`person-${index}`, 4)
    counts[partition] = (counts[partition] as number) + 1
  }
  for (const count of counts) assert.ok(count > 9_500 && count < 10_500, counts.join())
})
