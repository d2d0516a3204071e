/** A version of a row that comes while a key is folded again, which reads that row for the first time. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { event, id, int, item, text, view } from '@millrace/core'
import type { EventLog, NewEvent } from '@millrace/log'
import { openMemoryLog } from '@millrace/log/memory'
import { PARTITIONS, TestWorld, turn } from '../testing/world.ts'
import { compileViews } from './compile.ts'
import { createViewReader } from './reader.ts'
import { tableFoldName } from './table-shard.ts'

const Clip = item('clip', { topic: text() })
const watched = event('watched', { viewer: id('person'), clip: id('clip'), watchedMs: int() }, { key: 'viewer' }) // prettier-ignore

/** Reads the row of the clip, and then the one that it names. */
const chain = view({
  from: [watched],
  key: 'viewer',
  join: { clip: Clip },
  initial: () => ({ seen: '' }),
  fold(state, e, { tables }) {
    const next = tables.clip(e.data.clip)?.topic ?? 'none'
    if (next === 'bad') throw new Error('a bad topic')
    state.seen = `${next} ${tables.clip(next)?.topic ?? 'none'}`
  },
})

const row = (key: string, topic: string, atMs: number): NewEvent => {
  const data = { id: key, attributes: { topic } }
  return { stream: 'clip', type: 'clip.put', key, eventTimeMs: atMs, data, id: `${key}-${topic}` }
}

const watch = (clip: string, atMs: number): NewEvent => {
  const data = { viewer: 'p', clip, watchedMs: 1 }
  return { stream: 'person', type: 'watched', key: 'p', eventTimeMs: atMs, data, id: `p-${clip}-${atMs}` } // prettier-ignore
}

/** A world whose log can be made to wait behind what it read. */
class LateWorld extends TestWorld {
  readonly #read = Promise.withResolvers<void>()
  readonly #end = Promise.withResolvers<void>()
  waitsAt: 'history' | 'read' | undefined

  static async open(): Promise<LateWorld> {
    const views = { v: chain }
    const compiled = compileViews({ views, partitions: PARTITIONS, latenessMs: 0 })
    const world = new LateWorld(compiled.folds)
    world.tables = compiled.tables
    world.extraStreams = compiled.streams
    world.openLog = options => world.#slow(openMemoryLog(options))
    await world.open()
    return world
  }

  /** Waits until the log waits, brings a late version of row `c3`, and lets the log go on. */
  async bringLate(): Promise<void> {
    await this.#read.promise
    this.waitsAt = undefined
    await this.commit(row('c3', 'late', 12))
    const table = this.streams.fold(tableFoldName('clip'))
    while (table.shardOf('c3').encodeKey('c3') === undefined) await turn()
    this.#end.resolve()
  }

  /** What the view has of `p`. */
  async seen(): Promise<unknown> {
    await this.settle()
    return createViewReader<{ seen: string }>(this.streams, 'v').get('p').value
  }

  #slow(log: EventLog): EventLog {
    const pause = async (place: 'history' | 'read'): Promise<void> => {
      if (this.waitsAt !== place) return
      this.#read.resolve()
      await this.#end.promise
    }
    const history = log.history.bind(log)
    log.history = async function* (request) {
      yield* history(request)
      await pause('history')
    }
    const read = log.read.bind(log)
    log.read = async request => {
      const records = await read(request)
      // One record is asked for behind a retry, for the time that passed since.
      if (request.recordsMax === 1) await pause('read')
      return records
    }
    return log
  }
}

describe('a version of a row that is read for the first time', () => {
  it('is not missed by a key that is folded again for another row', async () => {
    const world = await LateWorld.open()
    await world.commit(row('c1', 'c2', 10), watch('c1', 20))
    assert.deepEqual(await world.seen(), { seen: 'c2 none' })
    world.waitsAt = 'history'
    await world.commit(row('c1', 'c3', 15))
    await world.bringLate()
    assert.deepEqual(await world.seen(), { seen: 'c3 late' })
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })

  it('is not missed by a parked key that is tried again', async () => {
    const world = await LateWorld.open()
    await world.commit(row('c1', 'bad', 10), watch('c1', 20))
    await world.settle()
    assert.equal(world.streams.fold('view.v').parked().length, 1)
    await world.commit(row('c1', 'c3', 15))
    await world.settle()
    world.waitsAt = 'read'
    const retried = world.streams.retry({ fold: 'view.v', key: 'p' })
    await world.bringLate()
    assert.equal(await retried, true)
    assert.deepEqual(await world.seen(), { seen: 'c3 late' })
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })

  it('is not missed by a parked key whose state is made again', async () => {
    const world = await LateWorld.open()
    await world.commit(row('c1', 'c3', 10), row('c4', 'bad', 10))
    await world.commit(watch('c1', 20), watch('c4', 30))
    await world.settle()
    world.streams.fold('view.v').shardOf('p').decodeKey('p', undefined)
    world.waitsAt = 'history'
    const rebuilt = world.streams.rebuild({ fold: 'view.v', keys: ['p'], replace: true })
    await world.bringLate()
    assert.deepEqual((await rebuilt).different, ['p'])
    assert.deepEqual(await world.seen(), { seen: 'c3 late' })
    await world.streams.close()
  })
})
