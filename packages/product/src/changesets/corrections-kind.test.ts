import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  decodePosition,
  defineApp,
  isError,
  partitionName,
  signal,
  systemClock,
} from '@millrace/core'
import { createMemoryStore, openMemoryLog } from '@millrace/log/memory'
import { audience, clips, clipsApp, watched } from '../testing/clips-app.ts'
import { openTestProduct, type TestProduct } from '../testing/open-product.ts'
import type { ChangesetView } from './views.ts'
import { createCorrectionsKind } from './corrections-kind.ts'
import { changeKindSuite } from './suite.ts'

const ANA = 'key:ana'
const PROFILE_FOLD = 'profile'
const EVENTS = audience({ events: 300, people: 6, clips: 20, seed: 2 }).map((event, number) => ({
  ...event,
  id: `e${number}`,
}))
const idsOf = (person: string): readonly string[] =>
  EVENTS.filter(({ data }) => data['viewer'] === person).map(({ id }) => id)

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

async function openProduct(): Promise<TestProduct> {
  const product = await openTestProduct(clipsApp())
  await product.catalogue.put('clip', clips(20))
  await product.track(EVENTS)
  await product.settle()
  return product
}

describe('changesets of corrections', () => {
  let product: TestProduct
  before(async () => {
    product = await openProduct()
  })
  after(() => product.close())

  const signals = (person: string): number => product.recommendations.profile(person, 1).signals
  const plan = (id: string, request: object): Promise<ChangesetView> =>
    product.changesets.plan({ id, kind: 'corrections', request }, ANA)
  const run = async (verb: 'apply' | 'undo', id: string): Promise<ChangesetView> => {
    await product.changesets[verb](id, {}, ANA)
    const view = await product.changesets.settled(id)
    await product.settle()
    for (const fold of [PROFILE_FOLD, 'item-stats']) {
      const { different } = await product.streams.rebuild({ fold })
      assert.deepEqual(different, [], `${fold} is what a rebuild gives`)
    }
    return view
  }

  it('retract what a query finds, with its consequences, and put it back', async () => {
    const had = signals('p1')
    assert.ok(had > 10)
    const query = { stream: 'person', keys: ['p1'], types: ['watched'] }
    const watched = EVENTS.filter(({ type, data }) => type === 'watched' && data['viewer'] === 'p1')
    const { effects } = await plan('bot', { query })
    assert.equal(effects, watched.length)
    const { consequences, adds } = await product.changesets.dryRun('bot')
    assert.equal(adds, effects)
    const profiles = consequences.find(({ what }) => what.includes(PROFILE_FOLD))
    assert.deepEqual([profiles?.count, profiles?.samples], [1, ['p1']])
    assert.equal((await run('apply', 'bot')).applied, effects)
    assert.equal(signals('p1'), had - effects)
    const [kept] = await product.streams.corrections.list({ limit: 1 })
    assert.deepEqual([kept?.changeset, kept?.by, kept?.action], ['bot', ANA, 'retract'])
    assert.equal((await run('undo', 'bot')).state, 'undone')
    assert.equal(signals('p1'), had)
    assert.equal((await run('apply', 'bot')).state, 'applied')
    // A second one on top of it, taken back in turn.
    const [first = ''] = idsOf('p1').filter(id => watched.some(one => one.id === id))
    await plan('hold', { rows: [{ id: first, do: 'hold' }] })
    await run('apply', 'hold')
    await assert.rejects(product.changesets.undo('bot', {}, ANA), (error: unknown) => isError(error, 'CHANGESET_STALE')) // prettier-ignore
    await run('undo', 'hold')
    assert.equal((await run('undo', 'bot')).state, 'undone')
    assert.equal(signals('p1'), had)
  })

  it('take events by id, refuse one that was never there, and leave what is so already', async () => {
    const [one = '', two = '', three = ''] = idsOf('p2')
    await plan('first', { rows: [{ id: one }] })
    await run('apply', 'first')
    const data = { ...EVENTS.find(({ id }) => id === three)?.data, ms: 5 }
    const rows = [
      { id: one },
      { id: two },
      { id: two },
      { id: 'never' },
      { id: 7 },
      { id: three, do: 'correct', data },
      { id: two, do: 'correct' },
    ]
    const view = await plan('second', { rows })
    assert.deepEqual([view.effects, view.refused, view.unchanged], [2, 4, 1])
    const entries = await product.changesets.entries('second', { from: 0, limit: 9 })
    assert.deepEqual(entries.map(({ code }) => code), ['UNCHANGED', undefined, 'TARGET_TWICE', 'EVENT_UNKNOWN', 'ID_INVALID', undefined, 'DATA_INVALID']) // prettier-ignore
    assert.deepEqual(entries[5]?.after, { action: 'correct', data })
    assert.equal((await run('apply', 'second')).applied, 2)
    await run('undo', 'second')
    await run('undo', 'first')
  })

  it('say of each event why nothing becomes of it, and leave those of other tenants alone', async () => {
    const [gone = '', kept = '', held = ''] = idsOf('p3')
    const watched = { stream: 'person', type: 'watched', key: 'p3', eventTimeMs: EVENTS[0]?.atMs ?? 0 } // prettier-ignore
    const data = { viewer: 'p3', clip: 'c1', ms: 5 }
    const theirs = { ...watched, tenant: 'acme', id: 'theirs', data, definition: product.app.fingerprint } // prettier-ignore
    await product.log.commit({ events: [theirs] })
    await plan('retract', { rows: [{ id: gone }] })
    await run('apply', 'retract')
    const found = await plan('all', { query: { stream: 'person', data: { viewer: 'p3' } } })
    assert.equal(found.effects, idsOf('p3').length - 1, 'what another tenant sent is not found')
    const rows = [
      { id: gone, do: 'retract' },
      { id: kept, do: 'restore' },
      { id: 'theirs', do: 'retract' },
      { id: 'never', do: 'hold' },
      { id: held, do: 'hold' },
      { id: held, do: 'retract' },
    ]
    const view = await plan('each', { rows })
    assert.deepEqual([view.effects, view.refused, view.unchanged], [1, 3, 2])
    const entries = await product.changesets.entries('each', { from: 0, limit: 9 })
    assert.deepEqual(
      entries.map(({ action, code, reason }) => [action, code, reason]),
      [
        ['refused', 'UNCHANGED', 'it is retracted already'],
        ['refused', 'UNCHANGED', 'nothing is in force for it: it counts as it was sent'],
        ['refused', 'TENANT_OTHER', 'it belongs to another tenant'],
        ['refused', 'EVENT_UNKNOWN', 'the log has no such event'],
        ['add', undefined, undefined],
        ['refused', 'TARGET_TWICE', 'it is named twice'],
      ],
    )
    // What was retracted is held, or corrected, in place of that; taken back it is retracted again.
    await run('apply', 'each')
    const actionOf = (id: string): string | undefined => product.streams.corrections.of(id).at(-1)?.action // prettier-ignore
    const signalsBefore = signals('p3')
    for (const [name, row] of [
      ['hold', { id: gone, do: 'hold' }],
      ['correct', { id: gone, do: 'correct', data: { ...data, clip: 'c2' } }],
    ] as const) {
      await plan(name, { rows: [row] })
      assert.equal((await run('apply', name)).applied, 1)
      assert.equal(actionOf(gone), name)
      assert.equal(signals('p3'), signalsBefore + Number(name === 'correct'))
      await run('undo', name)
      assert.equal(actionOf(gone), 'retract')
    }
    const control = product.streams.corrections
    const set = { reason: 'a test', by: ANA, corrections: rows.slice(0, 4).map(({ id, do: action }) => ({ id, action: action as 'hold' })) } // prettier-ignore
    const { results } = await control.apply(set)
    assert.deepEqual(
      results.map(({ status, reason }) => [status, reason]),
      entries.slice(0, 4).map(({ code, reason }) => [code === 'UNCHANGED' ? 'unchanged' : 'refused', reason]), // prettier-ignore
    )
    await run('undo', 'each')
    await run('undo', 'retract')
    assert.equal(control.of('theirs').length, 0)
  })

  it('refuse requests that mean nothing, and find events by time and data', async () => {
    const from = 1_799_000_000_000
    for (const request of [
      {},
      { rows: [], query: { stream: 'person' } },
      { query: { stream: 'nowhere' } },
      { query: { stream: 'person', from: 'noon' } },
      { do: 'correct', query: { stream: 'person' } },
      { query: { stream: 'person', types: ['nothing'] } },
    ]) {
      await assert.rejects(plan('bad', request), (error: unknown) => isError(error, 'CHANGESET_INVALID')) // prettier-ignore
    }
    const some = await plan('time', { query: { stream: 'person', from, to: from + 100_000 } })
    assert.equal(some.effects, 10)
    const clip = String(EVENTS[0]?.data['clip'])
    const ofClip = EVENTS.filter(({ data }) => data['clip'] === clip)
    const found = await plan('clip', { query: { stream: 'person', data: { clip } } })
    assert.equal(found.effects, ofClip.length)
  })
})

