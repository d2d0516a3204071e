import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Backoff } from './backoff.ts'
import { createSeededRandom } from './system.ts'

/** A clock that runs its timers when it is told to. */
function virtualClock() {
  let now = 0
  const timers = new Set<{ readonly at: number; readonly task: () => void }>()
  return {
    nowMs: () => now,
    monotonicMs: () => now,
    after(delayMs: number, task: () => void) {
      const timer = { at: now + delayMs, task }
      timers.add(timer)
      return { cancel: () => void timers.delete(timer) }
    },
    soon: (task: () => void) => task(),
    pass(untilMs: number) {
      for (;;) {
        const next = [...timers].sort((a, b) => a.at - b.at)[0]
        if (next === undefined || next.at > untilMs) break
        timers.delete(next)
        now = next.at
        next.task()
      }
      now = untilMs
    },
    get waiting() {
      return timers.size
    },
  }
}

describe('Backoff', () => {
  it('tries ever more rarely, up to a limit, and begins anew after a success', () => {
    const clock = virtualClock()
    const attempts: number[] = []
    const backoff: Backoff = new Backoff({
      clock,
      lastMs: 1_000,
      wake: () => {
        attempts.push(clock.nowMs())
        backoff.fail()
      },
    })
    backoff.fail()
    clock.pass(5_000)
    assert.deepEqual(attempts, [250, 750, 1_750, 2_750, 3_750, 4_750])
    backoff.stop()
    assert.equal(backoff.isPausing, false)
    assert.equal(backoff.hasFailed, true)
    backoff.succeed()
    assert.equal(backoff.hasFailed, false)
    backoff.fail()
    clock.pass(5_250)
    assert.equal(attempts.at(-1), 5_250)
  })

  it('has one attempt a pause, however many failures are noted in it', () => {
    const clock = virtualClock()
    let woken = 0
    const backoff = new Backoff({ clock, wake: () => (woken += 1) })
    for (let index = 0; index < 10; index++) backoff.fail()
    assert.equal(clock.waiting, 1)
    assert.equal(backoff.isPausing, true)
    clock.pass(100_000)
    assert.equal(woken, 1)
  })

  it('spreads pauses over their second half', () => {
    const random = createSeededRandom(3)
    const pauses = Array.from({ length: 50 }, () => {
      const clock = virtualClock()
      let at = 0
      new Backoff({ clock, random, wake: () => (at = clock.nowMs()) }).fail()
      clock.pass(1_000)
      return at
    })
    assert.ok(pauses.every(pause => pause >= 125 && pause <= 250))
    assert.ok(new Set(pauses).size > 40)
  })
})
