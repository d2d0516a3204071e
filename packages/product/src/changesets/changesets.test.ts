import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { defineApp, isError, type App } from '@millrace/core'
import { logErrors, type EventLog } from '@millrace/log'
import { openMemoryLog } from '@millrace/log/memory'
import { clips, clipsApp } from '../testing/clips-app.ts'
import { createTestClock, openTestProduct, type TestProduct } from '../testing/open-product.ts'
import type { ChangeKind } from './change-kind.ts'
import type { PlanRequest } from './changesets.ts'
import { createCatalogueKind } from './catalogue-kind.ts'
import { changeKindSuite } from './suite.ts'

const ANA = 'key:ana'
const BEN = 'key:ben'
const has = (code: string) => (error: unknown) => isError(error, code)
const catalogue = (id: string, request: object): PlanRequest => ({ id, kind: 'catalogue', request })

/** The clips app, where more than three effects need a second person. */
function ruledApp(): App {
  const { options } = clipsApp()
  return defineApp({ ...options, approvals: [{ kind: 'catalogue', above: 3 }] })
}

const titles = (product: TestProduct, ids: readonly string[]): readonly unknown[] =>
  ids.map(id => product.catalogue.get('clip', id)?.attributes['title'])

/** Applies or undoes, and waits for the end. */
async function runs(
  { changesets }: TestProduct,
  verb: 'apply' | 'undo',
  id: string,
  request = {},
): ReturnType<TestProduct['changesets']['settled']> {
  await changesets[verb](id, request, ANA)
  return changesets.settled(id)
}

