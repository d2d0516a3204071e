import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { countView, event, id, int, isError, sliding, systemClock, view, type AnyView } from '@millrace/core' // prettier-ignore
import type { NewEvent } from '@millrace/log'
import { PARTITIONS, TestWorld } from '../testing/world.ts'
import { idsFold } from '../testing/folds.ts'
import { compileViews } from '../views/compile.ts'
import { createViewReader } from '../views/reader.ts'
import type { Change, Changes } from './past.ts'

const watched = event('watched', { viewer: id('person'), clip: id('clip'), ms: int() }, { key: 'viewer' }) // prettier-ignore
const liked = event('liked', { viewer: id('person'), clip: id('clip') }, { key: 'viewer' })
const from = [watched] as const

const plays = countView({ from, key: 'viewer' })
const perClip = countView({ from, key: 'clip' })
const lately = countView({ from, key: 'viewer', window: sliding(100, { step: 10 }) })
/** Counts watches, and a tenth of a second after the last one how often it was quiet. */
const visits = view({
  from,
  key: 'viewer',
  initial: () => ({ seen: 0, quiet: 0 }),
  fold(state, e, context) {
    state.seen += 1
    context.timer('quiet', e.atMs + 100)
  },
  onTimer: state => void (state.quiet += 1),
})
/** Does not know negative times. */
const strict = (onFailure: 'park' | 'pass', key: 'viewer' | 'clip' = 'viewer'): AnyView =>
  view({
    from,
    key,
    onFailure,
    initial: () => 0,
    fold(state, { data }) {
      if (data.ms < 0) throw new Error('a negative time')
      return state + data.ms
    },
  })

class PastWorld extends TestWorld {
  nowMs = 1_000_000
  #count = 0

  constructor(views: Record<string, AnyView>) {
    super([])
    this.clock = { ...systemClock, nowMs: () => this.nowMs }
    this.define(views)
  }

  define(views: Record<string, AnyView>): void {
    const { folds, tables, streams } = compileViews({ views, partitions: PARTITIONS, latenessMs: 0 }) // prettier-ignore
    this.folds = folds
    this.tables = tables
    this.extraStreams = streams
  }

  /** Somebody watches a clip now; gives the time of arrival. */
  async watch(viewer: string, clip = 'c', ms = 1): Promise<number> {
    this.nowMs += 10
    const data = { viewer, clip, ms }
    const event: NewEvent = { stream: 'person', type: 'watched', key: viewer, eventTimeMs: this.nowMs, data, id: `w${this.#count++}` } // prettier-ignore
    await this.commit(event)
    await this.settle()
    return this.nowMs
  }

  async valueAt(name: string, key: string, timeMs: number): Promise<unknown> {
    return (await createViewReader(this.streams, name).at({ timeMs }).get(key)).value
  }

  changes(
    name: string,
    key: string,
    range: { fromMs?: number; toMs?: number; after?: number | undefined; limit?: number } = {},
  ): Promise<Changes> {
    const { fromMs, toMs = this.nowMs, after, limit = 100 } = range
    return this.streams.past.changes({
      fold: `view.${name}`,
      key,
      to: { timeMs: toMs },
      limit,
      ...(fromMs === undefined ? {} : { from: { timeMs: fromMs } }),
      ...(after === undefined ? {} : { after }),
    })
  }
}

const refusedAs =
  (code: string) =>
  (error: unknown): boolean =>
    isError(error, code)

/** A change as text: `watched 1 > 2`. */
function told(change: Change): string {
  const what = change.kind === 'record' ? change.record.type : `time ${change.watermarkMs}`
  return `${what} ${JSON.stringify(change.before) ?? '-'} > ${JSON.stringify(change.after) ?? '-'}`
}

