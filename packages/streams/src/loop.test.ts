/** How often a log is read that cannot be read. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createSimClock } from '@millrace/sim'
import { lettersFold, idsFold, textEvent } from './testing/folds.ts'
import { PARTITIONS, TestWorld } from './testing/world.ts'

const MINUTE_MS = 60_000

it('reads a log that cannot be read a bounded number of times, and folds on when it can', async () => {
  const clock = createSimClock({ seed: 1 })
  const world = new TestWorld([
    lettersFold('letters', 'person', 'letter.from-person'),
    idsFold('ids', 'person'),
  ])
  world.clock = clock
  await clock.drive(world.open())
  const read = world.log.read.bind(world.log)
  let isAway = true
  let reads = 0
  world.log.read = async request => {
    if (!isAway) return await read(request)
    reads += 1
    throw new Error('the database does not exist')
  }
  const each = Array.from({ length: PARTITIONS }, (_, partition) =>
    textEvent('person', `p${partition}`, 'one', { partition }),
  )
  await clock.drive(world.commit(...each))
  const from = clock.monotonicMs()
  // Whatever else wakes the loop meanwhile.
  for (let at = 0; at < MINUTE_MS; at += 1_000) {
    await clock.drive(world.commit(textEvent('clip', 'c', `${at}`)))
    await clock.runUntil(from + at)
  }
  // At 0, 250, 750, 1750, 3750, 7750, 15750, 25750, 35750, 45750, 55750 ms.
  assert.ok(reads >= 5 * PARTITIONS && reads <= 12 * PARTITIONS, `${reads} reads`)
  isAway = false
  await clock.drive(world.settle())
  assert.equal(world.streams.status()[0]?.lag, 0)
  await clock.drive(world.streams.close())
})
