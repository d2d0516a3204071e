import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { countView, event, id, int, isError, item, sliding, systemClock, text, tumbling, view, type AnyView } from '@millrace/core' // prettier-ignore
import type { NewEvent } from '@millrace/log'
import { personEvents } from '../identity/fields.ts'
import { PARTITIONS, TestWorld } from '../testing/world.ts'
import { compileViews } from '../views/compile.ts'
import type { Cause, Causes, CausesRequest } from './contract.ts'

const Clip = item('clip', { topic: text() })
const watched = event('watched', { viewer: id('person'), clip: id('clip'), ms: int() }, { key: 'viewer' }) // prettier-ignore
const liked = event('liked', { viewer: id('person'), clip: id('clip') }, { key: 'viewer' })
const from = [watched] as const

const totals = (name: 'viewer' | 'clip') =>
  view({
    from: [watched, liked],
    key: name,
    initial: () => ({ plays: 0, ms: 0, likes: 0 }),
    fold(state, event) {
      if (event.type === 'liked') state.likes += 1
      else {
        if (event.data.ms < 0) throw new Error('a negative time')
        state.plays += 1
        state.ms += event.data.ms
      }
    },
  })
const plays = countView({ from, key: 'clip', version: 'all' })

class World extends TestWorld {
  nowMs = 1_000_000
  #count = 0

  constructor(views: Record<string, AnyView>) {
    super([])
    this.clock = { ...systemClock, nowMs: () => this.nowMs }
    this.people = personEvents([watched, liked])
    this.define(views)
  }

  define(views: Record<string, AnyView>): void {
    const { folds, tables, streams } = compileViews({ views, partitions: PARTITIONS, latenessMs: 0 }) // prettier-ignore
    Object.assign(this, { folds, tables, extraStreams: streams })
  }

  /** Commits an event; gives its id. */
  async send(type: string, stream: string, key: string, data: object): Promise<string> {
    this.nowMs += 10
    const named = `e${this.#count++}`
    await this.commit({ stream, type, key, eventTimeMs: this.nowMs, data, id: named })
    await this.settle()
    return named
  }

  watch(viewer: string, clip: string, ms = 1): Promise<string> {
    return this.send('watched', 'person', viewer, { viewer, clip, ms })
  }

  like(viewer: string, clip: string): Promise<string> {
    return this.send('liked', 'person', viewer, { viewer, clip })
  }

  /** A moment: what comes is not of it. */
  moment(): number {
    this.nowMs += 10
    return this.nowMs - 5
  }

  async retract(changeset: string, ...ids: readonly string[]): Promise<void> {
    this.nowMs += 10
    const corrections = ids.map(each => ({ id: each, action: 'retract' as const }))
    const set = { changeset, corrections, reason: 'a ring of bots', by: 'eva' }
    await this.streams.corrections.apply(set)
    await this.settle()
  }

  async merge(one: string, into: string): Promise<void> {
    this.nowMs += 10
    const links = [{ from: one, into }]
    await this.streams.identities.apply({ links, reason: 'signed in', by: 'eva' })
    await this.settle()
  }

  causes(name: string, fromMs: number, asked: Partial<CausesRequest> = {}): Promise<Causes> {
    const span = { from: { timeMs: fromMs }, to: { timeMs: this.nowMs } }
    return this.streams.past.causes({ fold: `view.${name}`, ...span, ...asked })
  }
}

/** A cause as text: `traffic watched: plays 1 -> 3 (+2)`. */
function told({ kind, name, effects }: Cause): string {
  const text = effects.map(({ field, without, with: is, amount }) => {
    const values = `${JSON.stringify(without) ?? '-'} -> ${JSON.stringify(is) ?? '-'}`
    return `${field === '' ? '' : `${field} `}${values}${amount === undefined ? '' : ` (${amount})`}`
  })
  return `${kind} ${name}: ${text.join(', ')}`
}

const refusedAs =
  (code: string) =>
  (error: unknown): boolean =>
    isError(error, code)

