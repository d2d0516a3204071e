import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { countView, event, id, int, isError, item, sliding, systemClock, text, view, type AnyView } from '@millrace/core' // prettier-ignore
import { findBy, type NewEvent } from '@millrace/log'
import type { RequestedCorrection } from '../corrections/control.ts'
import type { FoldDefinition, FoldShard } from '../fold.ts'
import { personEvents } from '../identity/fields.ts'
import { idsFold } from '../testing/folds.ts'
import { PARTITIONS, TestWorld } from '../testing/world.ts'
import { compileViews, viewFoldName } from '../views/compile.ts'
import { createViewReader } from '../views/reader.ts'
import type {
  Branch,
  BranchChanges,
  BranchFold,
  BranchRequest,
  FieldDifference,
} from './contract.ts'
import { distinctOf } from './estimate.ts'
import { differentFields } from './fields.ts'
import { Overlay } from './overlay.ts'

const Clip = item('clip', { topic: text() })
const watched = event('watched', { viewer: id('person'), clip: id('clip'), ms: int() }, { key: 'viewer' }) // prettier-ignore
const finished = event('finished', { clip: id('clip'), by: id('person') }, { key: 'clip' })
const left = event('left', { person: id('person'), city: id('city') }, { key: 'city' })
const from = [watched] as const

const plays = countView({ from, key: 'viewer' })
const perClip = countView({ from, key: 'clip' })
const lately = countView({ from, key: 'viewer', window: sliding(100, { step: 10 }) })
const total = view({
  from,
  key: 'viewer',
  initial: () => ({ ms: 0, clips: [] as string[] }),
  fold(state, { data }) {
    if (data.ms < 0) throw new Error('a negative time')
    state.ms += data.ms
    if (data.ms > 0) state.clips.push(data.clip)
  },
})
const doubled = view({
  from,
  key: 'viewer',
  initial: () => ({ ms: 0, clips: [] as string[] }),
  fold: (state, { data }) => void (state.ms += 2 * data.ms),
})
const topics = view({
  from,
  key: 'viewer',
  join: { clip: Clip },
  initial: () => ({ of: {} as Record<string, number> }),
  fold(state, { data }, { tables }) {
    const topic = tables.clip(data.clip)?.topic ?? 'none'
    state.of[topic] = (state.of[topic] ?? 0) + 1
  },
})
const ends = (least: number): AnyView =>
  view({
    from,
    key: 'viewer',
    emits: [finished],
    initial: () => 0,
    fold(state, { data }, context) {
      if (data.ms >= least) context.emit(finished, { clip: data.clip, by: context.key })
      return state + 1
    },
  })
/** Says when somebody has not watched anything for a while. */
const visits = view({
  from,
  key: 'viewer',
  emits: [left],
  initial: () => 0,
  fold(state, e, context) {
    context.timer('left', e.atMs + 50)
    return state
  },
  onTimer(state, _name, context) {
    context.emit(left, { person: context.key, city: 'c' })
    return state + 1
  },
})
const visitors = countView({ from: [left], key: 'person' })
const finishers = view({
  from: [finished],
  key: 'by',
  initial: () => 0,
  fold: state => state + 1,
})

function compiledOf(views: Record<string, AnyView>): ReturnType<typeof compileViews> {
  return compileViews({ views, partitions: PARTITIONS, latenessMs: 0 })
}

class BranchWorld extends TestWorld {
  nowMs = 1_000_000
  #count = 0

  constructor(views: Record<string, AnyView>) {
    super([])
    this.clock = { ...systemClock, nowMs: () => this.nowMs }
    const { folds, tables, streams } = compiledOf(views)
    this.folds = folds
    this.tables = tables
    this.extraStreams = [...streams, { name: 'city', partitions: PARTITIONS }]
  }

  /** Somebody watches a clip now; gives the id. */
  async watch(viewer: string, clip = 'c', ms = 1): Promise<string> {
    return await this.send({ stream: 'person', type: 'watched', key: viewer, data: { viewer, clip, ms } }) // prettier-ignore
  }

