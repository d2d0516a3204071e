/** Keys that are folded again from a base, and from their first record where none is certain to hold. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { event, id, int, item, systemClock, text, tumbling, view } from '@millrace/core'
import type { EventLog, NewEvent } from '@millrace/log'
import { openMemoryLog } from '@millrace/log/memory'
import type { CorrectionAction } from './corrections/contract.ts'
import type { FoldDefinition } from './fold.ts'
import { TextShard, textEvent } from './testing/folds.ts'
import { TestWorld } from './testing/world.ts'
import { compileViews } from './views/compile.ts'

const EVERY = 20
const RECORDS = 100

/** A world that notes where the histories of its keys are read from; bases are kept every `EVERY` records. */
class NotingWorld extends TestWorld {
  readonly froms: (number | undefined)[] = []

  constructor(folds: readonly FoldDefinition[]) {
    super(folds)
    let arrivalMs = 1_000_000_000
    this.clock = { ...systemClock, nowMs: () => ++arrivalMs }
    this.settings = { baseEveryRecords: EVERY }
    this.openLog = options => this.#noting(openMemoryLog(options))
  }

  #noting(log: EventLog): EventLog {
    const history = log.history.bind(log)
    log.history = request => {
      this.froms.push(request.from)
      return history(request)
    }
    return log
  }

  /** Corrects events, and gives the offsets from which keys were folded again. */
  async correctAll(
    action: CorrectionAction,
    ids: readonly string[],
  ): Promise<readonly (number | undefined)[]> {
    await this.settle()
    this.froms.length = 0
    const corrections = ids.map(id => ({ id, action }))
    await this.streams.corrections.apply({ corrections, reason: 'a test', by: 'nobody' })
    const froms = [...this.froms]
    assert.deepEqual(await this.differences(), {})
    return froms
  }
}

/** One key of a fold with long histories, and where its histories were read from. */
class LongWorld extends NotingWorld {
  constructor() {
    const shard = (): TextShard =>
      new TextShard((state, { id }) => {
        if (id === 'bad') throw new Error('it is bad')
        return `${state} ${id}`
      })
    super([{ name: 'ids', version: '1', source: 'person', onFailure: 'park', hasLongHistories: true, createShard: shard }]) // prettier-ignore
  }

  /** Bases are kept after 40, 60, 80 and 100 records by the end of this. */
  async fill(): Promise<void> {
    for (let number = 0; number < RECORDS; number++) {
      await this.send(`e${number}`)
      if ((number + 1) % EVERY > 0) continue
      await this.settle()
      await this.streams.snapshot()
    }
  }

  async send(id: string): Promise<void> {
    await this.commit(textEvent('person', 'p', id, { id }))
  }

  /** Corrects events, and gives the offset from which the key was folded again. */
  async correct(action: CorrectionAction, ...ids: readonly string[]): Promise<number | undefined> {
    return (await this.correctAll(action, ids))[0]
  }
}

const Clip = item('clip', { topic: text() })
const watched = event('watched', { viewer: id('person'), clip: id('clip'), watchedMs: int() }, { key: 'viewer' }) // prettier-ignore

/** Time watched per clip and second, with the topic as of then: it cannot be taken out. */
const topicSeconds = view({
  from: [watched],
  key: 'clip',
  join: { clip: Clip },
  window: tumbling('1s'),
  initial: () => ({ topic: '', watchedMs: 0 }),
  fold(state, { data }, { tables }) {
    state.topic = tables.clip(data.clip)?.topic ?? ''
    state.watchedMs += data.watchedMs
  },
})

const row = (topic: string, atMs: number): NewEvent => {
  const data = { id: 'c', attributes: { topic } }
  return { stream: 'clip', type: 'clip.put', key: 'c', eventTimeMs: atMs, data, id: `${topic}-${atMs}` } // prettier-ignore
}

const open = async (): Promise<LongWorld> => {
  const world = await new LongWorld().open()
  await world.fill()
  return world
}

