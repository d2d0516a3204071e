import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  countView,
  event,
  id,
  int,
  isError,
  item,
  partitionOf,
  sliding,
  text,
  tumbling,
  view,
  type AnyView,
} from '@millrace/core'
import { TICK_TYPE, type LogRecord, type NewEvent } from '@millrace/log'
import type { FoldShard, ShardContext } from '../fold.ts'
import { readAll } from '../testing/folds.ts'
import { PARTITIONS, TestWorld } from '../testing/world.ts'
import { compileViews, viewFoldName } from './compile.ts'
import { createViewReader } from './reader.ts'
import { Timers } from './timers.ts'

const Clip = item('clip', { topic: text() })
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), ms: int() },
  { key: 'viewer' },
)
const noted = event('noted', { person: id('person'), at: int() }, { key: 'person' })

function watch(
  viewer: string,
  atMs: number,
  options: Partial<NewEvent> & { ms?: number } = {},
): NewEvent {
  const { ms = 1, ...rest } = options
  const data = { viewer, clip: 'c1', ms }
  const event = { stream: 'person', type: 'watched', key: viewer, eventTimeMs: atMs, data }
  return { ...event, id: `w-${viewer}-${atMs}-${ms}`, ...rest }
}

function put(topic: string, atMs: number): NewEvent {
  const data = { id: 'c1', attributes: { topic } }
  const event = { stream: 'clip', type: 'clip.put', key: 'c1', eventTimeMs: atMs, data }
  return { ...event, id: `put-${topic}-${atMs}` }
}

function tick(partition: number, atMs: number): NewEvent {
  const event = { stream: 'person', type: TICK_TYPE, key: TICK_TYPE, data: null, partition }
  return { ...event, eventTimeMs: atMs, id: `tick-${partition}-${atMs}` }
}

async function openViews(views: Record<string, AnyView>): Promise<TestWorld> {
  const compiled = compileViews({ views, partitions: PARTITIONS, latenessMs: 0 })
  const world = new TestWorld(compiled.folds)
  world.tables = compiled.tables
  world.extraStreams = compiled.streams
  return await world.open()
}

async function valueOf(world: TestWorld, name: string, key: string): Promise<unknown> {
  await world.settle()
  return createViewReader(world.streams, name).get(key).value
}

const CONTEXT: ShardContext = { partition: 0, partitions: 1, tables: { asOf: () => undefined } }
const record = (event: NewEvent, offset: number): LogRecord =>
  ({ tenant: 'default', partition: 0, offset, keys: [event.key], headers: {}, generation: 0, isHistory: false, watermarkMs: event.eventTimeMs, ...event }) as unknown as LogRecord // prettier-ignore
const shardOf = (view: AnyView): FoldShard => {
  const { folds } = compileViews({ views: { v: view }, partitions: 1, latenessMs: 0 })
  return folds.find(({ name }) => name === viewFoldName('v'))?.createShard(CONTEXT) as FoldShard
}

describe('windows', () => {
  const from = [watched] as const

  it('take an event until their end and the allowed lateness, and not at it', async () => {
    const window = tumbling(10, { allowedLateness: 5, keep: 1_000 })
    for (const [watermark, count] of [
      [24, 2],
      [25, 1],
    ] as const) {
      const world = await openViews({ v: countView({ from, key: 'viewer', window }) })
      await world.commit(watch('p', 10), watch('p', watermark), watch('p', 19))
      const windows = (await valueOf(world, 'v', 'p')) as { startMs: number; value: number }[]
      assert.equal(windows.find(({ startMs }) => startMs === 10)?.value, count, `${watermark}`)
      await world.streams.close()
    }
  })

  it('slide over the last size of time, tile by tile, as the watermark moves', async () => {
    const window = sliding(30, { step: 10 })
    const world = await openViews({ v: countView({ from, key: 'viewer', window }) })
    await world.commit(watch('p', 5), watch('p', 15), watch('p', 25))
    assert.equal(await valueOf(world, 'v', 'p'), 3)
    const [first] = await readAll(world.log, 'person', PARTITIONS)
    const partition = first?.partition ?? 0
    for (const [atMs, count] of [
      [29, 3],
      [30, 2],
      [49, 1],
      [50, undefined],
    ] as const) {
      await world.commit(tick(partition, atMs))
      assert.equal(await valueOf(world, 'v', 'p'), count, `at ${atMs}`)
    }
    assert.deepEqual(await world.differences(), {})
    assert.deepEqual(createViewReader(world.streams, 'v').list({ limit: 10 }).entries, [])
    await world.streams.close()
  })

  it('give back the memory of keys whose tiles are gone', async () => {
    const window = sliding(30, { step: 10 })
    const world = await openViews({ v: countView({ from, key: 'viewer', window }) })
    for (let index = 0; index < 400; index++) await world.commit(watch(`p${index}`, index * 10))
    await world.settle()
    const [status] = world.streams.status()
    assert.ok((status?.keys ?? 400) < 60, `${status?.keys} keys`)
    await world.streams.close()
  })
})

