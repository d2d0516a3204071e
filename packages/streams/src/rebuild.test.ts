import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  countView,
  event,
  id,
  int,
  item,
  sliding,
  text,
  view,
  type AnyView,
  type Logger,
  silentLogger,
} from '@millrace/core'
import type { NewEvent } from '@millrace/log'
import type { FoldDefinition } from './fold.ts'
import { idsFold, textEvent } from './testing/folds.ts'
import { PARTITIONS, TestWorld, turn } from './testing/world.ts'
import { compileViews } from './views/compile.ts'
import { createViewReader } from './views/reader.ts'

const Clip = item('clip', { topic: text() })
const watched = event('watched', { viewer: id('person'), clip: id('clip'), ms: int() }, { key: 'viewer' }) // prettier-ignore
const noted = event('noted', { person: id('person'), topic: text() }, { key: 'person' })

function watch(viewer: string, clip: string, atMs: number): NewEvent {
  const data = { viewer, clip, ms: 1 }
  const id = `w-${viewer}-${clip}-${atMs}`
  return { stream: 'person', type: 'watched', key: viewer, eventTimeMs: atMs, data, id }
}

function put(clip: string, topic: string, atMs: number): NewEvent {
  const data = { id: clip, attributes: { topic } }
  const id = `put-${clip}-${topic}-${atMs}`
  return { stream: 'clip', type: 'clip.put', key: clip, eventTimeMs: atMs, data, id }
}

async function openViews(views: Record<string, AnyView>, logger?: Logger): Promise<TestWorld> {
  const compiled = compileViews({ views, partitions: PARTITIONS, latenessMs: 0 })
  const world = new TestWorld(compiled.folds)
  world.tables = compiled.tables
  world.extraStreams = compiled.streams
  if (logger !== undefined) world.logger = logger
  return await world.open()
}

/** The topics that a person saw; a topic `bad` cannot be folded. Each record emits what it saw. */
const topics = view({
  from: [watched],
  key: 'viewer',
  join: { clip: Clip },
  emits: [noted],
  version: '1',
  initial: () => ({ seen: [] as string[] }),
  fold(state, e, context) {
    const topic = context.tables.clip(e.data.clip)?.topic ?? 'none'
    state.seen.push(topic)
    context.emit(noted, { person: context.key, topic })
    if (topic === 'bad') throw new Error('a bad topic')
  },
})

const seenBy = (world: TestWorld, person: string): unknown =>
  (createViewReader(world.streams, 'v').get(person).value as { seen: string[] } | undefined)?.seen