  async put(clip: string, topic: string): Promise<string> {
    return await this.send({ stream: 'clip', type: 'clip.put', key: clip, data: { id: clip, attributes: { topic } } }) // prettier-ignore
  }

  async send(event: Pick<NewEvent, 'stream' | 'type' | 'key' | 'data'>): Promise<string> {
    this.nowMs += 10
    const made = { ...event, id: `e${this.#count++}`, eventTimeMs: this.nowMs }
    await this.commit(made)
    await this.settle()
    return made.id
  }

  branch(changes: BranchChanges, options: Omit<BranchRequest, 'changes'> = {}): Promise<Branch> {
    return this.streams.branches.open({ changes, ...options })
  }

  async retracting(...ids: readonly string[]): Promise<Branch> {
    return await this.branch({ corrections: ids.map(retract) })
  }

  live(name: string, key: string): unknown {
    return createViewReader(this.streams, name).get(key).value
  }
}

const retract = (event: string): RequestedCorrection => ({ id: event, action: 'retract' })

const valueIn = async (branch: Branch, name: string, key: string): Promise<unknown> =>
  (await branch.view(name).get(key)).value

const refusedAs =
  (code: string) =>
  (error: unknown): boolean =>
    isError(error, code)

function definitionOf(name: string, of: AnyView): FoldDefinition {
  const found = compiledOf({ [name]: of }).folds.find(fold => fold.name === viewFoldName(name))
  return found as FoldDefinition
}

