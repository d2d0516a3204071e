import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createRateBucket } from './rate-limit.ts'

test('a bucket never lets more through than its burst and its rate allow, between any two moments', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 500 }),
      fc.integer({ min: 1, max: 50 }),
      fc.array(fc.integer({ min: 0, max: 200 }), { maxLength: 200 }),
      (requestsPerSecond, burst, pauses) => {
        const bucket = createRateBucket({ requestsPerSecond, burst })
        const passed: number[] = []
        let nowMs = 1000
        for (const pause of pauses) {
          nowMs += pause
          if (bucket.take(nowMs) === 0) passed.push(nowMs)
        }
        for (let from = 0; from < passed.length; from++) {
          for (let to = from; to < passed.length; to++) {
            const elapsedMs = (passed[to] as number) - (passed[from] as number)
            const allowed = burst + (elapsedMs * requestsPerSecond) / 1000
            assert.ok(to - from + 1 <= allowed + 1e-6)
          }
        }
      },
    ),
  )
})

test('who waits as long as it was told is let through', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5000 }),
      fc.integer({ min: 1, max: 50 }),
      (requestsPerSecond, burst) => {
        const bucket = createRateBucket({ requestsPerSecond, burst })
        let nowMs = 0
        for (let count = 0; count < burst; count++) assert.equal(bucket.take(nowMs), 0)
        const waitMs = bucket.take(nowMs)
        assert.ok(waitMs >= 1)
        nowMs += waitMs
        assert.equal(bucket.take(nowMs), 0)
      },
    ),
  )
})

test('a clock that goes back gives nothing away and takes nothing', () => {
  const bucket = createRateBucket({ requestsPerSecond: 1, burst: 1 })
  assert.equal(bucket.take(10_000), 0)
  assert.equal(bucket.take(0), 1000)
  assert.equal(bucket.take(10_500), 500)
  assert.equal(bucket.take(11_000), 0)
})