describe('a state that a restart would change', () => {
  const states: readonly (readonly [what: string, where: string, state: () => unknown])[] = [
    ['NaN', '.n', () => ({ n: 0 / 0 })],
    ['Infinity', '.of.a[1]', () => ({ n: 1, of: { a: [0, 1 / 0] } })],
    ['undefined', '.list[0]', () => ({ list: [undefined] })],
    ['Date', '.at', () => ({ at: new Date(0) })],
    ['bigint', '.n', () => ({ n: 1n })],
    ['Set', '', () => new Set(['a'])],
  ]
  const from = [watched] as const
  for (const window of [undefined, tumbling(1_000, { keep: 10_000 })]) {
    it(`parks its key, with the place: ${window === undefined ? 'plain' : 'windows'}`, async () => {
      for (const [what, where, state] of states) {
        const make = (isBroken: () => boolean): AnyView =>
          view({
            from,
            key: 'viewer',
            version: '1',
            initial: (): unknown => ({ n: 0 }),
            fold: (before, { data }) => (data.ms < 0 && isBroken() ? state() : { n: data.ms }),
            ...(window === undefined ? {} : { window }),
          })
        let isBroken = true
        const world = await openViews({ v: make(() => isBroken) })
        await world.commit(watch('p', 1, { ms: 1 }), watch('p', 2, { ms: -1 }), watch('q', 3, { ms: 5 })) // prettier-ignore
        await world.settle()
        const [parked, ...others] = world.streams.fold('view.v').parked()
        assert.deepEqual([parked?.key, others], ['p', []])
        assert.ok(parked?.error.includes(`of the view v`), parked?.error)
        assert.ok(parked?.error.includes(`it has ${what}${where === '' ? '' : ` at ${where}`}.`), parked?.error) // prettier-ignore
        const valuesOf = async (): Promise<string[]> =>
          await Promise.all(['p', 'q'].map(async key => JSON.stringify(await valueOf(world, 'v', key)))) // prettier-ignore
        const before = await valuesOf()
        assert.match(before[0] ?? '', /\{"n":1\}/)
        assert.deepEqual(await world.differences(), {})
        isBroken = false
        assert.equal(await world.streams.retry({ fold: 'view.v', key: 'p' }), true)
        assert.match((await valuesOf())[0] ?? '', /\{"n":-1\}/)
        await world.streams.close()
      }
    })
  }

  it('made by a timer, parks the key as well', async () => {
    const v = view({
      from,
      key: 'viewer',
      initial: () => ({ n: 0 }),
      fold(state, { atMs }, context) {
        state.n += 1
        context.timer('end', atMs + 10)
      },
      onTimer: () => ({ n: Number.NaN }),
    })
    const world = await openViews({ v })
    await world.commit(watch('p', 1))
    const [first] = await readAll(world.log, 'person', PARTITIONS)
    await world.commit(tick(first?.partition ?? 0, 50))
    assert.deepEqual(await valueOf(world, 'v', 'p'), { n: 1 })
    assert.match(world.streams.fold('view.v').parked()[0]?.error ?? '', /NaN at \.n/)
    await world.streams.close()
  })
})

