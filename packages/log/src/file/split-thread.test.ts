/** The thread that splits: it dies, its disk refuses, it is stopped half way. Nothing is lost, and splitting goes on. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { createSeededRandom, isError, silentLogger, systemClock } from '@millrace/core'
import type { Disk, Logger } from '@millrace/core'
import { openNodeDisk } from '../disk/index.ts'
import type { EventLog, NewEvent } from '../log.ts'
import { readAll } from '../suite/harness.ts'
import { createSplitThread, openFileLog } from './index.ts'
import type { SplitWork } from './split-work.ts'

const STREAM = 'clicks'
const SEGMENT_BYTES = 65_536

function splitWorker(root: string): Worker {
  return new Worker(new URL('./split-worker.ts', import.meta.url), { workerData: { root } })
}

function openLog(disk: Disk, splitWork: SplitWork, logger = silentLogger): Promise<EventLog> {
  return openFileLog({
    disk,
    clock: systemClock,
    random: createSeededRandom(3),
    logger,
    directory: 'log',
    options: {
      firstSegmentBytes: SEGMENT_BYTES,
      segmentBytes: SEGMENT_BYTES,
      tailBytesMax: 0,
      idMemoryBytesMax: 4 * 1024 * 1024,
    },
    splitWork,
  })
}

interface World {
  readonly root: string
  readonly log: EventLog
  /** Ids in the order in which they were sent. */
  readonly sent: string[]
  /** What the log said went wrong. */
  readonly errors: unknown[]
  /** Appends until one more segment is closed. */
  fill(): Promise<void>
}

/** A log in a directory of its own. */
async function withLog(
  threadOf: (root: string) => SplitWork,
  run: (world: World) => Promise<void>,
  overDisk = (disk: Disk): Disk => disk,
): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'millrace-split-'))
  const errors: unknown[] = []
  const logger: Logger = {
    ...silentLogger,
    error: (_message, fields) => void errors.push(fields?.['error']),
  }
  const log = await openLog(overDisk(openNodeDisk(root)), threadOf(root), logger)
  try {
    await log.declare([{ name: STREAM, partitions: 2 }])
    const sent: string[] = []
    const fill = async (): Promise<void> => {
      const { segments: before } = log.stats().counters
      while (log.stats().counters['segments'] === before) {
        await log.commit({ events: Array.from({ length: 50 }, () => newEvent(sent)) })
      }
    }
    await run({ root, log, sent, errors, fill })
  } finally {
    await log.close()
    rmSync(root, { recursive: true })
  }
}

function newEvent(sent: string[]): NewEvent {
  const number = sent.length
  const id = `e${number}`
  sent.push(id)
  const data = { number, text: 'x'.repeat(150) }
  return { stream: STREAM, type: 'clicked', key: `k${number % 9}`, id, eventTimeMs: number, data }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise<void>(resolve => systemClock.soon(resolve))
}

function isSplit({ log }: World): boolean {
  return log.stats().gauges['journalSegments'] === 1
}

async function idsOf(log: EventLog): Promise<string[]> {
  const found: string[] = []
  for (const partition of [0, 1]) {
    for (const { id } of await readAll(log, partition, { stream: STREAM })) found.push(String(id))
  }
  return found
}

/** Every event is there once, by offset and by key. */
async function check({ log, sent }: Pick<World, 'log' | 'sent'>): Promise<void> {
  const found = await idsOf(log)
  assert.deepEqual(found.toSorted(), sent.toSorted())
  const ofKey: string[] = []
  for await (const { id } of log.history({ stream: STREAM, keys: ['k4'] })) ofKey.push(id)
  assert.deepEqual(
    ofKey,
    sent.filter((_, number) => number % 9 === 4),
  )
}

test('segments are split beside the main thread', () =>
  withLog(createSplitThread, async world => {
    for (let segment = 0; segment < 3; segment++) await world.fill()
    await until(() => world.log.stats().counters['splitSegments'] === 3)
    await check(world)
    assert.deepEqual(world.errors, [])
  }))

test('a thread that dies fails its job; the next one splits what waits', () => {
  const dying = `require('node:worker_threads').parentPort.on('message', () => process.exit(3))`
  const throwing = `require('node:worker_threads').parentPort.on('message', () => { throw new Error('no memory') })`
  const deaths = [dying, throwing]
  const threadOf = (root: string): SplitWork =>
    createSplitThread(root, () => {
      const death = deaths.shift()
      return death === undefined ? splitWorker(root) : new Worker(death, { eval: true })
    })
  return withLog(threadOf, async world => {
    for (const reason of [/ended with code 3/, /ended with code 1/]) {
      const before = world.errors.length
      await world.fill()
      await until(() => world.errors.length > before)
      assert.ok(isError(world.errors.at(-1), 'LOG_SPLIT_FAILED'))
      assert.match(String(world.errors.at(-1)), reason)
      await check(world)
    }
    await world.fill()
    await until(() => world.log.stats().counters['splitSegments'] === 3)
    assert.equal(world.errors.length, 2)
    await check(world)
  })
})

test('a disk that refuses is named, and asked again', () =>
  withLog(createSplitThread, async world => {
    const obstacle = join(world.root, 'log/streams')
    writeFileSync(obstacle, 'a file where a directory belongs')
    await world.fill()
    await until(() => world.errors.length > 0)
    assert.ok(isError(world.errors[0], 'LOG_SPLIT_FAILED'))
    assert.match(String(world.errors[0]), /makeDirectory .*log\/streams\/0/)
    await check(world)
    rmSync(obstacle)
    await world.fill()
    await until(() => isSplit(world))
    await check(world)
  }))

test('a segment that was split and could not be removed is removed the next time', () => {
  let refusals = 1
  const stubborn = (disk: Disk): Disk => ({
    ...disk,
    remove: async path => {
      if (path.endsWith('.jnl') && refusals-- > 0) throw new Error('not now')
      await disk.remove(path)
    },
  })
  const run = async (world: World): Promise<void> => {
    await world.fill()
    await until(() => world.errors.length > 0)
    assert.equal(isSplit(world), false)
    await check(world)
    await world.fill()
    await until(() => isSplit(world))
    await check(world)
  }
  return withLog(createSplitThread, run, stubborn)
})

test('a close in the middle of a split leaves it for the next opening', async () => {
  const asked = Promise.withResolvers<void>()
  const threadOf = (root: string): SplitWork =>
    createSplitThread(root, () => {
      const worker = splitWorker(root)
      const post = worker.postMessage.bind(worker)
      worker.postMessage = request => {
        post(request)
        asked.resolve()
      }
      return worker
    })
  await withLog(threadOf, async world => {
    await Promise.all([world.fill(), asked.promise.then(() => world.log.close())]).catch(
      (error: unknown) => assert.ok(isError(error, 'LOG_CLOSED')),
    )
    await world.log.close()
    assert.equal(world.log.stats().counters['splitSegments'], 0)
    assert.deepEqual(world.errors, [])
    const files = readdirSync(join(world.root, 'log'), { recursive: true }).map(String)
    assert.deepEqual(
      files.filter(name => name.endsWith('.tmp')),
      [],
    )
    const again = await openLog(openNodeDisk(world.root), createSplitThread(world.root))
    try {
      await until(() => isSplit({ ...world, log: again }))
      const { length } = await idsOf(again)
      await check({ log: again, sent: world.sent.slice(0, length) })
    } finally {
      await again.close()
    }
  })
})
