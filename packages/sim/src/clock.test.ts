import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isError } from '@millrace/core'
import { createSimClock } from './index.ts'

test('tasks run in order of time, and time passes only for them', async () => {
  const clock = createSimClock({ seed: 1 })
  const seen: string[] = []
  clock.after(20, () => seen.push(`b${clock.monotonicMs()}`))
  clock.after(10, () => seen.push(`a${clock.monotonicMs()}`))
  clock.soon(() => seen.push(`now${clock.monotonicMs()}`))
  const cancelled = clock.after(15, () => seen.push('never'))
  cancelled.cancel()
  cancelled.cancel()
  assert.equal(clock.pending, 3)
  await clock.runUntil(12)
  assert.deepEqual(seen, ['now0', 'a10'])
  assert.equal(clock.monotonicMs(), 12)
  await clock.run()
  assert.deepEqual(seen, ['now0', 'a10', 'b20'])
  assert.equal(clock.pending, 0)
})

test('tasks of one instant run in an order that the seed draws', async () => {
  const orderOf = async (seed: number): Promise<string> => {
    const clock = createSimClock({ seed })
    let order = ''
    for (const name of 'abcde') clock.after(5, () => void (order += name))
    await clock.run()
    return order
  }
  const orders = new Set<string>()
  for (let seed = 0; seed < 50; seed++) {
    assert.equal(await orderOf(seed), await orderOf(seed))
    orders.add(await orderOf(seed))
  }
  assert.ok(orders.size > 20, `${orders.size} orders of 50 seeds`)
})

test('all microtasks run between two tasks, however long their chain', async () => {
  const clock = createSimClock({ seed: 3 })
  const seen: string[] = []
  clock.after(1, () => {
    void (async () => {
      for (let turn = 0; turn < 500; turn++) await Promise.resolve()
      seen.push('chain')
    })()
  })
  clock.after(1.001, () => seen.push('next'))
  await clock.run()
  assert.deepEqual(seen, ['chain', 'next'])
})

test('the wall clock jumps both ways; monotonic time does not', async () => {
  const clock = createSimClock({ seed: 1, startMs: 1_000_000 })
  assert.equal(clock.nowMs(), 1_000_000)
  clock.jumpWall(-5_000)
  assert.equal(clock.nowMs(), 995_000)
  assert.equal(clock.monotonicMs(), 0)
  await clock.runUntil(10.7)
  clock.jumpWall(6_000)
  assert.equal(clock.nowMs(), 1_001_010)
})

test('drive answers as the work did', async () => {
  const clock = createSimClock({ seed: 1 })
  const work = async (): Promise<string> => {
    await clock.sleep(3_600_000)
    return 'done'
  }
  assert.equal(await clock.drive(work), 'done')
  assert.equal(clock.monotonicMs(), 3_600_000)
  const failing = clock.sleep(1).then(() => {
    throw new Error('as it did')
  })
  await assert.rejects(clock.drive(failing), /as it did/)
})

test('drive says why work cannot end', async () => {
  const clock = createSimClock({ seed: 1 })
  const never = new Promise<void>(() => undefined)
  await assert.rejects(clock.drive(never), error => isError(error, 'SIM_DEADLOCK'))
  const tick = (): void => void clock.after(10, tick)
  tick()
  const limited = clock.drive(never, { limitMs: 100 })
  await assert.rejects(limited, error => isError(error, 'SIM_TIMED_OUT'))
  const inside = clock.drive(async () => {
    await clock.settle()
  })
  await assert.rejects(inside, error => isError(error, 'SIM_REENTRANT'))
})

test('settle runs what is due now and no more; a late timer is never early', async () => {
  const clock = createSimClock({ seed: 1, timerLatenessMsMax: 5 })
  const seen: number[] = []
  for (let count = 0; count < 20; count++) clock.after(10, () => seen.push(clock.monotonicMs()))
  clock.soon(() => seen.push(-1))
  await clock.settle()
  assert.deepEqual(seen, [-1])
  await clock.run()
  assert.ok(seen.slice(1).every(atMs => atMs >= 10 && atMs < 15))
})

test('a loop that schedules itself with no delay is found', async () => {
  const clock = createSimClock({ seed: 1 })
  const again = (): void => clock.soon(again)
  again()
  await assert.rejects(clock.run(), error => isError(error, 'SIM_STUCK'))
})

test('a task that throws fails the run', async () => {
  const clock = createSimClock({ seed: 1 })
  clock.after(1, () => {
    throw new Error('in a task')
  })
  await assert.rejects(clock.run(), /in a task/)
  await clock.run()
})
