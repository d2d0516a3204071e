/**
 * Full processing: the demo's product with all its views and both surfaces kept current while a
 * simulated audience sends events over HTTP at a rate. A probe tracks an event of a person of its
 * own and asks for recommendations that reflect it: that time is the lag. Probes follow one another,
 * so a long lag hides others: `overSecondShare` is the part of the time during which one lasted
 * longer than a second, and `warmLagMs` leaves out the first minute, in which the code is compiled.
 * Memory is read all along.
 * Server, load and probe are three processes on the same cores. Prints one JSON object.
 *
 *   node bench/full-processing.ts [--rate 30000] [--seconds 60] [--postgres] [--processes 2] [--leave SIGKILL]
 *
 * With `--postgres` the log is in a PostgreSQL of its own, whose processor time and journal are
 * measured, too; several processes need it. With `--leave` the first process gets this signal at half
 * time: `handOverMs` is the time from then until an event of each partition, sent after it, is in a view
 * of the last process behind what a fold emitted; then the first one starts again.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { partitionOf } from '@millrace/core'
import type { App } from 'millrace'
import { createClient } from 'millrace/client'
import type { product } from '../apps/demo/src/app.ts'
import { startBenchDatabase } from './http/database.ts'
import type { AudienceLoad, AudienceLoadReport } from './http/audience-load.ts'
import {
  machineCpuSeconds,
  short,
  startBenchServer,
  type BenchServer,
  type InnerReport,
} from './http/processes.ts'

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '30000' },
    seconds: { type: 'string', default: '60' },
    people: { type: 'string', default: '20000' },
    clips: { type: 'string', default: '5000' },
    postgres: { type: 'boolean', default: false },
    processes: { type: 'string', default: '1' },
    leave: { type: 'string' },
    directory: { type: 'string', default: tmpdir() },
  },
})
const PROBE_EVERY_MS = 100
const INNER_EVERY_MS = 5_000
const WARM_MS = 60_000
/** Partitions of each stream. */
const PARTITIONS = 4
const seconds = Number(values.seconds)
const directory = mkdtempSync(join(values.directory, 'millrace-bench-'))
const processes = Number(values.processes)
const database = values.postgres ? await startBenchDatabase() : undefined
const dataOf = (index: number): string => join(directory, `${index}`)
const servers = await Promise.all(
  Array.from({ length: processes }, (_, index) => startBenchServer(dataOf(index), 'demo')),
)
// The probe asks the last one, the load goes to all.
const server = servers.at(-1) as BenchServer
const plan: AudienceLoad = {
  ports: servers.map(({ port }) => port),
  eventsPerSecond: Number(values.rate),
  seconds,
  people: Number(values.people),
  clips: Number(values.clips),
}
const script = fileURLToPath(new URL('./http/audience-load.ts', import.meta.url))
let isOver = false
const load = promisify(execFile)(process.execPath, [script, JSON.stringify(plan)]).finally(
  () => (isOver = true),
)
const client = createClient<App<typeof product>>({ url: server.url })
const lags: { readonly atMs: number; readonly ms: number }[] = []
const resident: number[] = []
let unanswered = 0
const inner: Record<string, number>[] = []
let keys: InnerReport['keys'] = {}
/** Of processes that left. */
let leftCpuSeconds = 0
const machineBefore = machineCpuSeconds() - ownCpuSeconds() - serversCpuSeconds()
const databaseBefore = { cpu: database?.cpuSeconds() ?? 0, wal: (await database?.walBytes()) ?? 0 }
const startedMs = performance.now()
const leaving = values.leave === undefined ? undefined : leave(values.leave as 'SIGKILL')
for (let probe = 0; !isOver; probe++) {
  const person = `probe-${probe}`
  const data = { viewer: person, clip: `clip-${(probe % 1000) + 1}`, watchedMs: 60_000 }
  let acknowledgedMs = performance.now()
  try {
    const { position } = await client.track('watched', data)
    acknowledgedMs = performance.now()
    await client.recommend('home', { person, n: 10, atLeast: position, timeoutMs: 30_000 })
  } catch {
    // How long it would have taken is not known, and is more than this.
    unanswered += 1
  }
  lags.push({ atMs: acknowledgedMs - startedMs, ms: performance.now() - acknowledgedMs })
  resident.push(server.memory().residentMiB)
  if (performance.now() - startedMs > inner.length * INNER_EVERY_MS) {
    const report = await server.inner()
    const { heapUsed, external, arrayBuffers } = report.memory
    const { idMemoryBytes = 0, journalSegments = 0, tailBytes = 0 } = report.log
    const mib = (bytes: number): number => Math.round(bytes / 2 ** 20)
    inner.push({
      second: Math.round((performance.now() - startedMs) / 1000),
      resident: server.memory().residentMiB,
      heapUsed: mib(heapUsed),
      external: mib(external),
      arrayBuffers: mib(arrayBuffers),
      duplicateIndex: mib(idMemoryBytes),
      tail: mib(tailBytes),
      journalSegments,
    })
    keys = report.keys
  }
  await sleep(PROBE_EVERY_MS)
}
const wallSeconds = (performance.now() - startedMs) / 1000
const report = JSON.parse((await load).stdout) as AudienceLoadReport
const handOverMs = await leaving
const databaseSeconds = (database?.cpuSeconds() ?? 0) - databaseBefore.cpu
const databaseCosts = database && {
  cpuMicrosecondsPerEvent: short((databaseSeconds / report.events) * 1e6),
  walBytesPerEvent: Math.round(((await database.walBytes()) - databaseBefore.wal) / report.events),
}
const cpuSeconds = serversCpuSeconds()
const others =
  machineCpuSeconds() -
  ownCpuSeconds() -
  cpuSeconds -
  report.cpuSeconds -
  databaseSeconds -
  machineBefore
