/**
 * The view loop: how fast folds consume a log, and what a million keys cost. Prints one JSON object.
 *
 *   node bench/view-loop.ts [--events 300000] [--keys 1000000] [--directory <where>] [--log file|memory]
 *
 * `views`: eight declared views (counts, sliding and tumbling windows, lists, two of them re-keyed)
 * over events that are in the log already, until everything is folded and every step is durable;
 * the rate is of events from outside. `replay`: a fold written by hand that counts per key. `keys`: growth of the heap for a
 * counting view of that many keys, after collection (start node with --expose-gc).
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  countView,
  createSeededRandom,
  deriveId,
  event,
  id,
  int,
  silentLogger,
  sliding,
  systemClock,
  systemRandom,
  tumbling,
  view,
  type AnyView,
} from '@millrace/core'
import type { EventLog, NewEvent } from '@millrace/log'
import { openNodeDisk } from '@millrace/log/disk'
import { openFileLog } from '@millrace/log/file'
import { openMemoryLog } from '@millrace/log/memory'
import { compileViews, openStreams, type FoldDefinition } from '@millrace/streams'
import { countingFold } from './log/counting.ts'
import { createMemorySnapshotStore } from '@millrace/store/memory'

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '300000' },
    keys: { type: 'string', default: '1000000' },
    log: { type: 'string', default: 'file' },
    directory: { type: 'string', default: tmpdir() },
  },
})

const PARTITIONS = 4
const BATCH = 1_000
const START_MS = 1_750_000_000_000

const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), ms: int() },
  { key: 'viewer' },
)
const from = [watched] as const

const eight: Record<string, AnyView> = {
  perPerson: countView({ from, key: 'viewer' }),
  long: countView({ from, key: 'viewer', where: e => e.data.ms > 15_000 }),
  recent: view({
    from,
    key: 'viewer',
    initial: () => ({ clips: [] as string[] }),
    fold(state, e) {
      state.clips.push(e.data.clip)
      if (state.clips.length > 20) state.clips.shift()
    },
  }),
  time: view({
    from,
    key: 'viewer',
    initial: () => ({ ms: 0, first: 0, last: 0 }),
    fold(state, e) {
      state.ms += e.data.ms
      if (state.first === 0) state.first = e.atMs
      state.last = e.atMs
    },
  }),
  lastDay: countView({ from, key: 'viewer', window: sliding('1d') }),
  daily: countView({ from, key: 'viewer', window: tumbling('1d') }),
  perClip: countView({ from, key: 'clip' }),
  clipHour: countView({ from, key: 'clip', window: sliding('1h', { step: '5m' }) }),
}

async function openLog(directory: string): Promise<EventLog> {
  if (values.log === 'memory') return openMemoryLog({ clock: systemClock })
  return await openFileLog({
    disk: openNodeDisk(directory),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    directory: 'log',
  })
}

async function fill(log: EventLog, count: number, people: number): Promise<void> {
  const random = createSeededRandom(1)
  for (let start = 0; start < count; start += BATCH) {
    const events: NewEvent[] = []
    for (let index = start; index < Math.min(start + BATCH, count); index++) {
      const atMs = START_MS + index * 10
      const viewer = `person-${people >= count ? index : Math.floor(random.next() * people)}`
      const clip = `clip-${Math.floor(random.next() ** 2 * 3_000)}`
      const data = { viewer, clip, ms: Math.floor(random.next() * 30_000) }
      events.push({
        stream: 'person',
        type: 'watched',
        key: viewer,
        id: deriveId(atMs, `${index}`),
        eventTimeMs: atMs,
        data,
        isUnique: true,
      })
    }
    await log.commit({ events })
  }
}

const counting = countingFold('person')

async function measure(
  views: Readonly<Record<string, AnyView>>,
  folds: readonly FoldDefinition[],
  count: number,
  people: number,
): Promise<Record<string, number>> {
  const directory = mkdtempSync(join(values.directory, 'millrace-view-loop-'))
  try {
    const log = await openLog(directory)
    const compiled = compileViews({ views, partitions: PARTITIONS, latenessMs: 0 })
    await log.declare([{ name: 'person', partitions: PARTITIONS }, ...compiled.streams])
    await fill(log, count, people)
    globalThis.gc?.()
    const heapBefore = process.memoryUsage().heapUsed
    const before = process.cpuUsage()
    const started = performance.now()
    const streams = await openStreams({
      log,
      snapshots: createMemorySnapshotStore(),
      clock: systemClock,
      logger: silentLogger,
      folds: [...compiled.folds, ...folds],
      tables: compiled.tables,
      options: { snapshotEveryRecords: Infinity, snapshotEveryMs: 1e9 },
    })
    await streams.reached({ position: new Map(log.ends()), timeoutMs: 600_000 })
    const ms = performance.now() - started
    const cpu = process.cpuUsage(before)
    globalThis.gc?.()
    const heapAfter = process.memoryUsage().heapUsed
    const keys = streams.status().reduce((sum, status) => sum + status.keys, 0)
    void streams.close()
    await log.close()
    return {
      events: count,
      seconds: ms / 1_000,
      eventsPerSecond: Math.round(count / (ms / 1_000)),
      eventsPerCpuSecond: Math.round(count / ((cpu.user + cpu.system) / 1e6)),
      keys,
      heapMiBGrown: Math.round((heapAfter - heapBefore) / 1024 / 1024),
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const events = Number(values.events)
const keys = Number(values.keys)
const one = { perPerson: eight['perPerson'] as AnyView }
const result = {
  bench: 'view-loop',
  log: values.log,
  views: await measure(eight, [], events, 20_000),
  replay: await measure({}, [counting], events, 20_000),
  keys: keys === 0 ? undefined : await measure(one, [], keys, keys),
}
console.log(JSON.stringify(result, null, 2))
