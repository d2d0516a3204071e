/** Keys that are folded again from a base, and from their first record where none is certain to hold. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import { openMemoryLog } from '@millrace/log/memory'
import type { CorrectionAction } from './corrections/contract.ts'
import { TextShard, textEvent } from './testing/folds.ts'
import { TestWorld } from './testing/world.ts'

const EVERY = 20
const RECORDS = 100

/** One key of a fold with long histories, and where its histories were read from. */
class LongWorld extends TestWorld {
  readonly froms: (number | undefined)[] = []

  constructor() {
    const shard = (): TextShard =>
      new TextShard((state, { id }) => {
        if (id === 'bad') throw new Error('it is bad')
        return `${state} ${id}`
      })
    super([{ name: 'ids', version: '1', source: 'person', onFailure: 'park', hasLongHistories: true, createShard: shard }]) // prettier-ignore
    let arrivalMs = 1_000_000_000
    this.clock = { ...systemClock, nowMs: () => ++arrivalMs }
    this.settings = { baseEveryRecords: EVERY }
    this.openLog = options => this.#noting(openMemoryLog(options))
  }

  #noting(log: EventLog): EventLog {
    const history = log.history.bind(log)
    log.history = request => {
      this.froms.push(request.from)
      return history(request)
    }
    return log
  }

  /** Bases are kept after 40, 80 and 100 records by the end of this. */
  async fill(): Promise<void> {
    for (let number = 0; number < RECORDS; number++) {
      await this.send(`e${number}`)
      if ((number + 1) % EVERY > 0) continue
      await this.settle()
      await this.streams.snapshot()
    }
  }

  async send(id: string): Promise<void> {
    await this.commit(textEvent('person', 'p', id, { id }))
  }

  /** Corrects events, and gives the offset from which the key was folded again. */
  async correct(action: CorrectionAction, ...ids: readonly string[]): Promise<number | undefined> {
    this.froms.length = 0
    const corrections = ids.map(id => ({ id, action }))
    await this.streams.corrections.apply({ corrections, reason: 'a test', by: 'nobody' })
    const [from] = this.froms
    assert.deepEqual(await this.differences(), {})
    return from
  }
}

const open = async (): Promise<LongWorld> => {
  const world = await new LongWorld().open()
  await world.fill()
  return world
}

describe('bases', () => {
  it('are where a key begins, the newest before what was corrected since', async () => {
    const world = await open()
    assert.equal(await world.correct('retract', 'e90'), 80)
    assert.equal(await world.correct('retract', 'e50'), 40)
    assert.equal(await world.correct('retract', 'e10'), 0)
    assert.equal(await world.correct('restore', 'e90'), 0)
    // What was corrected and taken back is as it was.
    assert.equal(await world.correct('restore', 'e10'), 40)
    assert.equal(await world.correct('hold', 'e45'), 40)
    assert.equal(await world.correct('restore', 'e45', 'e50'), 100)
    assert.equal(await world.correct('retract', 'e99'), 80)
    assert.equal(world.stateOf('ids', 'p')?.split(' ').length, RECORDS)
    await world.streams.close()
  })

  it('are found again after a restart, and one that was taken since says what it reflects', async () => {
    const world = await open()
    await world.correct('retract', 'e70')
    await world.open()
    assert.equal(await world.correct('retract', 'e99'), 40)
    for (let number = RECORDS; number < RECORDS + EVERY; number++) {
      await world.send(`e${number}`)
    }
    await world.settle()
    await world.streams.snapshot()
    await world.send('last')
    await world.settle()
    assert.equal(await world.correct('retract', 'last'), RECORDS + EVERY)
    assert.equal(await world.correct('restore', 'e70'), 80)
    await world.streams.close()
  })

  it('are left where they cannot be read, and where the key waited', async () => {
    const world = await open()
    await world.send('bad')
    for (let number = 1; number < EVERY; number++) {
      await world.send(`later${number}`)
    }
    await world.settle()
    await world.streams.snapshot()
    await world.correct('retract', 'bad')
    assert.equal(await world.correct('retract', 'later9'), 100)
    const load = world.snapshots.load.bind(world.snapshots)
    const warnings: string[] = []
    world.logger = { ...world.logger, warn: message => void warnings.push(message) }
    world.snapshots.load = async name => {
      if (name.includes('.base-')) throw new Error('it cannot be read')
      return await load(name)
    }
    await world.open()
    assert.equal(await world.correct('retract', 'later8'), 0)
    assert.ok(warnings.includes('a base cannot be read'), warnings.join())
    await world.streams.close()
  })
})
