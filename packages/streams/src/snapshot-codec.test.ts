import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readLanes } from './snapshot-codec.ts'
import { idsFold, textEvent } from './testing/folds.ts'
import { TestWorld } from './testing/world.ts'

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

describe('a snapshot', () => {
  it('is a cut of a lane that folds on meanwhile', async () => {
    const world = new TestWorld([idsFold('ids', 'person')])
    // The encoder gives way after every key.
    world.settings = { batchRecords: 3, sliceMs: 0 }
    await world.open()
    const commit = (round: number, keys: number): Promise<void> =>
      world.commit(
        ...Array.from({ length: keys }, (_, key) => textEvent('person', `p${key}`, `${round}`)),
      )
    await commit(0, 60)
    await world.settle()
    const before = world.streams.fold('ids').position()
    let isSaved = false
    const saving = world.streams.snapshot().then(() => (isSaved = true))
    let during = 0
    for (let round = 1; !isSaved; round++) {
      // Keys that are there already, in both orders of the encoder, and new ones.
      await commit(round, 60 + round)
      await turn()
      if (!isSaved) during = sum(world.streams.fold('ids').position())
    }
    await saving
    assert.ok(during > sum(before) + 100, `folded ${during - sum(before)} records meanwhile`)
    const snapshot = await world.snapshots.load('ids')
    assert.ok(snapshot)
    let cut = 0
    for await (const { header } of readLanes('ids', snapshot.chunks)) cut += header.consumed
    assert.ok(cut >= sum(before) && cut < during, `cut at ${cut} of ${during}`)
    // From the snapshot on, with what came after it folded once more.
    await world.open()
    await world.settle()
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })
})

describe('the view loop', () => {
  it('gives every partition its turn while one has much to fold', async () => {
    const slow = idsFold('slow', 'person')
    const quick = idsFold('quick', 'clip')
    const world = new TestWorld([slow, quick])
    await world.open()
    const many = Array.from({ length: 500 }, (_, index) => textEvent('person', 'p', `${index}`))
    await world.commit(...many)
    await world.commit(textEvent('clip', 'c', 'new'))
    const position = new Map([...world.log.ends()].filter(([name]) => name.startsWith('clip/')))
    await world.streams.reached({ position, folds: ['quick'], timeoutMs: 60_000 })
    const behind = world.streams.status().find(({ name }) => name === 'slow')?.lag ?? 0
    assert.ok(behind > 400, `${behind} records behind`)
    await world.settle()
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })
})

function sum(position: ReadonlyMap<string, number>): number {
  return [...position.values()].reduce((total, offset) => total + offset, 0)
}
