/** A log that is away while keys are folded again: the fold waits for it, and goes on. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defineErrors, event, id, int, item, text, view } from '@millrace/core'
import type { NewEvent } from '@millrace/log'
import { openMemoryLog } from '@millrace/log/memory'
import { PARTITIONS, TestWorld, turn } from './testing/world.ts'
import { compileViews } from './views/compile.ts'
import { createViewReader } from './views/reader.ts'

const Clip = item('clip', { topic: text() })
const watched = event('watched', { viewer: id('person'), clip: id('clip'), watchedMs: int() }, { key: 'viewer' }) // prettier-ignore
const topics = view({
  from: [watched],
  key: 'viewer',
  join: { clip: Clip },
  initial: () => ({ seen: [] as string[] }),
  fold(state, e, { tables }) {
    if (e.data.watchedMs < 0) throw new Error('a bad time')
    state.seen.push(tables.clip(e.data.clip)?.topic ?? 'none')
  },
})

const put = (topic: string, eventTimeMs: number): NewEvent => ({ stream: 'clip', type: 'clip.put', key: 'c1', eventTimeMs, data: { id: 'c1', attributes: { topic } }, id: topic }) // prettier-ignore
const watch = (watchedMs: number, eventTimeMs: number): NewEvent => ({ stream: 'person', type: 'watched', key: 'p', eventTimeMs, data: { viewer: 'p', clip: 'c1', watchedMs }, id: `p-${eventTimeMs}` }) // prettier-ignore

const errors = defineErrors({
  DATABASE_AWAY: { status: 503, retryable: true, message: 'Away.', remedy: 'Wait.' },
})

/** A world whose log gives no history for a while. */
async function openWorld(): Promise<{ world: TestWorld; leave(refusals: number): void }> {
  let refusals = 0
  const compiled = compileViews({ views: { v: topics }, partitions: PARTITIONS, latenessMs: 0 })
  const world = new TestWorld(compiled.folds)
  world.tables = compiled.tables
  world.extraStreams = compiled.streams
  world.openLog = options => {
    const log = openMemoryLog(options)
    const history = log.history.bind(log)
    log.history = async function* (request) {
      if (refusals-- > 0) throw errors.create('DATABASE_AWAY')
      yield* history(request)
    }
    return log
  }
  await world.open()
  return { world, leave: count => void (refusals = count) }
}

const stateOf = (world: TestWorld): string | undefined =>
  world.streams.status().find(({ name }) => name === 'view.v')?.error

describe('a fold whose log is away', () => {
  it('folds keys again for a late table version when it is back', async () => {
    const { world, leave } = await openWorld()
    await world.commit(put('old', 10), watch(1, 20))
    await world.settle()
    leave(1)
    await world.commit(put('late', 15))
    while (stateOf(world) === undefined) await turn()
    await world.settle()
    assert.deepEqual(createViewReader(world.streams, 'v').get('p').value, { seen: ['late'] })
    assert.equal(stateOf(world), undefined)
    await world.streams.close()
  })

  it('restores a failed key when it is back', async () => {
    const { world, leave } = await openWorld()
    await world.commit(put('old', 10), watch(1, 20))
    await world.settle()
    leave(1)
    await world.commit(watch(-1, 30))
    while (stateOf(world) === undefined) await turn()
    await world.settle()
    assert.deepEqual(createViewReader(world.streams, 'v').get('p').value, { seen: ['old'] })
    assert.equal(world.streams.fold('view.v').parked().length, 1)
    await world.streams.close()
  })

  it('does not keep the runtime from closing', async () => {
    const { world, leave } = await openWorld()
    await world.commit(put('old', 10), watch(1, 20))
    await world.settle()
    leave(Infinity)
    await world.commit(put('late', 15))
    while (stateOf(world) === undefined) await turn()
    await world.streams.close()
  })
})
