/**
 * What the duplicate index costs per event. Prints one JSON object.
 *
 *   node bench/dedup.ts [--ids 5e7] [--random 5e6] [--directory <where>]
 *
 * Each new id is looked up and inserted, with a checkpoint every 1,000 ids, as the log does it.
 * Times are of the whole process: parsing of the id, writing of runs and merging of runs included;
 * making the ids is measured alone and taken off. Pauses are the longest times between two turns of the
 * event loop while the ids go in, by the clock of the machine, which other
 * processes slow down, and by the processor time of the thread.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createSeededRandom, silentLogger, systemClock, type Random } from '@millrace/core'
import { openNodeDisk } from '@millrace/log/disk'
import type { DuplicateIndex } from '@millrace/log'
import { openDuplicateIndex } from '@millrace/log/dedup'

const BATCH = 1000
const MIB = 1024 * 1024
const START_MS = 1_750_000_000_000

const { values } = parseArgs({
  options: {
    ids: { type: 'string', default: '5e7' },
    random: { type: 'string', default: '5e6' },
    directory: { type: 'string', default: tmpdir() },
    seed: { type: 'string', default: '1' },
  },
})

const HEX = Array.from({ length: 65_536 }, (_, number) => number.toString(16).padStart(4, '0'))

/** The id with a number: the same for the same number, so that known ones can be asked for again. */
function idOf(number: number, kind: 'ordered' | 'random'): string {
  let a = Math.imul(number ^ 0x9e3779b9, 0x85ebca6b)
  a = Math.imul(a ^ (a >>> 15), 0xc2b2ae35)
  a ^= a >>> 13
  let b = Math.imul(a ^ number, 0x27d4eb2f)
  b ^= b >>> 15
  const tail = `${HEX[a >>> 16]}${HEX[b & 0xffff]}${HEX[number & 0xffff]}`
  const third = HEX[a & 0xfff]?.slice(1)
  const fourth = HEX[0x8000 | (b >>> 18)]
  if (kind === 'ordered') {
    // Ten events a millisecond: 50 million are less than two hours of the busiest product.
    const timeMs = START_MS + Math.floor(number / 10)
    const high = Math.floor(timeMs / 65_536)
    return `${HEX[high >>> 16]}${HEX[high & 0xffff]}-${HEX[timeMs & 0xffff]}-7${third}-${fourth}-${tail}`
  }
  const c = Math.imul(b ^ 0x165667b1, 0x9e3779b1)
  return `${HEX[c >>> 16]}${HEX[c & 0xffff]}-${HEX[b >>> 16]}-4${third}-${fourth}-${tail}`
}

/** The longest time without a turn of the event loop: by the clock, and of this thread alone. */
interface Pause {
  wallMs: number
  cpuMs: number
}

interface Progress {
  readonly ids: number
  readonly microsecondsPerId: number
  /** Time of the thread that feeds, sorts, writes and merges; other processes do not slow it down. */
  readonly threadMicrosecondsPerId: number
  readonly pauseMs: number
  readonly memoryMiB: number
  readonly rssDeltaMiB: number
  readonly diskMiB: number
  readonly runs: number
}

const turn = (): Promise<void> => new Promise(resolve => systemClock.soon(resolve))