describe('changesets of the catalogue', () => {
  let product: TestProduct
  before(async () => {
    product = await openTestProduct(clipsApp())
    await product.catalogue.put('clip', clips(40))
    await product.settle()
  })
  after(() => product.close())

  it('change rows by what they have, say what would change, and are taken back as a whole', async () => {
    const { changesets } = product
    const where = { creator: 'creator 3' }
    const view = await changesets.plan(
      catalogue('rename', { table: 'clip', do: 'patch', where, set: { title: 'new' } }),
      ANA,
    )
    assert.deepEqual([view.state, view.effects, view.plannedBy], ['planned', 4, ANA])
    const dry = await changesets.dryRun('rename', { samples: 2 })
    assert.deepEqual([dry.adds, dry.changes, dry.removes, dry.fields], [0, 4, 0, { title: 4 }])
    assert.deepEqual(dry.samples.map(({ target, action }) => [target, action]), [['clip/c13', 'change'], ['clip/c23', 'change']]) // prettier-ignore
    assert.deepEqual(dry.moved, { count: 0, targets: [] })
    assert.deepEqual(titles(product, ['c3', 'c13']), ['Clip 3', 'Clip 13'])
    const applied = await runs(product, 'apply', 'rename', { hash: view.hash })
    assert.deepEqual([applied.state, applied.applied, applied.run?.refused], ['applied', 4, 0])
    await product.settle()
    assert.deepEqual(titles(product, ['c3', 'c13', 'c4']), ['new', 'new', 'Clip 4'])
    assert.equal((await runs(product, 'apply', 'rename')).run?.run, 1, 'once more changes nothing')
    const undone = await runs(product, 'undo', 'rename')
    assert.deepEqual([undone.state, undone.applied], ['undone', 0])
    await product.settle()
    assert.deepEqual(titles(product, ['c3', 'c13']), ['Clip 3', 'Clip 13'])
    assert.equal((await runs(product, 'apply', 'rename')).state, 'applied')
    await runs(product, 'undo', 'rename')
  })

  it('take rows from a list, refuse each bad one for itself, and say what a surface loses', async () => {
    const rows = [
      { id: 'c0', do: 'remove' },
      { id: 'c1', do: 'patch', attributes: { title: 7 } },
      { id: 'nobody', do: 'patch', attributes: { title: 'x' } },
      { id: 'c0', do: 'remove' },
      { id: 5 },
      { id: 'c2', attributes: { ...clips(3)[2]?.attributes } },
      { id: 'c3', do: 'patch', attributes: [] },
      { id: 'absent', do: 'remove' },
    ]
    const { changesets } = product
    const view = await changesets.plan(catalogue('list', { table: 'clip', rows }), ANA)
    assert.deepEqual([view.effects, view.refused, view.unchanged], [1, 5, 2])
    const entries = await changesets.entries('list', { from: 0, limit: 100 })
    assert.deepEqual(
      entries.map(({ target, code }) => [target, code]),
      [
        ['clip/c0', undefined],
        ['clip/c1', 'DATA_INVALID'],
        ['clip/nobody', 'ITEM_UNKNOWN'],
        ['clip/c0', 'TARGET_TWICE'],
        ['row 5', 'ID_INVALID'],
        ['clip/c3', 'DATA_INVALID'],
      ],
    )
    const { consequences, removes } = await changesets.dryRun('list')
    assert.equal(removes, 1)
    const what = 'items that the surface home chooses from'
    assert.deepEqual(consequences[0], { what, before: 40, count: 39 })
    await changesets.cancel('list', ANA)
    assert.equal(changesets.show('list').state, 'cancelled')
    await assert.rejects(changesets.apply('list', {}, ANA), has('CHANGESET_STATE'))
    await assert.rejects(changesets.undo('list', {}, ANA), has('CHANGESET_STATE'))
  })

  it('change the attributes of people, and a row that is dated ahead', async () => {
    const { changesets, people } = product
    const rows = [{ id: 'p1', attributes: { country: 'ch' } }]
    await changesets.plan(catalogue('people', { table: 'person', rows }), ANA)
    await runs(product, 'apply', 'people')
    await product.settle()
    assert.deepEqual(people.get('p1')?.attributes, { country: 'ch' })
    const at = '2099-01-01T00:00:00Z'
    await people.put({ id: 'p1', attributes: { country: 'fr' }, at })
    await product.settle()
    await assert.rejects(changesets.undo('people', {}, ANA), has('CHANGESET_STALE'))
    assert.equal((await runs(product, 'undo', 'people', { onMoved: 'overwrite' })).state, 'undone')
    await product.settle()
    assert.equal(people.get('p1'), undefined)
  })

  it('refuse requests that mean nothing, by name', async () => {
    const { changesets } = product
    const bad = [
      [{ table: 'film', rows: [] }, /no table film/],
      [{ table: 'clip' }, /either `rows` or `where`/],
      [{ table: 'clip', rows: [] }, /would change nothing/],
      [{ table: 'clip', do: 'patch', where: {} }, /what to `set`/],
      [{ table: 'clip', where: {} }, /patch or remove/],
      [{ table: 'clip', do: 'remove', where: { color: 'red' } }, /no field color/],
      [{ table: 'clip', rows: [], set: {} }, /`set` goes with/],
      [{ table: 7 }, /\/table/],
      [{ table: 'clip', rows: [{ id: 'c1', color: 'red' }] }, /\/rows\/0/],
      ['clip', /the request/],
    ] as const
    for (const [request, reason] of bad) {
      const planning = changesets.plan({ kind: 'catalogue', request }, ANA)
      await assert.rejects(planning, (error: unknown) => {
        assert.ok(isError(error, 'CHANGESET_INVALID'), String(error))
        assert.match(error.message, reason)
        return true
      })
    }
    await assert.rejects(changesets.plan({ kind: 'x', request: {} }, ANA), has('CHANGE_KIND_UNKNOWN')) // prettier-ignore
    assert.throws(() => changesets.show('nobody'), has('CHANGESET_UNKNOWN'))
    await assert.rejects(changesets.apply('nobody', {}, ANA), has('CHANGESET_UNKNOWN'))
    await assert.rejects(changesets.apply('people', { onMoved: 'overwrite' }, ANA), has('CHANGESET_INVALID')) // prettier-ignore
    assert.throws(() => changesets.register({ name: 'catalogue' } as ChangeKind), has('CHANGESET_INVALID')) // prettier-ignore
  })

  it('are refused as stale by the names of what moved, planned again, or leave these out', async () => {
    const { changesets, catalogue: items } = product
    const request = { table: 'clip', do: 'remove', rows: [{ id: 'c20' }, { id: 'c21' }] }
    const first = await changesets.plan(catalogue('stale', request), ANA)
    assert.equal((await changesets.plan(catalogue('stale', request), ANA)).hash, first.hash)
    const attributes = { ...items.get('clip', 'c20')?.attributes, title: 'moved' }
    await items.put('clip', [{ id: 'c20', attributes }])
    await assert.rejects(changesets.apply('stale', {}, ANA), (error: unknown) => {
      assert.ok(isError(error, 'CHANGESET_STALE'))
      assert.match(error.message, /^1 of the values .* clip\/c20\./)
      return true
    })
    assert.deepEqual((await changesets.dryRun('stale')).moved, { count: 1, targets: ['clip/c20'] })
    const second = await changesets.plan(catalogue('stale', request), ANA)
    assert.notEqual(second.hash, first.hash)
    await assert.rejects(
      changesets.apply('stale', { hash: first.hash }, ANA),
      has('CHANGESET_HASH'),
    )
    await items.put('clip', [{ id: 'c20', attributes: { ...attributes, title: 'again' } }])
    const applied = await runs(product, 'apply', 'stale', { onMoved: 'skip' })
    assert.deepEqual([applied.applied, applied.run?.refused], [1, 1])
    const [skipped, written] = await changesets.entries('stale', { from: 0, limit: 2 })
    assert.deepEqual([skipped?.code, skipped?.isApplied, written?.isApplied], ['MOVED', false, true]) // prettier-ignore
    await assert.rejects(changesets.plan(catalogue('stale', request), ANA), has('CHANGESET_TAKEN'))
    await runs(product, 'undo', 'stale')
    await product.settle()
    assert.deepEqual(titles(product, ['c20', 'c21']), ['again', 'Clip 21'])
  })

  it('that change the same as one under way are refused, by its name', async () => {
    const { changesets } = product
    const remove = (ids: readonly string[]): object => ({ table: 'clip', do: 'remove', rows: ids.map(id => ({ id })) }) // prettier-ignore
    await changesets.plan(catalogue('one', remove(['c30', 'c31', 'c35', 'c36', 'c37', 'c38'])), ANA)
    await changesets.plan(catalogue('two', remove(['c31', 'c32'])), ANA)
    await changesets.plan(catalogue('three', remove(['c33'])), ANA)
    await changesets.apply('one', { perSecond: 5 }, ANA)
    await changesets.pause('one', BEN)
    assert.equal(changesets.show('one').run?.isPaused, true)
    await assert.rejects(changesets.apply('two', { onMoved: 'skip' }, ANA), (error: unknown) => {
      assert.ok(isError(error, 'CHANGESET_OVERLAPS'))
      assert.match(error.message, /^one is applying \(paused\) and changes clip\/c31 too/)
      return true
    })
    assert.deepEqual((await changesets.dryRun('two')).overlaps, ['one'])
    await assert.rejects(changesets.plan(catalogue('one', remove(['c34'])), ANA), has('CHANGESET_TAKEN')) // prettier-ignore
    assert.equal((await runs(product, 'apply', 'three')).state, 'applied')
    await changesets.resume('one', BEN)
    assert.equal((await changesets.settled('one')).state, 'applied')
    await assert.rejects(changesets.apply('two', {}, ANA), has('CHANGESET_STALE'))
    await runs(product, 'undo', 'one')
    assert.equal((await runs(product, 'apply', 'two')).state, 'applied')
    await assert.rejects(changesets.pause('two', ANA), has('CHANGESET_STATE'))
    await assert.rejects(changesets.cancel('two', ANA), has('CHANGESET_STATE'))
    await runs(product, 'undo', 'two')
    await runs(product, 'undo', 'three')
  })

  it('that are cancelled stay where they are, and can be taken back', async () => {
    const { changesets } = product
    const before_ = titles(product, clips(40).map(({ id }) => id)) // prettier-ignore
    await changesets.plan(catalogue('cut', { table: 'clip', do: 'remove', where: {} }), ANA)
    await changesets.apply('cut', { perSecond: 20 }, ANA)
    await changesets.cancel('cut', BEN)
    await changesets.cancel('cut', BEN)
    const cut = await changesets.settled('cut')
    assert.equal(cut.state, 'cancelled')
    assert.ok(cut.applied < cut.effects, `${cut.applied}`)
    await assert.rejects(changesets.apply('cut', {}, ANA), has('CHANGESET_STATE'))
    if (cut.applied > 0) await runs(product, 'undo', 'cut')
    await product.settle()
    assert.deepEqual(titles(product, clips(40).map(({ id }) => id)), before_) // prettier-ignore
    const states = changesets.list({ limit: 2 }).map(({ id }) => id)
    assert.deepEqual(states, ['cut', 'three'])
    const undone = changesets.list({ state: 'undone', limit: 1 })
    assert.deepEqual(undone.map(({ state }) => state), ['undone']) // prettier-ignore
  })

  it('are counted', () => {
    const found = product.modules.get('changesets')?.metrics.map(({ name, collect }) => [name, collect()]) // prettier-ignore
    const metrics = Object.fromEntries(found ?? []) as Record<string, { value: number }[]>
    assert.ok((metrics['millrace_changesets_count'] ?? []).length > 1)
    assert.ok((metrics['millrace_changesets_written_total']?.[0]?.value ?? 0) > 8)
  })
})