describe('timers', () => {
  const build = (isBroken: () => boolean, onFailure: 'park' | 'pass' = 'park'): AnyView =>
    view({
      from: [watched],
      key: 'viewer',
      emits: [noted],
      onFailure,
      version: '1',
      initial: () => ({ log: [] as string[] }),
      fold(state, e, context) {
        state.log.push(`e${e.atMs}`)
        context.timer('a', e.atMs + 20)
        context.timer('b', e.atMs + 10)
      },
      onTimer(state, name, context) {
        state.log.push(`${name}${context.watermarkMs}`)
        context.emit(noted, { person: context.key, at: context.watermarkMs })
        if (name === 'a' && isBroken()) throw new Error('no timers today')
      },
    })

  it('fire in the order of their times, before the record that passed them', async () => {
    const world = await openViews({ v: build(() => false) })
    await world.commit(watch('p', 100), watch('p', 105), watch('p', 200))
    const state = (await valueOf(world, 'v', 'p')) as { log: string[] }
    assert.deepEqual(state.log, ['e100', 'e105', 'b115', 'a125', 'e200'])
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })

  it('cannot be set without a function for them, nor to no time, and emit only what is declared', async () => {
    const base = { from: [watched] as const, key: 'viewer' as const, initial: () => ({ n: 0 }) }
    const wrong: Record<string, AnyView> = {
      onTimer: view({ ...base, fold: (_, e, context) => context.timer('a', e.atMs) }),
      timer: view({
        ...base,
        fold: (_, __, context) => context.timer('a', Number.NaN),
        onTimer: () => undefined,
      }),
      emits: view({
        ...base,
        emits: [noted],
        fold: (_, __, context) => context.emit(watched, {} as never),
      }),
    }
    for (const [member, wrongView] of Object.entries(wrong)) {
      const world = await openViews({ v: wrongView })
      await world.commit(watch('p', 100))
      await world.settle()
      const [parked] = world.streams.fold('view.v').parked()
      assert.ok(parked?.error.includes(`views.v.${member}`), parked?.error)
      await world.streams.close()
    }
  })

  it('emit what their event is declared to carry, or park the key', async () => {
    for (const data of [{}, { person: 'p' }, { person: 'p', at: Number.NaN }]) {
      const v = view({
        from: [watched],
        key: 'viewer',
        emits: [noted],
        initial: () => ({ n: 0 }),
        fold: (_, __, context) => context.emit(noted, data as never),
      })
      const world = await openViews({ v })
      await world.commit(watch('p', 100))
      await world.settle()
      const [parked] = world.streams.fold('view.v').parked()
      assert.match(
        parked?.error ?? 'nothing',
        /The event noted that the view v emits .*(person|at)/,
      )
      assert.deepEqual((await readAll(world.log, 'person', PARTITIONS)).map(({ type }) => type), ['watched']) // prettier-ignore
      await world.streams.close()
    }
  })

  it('that fail at the retry leave the key parked', async () => {
    let isBroken = true
    const world = await openViews({ v: build(() => isBroken) })
    await world.commit(watch('p', 100), watch('p', 200))
    await world.settle()
    assert.equal(await world.streams.retry({ fold: 'view.v', key: 'p' }), false)
    assert.equal(world.streams.fold('view.v').parked()[0]?.attempts, 2)
    isBroken = false
    assert.equal(await world.streams.retry({ fold: 'view.v', key: 'p' }), true)
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })

  it('park their key when they fail, emit nothing of it, and fire at the retry', async () => {
    let isBroken = true
    const world = await openViews({ v: build(() => isBroken) })
    await world.commit(watch('p', 100), watch('p', 200), watch('p', 205))
    const before = (await valueOf(world, 'v', 'p')) as { log: string[] }
    assert.deepEqual(before.log, ['e100', 'b110'])
    assert.equal(world.streams.fold('view.v').parked()[0]?.waiting, 2)
    assert.deepEqual(await world.differences(), {})
    isBroken = false
    assert.equal(await world.streams.retry({ fold: 'view.v', key: 'p' }), true)
    const after = (await valueOf(world, 'v', 'p')) as { log: string[] }
    assert.deepEqual(after.log, ['e100', 'b110', 'a120', 'e200', 'e205'])
    assert.deepEqual(await world.differences(), {})
    const emitted = (await readAll(world.log, 'person', PARTITIONS)).filter(({ type }) => type === 'noted') // prettier-ignore
    assert.deepEqual(
      emitted.map(({ data }) => (data as { at: number }).at),
      [110, 120],
    )
    assert.equal(new Set(emitted.map(record => record.id)).size, 2)
    await world.streams.close()
  })

  it('fire for any number of keys at once; a key whose timer never ends is parked alone', () => {
    const view_ = view({
      from: [watched],
      key: 'viewer',
      initial: () => ({ fired: 0 }),
      fold: (_, e, context) => context.timer('a', e.atMs + 20),
      onTimer(state, name, context) {
        state.fired += 1
        if (context.key === 'p7') context.timer(name, context.watermarkMs)
      },
    })
    const shard = shardOf(view_)
    const failed: string[] = []
    const output = { emit: () => undefined, fail: (key: string) => void failed.push(key) }
    for (let index = 0; index < 12_000; index++) {
      shard.fold(record(watch(`p${index}`, 100), index), output)
    }
    const cause = record(watch('p', 500), 12_000)
    shard.advance?.(500, output, cause)
    assert.deepEqual(failed, ['p7'])
    const states = [...shard.keys()].map(key => String(shard.encodeKey(key)))
    assert.equal(states.filter(text => text.includes('"fired":1}')).length, 11_999)
  })

  it('cost no memory when they are put off again and again', () => {
    const timers = new Timers()
    for (let atMs = 0; atMs < 1_000; atMs++) timers.set('p', 'session', atMs + 1_800)
    timers.set('p', 'early', 5)
    timers.set('q', 'session', 2_000)
    assert.equal(timers.waiting, 3)
    assert.deepEqual(timers.takeDue(2_799), { atMs: 5, key: 'p', name: 'early' })
    assert.deepEqual(timers.takeDue(2_799), { atMs: 2_000, key: 'q', name: 'session' })
    assert.equal(timers.takeDue(2_798), undefined)
    timers.set('p', 'session', 2_100)
    timers.set('p', 'session', 2_200)
    assert.equal(timers.takeDue(2_150), undefined)
    assert.deepEqual(timers.takeDue(2_799), { atMs: 2_200, key: 'p', name: 'session' })
    assert.equal(timers.takeDue(Infinity), undefined)
    assert.equal(timers.waiting, 0)
  })

  it('are spent when they fail under the policy pass', async () => {
    const world = await openViews({ v: build(() => true, 'pass') })
    await world.commit(watch('p', 100), watch('p', 200))
    const state = (await valueOf(world, 'v', 'p')) as { log: string[] }
    assert.deepEqual(state.log, ['e100', 'b110', 'e200'])
    assert.deepEqual(world.streams.fold('view.v').parked(), [])
    await world.streams.close()
  })
})

