import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { isError } from '@millrace/core'
import type { Branch, BranchChanges } from '@millrace/streams'
import { audience, clips, clipsApp } from '../testing/clips-app.ts'
import { openTestProduct, type TestProduct } from '../testing/open-product.ts'
import { planBranch } from './branch-plans.ts'
import type { ChangesetView } from './views.ts'

const ANA = 'key:ana'
const EVENTS = audience({ events: 60, people: 4, clips: 12, seed: 9 }).map((event, at) => ({
  ...event,
  id: `e${at}`,
}))
const edited = { title: 'Edited', topics: ['topic 1'], creator: 'creator 1' }

describe('a branch becomes changesets', () => {
  let product: TestProduct
  before(async () => {
    product = await openTestProduct(clipsApp())
    await product.catalogue.put('clip', clips(12))
    await product.track(EVENTS)
    await product.settle()
  })
  after(() => product.close())

  const open = (changes: BranchChanges): Promise<Branch> =>
    product.streams.branches.open({ changes })
  const plan = (branch: Branch, title?: string): Promise<readonly ChangesetView[]> =>
    planBranch(product, branch, { actor: ANA, ...(title === undefined ? {} : { title }) })
  const edit = (
    id: string,
    attributes?: unknown,
  ): NonNullable<BranchChanges['events']>[number] => ({
    stream: 'clip',
    type: attributes === undefined ? 'clip.removed' : 'clip.put',
    key: id,
    eventTimeMs: product.clock.nowMs(),
    data: attributes === undefined ? { id } : { id, attributes },
  })
  const refusedAs =
    (code: string, text: RegExp) =>
    (error: unknown): boolean =>
      isError(error, code) && text.test(error.message)

  it('of its corrections and its items, that make the live world the branch', async () => {
    const branch = await open({
      corrections: [
        { id: 'e3', action: 'retract' },
        { id: 'e4', action: 'correct', data: { ...EVENTS[4]?.data, ...('stars' in (EVENTS[4]?.data ?? {}) ? { stars: 5 } : { ms: 9 }) } }, // prettier-ignore
      ],
      events: [edit('c1', edited), edit('c2')],
    })
    const person = EVENTS[3]?.data['viewer'] as string
    const wanted = (await product.people.getIn(branch, person))?.signals
    const planned = await plan(branch, 'a try')
    assert.deepEqual(planned.map(({ kind, title, state, effects }) => [kind, title, state, effects]), [['corrections', 'a try', 'planned', 2], ['catalogue', 'a try', 'planned', 2]]) // prettier-ignore
    const again = await plan(branch, 'a try')
    assert.deepEqual(again.map(({ id, hash }) => [id, hash]), planned.map(({ id, hash }) => [id, hash])) // prettier-ignore
    for (const { id } of planned) {
      await product.changesets.apply(id, {}, ANA)
      assert.equal((await product.changesets.settled(id)).state, 'applied')
    }
    await product.settle()
    assert.equal(product.people.get(person)?.signals, wanted)
    assert.deepEqual(product.catalogue.get('clip', 'c1')?.attributes, edited)
    assert.equal(product.catalogue.get('clip', 'c2'), undefined)
  })

  it('of its merges and splits, in which a person is read by any of their ids', async () => {
    const { people, recommendations } = product
    const signals = (id: string): number => people.get(id)?.signals ?? 0
    const sum = signals('p2') + signals('p3')
    const links = ['p2', 'visitor'].map(from => ({ from, into: 'p3' }))
    const branch = await open({ links })
    const merged = await people.getIn(branch, 'p2')
    assert.deepEqual([merged?.id, merged?.aliases, merged?.signals], ['p3', ['p2', 'visitor'], sum])
    assert.ok(sum > signals('p3') && people.get('p2')?.id === 'p2')
    const asked = { surface: 'home', person: 'visitor' }
    const isCold = async (of: Branch): Promise<boolean> =>
      (await recommendations.recommendIn(of, asked)).isColdStart
    assert.deepEqual([await isCold(branch), await isCold(await open({}))], [false, true])
    const [planned] = await plan(branch)
    assert.deepEqual([planned?.kind, planned?.effects], ['identities', 2])
    await product.changesets.apply(planned?.id ?? '', {}, ANA)
    await product.changesets.settled(planned?.id ?? '')
    await product.settle()
    assert.deepEqual(people.get('p2'), merged)
    assert.deepEqual(await branch.moved(), ['p2', 'visitor'])
    const split = await open({ links: [{ from: 'p2', into: null }] })
    assert.deepEqual((await people.getIn(split, 'p3'))?.aliases, ['visitor'])
    assert.equal((await people.getIn(split, 'p3'))?.signals, sum - ((await people.getIn(split, 'p2'))?.signals ?? 0)) // prettier-ignore
  })

  it('unless somebody changed the same since, or it cannot be applied', async () => {
    const stale = await open({
      corrections: [
        { id: 'e7', action: 'retract' },
        { id: 'e8', action: 'retract' },
      ],
      events: [edit('c5', edited), edit('c6')],
    })
    const { corrections } = product.streams
    await corrections.apply({ corrections: [{ id: 'e8', action: 'hold' }], reason: 'r', by: 'b' })
    await product.catalogue.put('clip', [{ id: 'c6', attributes: edited }])
    await product.settle()
    assert.deepEqual(await stale.moved(), ['e8', 'clip/c6'])
    await assert.rejects(
      plan(stale),
      refusedAs('BRANCH_STALE', /since it was opened: e8, clip\/c6/),
    )
    const many = await open({ events: clips(12).map(({ id }) => edit(`n${id}`, edited)) })
    await product.catalogue.put('clip', clips(12).map(({ id }) => ({ id: `n${id}`, attributes: edited }))) // prettier-ignore
    await assert.rejects(plan(many), refusedAs('BRANCH_STALE', /clip\/nc9 and 2 more/))
    const { data } = EVENTS[0] as { data: Record<string, unknown> }
    const event = { stream: 'person', type: 'watched', key: 'p1', eventTimeMs: 1, data }
    await assert.rejects(plan(await open({ events: [event] })), refusedAs('CHANGESET_INVALID', /are sent, not applied/)) // prettier-ignore
    await assert.rejects(plan(await open({})), refusedAs('CHANGESET_INVALID', /changes nothing/))
    const definition = product.streams.fold('profile').definition
    const other = await open({ definitions: [definition] })
    await assert.rejects(plan(other), refusedAs('CHANGESET_INVALID', /is deployed, not applied/))
  })
})
