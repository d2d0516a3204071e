/**
 * Changesets beside each other and beside what people do by hand: which of them stand in each other's
 * way, which do not, and what is said of it. (Beside erasures: `erasure-overlaps.test.ts` of millrace.)
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { isError, systemClock, type Clock } from '@millrace/core'
import { audience, clips, clipsApp } from '../testing/clips-app.ts'
import { createTestClock, openTestProduct, type TestProduct } from '../testing/open-product.ts'
import type { ChangesetView } from './views.ts'

const ANA = 'key:ana'
const EVENTS = audience({ events: 120, people: 6, clips: 8, seed: 4 }).map((event, number) => ({ ...event, id: `e${number}` })) // prettier-ignore
const FOLDS = ['profile', 'item-stats']
const slip = { reason: 'by hand', by: ANA }

/** The pauses of a run of one entry a second. */
const isPace = (delayMs: number): boolean => delayMs >= 1_000 && delayMs <= 5_000

const refusal = (code: string, text: RegExp) => (error: unknown) => {
  assert.ok(isError(error, code), String(error))
  assert.match(`${error.message} ${error.remedy}`, text)
  return true
}

describe('changesets beside each other', () => {
  let product: TestProduct
  /** While it is, nothing goes on that waits for a time. */
  let isHeld = false
  const held: (() => void)[] = []
  before(async () => {
    const clock = createTestClock(1_800_000_000_000)
    const after: Clock['after'] = (delayMs, task) =>
      systemClock.after(isPace(delayMs) ? 1 : delayMs, () => void (isHeld && isPace(delayMs) ? held.push(task) : task())) // prettier-ignore
    Object.assign(clock, { after })
    product = await openTestProduct(clipsApp(), { clock })
    await product.catalogue.put('clip', clips(8))
    await product.track(EVENTS)
    await product.settle()
  })
  after(async () => {
    for (const fold of FOLDS) {
      assert.deepEqual((await product.streams.rebuild({ fold })).different, [], fold)
    }
    await product.close()
  })

  const plan = (id: string, kind: string, request: object): Promise<ChangesetView> =>
    product.changesets.plan({ id, kind, request }, ANA)
  const run = async (verb: 'apply' | 'undo', id: string): Promise<ChangesetView> => {
    await product.changesets[verb](id, {}, ANA)
    return await product.changesets.settled(id)
  }
  /** Begins to apply, and leaves it when no more than the first entry is written. */
  const pause = async (id: string): Promise<void> => {
    isHeld = true
    await product.changesets.apply(id, { perSecond: 1 }, ANA)
    await product.changesets.pause(id, ANA)
    isHeld = false
    for (const task of held.splice(0)) task()
  }
  const goOn = async (id: string): Promise<ChangesetView> => {
    await product.changesets.resume(id, ANA)
    return await product.changesets.settled(id)
  }
  const states = (): readonly unknown[] =>
    FOLDS.flatMap(name => {
      const { shardOf, shards } = product.streams.fold(name)
      const keys = shards().flatMap(shard => [...shard.keys()])
      return keys.sort().map(key => [name, key, Buffer.from(shardOf(key).encodeKey(key) ?? []).toString('hex')]) // prettier-ignore
    })

  it('corrections of the same event: the second is refused by the name of the first, then as stale', async () => {
    const rows = (...ids: readonly string[]): object => ({ rows: ids.map(id => ({ id })) })
    await plan('one', 'corrections', rows('e1', 'e2', 'e3'))
    await plan('two', 'corrections', { rows: [{ id: 'e3', do: 'hold' }] })
    await plan('apart', 'corrections', rows('e4'))
    await pause('one')
    assert.deepEqual((await product.changesets.dryRun('two')).overlaps, ['one'])
    const overlaps = /^one is applying \(paused\) and changes person\/\d\/\d+\/e3 too\. Wait until one has ended, or cancel it/ // prettier-ignore
    await assert.rejects(product.changesets.apply('two', {}, ANA), refusal('CHANGESET_OVERLAPS', overlaps)) // prettier-ignore
    assert.equal((await run('apply', 'apart')).state, 'applied')
    // What is done by hand meanwhile is left alone, and said.
    const held = { corrections: [{ id: 'e2', action: 'hold' as const }], ...slip }
    await product.streams.corrections.apply(held)
    const view = await goOn('one')
    assert.deepEqual([view.state, view.applied, view.run?.refused], ['applied', 2, 1])
    const entries = await product.changesets.entries('one', { from: 0, limit: 3 })
    assert.deepEqual(entries.map(({ code, reason }) => [code, reason]), [[undefined, undefined], ['MOVED', 'others changed it since'], [undefined, undefined]]) // prettier-ignore
    await assert.rejects(product.changesets.apply('two', {}, ANA), refusal('CHANGESET_STALE', /^1 of .*\/e3\. Plan again/)) // prettier-ignore
    assert.equal((await run('undo', 'one')).state, 'undone')
    assert.equal((await run('apply', 'two')).state, 'applied')
    for (const id of ['two', 'apart']) await run('undo', id)
    await product.streams.corrections.apply({ corrections: [{ id: 'e2', action: 'restore' }], ...slip }) // prettier-ignore
  })

  it('a merge and a split of one person: the second is refused by name; others go on, and no circle comes of it', async () => {
    const link = (from: string, into?: string): object => ({ rows: [{ from, into }] })
    await product.streams.identities.apply({ links: [{ from: 'p4', into: 'p5' }], ...slip })
    await plan('merge', 'identities', { rows: [{ from: 'x1', into: 'x2' }, { from: 'p1', into: 'p2' }, { from: 'p4', into: 'p3' }] }) // prettier-ignore
    await plan('split', 'identities', link('p4'))
    await plan('back', 'identities', link('p2', 'p1'))
    await pause('merge')
    const overlaps = /^merge is applying \(paused\) and changes p4 too\. Wait until merge has ended/
    await assert.rejects(product.changesets.apply('split', {}, ANA), refusal('CHANGESET_OVERLAPS', overlaps)) // prettier-ignore
    assert.equal((await run('apply', 'back')).applied, 1)
    const merged = await goOn('merge')
    assert.deepEqual([merged.applied, merged.run?.refused], [2, 1])
    const [, circle] = await product.changesets.entries('merge', { from: 0, limit: 2 })
    assert.deepEqual([circle?.code, circle?.reason], ['MERGE_REFUSED', 'p2 is p1 already: split them first']) // prettier-ignore
    for (const id of ['merge', 'back']) assert.equal((await run('undo', id)).state, 'undone')
    assert.equal((await run('apply', 'split')).state, 'applied')
  })

  it('corrections, merges and rows are in nobody’s way: at once they come to what they do one after the other', async () => {
    await plan('ring', 'corrections', { query: { stream: 'person', keys: ['p1'] } })
    await plan('people', 'identities', { rows: [{ from: 'p1', into: 'p2' }] })
    await plan('rows', 'catalogue', { table: 'clip', do: 'patch', where: {}, set: { title: 'new' } }) // prettier-ignore
    const all = ['ring', 'people', 'rows']
    const first = states()
    const seen: (readonly unknown[])[] = []
    for (const order of [all, all.toReversed()]) {
      for (const id of order) assert.equal((await run('apply', id)).state, 'applied')
      seen.push(states())
      for (const id of order) assert.equal((await run('undo', id)).state, 'undone')
      assert.deepEqual(states(), first)
    }
    for (const id of all) assert.deepEqual((await product.changesets.dryRun(id)).overlaps, [])
    await Promise.all(all.map(id => run('apply', id)))
    seen.push(states())
    assert.notDeepEqual(seen[0], first)
    assert.deepEqual([seen[1], seen[2]], [seen[0], seen[0]])
    await Promise.all(all.map(id => run('undo', id)))
    assert.deepEqual(states(), first)
  })

  it('a plan is stale when what it is about moved, and only then', async () => {
    const control = product.streams.corrections
    const byHand = async (id: string, action: 'hold' | 'restore'): Promise<void> => {
      await control.apply({ corrections: [{ id, action }], ...slip })
    }
    await plan('events', 'corrections', { rows: [{ id: 'e7' }] })
    await plan('links', 'identities', { rows: [{ from: 'p1', into: 'p2' }] })
    await byHand('e8', 'hold')
    await product.streams.identities.apply({ links: [{ from: 'p3', into: 'p2' }], ...slip })
    await product.catalogue.put('clip', clips(2))
    await product.track([{ ...EVENTS[0], id: 'new' } as (typeof EVENTS)[0]])
    for (const id of ['events', 'links']) {
      assert.deepEqual((await product.changesets.dryRun(id)).moved, { count: 0, targets: [] })
    }
    await byHand('e7', 'hold')
    await product.streams.identities.apply({ links: [{ from: 'p1', into: 'p4' }], ...slip })
    await assert.rejects(product.changesets.apply('events', {}, ANA), refusal('CHANGESET_STALE', /\/e7\./)) // prettier-ignore
    await assert.rejects(product.changesets.apply('links', {}, ANA), refusal('CHANGESET_STALE', / p1\./)) // prettier-ignore
    // What was put back is as it was planned on.
    await byHand('e7', 'restore')
    await product.streams.identities.apply({ links: [{ from: 'p1', into: null }], ...slip })
    for (const id of ['events', 'links']) assert.equal((await run('apply', id)).state, 'applied')
    for (const id of ['events', 'links']) assert.equal((await run('undo', id)).state, 'undone')
    await byHand('e8', 'restore')
    await product.streams.identities.apply({ links: [{ from: 'p3', into: null }], ...slip })
  })

  it('a run keeps to its limit', async () => {
    const moments: number[] = []
    const clock = Object.assign(createTestClock(0), { monotonicMs: () => systemClock.monotonicMs() }) // prettier-ignore
    const { changesets, ...limited } = await openTestProduct(clipsApp(), { clock })
    changesets.register({
      name: 'slow',
      request: { type: 'object' },
      plan: () => Array.from({ length: 12 }, (_, at) => ({ target: `t${at}`, change: () => ({ value: 1 }) })), // prettier-ignore
      read: async targets => targets.map(() => ({ value: undefined, version: 0 })),
      async write(writes) {
        for (const _ of writes) moments.push(clock.monotonicMs())
        return writes.map(() => 'written')
      },
    })
    await changesets.plan({ id: 'slowly', kind: 'slow', request: {} }, ANA)
    const begunMs = clock.monotonicMs()
    await changesets.apply('slowly', { perSecond: 20 }, ANA)
    assert.equal((await changesets.settled('slowly')).applied, 12)
    assert.equal(moments.length, 12)
    // Four at a time, a fifth of a second apart; a timer may fire a moment early.
    for (const [at, ms] of moments.entries()) assert.ok(ms - begunMs >= Math.floor(at / 4) * 200 - 5, `${at}: ${ms - begunMs}`) // prettier-ignore
    await limited.close()
  })
})