describe('what changed a key', () => {
  it('is traffic by type, and changesets, the largest share first', async () => {
    const world = await new World({ totals: totals('clip') }).open()
    await world.watch('ana', 'c1', 100)
    const bots = [await world.watch('bot', 'c1', 10), await world.watch('bot', 'c1', 20)]
    const start = world.moment()
    await world.watch('ben', 'c1', 700)
    await world.watch('cyd', 'c2', 5)
    await world.like('ben', 'c1')
    await world.retract('ring', ...bots)
    const { fields, causes, unmeasured, isParked } = await world.causes('totals', start, { key: 'c1' }) // prettier-ignore
    assert.deepEqual(fields, [
      { field: 'likes', before: 0, after: 1, difference: 1, together: 0 },
      { field: 'ms', before: 130, after: 800, difference: 670, together: 0 },
      { field: 'plays', before: 3, after: 2, difference: -1, together: 0 },
    ])
    assert.deepEqual(causes.map(told), [
      'traffic watched: ms 100 -> 800 (700), plays 1 -> 2 (1)',
      'traffic liked: likes 0 -> 1 (1)',
      'changeset ring: ms 830 -> 800 (-30), plays 4 -> 2 (-2)',
    ])
    const [, , ring] = causes
    assert.deepEqual([ring?.records, ring?.by, ring?.reason], [2, 'eva', 'a ring of bots'])
    assert.deepEqual([unmeasured, isParked], [[], false])
    await world.streams.close()
  })

  it('tells what several causes do only together', async () => {
    const world = await new World({ totals: totals('clip') }).open()
    await world.watch('ana', 'c1')
    const start = world.moment()
    // It came and was retracted: taking either away leaves the other.
    await world.retract('ring', await world.watch('bot', 'c1'), 'nobody')
    await world.retract('again', await world.watch('bot', 'c1'))
    const { fields, causes } = await world.causes('totals', start, { key: 'c1' })
    assert.deepEqual(causes.map(told), [
      'changeset ring: ms 2 -> 1 (-1), plays 2 -> 1 (-1)',
      'changeset again: ms 2 -> 1 (-1), plays 2 -> 1 (-1)',
    ])
    assert.deepEqual(fields, [
      { field: 'ms', difference: 0, together: 2 },
      { field: 'plays', difference: 0, together: 2 },
    ])
    await world.streams.close()
  })

  it('is a merge of people, and only the merge that is asked about', async () => {
    const world = await new World({ totals: totals('viewer') }).open()
    for (const viewer of ['ana', 'visitor', 'phone']) await world.watch(viewer, 'c1', 10)
    await world.merge('phone', 'visitor')
    const start = world.moment()
    await world.merge('visitor', 'ana')
    const { fields, causes } = await world.causes('totals', start, { key: 'ana' })
    assert.deepEqual(fields.map(({ field, difference }) => [field, difference]), [['ms', 20], ['plays', 2]]) // prettier-ignore
    assert.deepEqual(
      causes.map(({ kind, by }) => [kind, by]),
      [['merge', 'eva']],
    )
    const gone = await world.causes('totals', start, { key: 'visitor' })
    assert.deepEqual(gone.fields[0], { field: 'ms', before: 20, difference: -20, together: 0 })
    await world.streams.close()
  })

  it('is the passing of time, and rows that arrived', async () => {
    const lately = countView({ from, key: 'viewer', window: sliding(100, { step: 10 }) })
    const hours = countView({ from, key: 'viewer', window: tumbling(100, { keep: 10_000 }) })
    const topics = view({
      from,
      key: 'viewer',
      join: { clip: Clip },
      initial: () => ({ topic: '' }),
      fold: (state, e, { tables }) => void (state.topic = tables.clip(e.data.clip)?.topic ?? '?'),
    })
    const world = await new World({ lately, hours, topics }).open()
    await world.watch('p', 'c1')
    const start = world.moment()
    world.nowMs += 500
    await world.watch('p', 'c1')
    const { causes } = await world.causes('lately', start, { key: 'p' })
    assert.deepEqual(causes.map(told), ['time all: 1 -> - (-1)', 'traffic watched: - -> 1 (1)'])
    const [first] = (await world.causes('hours', start, { key: 'p' })).causes
    assert.match(told(first as Cause), /^traffic watched: 1970-01-01T00:16:40.500Z - -> 1 \(1\)$/)
    const before = world.moment()
    const put: NewEvent = { stream: 'clip', type: 'clip.put', key: 'c1', eventTimeMs: 1, data: { id: 'c1', attributes: { topic: 'news' } }, id: 'late' } // prettier-ignore
    await world.commit(put)
    await world.settle()
    const late = await world.causes('topics', before, { key: 'p' })
    assert.deepEqual(late.causes.map(told), ['rows all: topic "?" -> "news"'])
    assert.deepEqual(late.fields, [{ field: 'topic', before: '?', after: 'news' }])
    await world.streams.close()
  })

  it('is another version of the view, where its code is here', async () => {
    const world = await new World({ plays }).open()
    await world.watch('p', 'c1', 5)
    await world.watch('p', 'c1', 50)
    const start = world.moment()
    const long = countView({ from, key: 'clip', where: ({ data }) => data.ms >= 10, version: 'long', replaces: plays }) // prettier-ignore
    await world.streams.close()
    world.define({ plays: long })
    await world.open()
    await world.settle()
    world.nowMs += 10
    const { rebuilds } = world.streams
    await rebuilds.start({ fold: 'view.plays', maxDifferences: 9 })
    const { live, before } = await rebuilds.settled('view.plays')
    const versions = `${before?.version} -> ${live.version}`
    await world.watch('p', 'c1', 50)
    const { causes, fields, unmeasured } = await world.causes('plays', start, { key: 'c1' })
    assert.deepEqual(causes.map(told), [
      'traffic watched: 1 -> 2 (1)',
      `definition ${versions}: 3 -> 2 (-1)`,
    ])
    assert.deepEqual(fields, [])
    assert.deepEqual(unmeasured, [])
    await world.streams.close()
    world.define({ plays: countView({ from, key: 'clip', where: ({ data }) => data.ms >= 10, version: 'long' }) }) // prettier-ignore
    await world.open()
    await world.settle()
    const later = await world.causes('plays', start, { key: 'c1' })
    assert.match(
      later.unmeasured.join(),
      /^version .* of view.plays became .*: its code is not here/,
    )
    await world.streams.close()
  })

  it('begins at nothing, says when a key waits, and refuses what cannot be told', async () => {
    const world = await new World({ totals: totals('clip') }).open()
    const before = world.moment()
    await world.watch('ana', 'c1', 10)
    await world.watch('ana', 'c1', -10)
    await world.watch('ana', 'c1', 10)
    const { fields, isParked, from: none } = await world.causes('totals', before, { key: 'c1' })
    assert.deepEqual(
      fields.map(({ after }) => after),
      [10, 1],
    )
    assert.deepEqual([isParked, none.size], [true, 0])
    assert.equal((await world.causes('totals', before)).isParked, true)
    await assert.rejects(world.causes('totals', before, { recordsMax: 2 }), refusedAs('CAUSES_TOO_LARGE')) // prettier-ignore
    const wrong = { to: { timeMs: before } }
    await assert.rejects(world.causes('totals', world.nowMs, wrong), refusedAs('MOMENT_EMPTY'))
    const early = world.moment()
    await world.watch('ana', 'c1', 10)
    await assert.rejects(world.causes('totals', world.nowMs, { to: { timeMs: early } }), refusedAs('REPLAY_INVALID')) // prettier-ignore
    await world.streams.close()
  })
})

