import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { countView, event, id, int, isError, item, sliding, text, view, type AnyView } from '@millrace/core' // prettier-ignore
import type { NewEvent } from '@millrace/log'
import { PARTITIONS, TestWorld, turn } from '../testing/world.ts'
import { readAll } from '../testing/folds.ts'
import { plantIn } from '../testing/plant.ts'
import { compileViews } from '../views/compile.ts'
import { createViewReader } from '../views/reader.ts'
import type { Difference } from './compare.ts'
import { REBUILDS_STREAM } from './events.ts'

const Clip = item('clip', { topic: text() })
const watched = event('watched', { viewer: id('person'), clip: id('clip'), ms: int() }, { key: 'viewer' }) // prettier-ignore
const noted = event('noted', { person: id('person'), topic: text() }, { key: 'person' })

const PEOPLE = 40

function watch(number: number, ms = 1): NewEvent {
  const viewer = `p${number % PEOPLE}`
  const data = { viewer, clip: `c${number % 3}`, ms }
  return { stream: 'person', type: 'watched', key: viewer, eventTimeMs: 1_000 + number, data, id: `w${number}` } // prettier-ignore
}

function put(clip: string, topic: string, atMs: number): NewEvent {
  const data = { id: clip, attributes: { topic } }
  return { stream: 'clip', type: 'clip.put', key: clip, eventTimeMs: atMs, data, id: `${clip}-${topic}-${atMs}` } // prettier-ignore
}

const plays = countView({ from: [watched], key: 'viewer' })
/** Counts what was watched for long; another version. */
const longPlays = countView({ from: [watched], key: 'viewer', where: e => e.data.ms > 5, replaces: plays }) // prettier-ignore

/** A world with views; what it is opened with may be changed between two openings. */
class ViewWorld extends TestWorld {
  readonly found: Difference[] = []

  constructor(views: Record<string, AnyView>) {
    super([])
    this.define(views)
    this.sink = {
      begin: async ({ fold, build }) => `${fold}-${build}.jsonl`,
      write: async (_, differences) => void this.found.push(...differences),
      mask: (_, value) => value,
    }
  }

  define(views: Record<string, AnyView>): void {
    const compiled = compileViews({ views, partitions: PARTITIONS, latenessMs: 0 })
    this.folds = compiled.folds
    this.tables = compiled.tables
    this.extraStreams = compiled.streams
  }

  read(name: string, key: string): unknown {
    return createViewReader(this.streams, name).get(key).value
  }

  async restart(): Promise<void> {
    await this.streams.close()
    await this.open()
    await this.settle()
  }
}

const refused = (code: string) => (error: unknown) => isError(error, code)

async function fill(world: ViewWorld, count: number): Promise<void> {
  const events = Array.from({ length: count }, (_, number) => watch(number, number % 11))
  await world.commit(...events)
  await world.settle()
}

const namesOf = (differences: readonly Difference[]): string[] =>
  differences.map(({ kind, partition, key }) => `${kind} ${partition}/${key}`).sort()

