import assert from 'node:assert/strict'
import { it } from 'node:test'
import { isError } from '@millrace/core'
import { Places } from './places.ts'

it('lets so many work at a time, the others in their order, and refuses when too many wait', async () => {
  const places = new Places({ places: 2, waitingMax: 3 })
  const order: number[] = []
  let atWork = 0
  const ends: (() => void)[] = []
  const start = (number: number): Promise<void> =>
    places.run(async () => {
      order.push(number)
      atWork += 1
      assert.ok(atWork <= 2)
      await new Promise<void>(resolve => ends.push(resolve))
      atWork -= 1
      if (number === 1) throw new Error('one fails')
    })
  const done = [0, 1, 2, 3, 4].map(start)
  await assert.rejects(start(5), error => isError(error, 'PAST_BUSY'))
  const settled = Promise.allSettled(done)
  for (let ended = 0; ended < 5; ended++) {
    while (ends.length === 0) await new Promise(resolve => setImmediate(resolve))
    ends.shift()?.()
  }
  const results = await settled
  assert.deepEqual(order, [0, 1, 2, 3, 4])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled'],
  )
  await assert.rejects(
    places.run(() => Promise.reject(new Error('no'))),
    /no/,
  )
  await Promise.all([places.run(async () => 1), places.run(async () => 2)])
})