describe('approval', () => {
  let product: TestProduct
  before(async () => {
    product = await openTestProduct(ruledApp())
    await product.catalogue.put('clip', clips(10))
    await product.settle()
  })
  after(() => product.close())
  const remove = (count: number): object => ({ table: 'clip', do: 'remove', rows: clips(count).map(({ id }) => ({ id })) }) // prettier-ignore

  it('is by a second key, of the plan as it is, and cannot be gone around', async () => {
    const { changesets } = product
    const { hash, approvalsNeeded } = await changesets.plan(catalogue('big', remove(4)), ANA)
    assert.equal(approvalsNeeded, 1)
    await assert.rejects(changesets.apply('big', {}, ANA), has('CHANGESET_UNAPPROVED'))
    await assert.rejects(changesets.apply('big', {}, BEN), has('CHANGESET_UNAPPROVED'))
    for (const actor of [ANA, 'local', 'operator', 'host']) {
      await assert.rejects(changesets.approve('big', hash, actor), has('APPROVAL_REFUSED'))
    }
    await assert.rejects(changesets.approve('big', '0'.repeat(64), BEN), has('CHANGESET_HASH'))
    const approved = await changesets.approve('big', hash, BEN)
    assert.deepEqual(approved.approvals.map(({ actor }) => actor), [BEN]) // prettier-ignore
    await changesets.approve('big', hash, BEN)
    assert.equal(changesets.show('big').approvals.length, 1)
    // What was approved is not what is planned now.
    const changed = await changesets.plan(catalogue('big', remove(5)), ANA)
    assert.equal(changed.approvals.length, 0)
    await assert.rejects(changesets.apply('big', {}, ANA), has('CHANGESET_UNAPPROVED'))
    await assert.rejects(changesets.approve('big', hash, BEN), has('CHANGESET_HASH'))
    // Who planned last is who planned.
    const taken = await changesets.plan(catalogue('big', remove(6)), BEN)
    await assert.rejects(changesets.approve('big', taken.hash, BEN), has('APPROVAL_REFUSED'))
    await changesets.approve('big', taken.hash, ANA)
    assert.equal((await runs(product, 'apply', 'big')).applied, 6)
    await runs(product, 'undo', 'big')
    assert.equal((await runs(product, 'apply', 'big')).applied, 6, 'the same plan once more')
    // Writing over what others did is an effect that nobody approved.
    await product.catalogue.put('clip', clips(6))
    await product.settle()
    const overwrite = changesets.undo('big', { onMoved: 'overwrite' }, ANA)
    await assert.rejects(overwrite, has('CHANGESET_UNAPPROVED'))
  })

  it('is not asked for small ones, and its rules are part of the fingerprint', async () => {
    const { changesets } = product
    const small = await changesets.plan(catalogue('small', { table: 'clip', do: 'remove', rows: [{ id: 'c9' }] }), ANA) // prettier-ignore
    assert.equal(small.approvalsNeeded, 0)
    assert.equal((await runs(product, 'apply', 'small')).state, 'applied')
    assert.notEqual(ruledApp().fingerprint, clipsApp().fingerprint)
    const { options } = clipsApp()
    for (const rule of [
      { above: -1 },
      { above: 1.5 },
      { above: 1, approvals: 0 },
      { above: 1, kind: 5 },
      { above: 1, by: 2 },
      7,
    ]) {
      // prettier-ignore
      const define = (): App => defineApp({ ...options, approvals: [rule as never] })
      assert.throws(define, has('DEFINITION_INVALID'), JSON.stringify(rule))
    }
  })
})

