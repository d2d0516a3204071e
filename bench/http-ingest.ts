/**
 * Events over HTTP into a durable log: validated, duplicates checked, on disk before the answer.
 * One server process, load generator in another on the same machine. Prints one JSON object.
 *
 *   node bench/http-ingest.ts [--rounds 3] [--seconds 4] [--app bare] [--directory <where>]
 *
 * `bare` declares one event type and nothing else; `product` keeps two views, statistics and
 * profiles current meanwhile. Forms are measured in turns; figures are medians of the rounds.
 * Published beside: Gorse 0.5.9 13,064 events/s in batches of 1,000, 387/s singles.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { LoadReport } from './http/load.ts'
import { median, runLoad, short, startBenchServer } from './http/processes.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '4' },
    app: { type: 'string', default: 'bare' },
    directory: { type: 'string', default: tmpdir() },
  },
})

const forms = [
  { name: 'ndjson', format: 'ndjson', eventsPerRequest: 1000, connections: 8 },
  { name: 'array', format: 'array', eventsPerRequest: 1000, connections: 8 },
  { name: 'single', format: 'single', eventsPerRequest: 1, connections: 64 },
] as const

const WARM_UP_MS = 2000
const durationMs = Number(values.seconds) * 1000
const app = values.app === 'product' ? 'product' : 'bare'
const reports = new Map<string, (LoadReport & { cpuMicroseconds: number })[]>(
  forms.map(({ name }) => [name, []]),
)
const peaks: number[] = []
for (let round = 0; round < Number(values.rounds); round++) {
  for (const { name, connections, ...load } of forms) {
    const directory = mkdtempSync(join(values.directory, 'millrace-bench-'))
    const server = await startBenchServer(directory, app)
    const before = server.cpuSeconds()
    const report = await runLoad({
      host: '127.0.0.1',
      port: server.port,
      connections,
      warmUpMs: WARM_UP_MS,
      durationMs,
      load: { kind: 'events', ...load, people: 100_000, items: 5000, eventBytes: 250 },
    })
    // The warm-up is in both, so this is a little above the truth.
    const spent = (server.cpuSeconds() - before) * 1e6
    const total = (report.events * (WARM_UP_MS + durationMs)) / durationMs
    reports.get(name)?.push({ ...report, cpuMicroseconds: spent / total })
    peaks.push(server.memory().peakMiB)
    await server.stop()
    rmSync(directory, { recursive: true })
  }
}

const figures = Object.fromEntries(
  [...reports].map(([name, runs]) => [
    name,
    {
      eventsPerSecond: Math.round(median(runs.map(run => run.eventsPerSecond))),
      p50Ms: short(median(runs.map(run => run.p50Ms))),
      p99Ms: short(median(runs.map(run => run.p99Ms))),
      serverCpuMicrosecondsPerEvent: short(median(runs.map(run => run.cpuMicroseconds))),
    },
  ]),
)
process.stdout.write(
  `${JSON.stringify({ bench: 'http-ingest', app, ...figures, peakMiB: Math.max(...peaks) })}\n`,
)