describe('bases', () => {
  it('are where a key begins, the newest before what was corrected since', async () => {
    const world = await open()
    assert.equal(await world.correct('retract', 'e90'), 80)
    assert.equal(await world.correct('retract', 'e50'), 40)
    assert.equal(await world.correct('retract', 'e10'), 0)
    assert.equal(await world.correct('restore', 'e90'), 0)
    // What was corrected and taken back is as it was.
    assert.equal(await world.correct('restore', 'e10'), 40)
    assert.equal(await world.correct('hold', 'e45'), 40)
    assert.equal(await world.correct('restore', 'e45', 'e50'), 100)
    assert.equal(await world.correct('retract', 'e99'), 80)
    assert.equal(world.stateOf('ids', 'p')?.split(' ').length, RECORDS)
    await world.streams.close()
  })

  it('are found again after a restart, and one that was taken since says what it reflects', async () => {
    const world = await open()
    await world.correct('retract', 'e70')
    await world.open()
    assert.equal(await world.correct('retract', 'e99'), 60)
    for (let number = RECORDS; number < RECORDS + EVERY; number++) {
      await world.send(`e${number}`)
    }
    await world.settle()
    await world.streams.snapshot()
    await world.send('last')
    await world.settle()
    assert.equal(await world.correct('retract', 'last'), RECORDS + EVERY)
    assert.equal(await world.correct('restore', 'e70'), 80)
    await world.snapshots.remove('ids.bases')
    await world.open()
    assert.equal(await world.correct('restore', 'last'), 80)
    const index = await world.snapshots.load('ids.bases')
    assert.ok(index !== undefined, 'the index was made again')
    const texts: string[] = []
    for await (const chunk of index.chunks) texts.push(Buffer.from(chunk).toString())
    // Of a base that was replaced behind it.
    const other = texts.join('').replaceAll('"consumed":80', '"consumed":79')
    assert.notEqual(other, texts.join(''))
    await world.snapshots.save('ids.bases', index.meta, [Buffer.from(other)])
    await world.open()
    assert.equal(await world.correct('hold', 'last'), 60)
    await world.streams.close()
  })

  it('are left where they cannot be read, and where the key waited', async () => {
    const world = await open()
    await world.send('bad')
    for (let number = 1; number < EVERY; number++) {
      await world.send(`later${number}`)
    }
    await world.settle()
    await world.streams.snapshot()
    await world.correct('retract', 'bad')
    assert.equal(await world.correct('retract', 'later9'), 100)
    const load = world.snapshots.load.bind(world.snapshots)
    const warnings: string[] = []
    world.logger = { ...world.logger, warn: message => void warnings.push(message) }
    world.snapshots.load = async name => {
      if (name.includes('.base-')) throw new Error('it cannot be read')
      return await load(name)
    }
    await world.open()
    assert.equal(await world.correct('retract', 'later8'), 0)
    assert.ok(warnings.includes('a base cannot be read'), warnings.join())
    await world.streams.close()
  })

  it('are kept of views that join, and do not hide rows that came or were corrected since', async () => {
    const compiled = compileViews({ views: { v: topicSeconds }, partitions: 4, latenessMs: 0 })
    const world = new NotingWorld(compiled.folds)
    world.tables = compiled.tables
    world.extraStreams = compiled.streams
    await world.open()
    await world.commit(row('early', 900))
    for (let number = 0; number < RECORDS; number++) {
      const data = { viewer: `p${number % 3}`, clip: 'c', watchedMs: 1 }
      const own = { id: `w${number}`, eventTimeMs: 1_000 + number, data }
      await world.commit({ stream: 'person', type: 'watched', key: data.viewer, ...own })
      await world.settle()
      if ((number + 1) % EVERY === 0) await world.streams.snapshot()
    }
    assert.deepEqual(await world.correctAll('retract', ['w90']), [80])
    assert.deepEqual(await world.correctAll('retract', ['w50']), [40])
    // A row that the base at 60 had read otherwise.
    await world.commit(row('late', 950))
    assert.deepEqual(await world.correctAll('restore', ['w90']), [40, 0])
    // That of the table, and that of what had read it.
    assert.deepEqual(await world.correctAll('retract', ['late-950']), [0, 0])
    assert.deepEqual(await world.correctAll('hold', ['w99']), [0])
    await world.streams.close()
  })
})