describe('the past of a key', () => {
  it('refuses moments that have not been, that are before everything, and that are gone', async () => {
    const world = await new PastWorld({ plays, perClip }).open()
    await assert.rejects(world.valueAt('plays', 'p', world.nowMs), refusedAs('MOMENT_EMPTY'))
    await assert.rejects(world.valueAt('perClip', 'c', world.nowMs), refusedAs('MOMENT_EMPTY'))
    const firstMs = await world.watch('p')
    await assert.rejects(world.valueAt('plays', 'p', firstMs - 1), refusedAs('MOMENT_EMPTY'))
    await assert.rejects(world.valueAt('plays', 'p', firstMs + 1), refusedAs('MOMENT_AHEAD'))
    const reader = createViewReader<number>(world.streams, 'plays')
    const ahead = new Map([...world.log.ends()].map(([name, end]) => [name, end + 1]))
    await assert.rejects(reader.at({ position: ahead }).get('p'), refusedAs('MOMENT_AHEAD'))
    const none = await reader.at({ timeMs: firstMs }).get('nobody')
    assert.deepEqual([none.value, none.isParked], [undefined, false])
    const { position } = await reader.at({ timeMs: firstMs }).get('p')
    assert.equal((await reader.at({ position }).get('p')).value, 1)
    await world.streams.close()
  })

  it('is not read of a stream that has lost its first records', async () => {
    const world = new PastWorld({})
    world.folds = [idsFold('ids', 'click')]
    world.extraStreams = [{ name: 'click', partitions: PARTITIONS, transient: { maxAgeMs: 5 } }]
    await world.open()
    const at = { position: new Map([['click/0', 1]]) }
    for (let count = 0; count < 3; count++) {
      world.nowMs += 10
      await world.commit({ stream: 'click', type: 'text', key: 'k', id: `${count}`, eventTimeMs: count, data: 'x' }) // prettier-ignore
      await world.settle()
    }
    await assert.rejects(world.streams.past.state({ fold: 'ids', key: 'k', at }), error => {
      assert.ok(isError(error, 'MOMENT_GONE'))
      assert.equal(error.details['start'], 2)
      return true
    })
    await world.streams.close()
  })

  it('is not read behind a fold that does not tell causes', async () => {
    const world = new PastWorld({})
    world.folds = [idsFold('ids', 'letter.from-person')]
    await world.open()
    const request = { fold: 'ids', key: 'k', at: { timeMs: world.nowMs } }
    await assert.rejects(world.streams.past.state(request), refusedAs('MOMENT_UNSUPPORTED'))
    await assert.rejects(world.streams.past.state({ ...request, fold: 'none' }), refusedAs('FOLD_UNKNOWN')) // prettier-ignore
    await world.streams.close()
  })

  it('knows a parked key as it was before and after, and follows what was decided since', async () => {
    const world = await new PastWorld({ strict: strict('park') }).open()
    const beforeMs = await world.watch('p', 'c', 5)
    const failedMs = await world.watch('p', 'c', -1)
    const afterMs = await world.watch('p', 'c', 7)
    const reader = createViewReader(world.streams, 'strict')
    const read = async (timeMs: number): Promise<unknown> => {
      const { value, isParked } = await reader.at({ timeMs }).get('p')
      return [value, isParked]
    }
    assert.deepEqual(await read(beforeMs), [5, false])
    assert.deepEqual([await read(failedMs), await read(afterMs)], [[5, true], [5, true]]) // prettier-ignore
    const { changes, isParked } = await world.changes('strict', 'p')
    assert.deepEqual([changes.map(told), isParked], [['watched - > 5'], true])
    const amendment = { kind: 'skip', reason: 'a broken clock' } as const
    await world.streams.amend({ fold: 'view.strict', key: 'p', amendment })
    assert.deepEqual([await read(failedMs), await read(afterMs)], [[5, false], [12, false]]) // prettier-ignore
    await world.streams.close()
  })

  it('does not know behind a hop what parked a key later', async () => {
    const world = await new PastWorld({ strict: strict('park', 'clip') }).open()
    for (let count = 0; count < 8; count++) await world.watch(`p${count}`, 'c', 5)
    const thenMs = world.nowMs
    await world.watch('p0', 'c', -1)
    const reader = createViewReader(world.streams, 'strict')
    assert.deepEqual([reader.get('c').value, reader.get('c').isParked], [40, true])
    const then = await reader.at({ timeMs: thenMs }).get('c')
    assert.deepEqual([then.value, then.isParked], [40, false])
    assert.equal((await reader.at({ timeMs: world.nowMs }).get('c')).isParked, true)
    await world.streams.close()
  })

  it('leaves out what the policy passes', async () => {
    const world = await new PastWorld({ strict: strict('pass') }).open()
    for (const ms of [5, -1, 7]) await world.watch('p', 'c', ms)
    const thenMs = world.nowMs
    await world.watch('p', 'c', 9)
    assert.equal(await world.valueAt('strict', 'p', thenMs), 12)
    const { changes } = await world.changes('strict', 'p', { toMs: thenMs })
    assert.deepEqual(changes.map(told), ['watched - > 5', 'watched 5 > 5', 'watched 5 > 12'])
    await world.streams.close()
  })

  it('is read of a stream that was emitted anew long after', async () => {
    const world = await new PastWorld({ perClip }).open()
    const moments: number[] = []
    for (let count = 0; count < 300; count++) moments.push(await world.watch(`p${count % 7}`, `c${count % 2}`)) // prettier-ignore
    await world.streams.close()
    const both = countView({ from: [watched, liked], key: 'clip' })
    world.define({ perClip, both })
    await world.open()
    await world.settle()
    for (const at of [0, 1, 40, 155, 298, 299]) {
      const timeMs = moments[at] as number
      for (const name of ['perClip', 'both']) {
        const seen = [await world.valueAt(name, 'c0', timeMs), await world.valueAt(name, 'c1', timeMs)] // prettier-ignore
        const wanted = [Math.ceil((at + 1) / 2), Math.floor((at + 1) / 2) || undefined]
        assert.deepEqual(seen, wanted, `${name} at event ${at}`)
      }
    }
    await world.streams.close()
  })

  it('waits until a re-keyed view has come to the moment', async () => {
    const world = await new PastWorld({ perClip }).open()
    await world.watch('p')
    const data = { viewer: 'p', clip: 'c', ms: 1 }
    await world.commit({ stream: 'person', type: 'watched', key: 'p', eventTimeMs: world.nowMs, data, id: 'now' }) // prettier-ignore
    assert.equal(await world.valueAt('perClip', 'c', world.nowMs), 2)
    await world.streams.close()
  })
})