describe('a rebuild beside the live view', () => {
  it('of the same version finds all that was planted, and serves what the log says', async () => {
    const world = new ViewWorld({ plays })
    await world.open()
    await fill(world, 400)
    const people = Array.from({ length: PEOPLE }, (_, number) => `p${number}`)
    const right = people.map(key => world.read('plays', key))
    await world.streams.close()
    const planted = await plantIn(world.snapshots, 'view.plays', 5)
    await world.open()
    await world.commit(watch(404))
    await world.settle()
    const wrong = people.map(key => world.read('plays', key))
    assert.ok(planted.size >= 3 * PARTITIONS)
    const { rebuilds } = world.streams
    await rebuilds.start({ fold: 'view.plays' })
    const stopped = await rebuilds.settled('view.plays')
    assert.deepEqual([stopped.error?.code, stopped.state], ['REBUILD_REFUSED', 'ready'])
    assert.deepEqual(namesOf(world.found), [...planted].sort())
    const { comparison } = stopped
    assert.deepEqual([comparison?.different, comparison?.keys], [planted.size, PEOPLE])
    assert.equal(comparison?.file, 'view.plays-1.jsonl')
    assert.equal(comparison?.samples.length, planted.size)
    const missing = world.found.find(({ kind }) => kind === 'missing')
    assert.deepEqual([missing?.live, missing?.built], [undefined, { state: { count: 10 } }])
    const fewer = { fold: 'view.plays', maxDifferences: planted.size - 1 }
    await assert.rejects(rebuilds.switch(fewer), refused('REBUILD_REFUSED'))
    assert.deepEqual(people.map(key => world.read('plays', key)), wrong) // prettier-ignore
    const done = await rebuilds.switch({ ...fewer, maxDifferences: planted.size })
    assert.deepEqual([done.state, done.live.build, done.before?.build], ['idle', 1, 0])
    right[4] = 11
    assert.deepEqual(people.map(key => world.read('plays', key)), right) // prettier-ignore
    assert.deepEqual(await world.differences(), {})
    // The next one has nothing to find, and switches by itself.
    await rebuilds.start({ fold: 'view.plays' })
    const again = await rebuilds.settled('view.plays')
    assert.deepEqual([again.live.build, again.comparison?.different], [2, 0], again.error?.message)
    await world.streams.close()
  })

  it('finds time that was changed', async () => {
    const world = new ViewWorld({ plays })
    await world.open()
    await fill(world, 40)
    world.streams.fold('view.plays').shards()[2]?.decodeShared?.(Buffer.from('9000000000'))
    await world.streams.rebuilds.start({ fold: 'view.plays', isDryRun: true })
    await world.streams.rebuilds.settled('view.plays')
    assert.deepEqual(world.found.map(({ key, partition }) => [key, partition]), [['$shared', 2]]) // prettier-ignore
    await world.streams.close()
  })

  it('of a changed version serves the old one until the switch, and goes back', async () => {
    const world = new ViewWorld({ plays })
    await world.open()
    await fill(world, 440)
    assert.equal(world.read('plays', 'p1'), 11)
    await world.streams.close()
    world.define({ plays: longPlays })
    await world.open()
    // At once, from its snapshot.
    assert.equal(world.read('plays', 'p1'), 11)
    const { rebuilds } = world.streams
    await assert.rejects(rebuilds.start({ fold: 'view.plays' }), refused('REBUILD_LIMIT_MISSING'))
    await rebuilds.start({ fold: 'view.plays', isDryRun: true })
    await world.commit(watch(441, 9))
    const ready = await rebuilds.settled('view.plays')
    assert.equal(ready.state, 'ready', ready.error?.message)
    assert.equal(ready.comparison?.changed, PEOPLE)
    const [sample] = world.found.filter(({ key }) => key === 'p2')
    assert.deepEqual([sample?.live, sample?.built], [11, 5])
    await world.settle()
    assert.equal(world.read('plays', 'p1'), 12)
    const revision = world.streams.fold('view.plays').revision()
    await rebuilds.switch({ fold: 'view.plays', maxDifferences: PEOPLE })
    assert.ok(world.streams.fold('view.plays').revision() > revision)
    assert.equal(world.read('plays', 'p1'), 6)
    await world.restart()
    assert.equal(world.read('plays', 'p1'), 6)
    assert.equal(world.streams.status().find(({ name }) => name === 'view.plays')?.build, 1)
    await world.commit(watch(481, 1), watch(521, 9))
    await world.settle()
    const back = await world.streams.rebuilds.back('view.plays')
    assert.deepEqual([back.live.build, back.before?.build], [0, 1])
    assert.equal(world.read('plays', 'p1'), 14)
    await world.restart()
    assert.equal(world.read('plays', 'p1'), 14)
    await world.streams.rebuilds.back('view.plays')
    assert.equal(world.read('plays', 'p1'), 7)
    assert.deepEqual(await world.differences(), {})
    // The old code again: its build is there. The new one alone: so is that.
    for (const [views, expected] of [
      [{ plays }, 14],
      [{ plays: { ...longPlays, replaces: undefined } }, 7],
    ] as const) {
      // prettier-ignore
      await world.streams.close()
      world.define(views)
      await world.open()
      await world.settle()
      assert.equal(world.read('plays', 'p1'), expected)
    }
    const dropped = await world.streams.rebuilds.drop('view.plays')
    assert.equal(dropped.before, undefined)
    const kept = (await world.snapshots.list()).filter(name => name.startsWith('view.plays'))
    assert.deepEqual(kept, ['view.plays~1'])
    await assert.rejects(world.streams.rebuilds.back('view.plays'), refused('REBUILD_NOTHING'))
    await assert.rejects(world.streams.rebuilds.drop('view.plays'), refused('REBUILD_NOTHING'))
    await world.streams.close()
  })

  it('compares a row that says nothing as none', async () => {
    const before = view({ from: [watched], key: 'viewer', version: 'before', initial: () => ({ long: 0 }), fold: (state, e) => void (state.long += Number(e.data.ms > 5)) }) // prettier-ignore
    const after = view({ from: [watched], key: 'viewer', version: 'after', replaces: before, initial: () => ({ long: 0 }), fold: (state, e) => void (state.long += Number(e.data.ms > 6)) }) // prettier-ignore
    const world = new ViewWorld({ plays: before })
    await world.open()
    await world.commit(watch(1, 1), watch(2, 9))
    await world.settle()
    world.define({ plays: after })
    // The old rows come from a snapshot, which has none of the first person.
    await world.restart()
    await world.streams.rebuilds.start({ fold: 'view.plays', isDryRun: true })
    const { comparison } = await world.streams.rebuilds.settled('view.plays')
    assert.equal(comparison?.different, 0, JSON.stringify(world.found))
    await world.streams.close()
  })

  it('compares windows as they were at the cut, however long it takes to write it', async () => {
    const recent = countView({ from: [watched], key: 'viewer', window: sliding(1_000, { step: 100 }) }) // prettier-ignore
    const world = new ViewWorld({ recent })
    const kept = world.snapshots
    const slowly = async function* (chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        yield chunk
        // Time goes on, so that the windows of before are over.
        await world.commit(...Array.from({ length: PEOPLE }, (_, number) => watch(10_000 + number)))
        for (let turns = 0; turns < 20; turns++) await turn()
      }
    }
    world.snapshots = {
      save: (name, meta, chunks) =>
        kept.save(name, meta, name.endsWith('.live') ? slowly(chunks) : chunks),
      load: name => kept.load(name),
      list: () => kept.list(),
      remove: name => kept.remove(name),
      close: () => kept.close(),
    }
    await world.open()
    await fill(world, 400)
    await world.streams.rebuilds.start({ fold: 'view.recent', isDryRun: true })
    const { comparison, error } = await world.streams.rebuilds.settled('view.recent')
    assert.equal(error, undefined, error?.message)
    assert.deepEqual([comparison?.keys, comparison?.different], [PEOPLE, 0])
    await world.streams.close()
  })

  it('begins with the version of the definition where nothing was served before', async () => {
    const world = new ViewWorld({ plays: longPlays })
    await world.open()
    await fill(world, 44)
    assert.equal(world.streams.fold('view.plays').definition.version, world.folds[0]?.version)
    const { rebuilds } = world.streams
    await assert.rejects(rebuilds.back('view.plays'), refused('REBUILD_NOTHING'))
    await rebuilds.start({ fold: 'view.plays' })
    assert.equal((await rebuilds.settled('view.plays')).live.build, 1)
    // A version that the definition has no longer cannot be gone back to.
    const other = countView({ from: [watched], key: 'viewer', version: 'other' })
    world.define({ plays: other })
    await world.restart()
    await assert.rejects(world.streams.rebuilds.back('view.plays'), refused('REBUILD_NOTHING'))
    await world.streams.close()
  })

  it('goes on with what an earlier process kept', async () => {
    const world = new ViewWorld({ plays })
    await world.open()
    await fill(world, 4_000)
    await world.streams.rebuilds.start({ fold: 'view.plays', isDryRun: true })
    await world.streams.rebuilds.settled('view.plays')
    await world.restart()
    const { rebuilds } = world.streams
    assert.deepEqual(rebuilds.status('view.plays').open?.build, 1)
    await assert.rejects(rebuilds.switch({ fold: 'view.plays' }), refused('REBUILD_NOT_READY'))
    await world.commit(watch(4_001))
    await world.settle()
    await rebuilds.start({ fold: 'view.plays' })
    await assert.rejects(rebuilds.start({ fold: 'view.plays' }), refused('REBUILD_RUNNING'))
    const done = await rebuilds.settled('view.plays')
    assert.deepEqual([done.live.build, done.folded, done.foldedNow], [1, 4_001, 1], done.error?.message) // prettier-ignore
    await world.streams.close()
  })

  it('waits for a live state that is behind what was kept', async () => {
    const world = new ViewWorld({ plays })
    await world.open()
    await fill(world, 4_000)
    await world.streams.rebuilds.start({ fold: 'view.plays', isDryRun: true })
    await world.streams.rebuilds.settled('view.plays')
    // Killed: the live state has no snapshot and is folded from the start.
    await world.open()
    const { rebuilds } = world.streams
    await rebuilds.start({ fold: 'view.plays' })
    const done = await rebuilds.settled('view.plays')
    assert.deepEqual([done.live.build, done.comparison?.different], [1, 0], done.error?.message)
    await world.streams.close()
  })

  it('ends when it is dropped or the runtime closes, and when an open one is of another version', async () => {
    const world = new ViewWorld({ plays })
    await world.open()
    await fill(world, 2_000)
    let { rebuilds } = world.streams
    await rebuilds.start({ fold: 'view.plays' })
    await rebuilds.drop('view.plays')
    assert.deepEqual([rebuilds.status('view.plays').open, rebuilds.status('view.plays').state], [undefined, 'idle']) // prettier-ignore
    await rebuilds.start({ fold: 'view.plays' })
    await world.streams.close()
    world.define({ plays: longPlays })
    await world.open()
    rebuilds = world.streams.rebuilds
    assert.equal(rebuilds.status('view.plays').live.build, 0)
    await rebuilds.start({ fold: 'view.plays', maxDifferences: PEOPLE })
    const done = await rebuilds.settled('view.plays')
    assert.equal(done.error, undefined)
    assert.deepEqual([done.live.build, done.open], [3, undefined])
    const events = await world.log.read({ stream: REBUILDS_STREAM, partition: 0, from: 0 })
    assert.deepEqual(
      events.map(({ type, data }) => `${type} ${(data as { build: number }).build}`),
      ['started 1', 'dropped 1', 'started 2', 'dropped 2', 'started 3', 'compared 3', 'switched 3'].map(line => `rebuild.${line}`), // prettier-ignore
    )
    await world.streams.close()
  })

  it('ends while the definition lacks its view, and goes on when that is back', async () => {
    const others = { others: countView({ from: [watched], key: 'viewer' }) }
    const world = new ViewWorld({ plays, ...others })
    await world.open()
    await fill(world, 2_000)
    await world.streams.rebuilds.start({ fold: 'view.plays' })
    await world.streams.close()
    const kept = world.streams.rebuilds.status('view.plays').open
    assert.equal(kept?.build, 1)

    world.define(others)
    await world.open()
    await world.commit(watch(2_001))
    await world.settle()
    const { rebuilds } = world.streams
    assert.throws(() => rebuilds.status('view.plays'), refused('FOLD_UNKNOWN'))
    await assert.rejects(rebuilds.drop('view.plays'), refused('FOLD_UNKNOWN'))
    await rebuilds.start({ fold: 'view.others' })
    assert.equal((await rebuilds.settled('view.others')).live.build, 1)
    assert.equal(world.read('others', 'p1'), 51)
    await world.streams.close()

    world.define({ plays, ...others })
    await world.open()
    await world.settle()
    assert.deepEqual(world.streams.rebuilds.status('view.plays').open, kept)
    await world.streams.rebuilds.start({ fold: 'view.plays' })
    const done = await world.streams.rebuilds.settled('view.plays')
    assert.deepEqual([done.live.build, done.open, done.error], [1, undefined, undefined])
    assert.equal(world.read('plays', 'p1'), 51)
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })

  it('refuses what it cannot exchange', async () => {
    const world = new ViewWorld({ topic: view({ from: [watched], key: 'viewer', join: { clip: Clip }, initial: () => 0, fold: state => state + 1 }) }) // prettier-ignore
    await world.open()
    const { rebuilds } = world.streams
    await assert.rejects(rebuilds.start({ fold: 'table.clip' }), refused('REBUILD_UNSUPPORTED'))
    await assert.rejects(rebuilds.start({ fold: 'view.none' }), refused('FOLD_UNKNOWN'))
    await world.streams.close()
  })
})

