import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { partitionOf } from '@millrace/core'
import { logErrors } from '@millrace/log'
import { createMemorySnapshotStore } from '@millrace/store/memory'
import type { SnapshotStore } from '@millrace/store'
import type { FoldDefinition, FoldShard } from './fold.ts'
import { idsFold, lettersFold, readAll, textEvent } from './testing/folds.ts'
import { PARTITIONS, TestWorld, turn } from './testing/world.ts'

const chain = () => [
  lettersFold('letters', 'person', 'letter.from-person'),
  idsFold('ids', 'letter.from-person'),
]

describe('steps', () => {
  it('are sent again, in order and once, when the log was overloaded', async () => {
    const world = new TestWorld(chain())
    await world.open()
    const events = Array.from({ length: 300 }, (_, index) =>
      textEvent('person', `p${index % 4}`, `abc${index}`),
    )
    for (const event of events) await world.commit(event)
    // Every step waits for a sync that takes a turn, and hardly one fits the queue.
    world.sync = () => new Promise(resolve => setImmediate(resolve))
    world.queueBytesMax = 1
    let refusals = 0
    await world.open()
    const { log } = world
    const commit = log.commit.bind(log)
    log.commit = async request => {
      try {
        return await commit(request)
      } catch (error) {
        refusals += 1
        throw error
      }
    }
    await world.settle()
    const emitted = await readAll(world.log, 'letter.from-person', PARTITIONS)
    assert.equal(emitted.length, events.reduce((sum, { data }) => sum + (data as string).length, 0)) // prettier-ignore
    assert.equal(new Set(emitted.map(record => record.id)).size, emitted.length)
    assert.deepEqual(await world.differences(), {})
    assert.ok(refusals > 0, 'nothing was refused')
    await world.streams.close()
  })

  it('that are sent again keep what was released and parked in them', async () => {
    let isBroken = true
    const base = lettersFold('letters', 'person', 'letter.from-person')
    const fold: FoldDefinition = {
      ...base,
      createShard(context) {
        const shard = base.createShard(context)
        const inner: FoldShard['fold'] = shard.fold.bind(shard)
        return Object.assign(shard, {
          fold: ((record, output) => {
            inner(record, output)
            if (record.data === 'bad' && isBroken) throw new Error('cannot fold this')
          }) satisfies FoldShard['fold'],
        })
      },
    }
    const world = await new TestWorld([fold]).open()
    const keys = Array.from({ length: 60 }, (_, index) => `k${index}`)
      .filter(key => partitionOf(key, PARTITIONS) === 0)
      .slice(0, 3)
    const [first, second, third] = keys as [string, string, string]
    await world.commit(...[first, second].map(key => textEvent('person', key, 'bad')))
    await world.settle()
    assert.equal(world.streams.fold('letters').parked().length, 2)
    const source = { processor: 'letters', generation: 1, stream: 'person', partition: 0 }
    while (world.log.steps(source)[0]?.consumed !== 2) await turn()
    // Two steps are on their way when the first is refused: they are sent again as one.
    const refusals = Promise.withResolvers<void>()
    const steps: unknown[] = []
    const commit = world.log.commit.bind(world.log)
    world.log.commit = async request => {
      if (request.step === undefined) return await commit(request)
      steps.push(request.step)
      if (steps.length > 2) return await commit(request)
      await refusals.promise
      throw logErrors.create('LOG_OVERLOADED', { queuedBytes: 2, limitBytes: 1, retryAfterMs: 0 })
    }
    await world.commit(textEvent('person', third, 'bad'))
    while (steps.length < 1) await turn()
    isBroken = false
    const retry = world.streams.retry({ fold: 'letters', key: first })
    while (steps.length < 2) await turn()
    refusals.resolve()
    assert.equal(await retry, true)
    assert.equal(await world.streams.retry({ fold: 'letters', key: second }), true)
    isBroken = true
    await world.streams.close()
    await world.open()
    await world.settle()
    const parked = world.streams.fold('letters').parked()
    assert.deepEqual(parked.map(({ key }) => key), [third]) // prettier-ignore
    const emitted = await readAll(world.log, 'letter.from-person', PARTITIONS)
    assert.equal(emitted.length, 2 * 'bad'.length)
    assert.equal(steps.length, 4)
    await world.streams.close()
  })

  it('that say nothing are few, and the last one is committed before the fold is idle', async () => {
    const silent = { ...lettersFold('letters', 'person', 'letter.from-person'), types: ['other'] }
    const world = await new TestWorld([silent, idsFold('ids', 'letter.from-person')]).open()
    const events = Array.from({ length: 400 }, (_, index) => textEvent('person', 'p', `${index}`))
    await world.commit(...events)
    await world.settle()
    const steps = [0, 1, 2, 3].flatMap(partition =>
      world.log.steps({ processor: 'letters', generation: 1, stream: 'person', partition }),
    )
    assert.equal(Math.max(...steps.map(step => step.consumed)), 400)
    assert.ok(steps.length < 400 / 7, `${steps.length} steps`)
    await world.streams.close()
  })

  it('that the log refuses for good stop the fold that emits, and no other', async () => {
    let isBroken = false
    const world = new TestWorld([...chain(), idsFold('people', 'person')])
    world.sync = async () => {
      if (isBroken) throw new Error('the disk is gone')
    }
    await world.open()
    await world.commit(textEvent('person', 'p', 'ab'))
    await world.settle()
    const hold = world.log.commit.bind(world.log)
    // The event is durable before the disk fails under the step.
    world.log.commit = async request => {
      if (request.step !== undefined) isBroken = true
      return await hold(request)
    }
    await world.commit(textEvent('person', 'p', 'cd'))
    await world.streams.reached({ position: new Map(world.log.ends()), folds: ['people'], timeoutMs: 60_000 }) // prettier-ignore
    while (world.streams.status()[0]?.state !== 'failed') {
      await new Promise(resolve => setImmediate(resolve))
    }
    assert.match(world.streams.status()[0]?.error ?? '', /the disk is gone/)
    assert.equal(world.stateOf('people', 'p'), 'ab;cd;')
    await world.streams.close()
    isBroken = false
    world.sync = undefined
    await world.open()
    await world.settle()
    assert.equal(world.stateOf('ids', 'c'), 'cd;')
    assert.equal((await readAll(world.log, 'letter.from-person', PARTITIONS)).length, 4)
    await world.streams.close()
  })
})