describe('rebuild', () => {
  it('finds keys that were changed behind its back, and puts them right when asked to', async () => {
    const names = ['table.clip', 'view.count', 'view.slide', 'view.topics']
    const world = await openViews({
      count: countView({ from: [watched], key: 'viewer' }),
      slide: countView({ from: [watched], key: 'viewer', window: sliding(30, { step: 10 }) }),
      topics,
    })
    await world.commit(put('c', 'sea', 1), watch('p', 'c', 10), watch('q', 'c', 12))
    await world.settle()
    const keyOf = (fold: string): string => (fold === 'table.clip' ? 'c' : 'p')
    const damage = (fold: string): void => {
      const shard = world.streams.fold(fold).shardOf(keyOf(fold))
      shard.decodeKey(keyOf(fold), undefined)
      assert.equal(world.stateOf(fold, keyOf(fold)), undefined, fold)
    }
    for (const keys of [undefined, ['c', 'p', 'q', 'nobody']]) {
      const before = names.map(fold => world.stateOf(fold, keyOf(fold)))
      for (const fold of names) {
        damage(fold)
        const request = { fold, ...(keys === undefined ? {} : { keys }) }
        for (const replace of [false, true]) {
          const { different } = await world.streams.rebuild({ ...request, replace })
          assert.deepEqual(different, [keyOf(fold)], fold)
        }
        assert.deepEqual((await world.streams.rebuild(request)).different, [], fold)
      }
      assert.deepEqual(names.map(fold => world.stateOf(fold, keyOf(fold))), before) // prettier-ignore
    }
    await world.streams.close()
  })

  it('finds a key that the log knows nothing of, and time that was changed', async () => {
    const world = await openViews({ count: countView({ from: [watched], key: 'viewer' }) })
    await world.commit(watch('p', 'c', 10))
    await world.settle()
    const shard = world.streams.fold('view.count').shardOf('p')
    const [state, shared] = [shard.encodeKey('p'), shard.encodeShared?.()]
    assert.ok(state !== undefined && shared !== undefined)
    shard.decodeKey('ghost', state)
    shard.decodeShared?.(Buffer.from(JSON.stringify(99)))
    const { different } = await world.streams.rebuild({ fold: 'view.count', replace: true })
    assert.deepEqual(different, ['ghost', '$shared'])
    assert.equal(shard.encodeKey('ghost'), undefined)
    assert.deepEqual(shard.encodeShared?.(), shared)
    await world.streams.close()
  })

  it('compares a parked key with its history up to where it waits', async () => {
    const world = await openViews({ v: topics })
    await world.commit(put('c', 'sea', 1), put('d', 'bad', 1))
    await world.commit(watch('p', 'c', 10), watch('p', 'd', 20), watch('p', 'c', 30))
    await world.settle()
    assert.deepEqual(seenBy(world, 'p'), ['sea'])
    assert.deepEqual((await world.streams.rebuild({ fold: 'view.v', keys: ['p'] })).different, [])
    world.streams.fold('view.v').shardOf('p').decodeKey('p', undefined)
    for (const keys of [['p'], undefined]) {
      const { different } = await world.streams.rebuild({ fold: 'view.v', ...(keys && { keys }) })
      assert.deepEqual(different, ['p'])
    }
    await world.streams.rebuild({ fold: 'view.v', keys: ['p'], replace: true })
    assert.deepEqual(seenBy(world, 'p'), ['sea'])
    assert.equal(world.streams.fold('view.v').parked()[0]?.waiting, 2)
    await world.streams.close()
  })

  it('goes on beside the live fold while records and late versions arrive', async () => {
    const world = await openViews({ v: topics })
    await world.commit(put('c', 'old', 1))
    const events = Array.from({ length: 2_500 }, (_, index) => watch('p', 'c', 10 + index))
    await world.commit(...events)
    await world.settle()
    const rebuilding = world.streams.rebuild({ fold: 'view.v' })
    await world.commit(put('c', 'new', 1_000), watch('p', 'c', 5_000))
    assert.deepEqual((await rebuilding).different, [])
    await world.settle()
    const seen = seenBy(world, 'p') as string[]
    assert.equal(seen.length, 2_501)
    assert.equal(seen.filter(topic => topic === 'old').length, 990)
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })
})