const { mainThreadSeconds } = await server.inner()
await client.close()

function serversCpuSeconds(): number {
  return servers.reduce((sum, one) => sum + one.cpuSeconds(), leftCpuSeconds)
}

/** Sends the first process away at half time, and gives how long its partitions stood still. */
async function leave(signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
  await sleep(seconds * 500)
  const first = servers[0] as BenchServer
  leftCpuSeconds = first.cpuSeconds()
  const leftMs = performance.now()
  const gone = first.stop(signal)
  for (let partition = 0, number = 0; partition < PARTITIONS; number++) {
    const viewer = `leaving-${number}`
    if (partitionOf(viewer, PARTITIONS) !== partition) continue
    const { position } = await client.track('watched', { viewer, clip: 'clip-1', watchedMs: 1 })
    await client.view('plays').get('clip-1', { atLeast: position, timeoutMs: 60_000 })
    partition += 1
  }
  const handOverMs = Math.round(performance.now() - leftMs)
  await gone
  servers[0] = await startBenchServer(dataOf(0), 'demo', first.port)
  return handOverMs
}

function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

function lagFrom(fromMs: number, toMs = Infinity): Record<string, number> {
  const sorted = lags
    .flatMap(({ atMs, ms }) => (atMs >= fromMs && atMs < toMs ? [ms] : []))
    .sort((a, b) => a - b)
  const at = (share: number): number => short(sorted[Math.floor((sorted.length - 1) * share)] ?? 0)
  const over = sorted.reduce((sum, ms) => sum + (ms > 1000 ? ms : 0), 0)
  const overSecondShare = short(over / (wallSeconds * 1000 - fromMs))
  return { p50: at(0.5), p99: at(0.99), max: at(1), overSecondShare, probes: sorted.length }
}
/** Of each minute, in which its event was acknowledged. */
function lagByMinute(): Record<string, number>[] {
  const minutes = Math.ceil(wallSeconds / 60)
  return Array.from({ length: minutes }, (_, minute) => {
    const { p50 = 0, p99 = 0, max = 0 } = lagFrom(minute * 60_000, (minute + 1) * 60_000)
    return { p50, p99, max }
  })
}
const memoryAt = (share: number): number => resident[Math.floor((resident.length - 1) * share)] ?? 0
process.stdout.write(
  `${JSON.stringify({
    bench: 'full-processing',
    processes,
    isInPostgres: (process.env['DATABASE_URL'] ?? '') !== '',
    wantedEventsPerSecond: plan.eventsPerSecond,
    eventsPerSecond: Math.round(report.eventsPerSecond),
    events: report.events,
    seconds: Math.round(report.seconds),
    ingestP99Ms: short(report.p99Ms),
    retries: report.retries,
    lagMs: lagFrom(0),
    ...(handOverMs === undefined ? {} : { leave: values.leave, handOverMs }),
    ...(databaseCosts === undefined ? {} : { database: databaseCosts }),
    ...(seconds > WARM_MS / 1000 ? { warmLagMs: lagFrom(WARM_MS) } : {}),
    unansweredProbes: unanswered,
    ...(seconds > WARM_MS / 1000 ? { lagMsByMinute: lagByMinute() } : {}),
    residentMiB: {
      quarter: memoryAt(0.25),
      half: memoryAt(0.5),
      threeQuarters: memoryAt(0.75),
      end: memoryAt(1),
      peak: Math.max(...resident),
    },
    /** What the state is proportional to: keys by fold at the end. Memory may grow with these, not with events. */
    keys,
    memoryMiB: inner,
    serverCpuMicrosecondsPerEvent: short((cpuSeconds / report.events) * 1e6),
    mainThreadMicrosecondsPerEvent: short((mainThreadSeconds / report.events) * 1e6),
    loadCores: short(report.cpuSeconds / wallSeconds),
    /** Cores that went to processes that have nothing to do with this: above 0.1 the figures are not of this machine alone. */
    otherCores: short(others / wallSeconds),
    serverCores: short(cpuSeconds / wallSeconds),
    loadAverage: loadavg().map(short),
  })}\n`,
)
// Behind the report: what was not folded yet is folded now, which takes as long as it takes.
for (const one of servers) await one.stop()
await database?.stop()
rmSync(directory, { recursive: true, force: true })
