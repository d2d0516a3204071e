import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isError } from '@millrace/core'
import { AMENDMENTS_STREAM } from './amendments.ts'
import type { FoldDefinition } from './fold.ts'
import { readAll, TextShard, textEvent } from './testing/folds.ts'
import { TestWorld } from './testing/world.ts'

/** Appends the data of each record to its keys; cannot fold what begins with `bad`. */
function strictFold(options: Partial<FoldDefinition> = {}): FoldDefinition {
  return {
    name: 'strict',
    version: '1',
    source: 'person',
    onFailure: 'park',
    createShard: () =>
      new TextShard((state, record) => {
        const data = record.data as string
        if (data.startsWith('bad')) throw new Error(`cannot fold ${data}`)
        return `${state}${data};`
      }),
    ...options,
  }
}

async function openWith(...texts: readonly string[]): Promise<TestWorld> {
  return await openFold(strictFold(), texts)
}

async function openFold(fold: FoldDefinition, texts: readonly string[]): Promise<TestWorld> {
  const world = await new TestWorld([fold]).open()
  for (const text of texts) await world.commit(textEvent('person', 'p', text))
  await world.settle()
  return world
}

describe('dead letters', () => {
  it('are skipped with a reason, and stay skipped after a restart and in a rebuild', async () => {
    const world = await openWith('one', 'bad', 'after')
    const amendment = { kind: 'skip', reason: 'sent by a broken client' } as const
    assert.equal(await world.streams.amend({ fold: 'strict', key: 'p', amendment }), true)
    assert.equal(world.stateOf('strict', 'p'), 'one;after;')
    assert.deepEqual(world.streams.fold('strict').parked(), [])
    assert.deepEqual(await world.differences(), {})
    await world.open()
    await world.settle()
    assert.equal(world.stateOf('strict', 'p'), 'one;after;')
    assert.deepEqual((await world.streams.rebuild({ fold: 'strict', keys: ['p'] })).different, [])
    await world.streams.close()
  })

  it('are fixed for the fold, while the record keeps what was sent', async () => {
    const world = await openWith('one', 'bad', 'after')
    const amendment = { kind: 'fix', reason: 'typo', data: 'good' } as const
    assert.equal(await world.streams.amend({ fold: 'strict', key: 'p', amendment }), true)
    assert.equal(world.stateOf('strict', 'p'), 'one;good;after;')
    const sent = (await readAll(world.log, 'person', 4)).map(({ data }) => data)
    assert.deepEqual(sent, ['one', 'bad', 'after'])
    const [decision] = await readAll(world.log, AMENDMENTS_STREAM, 1)
    assert.equal(decision?.key, 'strict')
    assert.deepEqual(decision?.data, {
      event: textEvent('person', 'p', 'bad').id,
      type: 'text',
      kind: 'fix',
      reason: 'typo',
      data: 'good',
    })
    await world.open()
    await world.settle()
    assert.equal(world.stateOf('strict', 'p'), 'one;good;after;')
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })

  it('wait from the next record that fails, as long as before', async () => {
    const world = await openWith('one', 'bad 1', 'two', 'bad 2', 'three')
    const [first] = world.streams.fold('strict').parked()
    const amendment = { kind: 'skip', reason: 'no' } as const
    assert.equal(await world.streams.amend({ fold: 'strict', key: 'p', amendment }), false)
    assert.equal(world.stateOf('strict', 'p'), 'one;two;')
    const [second] = world.streams.fold('strict').parked()
    assert.equal(second?.offset, 3)
    assert.equal(second?.waiting, 2)
    assert.equal(second?.attempts, 2)
    assert.equal(second?.sinceMs, first?.sinceMs)
    assert.match(second?.error ?? '', /cannot fold bad 2/)
    assert.deepEqual(await world.differences(), {})
    const waiting = await world.streams.waiting({ fold: 'strict', key: 'p', recordsMax: 10 })
    assert.deepEqual(waiting.map(({ data }) => data), ['bad 2', 'three']) // prettier-ignore
    const rest = await world.streams.waiting({ fold: 'strict', key: 'p', from: 4, recordsMax: 1 })
    assert.deepEqual(rest.map(({ data }) => data), ['three']) // prettier-ignore
    await world.streams.close()
  })

  it('may be decided on before their turn comes', async () => {
    const world = await openWith('bad 1', 'bad 2')
    const skip = { kind: 'skip', reason: 'no' } as const
    const { streams } = world
    assert.equal(await streams.amend({ fold: 'strict', key: 'p', offset: 1, amendment: skip }), false) // prettier-ignore
    const fix = { kind: 'fix', reason: 'yes', data: 'good' } as const
    assert.equal(await streams.amend({ fold: 'strict', key: 'p', amendment: fix }), true)
    assert.equal(world.stateOf('strict', 'p'), 'good;')
    await streams.close()
  })

  it('that do not wait are refused, and nothing is decided', async () => {
    const world = await openWith('one', 'bad')
    const amendment = { kind: 'skip', reason: 'no' } as const
    const { streams } = world
    const refused = (code: string) => (error: unknown) => isError(error, code)
    await assert.rejects(streams.amend({ fold: 'strict', key: 'q', amendment }), refused('KEY_NOT_PARKED')) // prettier-ignore
    await assert.rejects(streams.waiting({ fold: 'strict', key: 'q', recordsMax: 1 }), refused('KEY_NOT_PARKED')) // prettier-ignore
    for (const offset of [0, 2, 99]) {
      await assert.rejects(
        streams.amend({ fold: 'strict', key: 'p', offset, amendment }),
        refused('AMENDMENT_INVALID'),
      )
    }
    assert.deepEqual(await readAll(world.log, AMENDMENTS_STREAM, 1), [])
    await streams.close()
  })

  for (const [kind, targets] of [
    ['', []],
    [' that emits', ['letter.from-person']],
  ] as const) {
    it(`keep the decision when the process dies before the retry of a fold${kind}`, async () => {
      const world = await openFold(strictFold({ targets }), ['one', 'bad', 'after'])
      await world.streams.snapshot()
      const { log } = world
      const commit = log.commit.bind(log)
      // The decision is durable, and then the machine is gone.
      log.commit = async request => {
        await commit(request)
        return await new Promise(() => undefined)
      }
      const amendment = { kind: 'skip', reason: 'no' } as const
      void world.streams.amend({ fold: 'strict', key: 'p', amendment })
      while ((await readAll(log, AMENDMENTS_STREAM, 1)).length === 0) await Promise.resolve()
      await world.open()
      // Nobody asks for it.
      while (world.streams.fold('strict').isParked('p')) await Promise.resolve()
      await world.settle()
      assert.equal(world.stateOf('strict', 'p'), 'one;after;')
      await world.streams.close()
    })
  }
})

