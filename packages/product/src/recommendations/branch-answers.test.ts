import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { isError, surface } from '@millrace/core'
import type { Branch, BranchChanges } from '@millrace/streams'
import { audience, Clip, clips, clipsApp, rankedClips } from '../testing/clips-app.ts'
import { openTestProduct, type TestProduct, type TrackedEvent } from '../testing/open-product.ts'
import type { BranchAnswer, BranchQuestion } from './branch-answers.ts'
import { EXPOSURES } from './events.ts'

const ranked = surface({ items: Clip, ranker: rankedClips.ranker })
const app = clipsApp({ ranked }, rankedClips.features)
const EVENTS = audience({ events: 400, people: 12, clips: 60, seed: 5 }).map(
  (event, at): TrackedEvent => ({ ...event, id: `e${at}` }),
)
const BOTS = Array.from({ length: 40 }, (_, at): TrackedEvent => ({
  type: 'watched',
  id: `bot ${at}`,
  data: { viewer: `bot${at % 4}`, clip: 'c59', ms: 90_000 },
  atMs: 1_799_004_000_000 + at,
}))

async function open(events: readonly TrackedEvent[]): Promise<TestProduct> {
  const product = await openTestProduct(app)
  await product.catalogue.put('clip', clips(60))
  await product.track(events)
  await product.settle()
  return product
}

const told = ({ items }: Pick<BranchAnswer, 'items'>): unknown =>
  items.map(({ id, slot, score, source }) => [id, slot, score, source])

