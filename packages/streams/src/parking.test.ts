import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { partitionOf, silentLogger } from '@millrace/core'
import type { FoldDefinition, FoldShard } from './fold.ts'
import { idsFold, lettersFold, readAll, textEvent } from './testing/folds.ts'
import { PARTITIONS, TestWorld } from './testing/world.ts'

/** Appends the record to its key, emits it, and fails on `bad` halfway while `isBroken` says so. */
function fragile(
  isBroken: () => boolean,
  onFailure: 'park' | 'pass' = 'park',
): { fold: FoldDefinition; calls: () => number } {
  let calls = 0
  const base = lettersFold('fragile', 'person', 'letter.from-person')
  const fold: FoldDefinition = {
    ...base,
    onFailure,
    createShard(context) {
      const shard = base.createShard(context)
      return Object.assign(shard, {
        fold: ((record, output) => {
          calls += 1
          for (const key of record.keys) {
            shard.states.set(key, `${shard.states.get(key) ?? ''}${record.data as string};`)
          }
          output.emit({ stream: 'letter.from-person', type: 'text', key: record.key, data: record.data }) // prettier-ignore
          if (record.data === 'bad' && isBroken()) throw new Error('cannot fold this')
        }) satisfies FoldShard['fold'],
      })
    },
  }
  return { fold, calls: () => calls }
}

/** What is durable of it: all once the runtime was closed, or once a fold behind has consumed it. */
const emittedOf = async (world: TestWorld): Promise<unknown[]> =>
  (await readAll(world.log, 'letter.from-person', PARTITIONS)).map(record => record.data)