describe('a late version of a table', () => {
  it('folds the windows again that read the row', async () => {
    const world = await openViews({
      v: view({
        from: [watched],
        key: 'viewer',
        join: { clip: Clip },
        window: sliding(40, { step: 10 }),
        initial: () => ({ topics: {} as Record<string, number> }),
        fold(state, e, { tables }) {
          const topic = tables.clip(e.data.clip)?.topic ?? 'none'
          state.topics[topic] = (state.topics[topic] ?? 0) + 1
        },
        merge(a, b) {
          const topics = { ...a.topics }
          for (const [topic, count] of Object.entries(b.topics)) topics[topic] = (topics[topic] ?? 0) + count // prettier-ignore
          return { topics }
        },
      }),
    })
    const topicsOf = async (): Promise<unknown> => {
      await world.settle()
      return (createViewReader(world.streams, 'v').get('p').value as { topics: unknown }).topics
    }
    await world.commit(put('c', 'old', 1), watch('p', 'c', 5), watch('p', 'c', 15))
    assert.deepEqual(await topicsOf(), { old: 2 })
    await world.commit(put('c', 'new', 12))
    assert.deepEqual(await topicsOf(), { old: 1, new: 1 })
    assert.deepEqual(await world.differences(), {})
    // With a snapshot, what was read is known after a restart as well.
    await world.streams.close()
    await world.open()
    await world.commit(put('c', 'newest', 13))
    assert.deepEqual(await topicsOf(), { old: 1, newest: 1 })
    // The tile of the first event is gone: a version of its time changes nothing.
    await world.commit(watch('p', 'c', 49), put('c', 'first', 2))
    assert.deepEqual(await topicsOf(), { newest: 2 })
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })

  it('parks a key back at the record that it breaks, also over a restart from an older snapshot', async () => {
    const world = await openViews({ v: topics })
    await world.commit(put('c', 'sea', 1))
    await world.commit(watch('p', 'c', 10), watch('p', 'c', 20), watch('p', 'c', 30))
    await world.settle()
    await world.streams.snapshot()
    await world.commit(put('c', 'bad', 15), put('c', 'lake', 25))
    await world.settle()
    const assertParked = (): void => {
      const [parked] = world.streams.fold('view.v').parked()
      assert.equal(parked?.key, 'p')
      assert.equal(parked.waiting, 2)
      assert.match(parked.error, /a bad topic/)
      assert.deepEqual(seenBy(world, 'p'), ['sea'])
    }
    assertParked()
    assert.deepEqual(await world.differences(), {})
    // A step tells the log of it; the snapshot is older than that.
    await world.commit(watch('q', 'c', 30))
    await world.settle()
    await world.open()
    await world.settle()
    assertParked()
    await world.commit(put('c', 'pond', 16))
    await world.settle()
    assert.equal(await world.streams.retry({ fold: 'view.v', key: 'p' }), true)
    await world.settle()
    assert.deepEqual(seenBy(world, 'p'), ['sea', 'pond', 'lake'])
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })

  it('stops the fold when the keys cannot be folded again, and the table goes on', async () => {
    const errors: unknown[] = []
    const world = await openViews({ v: topics }, { ...silentLogger, error: (_, details) => void errors.push(details) }) // prettier-ignore
    await world.commit(put('c', 'old', 1), watch('p', 'c', 10))
    await world.settle()
    world.log.history = () => {
      throw new Error('the history is gone')
    }
    await world.commit(put('c', 'new', 5))
    while (world.streams.status().every(({ state }) => state !== 'failed')) await turn()
    const failed = world.streams.status().filter(({ state }) => state === 'failed')
    assert.deepEqual(failed.map(({ name }) => name), ['view.v']) // prettier-ignore
    assert.deepEqual(errors, [{ fold: 'view.v', reason: 'Error: the history is gone' }])
    const position = new Map(world.log.ends())
    await world.streams.reached({ position, folds: ['table.clip'], timeoutMs: 60_000 })
    await world.streams.close()
  })
})

describe('a fold that is not deterministic', () => {
  it('is stopped when a record fails that it folded before', async () => {
    const base = idsFold('ids', 'person')
    let calls = 0
    const fold: FoldDefinition = {
      ...base,
      createShard: context =>
        Object.assign(base.createShard(context), {
          fold: () => {
            calls += 1
            if (calls > 1) throw new Error('not again')
          },
        }),
    }
    const world = await new TestWorld([fold, idsFold('other', 'person')]).open()
    await world.commit(textEvent('person', 'p', 'one'), textEvent('person', 'p', 'two'))
    while (world.streams.status()[0]?.state !== 'failed') await turn()
    assert.match(world.streams.status()[0]?.error ?? '', /FOLD_FAILED|not deterministic/)
    await world.commit(textEvent('person', 'p', 'three'))
    const position = new Map(world.log.ends())
    await world.streams.reached({ position, folds: ['other'], timeoutMs: 60_000 })
    assert.equal(world.stateOf('other', 'p'), 'one;two;three;')
    await world.streams.close()
  })
})