describe('joins', () => {
  const topics = view({
    from: [watched],
    key: 'viewer',
    join: { clip: Clip },
    initial: () => ({ seen: [] as string[] }),
    fold: (state, e, { tables }) => void state.seen.push(tables.clip(e.data.clip)?.topic ?? 'none'),
  })

  it('see the version of the event time, also when it arrives late', async () => {
    const world = await openViews({ v: topics })
    await world.commit(put('old', 10), watch('p', 20), watch('p', 40))
    assert.deepEqual(await valueOf(world, 'v', 'p'), { seen: ['old', 'old'] })
    await world.commit(put('new', 30))
    assert.deepEqual(await valueOf(world, 'v', 'p'), { seen: ['old', 'new'] })
    await world.commit(put('newer', 50))
    assert.deepEqual(await valueOf(world, 'v', 'p'), { seen: ['old', 'new'] })
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })

  it('fold many keys again in one pass', async () => {
    const world = await openViews({ v: topics })
    await world.commit(put('old', 10))
    const events = Array.from({ length: 4_000 }, (_, index) => watch(`p${index}`, 20))
    await world.commit(...events)
    await world.settle()
    await world.commit(put('late', 15))
    await world.settle()
    const reader = createViewReader<{ seen: string[] }>(world.streams, 'v')
    for (let index = 0; index < 4_000; index++) {
      assert.deepEqual(reader.get(`p${index}`).value, { seen: ['late'] })
    }
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })

  it('hear of versions that the snapshot of the table has and theirs had not seen', async () => {
    const world = await openViews({ v: topics })
    await world.commit(put('old', 10), watch('p', 20))
    await world.settle()
    const saved = world.snapshots
    await world.streams.snapshot()
    const snapshot = await saved.load('view.v')
    assert.ok(snapshot)
    const chunks = await collect(snapshot.chunks)
    await world.commit(put('late', 15))
    await world.settle()
    await world.streams.close()
    // The view's snapshot is the older one again, the table's is the newer one.
    await saved.save('view.v', snapshot.meta, chunks)
    await world.open()
    assert.deepEqual(await valueOf(world, 'v', 'p'), { seen: ['late'] })
    await world.streams.close()
  })
})

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = []
  for await (const chunk of chunks) all.push(chunk)
  return all
}

