/** A loop that is woken for nothing, and one whose snapshots cannot be written. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { silentLogger } from '@millrace/core'
import { openMemoryLog } from '@millrace/log/memory'
import { createSimClock, type SimClock } from '@millrace/sim'
import { idsFold, textEvent } from './testing/folds.ts'
import { TestWorld } from './testing/world.ts'

const MINUTE_MS = 60_000

function createWorld(clock: SimClock): { world: TestWorld; told: string[] } {
  const told: string[] = []
  const world = new TestWorld([idsFold('ids', 'person')])
  world.clock = clock
  const tell = (message: string): void => void told.push(message)
  world.logger = { ...silentLogger, warn: tell, error: tell }
  return { world, told }
}

it('pauses when it is woken again and again for nothing, and says who is behind', async () => {
  const clock = createSimClock({ seed: 1 })
  const { world, told } = createWorld(clock)
  let wake: () => void = () => undefined
  let looks = 0
  world.openLog = options => {
    const log = openMemoryLog(options)
    const [ends, onAdvance] = [log.ends.bind(log), log.onAdvance.bind(log)]
    log.onAdvance = listener => onAdvance((wake = listener))
    log.ends = () => ((looks += 1), ends())
    return log
  }
  await clock.drive(world.open())
  const { read } = world.log
  world.log.read = () => new Promise(() => undefined)
  looks = 0
  wake()
  await clock.settle()
  const looksOfATurn = looks
  world.log.read = () => Promise.reject(new Error('the database does not exist'))
  await clock.drive(world.commit(textEvent('person', 'p', 'one')))
  let isSpinning = true
  const spin = (): void => {
    wake()
    if (isSpinning) clock.after(1, spin)
  }
  spin()
  const { streams } = world
  looks = 0
  const fromMs = clock.monotonicMs()
  await clock.runUntil(fromMs + MINUTE_MS)
  const turns = looks / looksOfATurn
  assert.ok(turns < MINUTE_MS / 4, `${turns} turns`)
  const { stalls, behind } = streams.loop()
  assert.ok(stalls > 10 && stalls < 100, `${stalls} stalls`)
  assert.deepEqual(behind, ['ids'])
  assert.equal(told.filter(each => each === 'the folds are woken and get no further').length, 1)
  // What comes is folded all the same, a moment late.
  world.log.read = read.bind(world.log)
  await clock.drive(world.commit(textEvent('person', 'p', 'two')))
  await clock.drive(world.settle())
  assert.equal(world.stateOf('ids', 'p'), 'one;two;')
  isSpinning = false
  await clock.runUntil(clock.monotonicMs() + MINUTE_MS)
  wake()
  await clock.settle()
  assert.equal(streams.loop().behind, undefined)
  await clock.drive(streams.close())
})

it('closes in the middle of a pause', async () => {
  const clock = createSimClock({ seed: 2 })
  const { world } = createWorld(clock)
  let wake: () => void = () => undefined
  world.openLog = options => {
    const log = openMemoryLog(options)
    const onAdvance = log.onAdvance.bind(log)
    log.onAdvance = listener => onAdvance((wake = listener))
    return log
  }
  await clock.drive(world.open())
  while (world.streams.loop().stalls === 0) {
    wake()
    await clock.settle()
  }
  await clock.drive(world.streams.close())
  assert.ok(clock.monotonicMs() < 250)
})

it('tries a snapshot that cannot be written again after pauses, and not at every turn', async () => {
  const clock = createSimClock({ seed: 3 })
  const { world, told } = createWorld(clock)
  world.settings = { snapshotEveryRecords: 1 }
  const { save } = world.snapshots
  let tries = 0
  world.snapshots.save = async () => {
    tries += 1
    // So many end this test and not the machine.
    if (tries > 1_000) await new Promise(() => undefined)
    throw new Error('no space left on device')
  }
  await clock.drive(world.open())
  await clock.drive(world.commit(textEvent('person', 'p', 'one')))
  await clock.runUntil(clock.monotonicMs() + MINUTE_MS)
  // At 0, 250, 750, 1750, 3750, 7750, 15750, 25750, 35750, 45750, 55750 ms.
  assert.ok(tries >= 5 && tries <= 12, `${tries} tries`)
  assert.equal(told.length, tries)
  world.snapshots.save = save
  await clock.runUntil(clock.monotonicMs() + MINUTE_MS)
  assert.ok((await world.snapshots.load('ids')) !== undefined)
  await clock.drive(world.streams.close())
})