describe('snapshots', () => {
  async function filled(snapshots: SnapshotStore): Promise<TestWorld> {
    const world = new TestWorld(chain())
    world.snapshots = snapshots
    await world.open()
    for (let index = 0; index < 30; index++) {
      await world.commit(textEvent('person', `p${index % 7}`, `abc${index}`))
    }
    await world.settle()
    await world.streams.close()
    return world
  }

  async function assertSame(world: TestWorld): Promise<void> {
    await world.open()
    await world.settle()
    assert.equal((await readAll(world.log, 'letter.from-person', PARTITIONS)).length, 30 * 3 + 50) // prettier-ignore
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  }

  it('spare folding what they hold', async () => {
    const world = await filled(createMemorySnapshotStore())
    await world.open()
    await world.settle()
    const folded = world.streams.status().map(status => status.counters['folded'])
    assert.deepEqual(folded, [0, 0])
    await world.streams.close()
  })

  it('that are damaged, cut off, of another version or ahead of the log are not used', async () => {
    const damages: Record<string, (store: SnapshotStore) => Promise<SnapshotStore>> = {
      unreadable: async store => ({
        ...store,
        load: async () => {
          throw new Error('damaged')
        },
      }),
      'damaged while it is read': async store => ({
        ...store,
        load: async name => {
          const snapshot = await store.load(name)
          return snapshot && { ...snapshot, chunks: failingAfter(snapshot.chunks, 2) }
        },
      }),
      nonsense: async store => {
        const chunks = [Buffer.from([1]), Buffer.from([9, 9])]
        for (const name of await store.list()) {
          const { meta } = (await store.load(name)) ?? { meta: { version: '', info: null } }
          await store.save(name, meta, chunks)
        }
        return store
      },
      'of a chunk that nobody knows': async store => {
        for (const name of await store.list()) {
          const { meta } = (await store.load(name)) ?? { meta: { version: '', info: null } }
          const header = { partition: 0, consumed: 0, watermarkMs: 5, parked: [], tables: {} }
          const chunks = [Buffer.from(`\u0001${JSON.stringify(header)}`), Buffer.from([99])]
          await store.save(name, meta, chunks)
        }
        return store
      },
      'of a state that no longer fits': async store => {
        for (const name of await store.list()) {
          const { meta } = (await store.load(name)) ?? { meta: { version: '', info: null } }
          const header = { partition: 0, consumed: 0, watermarkMs: 5, parked: [], tables: {} }
          const chunks = [`\u0001${JSON.stringify(header)}`, '\u0004state of a shard', '\u0005']
          await store.save(name, meta, chunks.map(chunk => Buffer.from(chunk))) // prettier-ignore
        }
        return store
      },
      'ahead of the log': async store => {
        for (const name of await store.list()) {
          const { meta } = (await store.load(name)) ?? { meta: { version: '', info: null } }
          const header = { partition: 0, consumed: 1e6, watermarkMs: 5, parked: [], tables: {} }
          const chunks = [Buffer.from(`\u0001${JSON.stringify(header)}`), Buffer.from([5])]
          await store.save(name, meta, chunks)
        }
        return store
      },
    }
    for (const [how, damage] of Object.entries(damages)) {
      const world = await filled(createMemorySnapshotStore())
      world.snapshots = await damage(world.snapshots)
      await assert.doesNotReject(assertSame(world), how)
    }
  })
})

async function* failingAfter(chunks: AsyncIterable<Uint8Array>, count: number) {
  let index = 0
  for await (const chunk of chunks) {
    if (index++ === count) throw new Error('damaged')
    yield chunk
  }
}