describe('invert', () => {
  const output = { emit: () => undefined, fail: () => undefined }
  const events = [3, 14, 15, 26, 27].map((atMs, index) => watch(`p${index % 2}`, atMs))

  it('gives the bytes of a fold without the record', () => {
    const from = [watched] as const
    const kinds: AnyView[] = [
      countView({ from, key: 'viewer' }),
      countView({ from, key: 'viewer', window: tumbling(10) }),
      countView({ from, key: 'viewer', window: sliding(20, { step: 10 }) }),
    ]
    for (const kind of kinds) {
      for (const left of events) {
        const [all, without] = [shardOf(kind), shardOf(kind)]
        events.forEach((event, offset) => {
          for (const shard of [all, without]) shard.advance?.(event.eventTimeMs, output, record(event, offset)) // prettier-ignore
          all.fold(record(event, offset), output)
          if (event !== left) without.fold(record(event, offset), output)
        })
        assert.equal(all.invert?.(record(left, events.indexOf(left))), true)
        for (const key of ['p0', 'p1']) assert.deepEqual(all.encodeKey(key), without.encodeKey(key))
      }
    }
  })

  it('says when the key has to be folded again', () => {
    const plain = view({ from: [watched], key: 'viewer', initial: () => ({ n: 0 }), fold: s => void s.n++ }) // prettier-ignore
    assert.equal(shardOf(plain).invert?.(record(watch('p', 1), 0)), false)
  })
})

describe('a state that says nothing', () => {
  const output = { emit: () => undefined, fail: () => undefined }
  const from = [watched] as const
  // The sum of `ms` is 0 again after +5 and -5; `kept` has members that are compared as text.
  const kinds = [
    view({ from, key: 'viewer', initial: () => 0, fold: (n, e) => n + e.data.ms }),
    view({
      from,
      key: 'viewer',
      initial: () => ({ n: 0 }),
      fold: (s, e) => void (s.n += e.data.ms),
    }),
    view({
      from,
      key: 'viewer',
      initial: () => ({ n: 0, kept: [] as number[], by: { any: null as number | null } }),
      fold(state, e) {
        state.n += e.data.ms
        state.kept = state.n === 0 ? [] : [...state.kept, e.data.ms]
        state.by.any = state.n === 0 ? null : e.data.ms
      },
    }),
  ]
  const options = { window: tumbling('1h') }
  const windows = kinds.map((kind): AnyView => ({ ...kind, ...options }))

  it('is no value, before a restart as after it', () => {
    for (const kind of [...kinds, ...windows]) {
      const live = shardOf(kind) as FoldShard & { read(key: string): unknown }
      const seen: unknown[] = []
      for (const [offset, ms] of [5, -5, 7].entries()) {
        live.fold(record(watch('p', 100 + offset, { ms }), offset), output)
        const restarted = shardOf(kind) as typeof live
        restarted.decodeKey('p', live.encodeKey('p'))
        assert.deepEqual(restarted.read('p'), live.read('p'))
        seen.push(live.encodeKey('p'))
      }
      assert.equal(seen[1], undefined)
      assert.notEqual(seen[2], undefined)
    }
  })
})

describe('createViewReader', () => {
  it('pages through keys in order, and gives the first by a number', async () => {
    const world = await openViews({ v: countView({ from: [watched], key: 'viewer' }) })
    for (let index = 0; index < 25; index++) {
      for (let ms = 0; ms <= index % 5; ms++)
        await world.commit(watch(`p${index}`, 10 + ms, { ms }))
    }
    await world.settle()
    const reader = createViewReader<number>(world.streams, 'v')
    const keys: string[] = []
    for (let after: string | undefined; ;) {
      const page = reader.list({ limit: 7, ...(after === undefined ? {} : { after }) })
      keys.push(...page.entries.map(entry => entry.key))
      if (page.next === undefined) break
      after = page.next
    }
    assert.deepEqual(keys, Array.from({ length: 25 }, (_, index) => `p${index}`).sort())
    const top = reader.top({ n: 3, by: value => value })
    assert.deepEqual(top.map(({ key, value }) => [key, value]), [['p14', 5], ['p19', 5], ['p24', 5]]) // prettier-ignore
    assert.deepEqual(reader.top({ n: 0, by: value => value }), [])
    assert.equal(reader.get('nobody').value, undefined)
    assert.equal(reader.get('nobody').isParked, false)
    await world.streams.close()
  })
})

