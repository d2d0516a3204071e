import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isError, silentLogger, systemClock } from '@millrace/core'
import { logErrors } from '@millrace/log'
import { createMemoryStore, openMemoryLog } from '@millrace/log/memory'
import { createMemorySnapshotStore } from '@millrace/store/memory'
import type { FoldDefinition } from './fold.ts'
import { openStreams } from './runtime.ts'
import type { FoldStatus, Streams } from './streams.ts'
import { idsFold, lettersFold, readAll, textEvent } from './testing/folds.ts'
import { PARTITIONS, TestWorld, turn } from './testing/world.ts'

async function openWorld(
  folds: readonly FoldDefinition[],
  kept = { store: createMemoryStore(), snapshots: createMemorySnapshotStore() },
) {
  const log = openMemoryLog({ clock: systemClock, store: kept.store })
  await log.declare(
    ['person', 'letter.from-person', 'out'].map(name => ({ name, partitions: PARTITIONS })),
  )
  const open = (): Promise<Streams> =>
    openStreams({
      log,
      snapshots: kept.snapshots,
      clock: systemClock,
      logger: silentLogger,
      folds,
      options: { batchRecords: 7 },
    })
  return { ...kept, log, streams: await open() }
}

describe('openStreams', () => {
  it('folds what is in the log and what comes', async () => {
    const { log, streams } = await openWorld([idsFold('ids', 'person')])
    for (let index = 0; index < 50; index++) {
      const key = `p${index % 5}`
      const { position } = await log.commit({ events: [textEvent('person', key, `${index}`)] })
      await streams.reached({ position, timeoutMs: 60_000 })
      const state = streams.fold('ids').shardOf(key).encodeKey(key)
      assert.match(Buffer.from(state as Uint8Array).toString(), new RegExp(`${index};$`))
    }
    const [status] = streams.status()
    assert.equal(status?.lag, 0)
    assert.equal(status?.state, 'live')
    assert.equal(status?.keys, 5)
    await streams.close()
  })

  it('carries positions through a hop, and back', async () => {
    const { log, streams } = await openWorld([
      lettersFold('letters', 'person', 'letter.from-person'),
      idsFold('ids', 'letter.from-person'),
    ])
    for (const [index, word] of ['sea', 'tea', 'pea', 'bee'].entries()) {
      const event = textEvent('person', `p${index}`, word)
      const { position } = await log.commit({ events: [event] })
      await streams.reached({ position, folds: ['ids'], timeoutMs: 60_000 })
      const state = streams.fold('ids').shardOf('e').encodeKey('e')
      assert.match(Buffer.from(state as Uint8Array).toString(), new RegExp(`${word};$`))
      for (const [name, offset] of position) {
        assert.equal(streams.reflected(['ids']).get(name), offset)
      }
      assert.ok([...streams.reflected().keys()].every(name => name.startsWith('person/')))
    }
    await streams.close()
  })

  it('emits each record once over restarts, with and without snapshots', async () => {
    const folds = [
      lettersFold('letters', 'person', 'letter.from-person'),
      idsFold('ids', 'letter.from-person'),
    ]
    const store = createMemoryStore()
    let snapshots = createMemorySnapshotStore()
    for (let round = 0; round < 6; round++) {
      if (round % 2 === 0) snapshots = createMemorySnapshotStore()
      const { log, streams } = await openWorld(folds, { store, snapshots })
      const events = ['ab', 'bc', 'ca'].map((word, index) =>
        textEvent('person', `p${index}`, `${word}${round}`),
      )
      const { position } = await log.commit({ events })
      if (round % 3 !== 2) await streams.reached({ position, timeoutMs: 60_000 })
      if (round % 3 === 1) await streams.close()
    }
    const { log, streams } = await openWorld(folds, { store, snapshots })
    await streams.reached({ position: new Map(log.ends()), timeoutMs: 60_000 })
    const emitted = await readAll(log, 'letter.from-person', PARTITIONS)
    assert.equal(emitted.length, 6 * 9)
    assert.equal(new Set(emitted.map(record => record.id)).size, 6 * 9)
    assert.deepEqual((await streams.rebuild({ fold: 'ids' })).different, [])
    assert.deepEqual((await streams.rebuild({ fold: 'letters' })).different, [])
    assert.deepEqual(
      (await streams.rebuild({ fold: 'ids', keys: ['a', 'b', 'none'] })).different,
      [],
    )
    await streams.close()
  })

  it('starts a new generation for a new version, and everything behind it follows', async () => {
    const kept = { store: createMemoryStore(), snapshots: createMemorySnapshotStore() }
    const behind = idsFold('ids', 'letter.from-person')
    const first = await openWorld(
      [lettersFold('letters', 'person', 'letter.from-person'), behind],
      kept,
    )
    const { position } = await first.log.commit({ events: [textEvent('person', 'p', 'abc')] })
    await first.streams.reached({ position, timeoutMs: 60_000 })
    await first.streams.close()
    const second = await openWorld(
      [lettersFold('letters', 'person', 'letter.from-person', '2'), behind],
      kept,
    )
    await second.streams.reached({ position, timeoutMs: 60_000 })
    const state = second.streams.fold('ids').shardOf('a').encodeKey('a')
    assert.equal(Buffer.from(state as Uint8Array).toString(), 'abc;')
    assert.deepEqual(
      second.streams.status().map(status => status.generation),
      [2, 0],
    )
    const emitted = await readAll(second.log, 'letter.from-person', PARTITIONS)
    assert.deepEqual(emitted.map(record => record.generation).sort(), [1, 1, 1, 2, 2, 2])
    await second.streams.close()
  })

  it('says which fold did not reach a position in time', async () => {
    const { streams } = await openWorld([idsFold('ids', 'person')])
    const position = new Map([['person/0', 10]])
    await assert.rejects(
      streams.reached({ position, timeoutMs: 5 }),
      error => isError(error, 'POSITION_NOT_REACHED') && error.message.includes('ids'),
    )
    await streams.close()
    await assert.rejects(streams.reached({ position, timeoutMs: 5 }), error =>
      isError(error, 'STREAMS_CLOSED'),
    )
  })

  it('sleeps once a fold has stopped, though its snapshot is due', async () => {
    const base = idsFold('ids', 'person')
    const stopping: FoldDefinition = {
      ...base,
      createShard: context =>
        Object.assign(base.createShard(context), {
          advance: (watermarkMs: number) => {
            if (watermarkMs > 1_000) throw new Error('no time')
          },
        }),
    }
    const world = new TestWorld([stopping])
    world.settings = { batchRecords: 1, snapshotEveryRecords: 1 }
    await world.open()
    // In one turn of the loop, so that the fold stops with records folded that no snapshot holds.
    await world.commit(
      textEvent('person', 'p', 'one'),
      textEvent('person', 'p', 'two'),
      textEvent('person', 'p', 'late', { eventTimeMs: 2_000 }),
    )
    while (world.streams.status()[0]?.state !== 'failed') await turn()
    assert.equal(world.stateOf('ids', 'p'), 'one;two;')
    let looks = 0
    const ends = world.log.ends.bind(world.log)
    world.log.ends = () => {
      looks += 1
      return ends()
    }
    // What was under way may take some turns; then nothing may happen any more.
    for (let turns = 0; turns < 20; turns++) await turn()
    looks = 0
    for (let turns = 0; turns < 20; turns++) await turn()
    assert.equal(looks, 0)
    await world.streams.close()
  })

  const folds = (): readonly FoldDefinition[] => [
    lettersFold('letters', 'person', 'letter.from-person'),
    idsFold('ids', 'letter.from-person'),
  ]
  const oneEach = Array.from({ length: PARTITIONS }, (_, partition) =>
    textEvent('person', `p${partition}`, 'one', { partition }),
  )

  it('stops where a partition is damaged, says why, and closes; other partitions go on', async () => {
    const world = await new TestWorld(folds()).open()
    const read = world.log.read.bind(world.log)
    world.log.read = async request => {
      if (request.stream !== 'person' || request.partition !== 0) return await read(request)
      const damage = { file: 'x.split', at: 7, reason: 'hit', affected: 'person/0', goOn: 'no' }
      throw logErrors.create('LOG_DAMAGED', damage)
    }
    await world.commit(...oneEach)
    const status = (): FoldStatus | undefined => world.streams.status()[0]
    const consumed = (fold: string): number =>
      [...world.streams.fold(fold).position().values()].reduce((sum, offset) => sum + offset, 0)
    const others = PARTITIONS - 1
    while (status()?.state !== 'failed' || consumed('ids') < others * 'one'.length) await turn()
    assert.match(status()?.error ?? '', /x\.split is damaged at byte 7/)
    assert.equal(consumed('letters'), others)
    await world.streams.close()
  })

  it('tries a partition again that cannot be read for a moment, and closes without it', async () => {
    const world = new TestWorld(folds())
    const errors: string[] = []
    world.logger = { ...silentLogger, error: message => void errors.push(message) }
    await world.open()
    const read = world.log.read.bind(world.log)
    let failures = 2
    world.log.read = async request => {
      if (request.stream !== 'person' || request.partition !== 0) return await read(request)
      if (failures-- > 0) throw new Error('the disk is tired')
      return await read(request)
    }
    await world.commit(...oneEach)
    await world.settle()
    const letters = world.streams.fold('letters')
    assert.equal(letters.position().get('person/0'), 1)
    assert.deepEqual(errors, ['the log cannot be read'])
    failures = Infinity
    await world.commit(textEvent('person', 'p0', 'two', { partition: 0 }))
    await world.streams.close()
    assert.equal(letters.position().get('person/0'), 1)
  })

  it('folds a transient stream that lost records before they were folded from where it begins', async () => {
    const warnings: string[] = []
    const world = new TestWorld([idsFold('ids', 'clicks')])
    let nowMs = 1_000
    const { clock } = world
    world.clock = { ...clock, nowMs: () => nowMs }
    world.logger = { ...silentLogger, warn: message => void warnings.push(message) }
    world.extraStreams = [{ name: 'clicks', partitions: 1, transient: { maxAgeMs: 10 } }]
    await world.open()
    await world.streams.close()
    await world.commit(textEvent('clicks', 'p', 'old'))
    nowMs += 100
    await world.commit(textEvent('clicks', 'p', 'new', { eventTimeMs: nowMs }))
    world.snapshots = createMemorySnapshotStore()
    await world.open()
    await world.settle()
    assert.equal(world.stateOf('ids', 'p'), 'new;')
    assert.deepEqual(warnings, ['records were removed before they were folded'])
    await world.streams.close()
  })

  it('tells listeners of changes until they leave, whatever one of them does', async () => {
    const world = new TestWorld([idsFold('ids', 'person'), idsFold('clips', 'clip')])
    const errors: unknown[] = []
    world.logger = { ...silentLogger, error: (_, details) => void errors.push(details) }
    await world.open()
    const heard: string[] = []
    const listen = (name: string): (() => void) =>
      world.streams.onChange('ids', () => void heard.push(name))
    const leaveFirst = listen('first')
    const leaveFailing = world.streams.onChange('ids', () => {
      throw new Error('a bad listener')
    })
    listen('last')
    await world.commit(textEvent('person', 'p', 'one'))
    await world.settle()
    assert.deepEqual(new Set(heard), new Set(['first', 'last']))
    assert.deepEqual(errors[0], { fold: 'ids', reason: 'Error: a bad listener' })
    leaveFirst()
    leaveFailing()
    heard.length = 0
    await world.commit(textEvent('clip', 'c', 'one'))
    await world.settle()
    assert.deepEqual(heard, [])
    await world.commit(textEvent('person', 'p', 'two'))
    await world.settle()
    assert.deepEqual(new Set(heard), new Set(['last']))
    assert.throws(
      () => world.streams.onChange('nobody', () => undefined),
      error => isError(error, 'FOLD_UNKNOWN'),
    )
    await world.streams.close()
  })

  it('writes snapshots by time, and goes on when one cannot be written', async () => {
    const world = new TestWorld([idsFold('ids', 'person')])
    // Time and its timers move when the test says so.
    let nowMs = 0
    let timers: { atMs: number; task: () => void }[] = []
    const pass = (ms: number): void => {
      nowMs += ms
      const due = timers.filter(timer => timer.atMs <= nowMs)
      timers = timers.filter(timer => timer.atMs > nowMs)
      for (const { task } of due) task()
    }
    world.clock = {
      ...systemClock,
      monotonicMs: () => nowMs,
      after(delayMs, task) {
        const timer = { atMs: nowMs + delayMs, task }
        timers.push(timer)
        return { cancel: () => void timers.splice(timers.indexOf(timer) >>> 0, 1) }
      },
    }
    const warnings: unknown[] = []
    world.logger = { ...silentLogger, warn: (message, details) => void warnings.push([message, details]) } // prettier-ignore
    const store = world.snapshots
    let saved = 0
    let isFull = true
    world.snapshots = {
      ...store,
      load: name => store.load(name),
      async save(name, meta, chunks) {
        saved += 1
        if (isFull) throw new Error('the disk is full')
        await store.save(name, meta, chunks)
      },
    }
    world.settings = { snapshotEveryMs: 1_000 }
    await world.open()
    await world.commit(textEvent('person', 'p', 'one'))
    await world.settle()
    pass(999)
    for (let turns = 0; turns < 5; turns++) await turn()
    assert.equal(saved, 0)
    pass(1)
    while (warnings.length === 0) await turn()
    const reason = 'Error: the disk is full'
    assert.deepEqual(warnings, [['a snapshot could not be written', { fold: 'ids', reason }]])
    isFull = false
    pass(1_000)
    while (saved < 2) await turn()
    await world.settle()
    // Nothing was folded since: there is nothing to write.
    pass(1_000)
    for (let turns = 0; turns < 5; turns++) await turn()
    assert.equal(saved, 2)
    await world.open()
    assert.equal(world.stateOf('ids', 'p'), 'one;')
    await world.streams.close()
  })

  it('refuses folds that cannot run', async () => {
    const refuses = async (folds: readonly FoldDefinition[]): Promise<void> => {
      await assert.rejects(openWorld(folds), error => isError(error, 'FOLD_INVALID'))
    }
    await refuses([idsFold('ids', 'nowhere')])
    await refuses([idsFold('Ids', 'person')])
    await refuses([idsFold('ids', 'person'), idsFold('ids', 'out')])
    await refuses([{ ...idsFold('ids', 'person'), tables: ['clip'] }])
    const { streams } = await openWorld([])
    assert.throws(
      () => streams.fold('ids'),
      error => isError(error, 'FOLD_UNKNOWN'),
    )
    await streams.close()
  })
})