describe('a run whose log fails', () => {
  it('goes on after every commit that is refused once', async () => {
    for (let fails = 1; fails <= 5; fails++) {
      const clock = createTestClock(1_800_000_000_000)
      const memory = openMemoryLog({ clock })
      let commits = -1
      const commit: EventLog['commit'] = async request => {
        if (commits >= 0) commits += 1
        if (commits === fails) throw logErrors.create('LOG_OVERLOADED', { retryAfterMs: 1 })
        return memory.commit(request)
      }
      const log = new Proxy(memory, {
        get(target, name) {
          if (name === 'commit') return commit
          const value: unknown = Reflect.get(target, name)
          return typeof value === 'function' ? (value.bind(target) as unknown) : value
        },
      })
      const product = await openTestProduct(clipsApp(), { log, clock })
      await product.catalogue.put('clip', clips(150))
      await product.settle()
      const { changesets } = product
      await changesets.plan(catalogue('all', { table: 'clip', do: 'remove', where: {} }), ANA)
      commits = 0
      const apply = (): Promise<unknown> => changesets.apply('all', {}, ANA)
      await apply().catch(apply)
      const view = await changesets.settled('all')
      assert.ok(commits > fails)
      assert.deepEqual([view.state, view.applied, view.run?.refused], ['applied', 150, 0])
      await product.settle()
      assert.deepEqual(product.catalogue.page('clip', { limit: 1 }), [])
      const puts = memory.history({ stream: 'clip', keys: ['c0'] })
      const types = []
      for await (const { type } of puts) types.push(type)
      assert.deepEqual(types, ['clip.put', 'clip.removed'])
      await product.close()
    }
  })
})