/** What a person saw by topic; each record emits it. */
const topics = view({
  from: [watched],
  key: 'viewer',
  join: { clip: Clip },
  emits: [noted],
  version: '1',
  initial: () => ({ seen: {} as Record<string, number> }),
  fold(state, e, context) {
    const topic = context.tables.clip(e.data.clip)?.topic ?? 'none'
    if (e.data.ms === 99) throw new Error('too long')
    state.seen[topic] = (state.seen[topic] ?? 0) + 1
    context.emit(noted, { person: context.key, topic })
  },
})

describe('the switch', () => {
  it('emits nothing twice, keeps what waits, and hears of late versions', async () => {
    const world = new ViewWorld({ topics, notes: countView({ from: [noted], key: 'person' }) })
    await world.open()
    await world.commit(put('c0', 'sea', 1), put('c1', 'hill', 1))
    await fill(world, 400)
    await world.commit(watch(403, 99), watch(443))
    await world.settle()
    const handle = world.streams.fold('view.topics')
    assert.deepEqual(handle.parked().map(({ key }) => key), ['p3']) // prettier-ignore
    const { rebuilds } = world.streams
    await rebuilds.start({ fold: 'view.topics' })
    await world.commit(put('c1', 'mountain', 5), watch(444), watch(445))
    const done = await rebuilds.settled('view.topics')
    assert.deepEqual([done.live.build, done.comparison?.different], [1, 0], done.error?.message)
    await world.commit(put('c0', 'lake', 6), watch(446))
    await world.settle()
    assert.deepEqual(handle.parked().map(({ key, waiting }) => [key, waiting]), [['p3', 2]]) // prettier-ignore
    assert.deepEqual(await world.differences(), {})
    const emitted = (await readAll(world.log, 'person', PARTITIONS)).filter(({ type }) => type === 'noted') // prettier-ignore
    assert.equal(emitted.length, 403)
    assert.equal(new Set(emitted.map(record => record.id)).size, 403)
    await world.restart()
    assert.deepEqual(await world.differences(), {})
    const reason = 'measured wrongly'
    await world.streams.amend({ fold: 'view.topics', key: 'p3', amendment: { kind: 'skip', reason } }) // prettier-ignore
    await world.settle()
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })

  it('happens at one position while records arrive', async () => {
    const recent = countView({ from: [watched], key: 'viewer', window: sliding(1_000, { step: 100 }) }) // prettier-ignore
    const world = new ViewWorld({ plays, recent })
    await world.open()
    await fill(world, 1_000)
    let isRunning = true
    let sent = 1_000
    const reads: number[] = []
    const sending = (async () => {
      while (isRunning) {
        await world.commit(...Array.from({ length: 20 }, () => watch(sent++)))
        await turn()
      }
    })()
    const reading = (async () => {
      while (isRunning) {
        reads.push(world.read('plays', 'p7') as number)
        await turn()
      }
    })()
    for (const fold of ['view.plays', 'view.recent', 'view.plays']) {
      await world.streams.rebuilds.start({ fold })
      const { error, comparison } = await world.streams.rebuilds.settled(fold)
      assert.equal(error, undefined)
      assert.equal(comparison?.different, 0)
    }
    await world.streams.rebuilds.back('view.plays')
    isRunning = false
    await Promise.all([sending, reading])
    await world.settle()
    // Never neither: a count never falls.
    assert.deepEqual(
      reads,
      [...reads].sort((a, b) => a - b),
    )
    assert.ok((reads[0] ?? 0) >= 25)
    assert.equal(world.read('plays', 'p7'), Math.floor((sent - 8) / PEOPLE) + 1)
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })

  it('is refused when something was decided on a dead letter meanwhile, and the next build follows it', async () => {
    const world = new ViewWorld({ topics })
    await world.open()
    await fill(world, 100)
    await world.commit(watch(103, 99))
    await world.settle()
    const { rebuilds } = world.streams
    await rebuilds.start({ fold: 'view.topics', isDryRun: true })
    await rebuilds.settled('view.topics')
    const amendment = { kind: 'skip', reason: 'a test' } as const
    await world.streams.amend({ fold: 'view.topics', key: 'p23', amendment })
    const done = async (): Promise<unknown> => {
      await rebuilds.start({ fold: 'view.topics' })
      const { error, live, comparison } = await rebuilds.settled('view.topics')
      return [error?.code, live.build, comparison?.different]
    }
    assert.deepEqual(await done(), [undefined, 1, 0])
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })
})