describe('compileViews', () => {
  const refuses = (views: Record<string, AnyView>, path: string): void => {
    assert.throws(
      () => compileViews({ views, partitions: 4, latenessMs: 0 }),
      error => isError(error, 'DEFINITION_INVALID') && error.message.includes(path),
    )
  }

  it('refuses what cannot be computed, with the place', () => {
    const base = { from: [watched] as const, key: 'viewer' as const, initial: () => ({ n: 0 }) }
    const fold = (): void => undefined
    refuses({ v: view({ ...base, fold, window: sliding('1h') }) }, 'views.v.merge')
    refuses(
      { v: view({ ...base, fold, window: tumbling('1h'), onTimer: fold }) },
      'views.v.onTimer',
    )
    const other = event('other', { viewer: id('clip') }, { key: 'viewer' })
    refuses({ v: view({ ...base, from: [watched, other], fold }) }, 'views.v.from')
    const untyped: AnyView = { ...view({ ...base, fold }), key: 'ms' }
    refuses({ v: untyped }, 'views.v.key')
  })

  it('re-keys an event by several fields of one kind, once for each partition of the keys', async () => {
    const sent = event(
      'sent',
      { sender: id('person'), to: id('person'), copy: id('person') },
      { key: 'sender' },
    )
    const ids = (key: 'to' | 'copy'): AnyView =>
      view({
        from: [sent],
        key,
        initial: () => ({ ids: [] as string[] }),
        fold: (state, e) => void state.ids.push(e.id),
      })
    const world = await openViews({ to: ids('to'), copy: ids('copy') })
    const people = Array.from({ length: 9 }, (_, index) => `p${index}`)
    const wanted = { to: new Map<string, string[]>(), copy: new Map<string, string[]>() }
    let records = 0
    for (const to of people) {
      for (const copy of people) {
        const data = { sender: 'p0', to, copy }
        const number = `m-${to}-${copy}`
        await world.commit({ stream: 'person', type: 'sent', key: 'p0', id: number, eventTimeMs: 5, data }) // prettier-ignore
        wanted.to.set(to, [...(wanted.to.get(to) ?? []), number])
        wanted.copy.set(copy, [...(wanted.copy.get(copy) ?? []), number])
        const places = [to, copy].map(key => partitionOf(key, PARTITIONS))
        records += new Set(places).size
      }
    }
    await world.settle()
    assert.equal((await readAll(world.log, 'person.from-person', PARTITIONS)).length, records)
    for (const name of ['to', 'copy'] as const) {
      const { entries } = createViewReader<{ ids: string[] }>(world.streams, name).list({ limit: 99 }) // prettier-ignore
      const found = entries.map(({ key, value }) => [key, value?.ids])
      assert.deepEqual(new Map(found as [string, string[]][]), wanted[name])
    }
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })

  it('shares one re-keyed stream among the views of a kind', () => {
    const views = {
      a: countView({ from: [watched], key: 'clip' }),
      b: countView({ from: [watched], key: 'clip', window: tumbling('1d') }),
      c: countView({ from: [watched], key: 'viewer' }),
    }
    const compiled = compileViews({ views, partitions: 4, latenessMs: 7 })
    assert.deepEqual(compiled.streams, [{ name: 'clip.from-person', partitions: 4, latenessMs: 7 }]) // prettier-ignore
    assert.deepEqual(
      compiled.folds.map(({ name, source }) => [name, source]),
      [
        ['rekey.clip.from-person', 'person'],
        ['view.a', 'clip.from-person'],
        ['view.b', 'clip.from-person'],
        ['view.c', 'person'],
      ],
    )
  })

  it('gives another version to another window, key or code, and the same to the same', () => {
    const versionOf = (view: AnyView): string | undefined =>
      compileViews({ views: { v: view }, partitions: 4, latenessMs: 0 }).folds.at(-1)?.version
    const base = { from: [watched] as const, key: 'viewer' as const }
    assert.equal(versionOf(countView(base)), versionOf(countView(base)))
    const others = [
      countView({ ...base, where: e => e.data.ms > 1 }),
      countView({ ...base, window: tumbling('1h') }),
      countView({ ...base, window: tumbling('2h') }),
      countView({ ...base, version: '2' }),
      countView({ ...base, key: 'clip' }),
    ]
    const versions = new Set([countView(base), ...others].map(versionOf))
    assert.equal(versions.size, 1 + others.length)
  })
})