it('tells in a dry run which keys would be parked, or that nobody looked', async () => {
  const strict = signal(watched, {
    item: 'clip',
    weight({ ms }) {
      if (ms < 0) throw new Error('nobody watches for less than nothing')
      return ms / 1_000
    },
  })
  const product = await openTestProduct(defineApp({ ...clipsApp().options, signals: [strict] }))
  await product.track(EVENTS)
  await product.settle()
  const { changesets, streams } = product
  const rows = [['p1', -1], ['p2', 7], ['p3', -2]].map(([person, ms]) => {
    const event = EVENTS.find(({ type, data }) => type === 'watched' && data['viewer'] === person)
    return { id: event?.id, do: 'correct', data: { ...event?.data, ms } }
  }) // prettier-ignore
  await changesets.plan({ id: 'worse', kind: 'corrections', request: { rows } }, ANA)
  const [parked] = (await changesets.dryRun('worse')).consequences
  assert.deepEqual(parked, { what: `keys that ${PROFILE_FOLD} would park: its code fails on what is corrected`, count: 2, samples: ['p1', 'p3'] }) // prettier-ignore
  assert.deepEqual(streams.branches.list(), [])
  const waiting = (): readonly string[] => streams.fold(PROFILE_FOLD).parked().map(({ key }) => key) // prettier-ignore
  assert.deepEqual(waiting(), [])
  await changesets.apply('worse', {}, ANA)
  await changesets.settled('worse')
  assert.deepEqual([...waiting()].sort(), ['p1', 'p3'])
  // What would wait in any case is no consequence.
  await changesets.plan({ id: 'more', kind: 'corrections', request: { rows: [{ ...rows[0], data: { ...rows[0]?.data, ms: -3 } }] } }, ANA) // prettier-ignore
  assert.ok((await changesets.dryRun('more')).consequences.every(({ what }) => !what.includes('park'))) // prettier-ignore
  await changesets.undo('worse', {}, ANA)
  await changesets.settled('worse')
  assert.deepEqual(waiting(), [])
  for (let left = 16; left > 0; left--) await streams.branches.open({ changes: {} })
  const [untried] = (await changesets.dryRun('worse')).consequences
  assert.match(untried?.what ?? '', /^corrected events of which was not tried whether views fail on them \(.*16/) // prettier-ignore
  assert.equal(untried?.count, 3)
  await product.close()
})

it('is applied, and undone, once every view is where the log was', async () => {
  const log = openMemoryLog({ clock: systemClock })
  const product = await openTestProduct(clipsApp(), { log })
  await product.track(EVENTS)
  await product.settle()
  const read = log.read.bind(log)
  const ends = new Map(log.ends())
  let isHeld = false
  // What is behind comes to the folds when it is let through, and something wakes them.
  log.read = async request => {
    const end = ends.get(partitionName(request.stream, request.partition)) ?? 0
    const isBehind = isHeld && request.stream === 'person' && request.from >= end
    return isBehind ? [] : await read(request)
  }
  const [late, later, ...more] = audience({ events: 4, people: 1, clips: 2, seed: 3 })
  const { changesets } = product
  await changesets.plan({ id: 'held', kind: 'corrections', request: { rows: [{ id: 'e1' }] } }, ANA)
  for (const [verb, event] of [
    ['apply', late],
    ['undo', later],
  ] as const) {
    isHeld = true
    const tracked = await product.track([{ ...event, id: `behind-${verb}` } as never])
    await changesets[verb]('held', {}, ANA)
    while (changesets.show('held').run?.processed !== 1) await turn()
    for (let turns = 0; turns < 20; turns++) await turn()
    assert.deepEqual([changesets.show('held').state, changesets.show('held').run?.hasEnded], [verb === 'apply' ? 'applying' : 'undoing', false]) // prettier-ignore
    isHeld = false
    await product.track([more.shift() as never])
    const { run, state } = await changesets.settled('held')
    assert.equal(state, verb === 'apply' ? 'applied' : 'undone')
    const position = decodePosition(run?.position ?? '')
    for (const [name, end] of tracked) assert.ok((position.get(name) ?? 0) >= end)
    await product.streams.reached({ position, timeoutMs: 0 })
    for (const [name, end] of log.ends()) ends.set(name, end)
  }
  await product.close()
})

it('closes while views are behind, and ends when it is opened again', async () => {
  const store = createMemoryStore()
  const log = openMemoryLog({ clock: systemClock, store })
  const product = await openTestProduct(clipsApp(), { log })
  await product.track(EVENTS)
  await product.settle()
  const { reached } = product.streams
  // As when a fold has stopped.
  product.streams.reached = request =>
    request.position.has('person/0') ? new Promise(() => undefined) : reached.call(product.streams, request) // prettier-ignore
  const { changesets } = product
  await changesets.plan({ id: 'kept', kind: 'corrections', request: { rows: [{ id: 'e1' }] } }, ANA)
  await changesets.apply('kept', {}, ANA)
  while (changesets.show('kept').run?.processed !== 1) await turn()
  await product.close()
  const again = await openTestProduct(clipsApp(), { log: openMemoryLog({ clock: systemClock, store }) }) // prettier-ignore
  assert.equal((await again.changesets.settled('kept')).state, 'applied')
  await again.close()
})

changeKindSuite('corrections', async () => {
  const product = await openProduct()
  return {
    kind: createCorrectionsKind(product),
    request: { rows: [{ id: 'e1' }, { id: 'e2', do: 'hold' }, { id: 'never' }] },
    close: () => product.close(),
  }
})
