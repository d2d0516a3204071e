/**
 * Branches: how long one takes to open, how much memory it holds, how long it takes to compare all that
 * differs, and what one read costs once the live world has moved on. Prints one JSON object.
 *
 *   node bench/what-if.ts [--events 10000000] [--retracted 40000] [--bots 400] [--directory <where>]
 *
 * The bots' events lie among the last million. Two counts and a sliding window, keyed by person and,
 * re-keyed, by clip. Counts of the branch are compared with what was sent.
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
} from '@millrace/core'
import type { EventLog, NewEvent } from '@millrace/log'
import { openNodeDisk } from '@millrace/log/disk'
import { openFileLog } from '@millrace/log/file'
import { createMemorySnapshotStore } from '@millrace/store/memory'
import { compileViews, openStreams, type Branch, type Streams } from '@millrace/streams'

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '10000000' },
    retracted: { type: 'string', default: '40000' },
    bots: { type: 'string', default: '400' },
    directory: { type: 'string', default: tmpdir() },
  },
})
const EVENTS = Number(values.events)
const RETRACTED = Number(values.retracted)
const BOTS = Number(values.bots)
const LAST = Math.min(1_000_000, EVENTS)
const EVERY = Math.floor(LAST / RETRACTED)
const PARTITIONS = 4
const PEOPLE = 100_000
const CLIPS = 3_000
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

const random = createSeededRandom(1)
const retracted: { id: string; action: 'retract' }[] = []
const clips = new Map<string, number>()

function eventAt(index: number): NewEvent {
  const eventTimeMs = START_MS + index * 100
  const since = index - (EVENTS - LAST)
  const isBot = since >= 0 && since % EVERY === 0 && retracted.length < RETRACTED
  const person = Math.floor(random.next() * PEOPLE)
  const viewer = isBot ? `bot-${retracted.length % BOTS}` : `person-${person}`
  const clip = `clip-${Math.floor(random.next() * CLIPS)}`
  const eventId = deriveId(eventTimeMs, `${index}`)
  if (isBot) retracted.push({ id: eventId, action: 'retract' })
  else clips.set(clip, (clips.get(clip) ?? 0) + 1)
  const data = { viewer, clip, ms: index % 30_000 }
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

async function timed<T>(work: () => Promise<T>): Promise<{ ms: number; cpuMs: number; found: T }> {
  const cpu = process.cpuUsage()
  const started = performance.now()
  const found = await work()
  const ms = rounded(performance.now() - started)
  const { user, system } = process.cpuUsage(cpu)
  return { ms, cpuMs: rounded((user + system) / 1_000), found }
}

async function main(directory: string): Promise<unknown> {
  const disk = openNodeDisk(directory)
  const ports = { clock: systemClock, random: systemRandom, logger: silentLogger }
  const log = await openFileLog({ disk, ...ports, directory: 'log' })
  const compiled = compileViews({ views, partitions: PARTITIONS, latenessMs: 0 })
  await log.declare([{ name: 'person', partitions: PARTITIONS }, ...compiled.streams])
  const snapshots = createMemorySnapshotStore()
  const streams = await openStreams({ log, snapshots, ...ports, folds: compiled.folds })
  await fill(log, 0, EVENTS)
  await settle(log, streams)
  const open = (count: number): Promise<Branch> =>
    streams.branches.open({ changes: { corrections: retracted.slice(0, count) } })
  const small = await timed(() => open(10))
  globalThis.gc?.()
  const before = process.memoryUsage().heapUsed
  const large = await timed(() => open(RETRACTED))
  globalThis.gc?.()
  const heldBytes = process.memoryUsage().heapUsed - before
  const branch = large.found
  const compared = await timed(() => branch.compare())
  let wrong = 0
  for (const [clip, plays] of [...clips].slice(0, 300)) {
    const { value } = await branch.view<number>('perClip').get(clip)
    if (value !== plays) wrong += 1
  }
  const other = await open(RETRACTED)
  await log.commit({ events: [eventAt(EVENTS)] })
  await settle(log, streams)
  const moved = await timed(() => other.view('lastDay').get('bot-0'))
  const { estimate } = branch
  const figures = {
    events: EVENTS,
    retracted: RETRACTED,
    openTenMs: small.ms,
    openTenCpuMs: small.cpuMs,
    openMs: large.ms,
    openCpuMs: large.cpuMs,
    heldBytes: globalThis.gc === undefined ? undefined : heldBytes,
    estimate: { keys: estimate.keys, records: estimate.records, bytes: estimate.bytes },
    compareMs: compared.ms,
    compareCpuMs: compared.cpuMs,
    different: compared.found.map(({ fold, changed, removed }) => [fold, changed + removed]),
    overlay: branch.overlay,
    movedReadMs: moved.ms,
    wrong,
  }
  await streams.close()
  await log.close()
  return figures
}

const directory = mkdtempSync(join(values.directory, 'millrace-what-if-'))
try {
  console.log(JSON.stringify(await main(directory)))
} finally {
  rmSync(directory, { recursive: true, force: true })
}