/** Cannot fold `bad` until it is repaired. */
function brokenFold(options: Partial<FoldDefinition> = {}): {
  readonly fold: FoldDefinition
  readonly repair: () => void
} {
  let isBroken = true
  const createShard = (): TextShard =>
    new TextShard((state, record) => {
      if (record.data === 'bad' && isBroken) throw new Error('not yet')
      return `${state}${record.data as string};`
    })
  return { fold: strictFold({ ...options, createShard }), repair: () => (isBroken = false) }
}

describe('a retry', () => {
  it('is durable when it is answered', async () => {
    const { fold, repair } = brokenFold({ targets: ['letter.from-person'] })
    const world = await new TestWorld([fold]).open()
    await world.commit(textEvent('person', 'p', 'bad'))
    await world.settle()
    repair()
    assert.equal(await world.streams.retry({ fold: 'strict', key: 'p' }), true)
    // Nothing is closed: as after a kill.
    await world.open()
    await world.settle()
    assert.deepEqual(world.streams.fold('strict').parked(), [])
    assert.equal(world.stateOf('strict', 'p'), 'bad;')
    await world.streams.close()
  })

  it('of a fold without targets is not undone by a snapshot from before it', async () => {
    const { fold, repair } = brokenFold()
    const world = await new TestWorld([fold]).open()
    await world.commit(textEvent('person', 'p', 'bad'))
    await world.settle()
    await world.streams.snapshot()
    repair()
    assert.equal(await world.streams.retry({ fold: 'strict', key: 'p' }), true)
    await world.open()
    await world.settle()
    assert.deepEqual(world.streams.fold('strict').parked(), [])
    assert.equal(world.stateOf('strict', 'p'), 'bad;')
    await world.streams.close()
  })
})