describe('a kind of change of a team', () => {
  it('gets the dry run, the run and the undo; one that fails is left to people', async () => {
    const product = await openTestProduct(clipsApp())
    const values = new Map<string, { value: unknown; version: number }>([['a', { value: 1, version: 1 }]]) // prettier-ignore
    let isBroken = true
    const knobs: ChangeKind = {
      name: 'knobs',
      request: { type: 'object', additionalProperties: { type: 'number' } },
      *plan(request) {
        for (const [target, value] of Object.entries(request as object)) {
          yield { target, change: () => ({ value: value as unknown }) }
        }
      },
      read: async targets => targets.map(name => values.get(name) ?? { value: undefined, version: 0 }), // prettier-ignore
      async write(writes) {
        if (isBroken) throw new TypeError('the knobs are stuck')
        return writes.map(({ target, value, version }) => {
          if ((values.get(target)?.version ?? 0) !== version) return 'moved'
          if (target === 'locked') return { refused: { code: 'LOCKED', reason: 'it is locked' } }
          values.set(target, { value, version: version + 1 })
          return 'written'
        })
      },
    }
    const { changesets } = product
    changesets.register(knobs)
    await changesets.plan({ id: 'k', kind: 'knobs', request: { a: 2, b: 3, locked: 4 } }, ANA)
    const dry = await changesets.dryRun('k')
    assert.deepEqual([dry.adds, dry.changes, dry.consequences], [2, 1, []])
    const stuck = await runs(product, 'apply', 'k')
    assert.deepEqual([stuck.run?.isPaused, stuck.run?.reason], [true, 'it failed: TypeError'])
    isBroken = false
    await changesets.resume('k', ANA)
    const view = await changesets.settled('k')
    assert.deepEqual([view.state, view.applied, view.run?.refused], ['applied', 2, 1])
    assert.deepEqual([values.get('a')?.value, values.get('b')?.value], [2, 3])
    await runs(product, 'undo', 'k')
    assert.deepEqual([values.get('a')?.value, values.get('b')?.value], [1, undefined])
    await product.close()
  })
})

changeKindSuite('catalogue', async () => {
  const product = await openTestProduct(clipsApp())
  await product.catalogue.put('clip', clips(2))
  const rows = [{ id: 'c0', do: 'remove' }, { id: 'c9', attributes: clips(1)[0]?.attributes }, { id: 'c1' }] // prettier-ignore
  return {
    kind: createCatalogueKind(product),
    request: { table: 'clip', rows },
    close: () => product.close(),
  }
})
