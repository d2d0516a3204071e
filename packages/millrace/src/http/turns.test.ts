import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createSimClock } from '@millrace/sim'
import { TURN_TASKS_MAX, Turns, type TurnTask } from './turns.ts'

function createTask(name: number, seen: string[], more?: () => void): TurnTask {
  return {
    work: () => {
      seen.push(`work ${name}`)
      more?.()
    },
    write: () => seen.push(`write ${name}`),
  }
}

describe('turns', () => {
  it('work out what arrived together, then write it, in order', async () => {
    const clock = createSimClock({ seed: 1 })
    const turns = new Turns(clock)
    const seen: string[] = []
    for (let name = 0; name < 3; name++) turns.add(createTask(name, seen))
    assert.deepEqual(seen, [], 'nothing happens while requests are being read')
    await clock.run()
    assert.deepEqual(seen, ['work 0', 'work 1', 'work 2', 'write 0', 'write 1', 'write 2'])
  })

  it('leave what arrives meanwhile to the next turn', async () => {
    const clock = createSimClock({ seed: 1 })
    const turns = new Turns(clock)
    const seen: string[] = []
    turns.add(createTask(0, seen, () => turns.add(createTask(1, seen))))
    await clock.run()
    assert.deepEqual(seen, ['work 0', 'write 0', 'work 1', 'write 1'])
  })

  it('answer no more than the limit at once, and none twice or never', async () => {
    const clock = createSimClock({ seed: 1 })
    const turns = new Turns(clock)
    const seen: string[] = []
    const count = TURN_TASKS_MAX * 2 + 5
    for (let name = 0; name < count; name++) turns.add(createTask(name, seen))
    await clock.run()
    const writes = seen.filter(entry => entry.startsWith('write'))
    assert.deepEqual(
      writes,
      Array.from({ length: count }, (_, name) => `write ${name}`),
    )
    assert.equal(seen.indexOf('write 0'), TURN_TASKS_MAX)
    assert.ok(seen.indexOf(`work ${TURN_TASKS_MAX}`) > seen.indexOf('write 0'))
  })
})