describe('what changed a key', () => {
  it('is its records and the passing of time, each with the value before and after', async () => {
    const world = await new PastWorld({ visits, lately }).open()
    const firstMs = await world.watch('p')
    const secondMs = await world.watch('p')
    // The same partition, so that time passes there.
    world.nowMs += 200
    const thirdMs = await world.watch('p')
    const state = (seen: number, quiet: number): string => JSON.stringify({ seen, quiet })
    const all = (await world.changes('visits', 'p')).changes.map(told)
    assert.deepEqual(all, [
      `watched - > ${state(1, 0)}`,
      `watched ${state(1, 0)} > ${state(2, 0)}`,
      `time ${thirdMs} ${state(2, 0)} > ${state(2, 1)}`,
      `watched ${state(2, 1)} > ${state(3, 1)}`,
    ])
    const since = await world.changes('visits', 'p', { fromMs: firstMs, toMs: secondMs })
    assert.deepEqual(since.changes.map(told), all.slice(1, 2))
    assert.deepEqual((await world.changes('visits', 'p', { fromMs: 5 })).changes.map(told), all)
    assert.deepEqual((await world.changes('visits', 'p', { fromMs: secondMs })).changes.map(told), all.slice(2)) // prettier-ignore
    assert.deepEqual((await world.changes('lately', 'p')).changes.map(told), [
      'watched - > 1',
      'watched 1 > 2',
      `time ${thirdMs} 2 > -`,
      'watched - > 1',
    ])
    await world.streams.close()
  })

  it('is told of time alone, when nothing of the key came', async () => {
    const world = await new PastWorld({ lately }).open()
    const firstMs = await world.watch('p')
    const other = [...Array(99).keys()].map(number => `q${number}`).find(key => samePartition(world, key)) // prettier-ignore
    world.nowMs += 500
    const passedMs = await world.watch(other as string)
    const { changes, next } = await world.changes('lately', 'p', { fromMs: firstMs })
    assert.deepEqual([changes.map(told), next], [[`time ${passedMs} 1 > -`], undefined])
    assert.deepEqual((await world.changes('lately', 'p', { fromMs: passedMs })).changes, [])
    assert.deepEqual((await world.changes('lately', 'nobody')).changes, [])
    await assert.rejects(world.changes('lately', 'p', { fromMs: passedMs, toMs: firstMs }), refusedAs('REPLAY_INVALID')) // prettier-ignore
    await world.streams.close()
  })

  it('comes in pages that are the whole together', async () => {
    const world = await new PastWorld({ visits, perClip }).open()
    for (let count = 0; count < 12; count++) {
      if (count % 3 === 0) world.nowMs += 300
      await world.watch('p', `c${count % 2}`)
    }
    for (const [name, key] of [
      ['visits', 'p'],
      ['perClip', 'c1'],
    ] as const) {
      // prettier-ignore
      const whole = (await world.changes(name, key)).changes.map(told)
      const pages: string[] = []
      let after: number | undefined
      do {
        const page = await world.changes(name, key, { after, limit: 2 })
        assert.ok(page.changes.filter(({ kind }) => kind === 'record').length <= 2)
        pages.push(...page.changes.map(told))
        after = page.next
      } while (after !== undefined)
      assert.deepEqual(pages, whole)
      assert.ok(whole.length >= 6)
    }
    await world.streams.close()
  })
})

function samePartition({ streams }: TestWorld, key: string): boolean {
  const handle = streams.fold('view.lately')
  return handle.shardOf(key) === handle.shardOf('p')
}