describe('a failing fold', () => {
  it('parks the key, leaves no half-made change, and others go on', async () => {
    const { fold } = fragile(() => true)
    const world = await new TestWorld([fold, idsFold('ids', 'letter.from-person')]).open()
    const [same] = ['q', 'r', 's', 't', 'u', 'v', 'w'].filter(
      key => partitionOf(key, PARTITIONS) === partitionOf('p', PARTITIONS),
    )
    await world.commit(
      textEvent('person', 'p', 'one'),
      textEvent('person', 'p', 'bad'),
      textEvent('person', 'p', 'after'),
      textEvent('person', same as string, 'other'),
    )
    await world.settle()
    assert.equal(world.stateOf('fragile', 'p'), 'one;')
    assert.equal(world.stateOf('fragile', same as string), 'other;')
    assert.deepEqual((await emittedOf(world)).sort(), ['one', 'other'])
    const [parked, ...rest] = world.streams.fold('fragile').parked()
    assert.deepEqual(rest, [])
    assert.equal(parked?.key, 'p')
    assert.equal(parked?.waiting, 2)
    assert.equal(parked?.attempts, 1)
    assert.match(parked?.error ?? '', /cannot fold this/)
    assert.equal(world.streams.fold('fragile').isParked('p'), true)
    assert.equal(world.streams.status()[0]?.parkedKeys, 1)
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })

  it('goes on where it stopped once a retry succeeds, emitting what was missing once', async () => {
    let isBroken = true
    const { fold } = fragile(() => isBroken)
    const world = await new TestWorld([fold, idsFold('ids', 'letter.from-person')]).open()
    for (const data of ['one', 'bad', 'after']) await world.commit(textEvent('person', 'p', data))
    await world.settle()
    assert.equal(await world.streams.retry({ fold: 'fragile', key: 'p' }), false)
    assert.equal(world.streams.fold('fragile').parked()[0]?.attempts, 2)
    isBroken = false
    assert.equal(await world.streams.retry({ fold: 'fragile', key: 'p' }), true)
    assert.equal(await world.streams.retry({ fold: 'fragile', key: 'p' }), false)
    await world.settle()
    assert.equal(world.stateOf('fragile', 'p'), 'one;bad;after;')
    assert.deepEqual(world.streams.fold('fragile').parked(), [])
    await world.commit(textEvent('person', 'p', 'last'))
    await world.settle()
    assert.equal(world.stateOf('ids', 'p'), 'one;bad;after;last;')
    assert.deepEqual(await world.differences(), {})
    await world.open()
    await world.settle()
    assert.deepEqual(await emittedOf(world), ['one', 'bad', 'after', 'last'])
    assert.equal(world.stateOf('fragile', 'p'), 'one;bad;after;last;')
    await world.streams.close()
  })

  it('stays parked over restarts even when the code is repaired, with and without a snapshot', async () => {
    for (const how of ['snapshot', 'kill', 'later snapshot'] as const) {
      let isBroken = true
      const { fold } = fragile(() => isBroken)
      const world = await new TestWorld([fold]).open()
      await world.commit(textEvent('person', 'p', 'one'), textEvent('person', 'p', 'bad'))
      await world.settle()
      if (how === 'snapshot') await world.streams.snapshot()
      await world.commit(textEvent('person', 'p', 'after'))
      await world.settle()
      if (how === 'later snapshot') await world.streams.close()
      isBroken = false
      await world.open()
      await world.settle()
      assert.equal(world.stateOf('fragile', 'p'), 'one;', how)
      assert.equal(world.streams.fold('fragile').parked()[0]?.waiting, 2, how)
      assert.deepEqual(await world.differences(), {}, how)
      assert.equal(await world.streams.retry({ fold: 'fragile', key: 'p' }), true, how)
      await world.settle()
      await world.streams.close()
      assert.deepEqual(await emittedOf(world), ['one', 'bad', 'after'], how)
    }
  })

  it('is released after a restart from a snapshot that still had the key parked', async () => {
    let isBroken = true
    const { fold } = fragile(() => isBroken)
    const world = await new TestWorld([fold]).open()
    await world.commit(textEvent('person', 'p', 'bad'))
    await world.settle()
    await world.streams.snapshot()
    isBroken = false
    await world.streams.retry({ fold: 'fragile', key: 'p' })
    await world.commit(textEvent('person', 'p', 'after'))
    await world.settle()
    await world.open()
    await world.settle()
    assert.deepEqual(world.streams.fold('fragile').parked(), [])
    assert.equal(world.stateOf('fragile', 'p'), 'bad;after;')
    await world.streams.close()
    assert.deepEqual(await emittedOf(world), ['bad', 'after'])
  })

  it('passes a record by policy, and counts it', async () => {
    const { fold } = fragile(() => true, 'pass')
    const world = await new TestWorld([fold]).open()
    for (const [index, data] of ['one', 'bad', 'two', 'bad', 'three'].entries()) {
      await world.commit(textEvent('person', 'p', data, { id: `e${index}` }))
    }
    await world.settle()
    assert.equal(world.stateOf('fragile', 'p'), 'one;two;three;')
    assert.equal(world.streams.status()[0]?.counters['passed'], 2)
    assert.deepEqual(await world.differences(), {})
    assert.deepEqual((await world.streams.rebuild({ fold: 'fragile', keys: ['p'] })).different, [])
    await world.streams.close()
    assert.deepEqual(await emittedOf(world), ['one', 'two', 'three'])
  })

  it('does not spin when every record fails', async () => {
    const { fold, calls } = fragile(() => true)
    const world = await new TestWorld([fold]).open()
    const events = Array.from({ length: 60 }, (_, index) =>
      textEvent('person', `p${index % 3}`, 'bad', { id: `e${index}` }),
    )
    await world.commit(...events)
    await world.settle()
    assert.equal(world.streams.fold('fragile').parked().length, 3)
    assert.equal(calls(), 3)
    await world.streams.close()
  })

  it('keeps keys together that wait for the same record', async () => {
    let isBroken = true
    const base = idsFold('ids', 'letter.from-person')
    const fold: FoldDefinition = {
      ...base,
      createShard(context) {
        const shard = base.createShard(context)
        const inner = shard.fold.bind(shard)
        return Object.assign(shard, {
          fold: (record: Parameters<typeof inner>[0]) => {
            inner(record)
            if (record.data === 'bad' && isBroken) throw new Error('no')
          },
        })
      },
    }
    const world = await new TestWorld([fold]).open()
    const keys = Array.from({ length: 40 }, (_, index) => `k${index}`)
    const [a, b, c] = keys.filter(key => partitionOf(key, PARTITIONS) === 0) as [string, string, string] // prettier-ignore
    const send = (data: string, own: readonly string[]): Promise<void> =>
      world.commit(textEvent('letter.from-person', own[0] as string, data, { keys: own }))
    await send('bad', [a])
    await send('two', [a, b])
    await send('three', [b, c])
    await send('four', [c])
    await world.settle()
    assert.equal(world.streams.fold('ids').parked().length, 3)
    isBroken = false
    assert.equal(await world.streams.retry({ fold: 'ids', key: c }), true)
    assert.deepEqual([a, b, c].map(key => world.stateOf('ids', key)), ['bad;two;', 'two;three;', 'three;four;']) // prettier-ignore
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })

  it('stops the fold, with the reason in its status, when time itself cannot be told', async () => {
    const base = idsFold('ids', 'person')
    const errors: string[] = []
    const fold: FoldDefinition = {
      ...base,
      createShard: context =>
        Object.assign(base.createShard(context), {
          advance: () => {
            throw new Error('no time')
          },
        }),
    }
    const world = new TestWorld([fold])
    world.logger = { ...silentLogger, error: message => void errors.push(message) }
    await world.open()
    await world.commit(textEvent('person', 'p', 'one'))
    await assert.rejects(world.streams.reached({ position: new Map(world.log.ends()), timeoutMs: 20 })) // prettier-ignore
    const [status] = world.streams.status()
    assert.equal(status?.state, 'failed')
    assert.match(status?.error ?? '', /no time/)
    assert.deepEqual(errors, ['a fold stopped'])
    await world.streams.close()
  })
})
