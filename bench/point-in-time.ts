/**
 * Reads of one key as it was a million events ago: how long, and how long other work waits beside
 * one whose key has 100,000 records of its own. Prints one JSON object.
 *
 *   node bench/point-in-time.ts [--events 1200000] [--ago 1000000] [--popular 100000] [--directory <where>]
 *
 * Three views: a count, a sliding window, and a count behind a re-keyed stream. Each value is compared
 * with what the live view read at that moment.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
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
} from '@millrace/core'
import type { EventLog, NewEvent } from '@millrace/log'
import { openNodeDisk } from '@millrace/log/disk'
import { openFileLog } from '@millrace/log/file'
import { createMemorySnapshotStore } from '@millrace/store/memory'
import { compileViews, createViewReader, openStreams, type Streams } from '@millrace/streams'

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '1200000' },
    ago: { type: 'string', default: '1000000' },
    popular: { type: 'string', default: '100000' },
    directory: { type: 'string', default: tmpdir() },
  },
})
const EVENTS = Number(values.events)
const MOMENT = EVENTS - Number(values.ago)
const POPULAR_EVERY = MOMENT / Number(values.popular)
const PARTITIONS = 4
const PEOPLE = 100_000
const CLIPS = 3_000
const SAMPLES = 200
const BATCH = 1_000
const START_MS = 1_750_000_000_000

const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), ms: int() },
  { key: 'viewer' },
)
const from = [watched] as const
const views = {
  perPerson: countView({ from, key: 'viewer' }),
  lastDay: countView({ from, key: 'viewer', window: sliding('1d') }),
  perClip: countView({ from, key: 'clip' }),
}
type Name = keyof typeof views

const random = createSeededRandom(1)

function eventAt(index: number): NewEvent {
  const eventTimeMs = START_MS + index * 100
  const isPopular = index < MOMENT && index % POPULAR_EVERY < 1
  const viewer = isPopular ? 'popular' : `person-${Math.floor(random.next() * PEOPLE)}`
  const clip = `clip-${Math.floor(random.next() * CLIPS)}`
  const data = { viewer, clip, ms: index % 30_000 }
  const eventId = deriveId(eventTimeMs, `${index}`)
  return { stream: 'person', type: 'watched', key: viewer, id: eventId, eventTimeMs, data }
}

async function fill(log: EventLog, start: number, end: number): Promise<void> {
  for (let at = start; at < end; at += BATCH) {
    const events: NewEvent[] = []
    for (let index = at; index < Math.min(at + BATCH, end); index++) events.push(eventAt(index))
    await log.commit({ events })
  }
}

async function settle(log: EventLog, streams: Streams): Promise<void> {
  for (let before = -1, now = 0; before !== now;) {
    before = now
    await streams.reached({ position: new Map(log.ends()), timeoutMs: 600_000 })
    now = [...log.ends().values()].reduce((sum, end) => sum + end, 0)
  }
}

const rounded = (value: number): number => Math.round(value * 100) / 100

async function main(directory: string): Promise<unknown> {
  const disk = openNodeDisk(directory)
  const ports = { clock: systemClock, random: systemRandom, logger: silentLogger }
  const log = await openFileLog({ disk, ...ports, directory: 'log' })
  const compiled = compileViews({ views, partitions: PARTITIONS, latenessMs: 0 })
  await log.declare([{ name: 'person', partitions: PARTITIONS }, ...compiled.streams])
  const snapshots = createMemorySnapshotStore()
  const streams = await openStreams({ log, snapshots, ...ports, folds: compiled.folds })
  await fill(log, 0, MOMENT)
  await settle(log, streams)
  const position = new Map(log.ends())
  const timeMs = systemClock.nowMs()
  const samples: [Name, string][] = Array.from({ length: SAMPLES }, (_, at) => [
    (['perPerson', 'lastDay', 'perClip'] as const)[at % 3] as Name,
    at % 3 === 2 ? `clip-${at * 7}` : `person-${Math.floor(random.next() * PEOPLE)}`,
  ])
  const reading = ([name, key]: [Name, string]): unknown => createViewReader(streams, name).get(key).value // prettier-ignore
  const then = samples.map(reading)
  const popularThen = reading(['perPerson', 'popular'])
  await new Promise(resolve => setTimeout(resolve, 2))
  await fill(log, MOMENT, EVENTS)
  await settle(log, streams)
  const took: Record<Name, number[]> = { perPerson: [], lastDay: [], perClip: [] }
  let wrong = 0
  for (const [at, [name, key]] of samples.entries()) {
    const moment = at % 2 === 0 ? { timeMs } : { position }
    const started = performance.now()
    const { value } = await createViewReader(streams, name).at(moment).get(key)
    took[name].push(performance.now() - started)
    if (value !== then[at]) wrong += 1
  }
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const cpu = process.cpuUsage()
  delay.enable()
  const started = performance.now()
  const popular = await createViewReader(streams, 'perPerson').at({ timeMs }).get('popular')
  const popularMs = performance.now() - started
  delay.disable()
  const { user, system } = process.cpuUsage(cpu)
  if (popular.value !== popularThen) wrong += 1
  await streams.close()
  await log.close()
  const figures = Object.entries(took).map(([name, all]) => {
    const sorted = all.sort((a, b) => a - b)
    const at = (part: number): number => rounded(sorted[Math.floor(part * (sorted.length - 1))] as number) // prettier-ignore
    return [name, { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }]
  })
  return {
    events: EVENTS,
    eventsAgo: EVENTS - MOMENT,
    reads: SAMPLES,
    wrong,
    ...Object.fromEntries(figures),
    popular: {
      records: Number(values.popular),
      ms: rounded(popularMs),
      cpuMs: rounded((user + system) / 1_000),
      longestStallMs: rounded(delay.max / 1e6),
    },
  }
}

const directory = mkdtempSync(join(values.directory, 'millrace-point-in-time-'))
try {
  console.log(JSON.stringify(await main(directory)))
} finally {
  rmSync(directory, { recursive: true, force: true })
}