async function measure(kind: 'ordered' | 'random', count: number, random: Random): Promise<object> {
  const root = mkdtempSync(join(values.directory, 'millrace-bench-dedup-'))
  mkdirSync(root, { recursive: true })
  try {
    const making = await timeOfMaking(kind, Math.min(count, 1_000_000))
    globalThis.gc?.()
    const rssBefore = process.memoryUsage.rss()
    const index = await openDuplicateIndex({
      disk: openNodeDisk(root),
      clock: systemClock,
      random,
      logger: silentLogger,
      directory: 'ids',
    })
    const steps: Progress[] = []
    let part = { startMs: performance.now(), cpuMs: threadMs(), from: 0, pauseMs: 0 }
    const every = Math.max(BATCH, Math.ceil(count / 10 / BATCH) * BATCH)
    const pauses: Pause[] = []
    for (let number = 0; number < count; number += BATCH) {
      const pause = await feed(index, kind, number, Math.min(count, number + BATCH))
      pauses.push(pause)
      part.pauseMs = Math.max(part.pauseMs, pause.wallMs)
      const end = Math.min(count, number + BATCH)
      if (end % every === 0 || end === count) {
        steps.push(progress(index, end, part, making, rssBefore))
        part = { startMs: performance.now(), cpuMs: threadMs(), from: end, pauseMs: 0 }
      }
    }
    const startMs = performance.now()
    await index.checkpoint(count, { force: true })
    const settleMs = performance.now() - startMs
    const duplicates = await measureDuplicates(index, kind, count, random)
    const late = await measureLate(index, kind, count, random)
    const { runs, diskBytes } = index.stats()
    await index.close()
    const perId = (of: (step: Progress) => number): number => {
      const weigh = (step: Progress, at: number): number =>
        of(step) * (step.ids - (steps[at - 1]?.ids ?? 0))
      return round(steps.map(weigh).reduce((sum, each) => sum + each, 0) / count)
    }
    const byWall = pauses.map(pause => pause.wallMs).sort((a, b) => a - b)
    return {
      kind,
      ids: count,
      microsecondsPerId: round(perId(step => step.microsecondsPerId) + (settleMs * 1000) / count),
      threadMicrosecondsPerId: perId(step => step.threadMicrosecondsPerId),
      makingAnIdMicroseconds: round(making.wallMs * 1000),
      makingAnIdThreadMicroseconds: round(making.cpuMs * 1000),
      longestPauseMs: round(byWall.at(-1) ?? 0),
      p999PauseMs: round(byWall[Math.floor(byWall.length * 0.999)] ?? 0),
      longestPauseOfThreadMs: round(Math.max(...pauses.map(pause => pause.cpuMs))),
      pausesOver20Ms: byWall.filter(ms => ms > 20).length,
      lastCheckpointMs: round(settleMs),
      runs,
      diskMiB: round(diskBytes / MIB),
      duplicates,
      late,
      steps,
    }
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

/** Feeds one batch and resolves to the longest time that the event loop was kept from turning. */
async function feed(
  index: DuplicateIndex,
  kind: 'ordered' | 'random',
  from: number,
  to: number,
): Promise<Pause> {
  let mark = performance.now()
  let cpuMark = process.threadCpuUsage()
  const longest: Pause = { wallMs: 0, cpuMs: 0 }
  const start = (): void => {
    mark = performance.now()
    cpuMark = process.threadCpuUsage()
  }
  const turned = (): void => {
    longest.wallMs = Math.max(longest.wallMs, performance.now() - mark)
    const cpu = process.threadCpuUsage(cpuMark)
    longest.cpuMs = Math.max(longest.cpuMs, (cpu.user + cpu.system) / 1000)
    start()
  }
  for (let number = from; number < to; number++) {
    const id = idOf(number, kind)
    let place = index.lookup(id)
    if (place === 'unsure') {
      turned()
      place = await index.lookupSlow(id)
      start()
    }
    if (place !== undefined) throw new Error(`${id} is new and was called a duplicate`)
    index.insert(id, { stream: 1, partition: number & 7, offset: number >>> 3 })
  }
  turned()
  await index.checkpoint(to)
  start()
  await turn()
  turned()
  return longest
}

function progress(
  index: DuplicateIndex,
  ids: number,
  part: { startMs: number; cpuMs: number; from: number; pauseMs: number },
  making: Pause,
  rssBefore: number,
): Progress {
  const stats = index.stats()
  const perIdMs = (performance.now() - part.startMs) / (ids - part.from) - making.wallMs
  const cpuPerIdMs = (threadMs() - part.cpuMs) / (ids - part.from) - making.cpuMs
  return {
    ids,
    microsecondsPerId: round(perIdMs * 1000),
    threadMicrosecondsPerId: round(cpuPerIdMs * 1000),
    pauseMs: round(part.pauseMs),
    memoryMiB: round(stats.memoryBytes / MIB),
    rssDeltaMiB: round((process.memoryUsage.rss() - rssBefore) / MIB),
    diskMiB: round(stats.diskBytes / MIB),
    runs: stats.runs,
  }
}

async function timeOfMaking(kind: 'ordered' | 'random', count: number): Promise<Pause> {
  let letters = 0
  for (let number = 0; number < 100_000; number++) letters += idOf(number, kind).charCodeAt(35)
  const startMs = performance.now()
  const startCpuMs = threadMs()
  for (let number = 0; number < count; number++) letters += idOf(number, kind).charCodeAt(35)
  const wallMs = (performance.now() - startMs) / count
  const cpuMs = (threadMs() - startCpuMs) / count
  await turn()
  return letters > 0 ? { wallMs, cpuMs } : { wallMs: 0, cpuMs: 0 }
}

function threadMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** Known ids, drawn from the whole history, and from the newest ten thousand. */
async function measureDuplicates(
  index: DuplicateIndex,
  kind: 'ordered' | 'random',
  count: number,
  random: Random,
): Promise<object> {
  const asked = 20_000
  const timed = async (pick: () => number): Promise<number> => {
    const startMs = performance.now()
    for (let at = 0; at < asked; at++) {
      const number = pick()
      const id = idOf(number, kind)
      let place = index.lookup(id)
      if (place === 'unsure') place = await index.lookupSlow(id)
      if (place?.offset !== number >>> 3) throw new Error(`${id} was lost`)
    }
    return round(((performance.now() - startMs) * 1000) / asked)
  }
  return {
    asked,
    fromAllMicroseconds: await timed(() => Math.floor(random.next() * count)),
    fromNewestMicroseconds: await timed(() =>
      Math.max(0, count - 1 - Math.floor(random.next() * 10_000)),
    ),
  }
}

/** New ids whose time lies anywhere in the history, one at a time. */
async function measureLate(
  index: DuplicateIndex,
  kind: 'ordered' | 'random',
  count: number,
  random: Random,
): Promise<object> {
  const asked = 20_000
  const startMs = performance.now()
  for (let at = 0; at < asked; at++) {
    const id = idOf(Math.floor(random.next() * count), kind)
    const other = `${id.slice(0, -1)}${id.endsWith('0') ? '1' : '0'}`
    if (index.lookup(other) === 'unsure') await index.lookupSlow(other)
  }
  return { asked, newMicroseconds: round(((performance.now() - startMs) * 1000) / asked) }
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000
}

const results: object[] = []
for (const kind of ['ordered', 'random'] as const) {
  const count = Math.floor(Number(kind === 'ordered' ? values.ids : values.random))
  if (count > 0) results.push(await measure(kind, count, createSeededRandom(Number(values.seed))))
}
console.log(
  JSON.stringify(
    { bench: 'dedup', node: process.version, memoryBytesMax: 64 * MIB, results },
    null,
    2,
  ),
)