describe('a branch', () => {
  it('says what would be, tells the difference by view, key and field, and changes nothing', async () => {
    const world = await new BranchWorld({ plays, perClip, total }).open()
    const [first] = [await world.watch('ana', 'c', 5), await world.watch('ana', 'd', 7)]
    await world.watch('bob', 'c', 1)
    const before = new Map(world.log.ends())
    const branch = await world.retracting(first)
    assert.deepEqual(await branch.results(), [{ id: first, status: 'corrected' }])
    assert.equal(await valueIn(branch, 'plays', 'ana'), 1)
    assert.equal(await valueIn(branch, 'perClip', 'c'), 1)
    assert.deepEqual(await valueIn(branch, 'total', 'ana'), { ms: 7, clips: ['d'] })
    assert.equal(await valueIn(branch, 'plays', 'bob'), 1)
    assert.equal(await valueIn(branch, 'plays', 'nobody'), undefined)
    const told: FieldDifference[] = []
    const compared = await branch.compare({
      samplesMax: 1,
      onDifference: each => void told.push(each),
    })
    assert.deepEqual(
      compared.map(({ fold, keys, changed, added, removed }) => [
        fold,
        keys,
        changed,
        added,
        removed,
      ]),
      [
        ['view.plays', 1, 1, 0, 0],
        ['view.perClip', 1, 1, 0, 0],
        ['view.total', 1, 1, 0, 0],
      ],
    )
    assert.deepEqual(told.slice(2), [
      { fold: 'view.total', key: 'ana', field: 'clips[0]', before: 'c', after: 'd' },
      { fold: 'view.total', key: 'ana', field: 'clips[1]', before: 'd' },
      { fold: 'view.total', key: 'ana', field: 'ms', before: 12, after: 7 },
    ])
    assert.deepEqual(compared[2]?.fields, { 'clips[]': 1, ms: 1 })
    assert.deepEqual(compared[2]?.samples, told.slice(2, 3))
    assert.deepEqual(new Map(world.log.ends()), before)
    assert.equal(world.live('plays', 'ana'), 2)
    assert.deepEqual(branch.changes, { corrections: [retract(first)] })
    assert.deepEqual(await branch.moved(), [])
    await world.streams.close()
  })

  it('is isolated from others and from what happens later, and folds only what differs', async () => {
    const world = await new BranchWorld({ plays, total, lately }).open()
    const ids = [await world.watch('ana'), await world.watch('ana'), await world.watch('bob')]
    const [one, two] = [await world.retracting(...ids.slice(0, 1)), await world.retracting(...ids)]
    assert.equal(await valueIn(one, 'plays', 'bob'), 1)
    // Counts are brought on from the live state, and that of Bob is the live one.
    assert.equal(await valueIn(one, 'plays', 'ana'), 1)
    assert.deepEqual(one.overlay, { keys: 0, bytes: 0 })
    for (let more = 0; more < 30; more++) await world.watch('bob')
    await world.streams.corrections.apply({ corrections: ids.map(retract), reason: 'r', by: 'b' })
    assert.equal(world.live('plays', 'bob'), 30)
    assert.equal(await valueIn(one, 'plays', 'ana'), 1)
    assert.equal(await valueIn(one, 'plays', 'bob'), 1)
    assert.equal(await valueIn(one, 'lately', 'ana'), 1)
    assert.equal(await valueIn(one, 'lately', 'bob'), 1)
    assert.equal(one.overlay.keys, 4)
    assert.ok(one.overlay.bytes > 0)
    assert.equal(await valueIn(two, 'plays', 'bob'), undefined)
    const [compared] = await two.compare({ folds: ['view.plays'] })
    assert.equal(compared?.removed, 2)
    const restored = await world.branch({ corrections: ids.map(each => ({ id: each, action: 'restore' })) }) // prettier-ignore
    assert.equal(await valueIn(restored, 'plays', 'ana'), 2)
    assert.equal(await valueIn(restored, 'plays', 'bob'), 31)
    await world.streams.close()
  })

  it('adds events that did not happen, and passes no time for them', async () => {
    const world = await new BranchWorld({ plays, perClip, lately }).open()
    await world.watch('ana', 'c')
    const add = (key: string, extra = {}): BranchChanges['events'] => [
      { stream: 'person', type: 'watched', key, eventTimeMs: world.nowMs, data: { viewer: key, clip: 'c', ms: 1 }, ...extra }, // prettier-ignore
    ]
    const branch = await world.branch({ events: [...(add('ana') ?? []), ...(add('new') ?? [])] })
    assert.equal(await valueIn(branch, 'plays', 'ana'), 2)
    assert.equal(await valueIn(branch, 'plays', 'new'), 1)
    assert.equal(await valueIn(branch, 'perClip', 'c'), 3)
    assert.equal(await valueIn(branch, 'lately', 'ana'), 2)
    const [counts] = await branch.compare({ folds: ['view.plays'] })
    assert.deepEqual([counts?.changed, counts?.added], [1, 1])
    for (const events of [
      add('ana', { id: 'e0' }),
      add('ana', { stream: 'clip.from-person' }),
      add('ana', { stream: 'none' }),
    ])
      // prettier-ignore
      await assert.rejects(world.branch({ events: events ?? [] }), refusedAs('BRANCH_INVALID'))
    const twice = [...(add('ana', { id: 'x' }) ?? []), ...(add('bob', { id: 'x' }) ?? [])]
    await assert.rejects(world.branch({ events: twice }), refusedAs('BRANCH_INVALID'))
    await world.streams.close()
  })

  it('begins at a moment of the past, where later events are not', async () => {
    const world = await new BranchWorld({ plays, perClip, total }).open()
    const first = await world.watch('ana', 'c', 2)
    const timeMs = world.nowMs
    const at = { position: new Map(world.log.ends()) }
    const later = await world.watch('ana', 'c', 3)
    await world.put('c', 'news')
    for (const moment of [
      { timeMs },
      at,
      { position: new Map([...at.position].filter(([name]) => name.startsWith('person/'))) },
    ]) {
      // prettier-ignore
      const corrections = [retract(first), retract(later), retract('nothing')]
      const branch = await world.branch({ corrections }, { at: moment })
      const results = await branch.results()
      assert.deepEqual(results.map(({ status }) => status), ['corrected', 'refused', 'refused']) // prettier-ignore
      assert.match(results[1]?.reason ?? '', /after the position/)
      assert.equal(await valueIn(branch, 'plays', 'ana'), undefined)
      const [compared] = await branch.compare({ folds: ['view.total'] })
      assert.deepEqual(compared?.samples, [{ fold: 'view.total', key: 'ana', field: '', before: { clips: ['c'], ms: 2 } }]) // prettier-ignore
    }
    await assert.rejects(world.branch({}, { at: { timeMs: world.nowMs + 1 } }), refusedAs('MOMENT_AHEAD')) // prettier-ignore
    const early = await world.branch({}, { at: { timeMs: 5 } })
    assert.equal(await valueIn(early, 'plays', 'ana'), undefined)
    await world.streams.close()
  })

  it('folds by another definition, and follows what that emits', async () => {
    const world = await new BranchWorld({ total, ends: ends(5), finishers }).open()
    await world.watch('ana', 'c', 3)
    await world.watch('ana', 'd', 9)
    await world.watch('bob', 'c', 4)
    const branch = await world.branch({
      definitions: [definitionOf('total', doubled), definitionOf('ends', ends(4))],
    })
    assert.deepEqual(await valueIn(branch, 'total', 'ana'), { ms: 24, clips: [] })
    assert.equal(await valueIn(branch, 'finishers', 'bob'), 1)
    assert.equal(await valueIn(branch, 'finishers', 'ana'), 1)
    assert.equal(world.live('finishers', 'bob'), undefined)
    const fewer = await world.branch({ definitions: [definitionOf('ends', ends(10))] })
    assert.equal(await valueIn(fewer, 'finishers', 'ana'), undefined)
    const other = (name: string, of: AnyView): Promise<Branch> =>
      world.branch({ definitions: [definitionOf(name, of)] })
    await assert.rejects(other('total', perClip), /reads another stream/)
    await assert.rejects(other('total', ends(1)), /emits to other streams/)
    await assert.rejects(other('total', topics), /joins other tables/)
    await assert.rejects(other('none', plays), refusedAs('FOLD_UNKNOWN'))
    const { folds } = compiledOf({ finishers })
    const rekeying = folds.filter(({ isRekeying }) => isRekeying === true)
    await assert.rejects(world.branch({ definitions: rekeying }), refusedAs('BRANCH_INVALID'))
    await world.streams.close()
  })

  it('reads joined rows as they would be', async () => {
    const world = await new BranchWorld({ topics }).open()
    const [, news] = [await world.put('c', 'old'), await world.put('c', 'news')]
    await world.watch('ana', 'c')
    await world.watch('bob', 'd')
    const branch = await world.retracting(news)
    assert.deepEqual(await valueIn(branch, 'topics', 'ana'), { of: { old: 1 } })
    assert.deepEqual(await valueIn(branch, 'topics', 'bob'), { of: { none: 1 } })
    const later = await world.retracting(news)
    // What Carl reads later is not there, and rows that came later are not either.
    await world.put('d', 'more')
    await world.watch('carl', 'c')
    assert.deepEqual(await valueIn(later, 'topics', 'ana'), { of: { old: 1 } })
    assert.deepEqual(await valueIn(later, 'topics', 'bob'), { of: { none: 1 } })
    assert.equal(await valueIn(later, 'topics', 'carl'), undefined)
    await world.streams.close()
  })

  it('lets a key go on that waits because of an event', async () => {
    const world = await new BranchWorld({ total }).open()
    await world.watch('ana', 'c', 2)
    const bad = await world.watch('ana', 'c', -1)
    await world.watch('ana', 'c', 3)
    const state = (branch: Branch): ReturnType<Branch['state']> =>
      branch.state({ fold: 'view.total', key: 'ana' })
    const branch = await world.retracting(bad)
    assert.equal((await state(branch)).isParked, false)
    assert.deepEqual(await valueIn(branch, 'total', 'ana'), { ms: 5, clips: ['c', 'c'] })
    assert.deepEqual(await branch.waiting(), [])
    const same = await world.branch({})
    assert.equal((await state(same)).isParked, true)
    await world.watch('ana', 'c', 4)
    const past = await world.branch({}, { at: { timeMs: world.nowMs - 1 } })
    assert.deepEqual(await valueIn(past, 'total', 'ana'), { ms: 2, clips: ['c'] })
    assert.equal((await state(past)).isParked, true)
    const data = { viewer: 'bob', clip: 'c', ms: -1 }
    const events = [{ stream: 'person', type: 'watched', key: 'bob', eventTimeMs: 1, data }]
    const worse = await world.branch({ events })
    assert.equal((await worse.state({ fold: 'view.total', key: 'bob' })).isParked, true)
    assert.deepEqual(await worse.waiting(), [{ fold: 'view.total', keys: 1, samples: ['bob'] }])
    await world.streams.close()
  })

  it('is not folded of a stream that has lost its first records', async () => {
    const world = new BranchWorld({})
    world.folds = [idsFold('ids', 'click')]
    world.extraStreams = [{ name: 'click', partitions: PARTITIONS, transient: { maxAgeMs: 5 } }]
    await world.open()
    const click = (): Promise<string> =>
      world.send({ stream: 'click', type: 'text', key: 'k', data: 'x' })
    for (let count = 0; count < 3; count++) await click()
    const branch = await world.branch({})
    const ask = { fold: 'ids', key: 'k' }
    assert.equal((await branch.state(ask)).shard.encodeKey('k')?.length, 6)
    await click()
    await assert.rejects(branch.state(ask), refusedAs('MOMENT_GONE'))
    await world.streams.close()
  })

  it('lets timers fire as they would, and follows what they emit', async () => {
    const world = await new BranchWorld({ visits, visitors }).open()
    const first = await world.watch('ana')
    for (let count = 0; count < 30; count++) await world.watch(`other ${count}`)
    await world.watch('ana')
    await world.settle()
    assert.equal(world.live('visitors', 'ana'), 1)
    const branch = await world.retracting(first)
    assert.equal(branch.estimate.folds[0]?.emits, true)
    assert.equal(await valueIn(branch, 'visits', 'ana'), undefined)
    assert.equal(await valueIn(branch, 'visitors', 'ana'), undefined)
    const recordsMax = (branch.estimate.folds[0]?.records ?? 0) - 1
    const corrections = [retract(first)]
    await assert.rejects(world.branch({ corrections }, { limits: { recordsMax } }), refusedAs('BRANCH_TOO_LARGE')) // prettier-ignore
    await world.streams.close()
  })

  it('is refused with its estimate when it would cost too much, and stops when it does', async () => {
    const world = await new BranchWorld({ plays, total }).open()
    const ids: string[] = []
    for (let count = 0; count < 20; count++) ids.push(await world.watch('ana'))
    const branch = await world.retracting(...ids.slice(0, 2))
    assert.deepEqual(
      branch.estimate.folds.map(({ fold, keys, records, emits }) => [fold, keys, records, emits]),
      [
        ['view.plays', 1, 2, false],
        ['view.total', 1, 20, false],
      ],
    )
    const corrections = ids.slice(0, 2).map(retract)
    await assert.rejects(world.branch({ corrections }, { limits: { recordsMax: 21 } }), error => {
      return isError(error, 'BRANCH_TOO_LARGE') && /22 records .* for 2 keys/.test(error.message)
    })
    await assert.rejects(world.branch({ corrections }, { limits: { bytesMax: 9 } }), refusedAs('BRANCH_TOO_LARGE')) // prettier-ignore
    for (let count = 0; count < 80; count++) await world.watch(`one ${count}`)
    const hopeful = await world.branch({ corrections }, { limits: { recordsMax: 15 } })
    await assert.rejects(valueIn(hopeful, 'total', 'ana'), refusedAs('BRANCH_TOO_LARGE'))
    assert.equal(await valueIn(hopeful, 'plays', 'ana'), 18)
    await world.streams.close()
  })

  it('looks at some of many corrections before it is opened, and at all when it is asked', async () => {
    const world = await new BranchWorld({ plays, total }).open()
    const ids: string[] = []
    const events = [...Array(600).keys()].map((at): NewEvent => {
      const viewer = `v${at % 50}`
      const made = {
        id: `many ${at}`,
        eventTimeMs: world.nowMs,
        data: { viewer, clip: 'c', ms: 1 },
      }
      ids.push(made.id)
      return { stream: 'person', type: 'watched', key: viewer, ...made }
    })
    await world.commit(...events)
    await world.settle()
    let finds = 0
    const { find } = world.log
    world.log.find = findBy(async ids => {
      finds += ids.length
      return await find(ids)
    })
    const branch = await world.retracting(...ids, 'nowhere')
    assert.equal(branch.isSampled, true)
    assert.equal(finds, 128)
    for (const { keys, records } of branch.estimate.folds) {
      assert.ok(keys > 40 && keys <= 50, `${keys}`)
      assert.ok(records > 590 && records <= 601, `${records}`)
    }
    const results = await branch.results()
    assert.equal(results.length, 601)
    assert.deepEqual(results.at(-1), { id: 'nowhere', status: 'refused', reason: 'the log has no such event' }) // prettier-ignore
    const [compared] = await branch.compare({ folds: ['view.plays'] })
    assert.equal(compared?.removed, 50)
    assert.equal(finds, 128 + 601)
    const twice = world.retracting(...ids, ids[7] as string)
    await assert.rejects(twice, error => isError(error, 'BRANCH_INVALID') && /many 7 is named twice/.test(error.message)) // prettier-ignore
    const failing = await world.retracting(...ids)
    world.log.find = findBy(() => Promise.reject(new Error('away')))
    await assert.rejects(valueIn(failing, 'plays', 'v1'), /away/)
    world.log.find = find
    assert.equal(await valueIn(failing, 'plays', 'v1'), undefined)
    await world.streams.close()
  })

  it('keeps the records of many corrections for one question', async () => {
    const world = await new BranchWorld({ plays, perClip }).open()
    const ids = [...Array(4_001).keys()].map(at => `many ${at}`)
    const data = { viewer: 'ana', clip: 'c', ms: 1 }
    const place = { stream: 'person', type: 'watched', key: 'ana', eventTimeMs: world.nowMs, data }
    await world.commit(...ids.map(each => ({ ...place, id: each })))
    await world.watch('ana')
    let finds = 0
    const { find } = world.log
    world.log.find = findBy(async wanted => {
      finds += wanted.length
      return await find(wanted)
    })
    const branch = await world.retracting(...ids)
    const first = await branch.compare()
    assert.equal(finds, 128 + 4_001)
    assert.deepEqual(await branch.compare(), first)
    assert.deepEqual(first.map(({ changed }) => changed), [1, 1]) // prettier-ignore
    assert.equal(finds, 128 + 2 * 4_001)
    assert.equal(await valueIn(branch, 'perClip', 'c'), 1)
    await world.streams.close()
  })

  it('has people who are others, and names those whom somebody else changed', async () => {
    const world = new BranchWorld({ plays, perClip, finishers, ends: ends(1) })
    world.people = personEvents([watched, finished])
    await world.open()
    for (const viewer of ['visitor', 'ana', 'visitor', 'bob']) await world.watch(viewer)
    const branch = await world.branch({ links: [{ from: 'visitor', into: 'ana' }] })
    assert.equal(await valueIn(branch, 'plays', 'visitor'), 3)
    assert.equal(await valueIn(branch, 'plays', 'ana'), 3)
    assert.equal(await valueIn(branch, 'finishers', 'ana'), 3)
    assert.equal(world.live('plays', 'visitor'), 2)
    const { canonical, members } = { canonical: branch.people().canonical('visitor'), members: branch.people().members('ana') } // prettier-ignore
    assert.deepEqual([canonical, members], ['ana', ['visitor']])
    const without = branch.people('without')
    assert.deepEqual([without.canonical('visitor'), without.members('ana')], ['visitor', []])
    const [compared] = await branch.compare({ folds: ['view.plays'] })
    assert.deepEqual([compared?.changed, compared?.removed], [1, 1])
    assert.deepEqual(await branch.moved(), [])
    await world.streams.identities.apply({ links: [{ from: 'visitor', into: 'bob' }], reason: 'r', by: 'b' }) // prettier-ignore
    assert.deepEqual(await branch.moved(), ['visitor'])
    assert.equal(await valueIn(branch, 'plays', 'ana'), 3)
    const split = await world.branch({ links: [{ from: 'visitor', into: null }] })
    assert.equal(await valueIn(split, 'plays', 'visitor'), 2)
    for (const [links, reason] of [
      [[{ from: 'ana', into: 'ana' }], /merged into themselves/],
      [[{ from: 'bob', into: 'visitor' }], /visitor is bob already/],
      [
        [
          { from: 'ana', into: 'bob' },
          { from: 'ana', into: null },
        ],
        /an id is named twice/,
      ],
      [[{ from: '', into: 'bob' }], /an id is text/],
    ] as const) {
      const refused = (error: unknown): boolean =>
        isError(error, 'BRANCH_INVALID') && reason.test(error.message)
      await assert.rejects(world.branch({ links }), refused)
    }
    await world.streams.close()
  })

  it('guesses how many different ones there are among all from some', () => {
    assert.equal(distinctOf(1, 256, 40_000), 1)
    assert.equal(distinctOf(256, 256, 512), 512)
    assert.equal(distinctOf(40, 20, 100), 200)
    const kinds = 400
    const seen = kinds * (1 - Math.exp(-256 / kinds))
    assert.ok(Math.abs(distinctOf(Math.round(seen), 256, 40_000) - kinds) < 10)
  })

  it('is read whole in one turn, in both worlds, where time and tables change nothing', async () => {
    const world = await new BranchWorld({ plays, lately, topics }).open()
    const ids = [await world.watch('ana'), await world.watch('bob'), await world.watch('bob')]
    const branch = await world.retracting(...ids.slice(1))
    await world.watch('cleo')
    const folds = ['view.plays']
    const read = (of: ReadonlyMap<string, BranchFold>): unknown => {
      const fold = of.get('view.plays') as BranchFold<FoldShard & { read(key: string): unknown }>
      const values = ['ana', 'bob', 'cleo'].map(key => fold.shardOf(key).read(key))
      return [[...fold.keys].sort(), values]
    }
    assert.deepEqual(await branch.whole({ folds }, read), [['bob', 'cleo'], [1, undefined, undefined]]) // prettier-ignore
    assert.deepEqual(await branch.whole({ folds, world: 'without' }, read), [['cleo'], [1, 2, undefined]]) // prettier-ignore
    await world.streams.corrections.apply({ corrections: [retract(ids[0] as string)], reason: 'r', by: 'b' }) // prettier-ignore
    await world.settle()
    assert.deepEqual(await branch.whole({ folds, world: 'without' }, read), [['ana', 'cleo'], [1, 2, undefined]]) // prettier-ignore
    for (const fold of ['view.lately', 'view.topics'])
      await assert.rejects(branch.whole({ folds: [fold] }, read), refusedAs('BRANCH_INVALID'))
    await assert.rejects(branch.whole({ folds: ['none'] }, read), refusedAs('FOLD_UNKNOWN'))
    await world.streams.close()
  })

  it('says what the version said that was served, while a rebuild switches to another', async () => {
    const world = await new BranchWorld({ plays, total }).open()
    const ids: string[] = []
    for (let count = 0; count < 30; count++)
      ids.push(await world.watch(`v${count % 3}`, 'c', count))
    await world.streams.close()
    const long = countView({ from, key: 'viewer', where: e => e.data.ms > 5, replaces: plays })
    world.folds = compiledOf({ plays: long, total }).folds
    await world.open()
    await world.settle()
    const first = await world.retracting(ids[0] as string)
    const { rebuilds } = world.streams
    await rebuilds.start({ fold: 'view.plays', maxDifferences: 10 })
    assert.equal(await valueIn(first, 'plays', 'v0'), 9)
    await rebuilds.settled('view.plays')
    assert.equal(world.live('plays', 'v0'), 8)
    const second = await world.retracting(ids[0] as string, ids[27] as string)
    for (const [branch, one, other] of [
      [first, 9, 10],
      [second, 7, 8],
    ] as const) {
      // prettier-ignore
      assert.deepEqual([await valueIn(branch, 'plays', 'v0'), await valueIn(branch, 'plays', 'v1')], [one, other]) // prettier-ignore
    }
    const read = (branch: Branch): Promise<number> =>
      branch.whole({ folds: ['view.plays'] }, () => 1)
    await assert.rejects(read(first), refusedAs('BRANCH_INVALID'))
    assert.equal(await read(second), 1)
    await world.streams.close()
  })

  it('is thrown away when it is closed, or when nobody asks it anything', async () => {
    const world = new BranchWorld({ plays })
    const timers: (() => void)[] = []
    let monotonicMs = 0
    const idleMs = 7_654_321
    world.clock = {
      ...world.clock,
      monotonicMs: () => monotonicMs,
      after(delayMs, task) {
        if (delayMs < 1_000_000) return systemClock.after(delayMs, task)
        timers.push(task)
        return { cancel: () => void timers.splice(timers.indexOf(task), 1) }
      },
    }
    await world.open()
    await world.watch('ana')
    const { branches } = world.streams
    const branch = await world.branch({}, { idleMs })
    assert.equal(branches.get(branch.id), branch)
    monotonicMs = idleMs - 1_000
    assert.equal(await valueIn(branch, 'plays', 'ana'), 1)
    monotonicMs = idleMs
    timers.shift()?.()
    assert.deepEqual(branches.list(), [branch])
    assert.equal(branch.expiresAtMs, 2 * idleMs - 1_000)
    monotonicMs = branch.expiresAtMs
    const reading = branch.compare()
    timers.pop()?.()
    await assert.rejects(valueIn(branch, 'plays', 'ana'), refusedAs('BRANCH_UNKNOWN'))
    await reading.catch(error => assert.ok(isError(error, 'BRANCH_UNKNOWN')))
    assert.throws(() => branches.get(branch.id), refusedAs('BRANCH_UNKNOWN'))
    const open: Branch[] = []
    for (let count = 0; count < 16; count++) open.push(await world.branch({}))
    await assert.rejects(world.branch({}), refusedAs('BRANCHES_FULL'))
    open[0]?.close()
    open[0]?.close()
    await world.branch({})
    await world.streams.close()
    assert.deepEqual(branches.list(), [])
  })

  it('tells the fields that differ, or the whole when there are many', () => {
    const many = (add: number): Record<string, number> =>
      Object.fromEntries([...Array(101).keys()].map(at => [`f${at}`, at + add]))
    assert.deepEqual(differentFields({ a: { b: [1, 2] } }, { a: { b: [1, 3, 4] }, c: null }), [
      { field: 'a.b[1]', before: 2, after: 3 },
      { field: 'a.b[2]', after: 4 },
      { field: 'c', after: null },
    ])
    assert.deepEqual(differentFields(many(0), many(1)), [{ field: '', before: many(0), after: many(1) }]) // prettier-ignore
  })

  it('keeps what was asked for last', () => {
    const overlay = new Overlay(1_000)
    const image = { bytes: new Uint8Array(200), shared: undefined, isParked: false, watermarkMs: 0 }
    for (const name of ['a', 'b', 'a', 'c', 'a', 'd']) if (overlay.get(name) === undefined) overlay.put(name, image) // prettier-ignore
    assert.deepEqual(['a', 'b', 'c', 'd'].map(name => overlay.get(name) !== undefined), [true, false, false, true]) // prettier-ignore
    assert.deepEqual(overlay.size, { keys: 2, bytes: 804 })
  })
})