describe('what changed a metric', () => {
  it('is summed over all keys, with the keys that changed most', async () => {
    const world = await new World({ totals: totals('clip') }).open()
    for (const clip of ['c1', 'c2', 'c3']) await world.watch('ana', clip, 100)
    const start = world.moment()
    const bots: string[] = []
    for (let play = 0; play < 4; play++) bots.push(await world.watch('bot', 'c2', 1))
    await world.watch('ben', 'c3', 50)
    await world.retract('ring', ...bots.slice(1))
    const { fields, causes, keys } = await world.causes('totals', start)
    assert.deepEqual(fields.slice(0, 1), [{ field: 'ms', before: 300, after: 351, difference: 51, together: 3 }]) // prettier-ignore
    assert.deepEqual(causes.map(told), [
      'traffic watched: ms 300 -> 351 (51), plays 3 -> 5 (2)',
      'changeset ring: ms 354 -> 351 (-3), plays 8 -> 5 (-3)',
    ])
    assert.deepEqual(keys, [{ key: 'c3', before: 100, after: 150 }, { key: 'c2', before: 100, after: 101 }]) // prettier-ignore
    await world.streams.close()
  })

  it('splits a rate into mix and rate by key', async () => {
    const world = await new World({ totals: totals('clip') }).open()
    // c1: one of two is liked; c2: none of two.
    for (const clip of ['c1', 'c2', 'c1', 'c2']) await world.watch('ana', clip)
    await world.like('ana', 'c1')
    const start = world.moment()
    // Four more plays of c1, half of them liked again: the rate of c1 stays, its share grows.
    for (let play = 0; play < 4; play++) await world.watch('ben', 'c1')
    await world.like('ben', 'c1')
    await world.like('cyd', 'c1')
    const rate = { of: 'likes', per: 'plays' }
    const { rate: found, fields, keys } = await world.causes('totals', start, { rate })
    assert.equal(found?.before, 1 / 4)
    assert.equal(found?.after, 3 / 8)
    assert.ok(Math.abs((found?.mix ?? 0) - 1 / 8) < 1e-12 && Math.abs(found?.rate ?? 1) < 1e-12)
    assert.equal(fields.find(({ field }) => field === 'likes / plays')?.difference, 1 / 8)
    assert.deepEqual(keys, [{ key: 'c1', before: 1, after: 3 }])
    await world.watch('ana', 'c3')
    const none = await world.causes('totals', start, { rate: { of: 'likes', per: 'nothing' } })
    assert.deepEqual(none.rate, { of: 'likes', per: 'nothing', before: null, after: null, mix: 0, rate: 0 }) // prettier-ignore
    await world.streams.close()
  })

  it('measures many changesets as the largest and the others', async () => {
    const world = await new World({ totals: totals('clip') }).open()
    const ids: string[] = []
    for (let play = 0; play < 15; play++)
      ids.push(await world.watch('bot', play < 14 ? 'c1' : 'c2'))
    const start = world.moment()
    for (const [at, one] of ids.entries()) await world.retract(`set${at}`, one)
    await world.merge('bot', 'ana')
    const all = await world.causes('totals', start)
    assert.equal(all.causes.find(({ name }) => name === '3 others')?.effects[0]?.amount, -3)
    assert.equal(all.fields.find(({ field }) => field === 'plays')?.together, 0)
    const one = await world.causes('totals', start, { key: 'c2' })
    assert.deepEqual(
      one.causes.map(({ name }) => name),
      ['set14'],
    )
    await world.streams.close()
  })
})
