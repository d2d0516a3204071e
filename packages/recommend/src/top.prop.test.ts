import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TopSelector } from './top.ts'

test('the selection is the beginning of the sorted list, ties included', () => {
  const selector = new TopSelector()
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 8 }), { maxLength: 300 }),
      fc.integer({ min: 0, max: 120 }),
      (scores, limit) => {
        const isBefore = (a: number, b: number): boolean => (a * 7919) % 1009 < (b * 7919) % 1009
        const pool = Int32Array.from(scores, (_, item) => item)
        const naive = [...pool].sort(
          (a, b) => (scores[b] as number) - (scores[a] as number) || (isBefore(a, b) ? -1 : 1),
        )
        const count = selector.select(pool, pool.length, Float64Array.from(scores), limit, isBefore)
        assert.deepEqual([...selector.items.subarray(0, count)], naive.slice(0, limit))
      },
    ),
    { seed: 1 },
  )
})