describe('a surface in a branch', () => {
  let product: TestProduct
  before(async () => {
    product = await open([...EVENTS, ...BOTS])
  })
  after(() => product.close())

  const branch = (changes: BranchChanges): Promise<Branch> =>
    product.streams.branches.open({ changes })
  const bots = BOTS.map(({ id }) => ({ id: id as string, action: 'retract' as const }))
  const ask = (of: Branch, question: BranchQuestion): Promise<BranchAnswer> =>
    product.recommendations.recommendIn(of, question)

  it('answers as the live one does without changes, and logs nothing', async () => {
    const same = await branch({})
    const exposed = product.log.ends().get(`${EXPOSURES}/0`)
    for (const [name, person] of ['p1', 'p2', 'nobody', undefined].flatMap(
      id =>
        [
          ['plain', id],
          ['ranked', id],
        ] as const,
    )) {
      // prettier-ignore
      const answer = await ask(same, { surface: name, person, explain: true })
      const live = product.recommendations.recommend(name, { person })
      assert.deepEqual(told(answer), told(live))
      assert.equal(answer.different, 0)
      assert.deepEqual(answer.gone, [])
      assert.equal(answer.isColdStart, live.isColdStart)
      assert.equal(answer.isIncomplete, false)
      assert.ok((answer.explanation?.candidates ?? 0) > 0)
    }
    assert.equal(same.overlay.keys, 0)
    assert.equal(product.log.ends().get(`${EXPOSURES}/0`), exposed)
    await assert.rejects(ask(same, { surface: 'none' }), error => isError(error, 'SURFACE_UNKNOWN'))
  })

  it('answers without events as a world in which they never came, and tells what moved', async () => {
    const without = await branch({ corrections: bots })
    const other = await open(EVENTS)
    for (const [name, person] of ['p0', 'p3', undefined].flatMap(
      id =>
        [
          ['plain', id],
          ['ranked', id],
        ] as const,
    )) {
      // prettier-ignore
      const answer = await ask(without, { surface: name, person })
      assert.deepEqual(told(answer), told(other.recommendations.recommend(name, { person })))
      const live = product.recommendations.recommend(name, { person })
      const had = new Map(live.items.map(({ id, slot }) => [id, slot]))
      for (const { id, slotBefore } of answer.items) assert.equal(slotBefore, had.get(id))
      const gone = live.items.filter(({ id }) => answer.items.every(item => item.id !== id))
      assert.deepEqual(answer.gone.map(({ id }) => id), gone.map(({ id }) => id)) // prettier-ignore
      assert.ok(answer.different > 0)
    }
    await other.close()
  })

  it('does not hear of what comes later, whatever that changes', async () => {
    const [changed, same] = [await branch({ corrections: bots }), await branch({})]
    const question = { surface: 'plain', person: 'p4' }
    const wanted = [told(await ask(await branch({ corrections: bots }), question)), told(await ask(same, question))] // prettier-ignore
    const later = audience({ events: 60, people: 12, clips: 60, seed: 6, startMs: 1_799_005_000_000 }) // prettier-ignore
    await product.track(later)
    await product.catalogue.put('clip', [{ id: 'c1', attributes: { title: 'Other', topics: ['new'], creator: 'creator 1' } }]) // prettier-ignore
    await product.streams.corrections.apply({
      corrections: [{ id: 'e7', action: 'retract' }],
      reason: 'a test',
      by: 'nobody',
    })
    await product.settle()
    const found = [told(await ask(changed, question)), told(await ask(same, question))]
    assert.deepEqual(found, wanted)
    assert.ok(same.overlay.keys > 0)
    assert.ok(same.overlay.bytes > 0)
  })

  it('shows items as they would be, added, edited and removed', async () => {
    const put = (
      id: string,
      attributes?: unknown,
    ): NonNullable<BranchChanges['events']>[number] => ({
      stream: 'clip',
      type: attributes === undefined ? 'clip.removed' : 'clip.put',
      key: id,
      eventTimeMs: product.clock.nowMs(),
      data: attributes === undefined ? { id } : { id, attributes },
    })
    const question = { surface: 'home', person: 'p2', n: 60 }
    const live = product.recommendations.recommend('home', { person: 'p2', n: 60 })
    const [first, second] = live.items.map(({ id }) => id) as [string, string]
    const edited = { title: 'Edited', topics: ['topic 1'], creator: 'creator 3' }
    const edits = await branch({
      events: [
        put(first),
        put(second, edited),
        put('fresh1', { ...edited, creator: 'creator 99' }),
      ],
    })
    const answer = await ask(edits, question)
    assert.ok(answer.items.every(({ id }) => id !== first))
    assert.deepEqual(answer.gone.find(({ id }) => id === first)?.kind, 'clip')
    assert.deepEqual(answer.items.find(({ id }) => id === second)?.attributes, edited)
    assert.ok(answer.items.some(({ id, slotBefore }) => id === 'fresh1' && slotBefore === undefined)) // prettier-ignore
    assert.equal(product.catalogue.get('clip', 'fresh1'), undefined)
    assert.notEqual(product.catalogue.get('clip', second)?.attributes['title'], 'Edited')
  })

  it('answers by another definition of the surface', async () => {
    const popular = clipsApp({ plain: surface({ items: Clip, sources: ['popular'], filters: [] }) })
    const answer = await ask(await branch({}), { surface: 'plain', person: 'p1', definition: popular }) // prettier-ignore
    assert.ok(answer.items.every(({ source }) => source === 'popular'))
    assert.ok(answer.different > 0)
  })

  it('is refused when it would take more than its limit', async () => {
    const limits = { bytesMax: 4_500 }
    const narrow = await product.streams.branches.open({ changes: { corrections: [...Array(8).keys()].map(at => ({ id: `e${at}`, action: 'retract' })) }, limits }) // prettier-ignore
    await assert.rejects(ask(narrow, { surface: 'plain', person: 'p1' }), error => isError(error, 'BRANCH_TOO_LARGE')) // prettier-ignore
    const short = await product.streams.branches.open({ changes: {}, limits: { recordsMax: 3 } })
    await product.track(audience({ events: 9, people: 3, clips: 9, seed: 8, startMs: 1_799_006_000_000 })) // prettier-ignore
    await product.settle()
    const read = (): Promise<BranchAnswer> => ask(short, { surface: 'plain', person: 'p1' })
    await assert.rejects(read, error => isError(error, 'BRANCH_TOO_LARGE'))
    await assert.rejects(read, error => isError(error, 'BRANCH_TOO_LARGE'))
    const gone = await branch({})
    gone.close()
    await assert.rejects(ask(gone, { surface: 'plain' }), error => isError(error, 'BRANCH_UNKNOWN'))
  })
})