describe('a view that replaces another', () => {
  const compile = (replaces: AnyView, more: object = {}): void => {
    const plain = { from: [watched], key: 'viewer', initial: () => 0, fold: (state: number) => state + 2 } as const // prettier-ignore
    compileViews({
      views: { v: view({ ...plain, ...more, replaces }) },
      partitions: 1,
      latenessMs: 0,
    })
  }
  it('is of the same key and stream, emits nothing, and replaces one alone', () => {
    const invalid = (why: RegExp) => (error: unknown) =>
      isError(error, 'DEFINITION_INVALID') && why.test(error.message)
    compile(plays)
    assert.throws(() => compile(longPlays), invalid(/replaces another/))
    assert.throws(() => compile(topics), invalid(/emits/))
    assert.throws(() => compile(plays, { emits: [noted] }), invalid(/emits/))
    assert.throws(() => compile(countView({ from: [watched], key: 'clip' })), invalid(/key/))
    const same = { version: '1' }
    const before = view({ from: [watched], key: 'viewer', initial: () => 0, fold: state => state, version: '1' }) // prettier-ignore
    assert.throws(() => compile(before, same), invalid(/same version/))
  })
})

describe('a replay', () => {
  it('is what a view makes of a range, or of one key of it', async () => {
    const world = new ViewWorld({ topics, plays })
    await world.open()
    await world.commit(put('c0', 'sea', 1), put('c1', 'hill', 1), put('c2', 'bay', 1))
    await fill(world, 200)
    const middle = new Map(world.log.ends())
    await world.commit(watch(200), watch(203, 99), watch(240), watch(243))
    await world.settle()
    const emitted = world.log.ends()
    const replay = async (fold: string, more: object = {}): Promise<unknown> => {
      const { records, parked, shards } = await world.streams.replay({ fold, ...more })
      const { readKey } = world.streams.fold(fold).definition
      const rows = shards.flatMap(shard => [...shard.keys()].map(key => [key, readKey?.(shard, key)] as const)) // prettier-ignore
      return { records, parked: parked.map(({ key }) => key), rows: Object.fromEntries(rows) }
    }
    const rest = await replay('view.plays', { from: middle })
    assert.deepEqual(rest, { records: 4, parked: [], rows: { p0: 2, p3: 2 } })
    const before = (await replay('view.plays', { to: middle })) as { rows: object }
    assert.deepEqual(before.rows, Object.fromEntries(Array.from({ length: PEOPLE }, (_, n) => [`p${n}`, 5]))) // prettier-ignore
    const one = await replay('view.plays', { from: middle, key: 'p3' })
    assert.deepEqual(one, { records: 2, parked: [], rows: { p3: 2 } })
    // Only what the range holds, also for a key that it cannot fold.
    assert.deepEqual(await replay('view.topics', { from: middle }), {
      records: 4,
      parked: ['p3'],
      rows: { p0: { seen: { bay: 1, sea: 1 } } },
    })
    assert.deepEqual(new Map(world.log.ends()), new Map(emitted))
    const backwards = world.streams.replay({ fold: 'view.plays', from: world.log.ends(), to: middle }) // prettier-ignore
    await assert.rejects(backwards, refused('REPLAY_INVALID'))
    await world.streams.close()
  })
})
