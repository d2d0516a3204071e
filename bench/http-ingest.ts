/**
 * Events over HTTP into a durable log: validated, duplicates checked, on disk before the answer.
 * One server process, load generator in another on the same machine. Prints one JSON object.
 *
 *   node bench/http-ingest.ts [--rounds 3] [--seconds 4] [--app bare] [--forms ndjson,array,single]
 *
 * `bare` declares one event type and nothing else; `product` keeps two views, statistics and
 * profiles current meanwhile. Forms are measured in turns; figures are medians of the rounds.
 * `ceiling` is a bare node:http server that answers a constant, under the same generator in the
 * same run: what is left when nothing is validated, looked up or stored.
 * Published beside: Gorse 0.5.9 13,064 events/s in batches of 1,000, 387/s singles.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { LoadReport } from './http/load.ts'
import {
  median,
  runLoad,
  short,
  startBenchServer,
  startCeiling,
  type BenchServer,
} from './http/processes.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '4' },
    app: { type: 'string', default: 'bare' },
    forms: { type: 'string', default: 'ndjson,array,single' },
    directory: { type: 'string', default: tmpdir() },
  },
})

const forms = [
  { name: 'ndjson', format: 'ndjson', eventsPerRequest: 1000, connections: 8 },
  { name: 'array', format: 'array', eventsPerRequest: 1000, connections: 8 },
  { name: 'single', format: 'single', eventsPerRequest: 1, connections: 64 },
] as const
const chosen = forms.filter(form => values.forms.split(',').includes(form.name))

const WARM_UP_MS = 2000
const CEILING_MS = 2000
const durationMs = Number(values.seconds) * 1000
const app = values.app === 'product' ? 'product' : 'bare'

interface Run extends LoadReport {
  /** Microseconds of processor time per event. */
  readonly serverCpu: number
  readonly generatorCpu: number
}

async function load(
  server: BenchServer,
  form: (typeof forms)[number],
  measuredMs: number,
): Promise<Run> {
  const before = server.cpuSeconds()
  const report = await runLoad({
    host: '127.0.0.1',
    port: server.port,
    connections: form.connections,
    warmUpMs: WARM_UP_MS,
    durationMs: measuredMs,
    load: {
      kind: 'events',
      format: form.format,
      eventsPerRequest: form.eventsPerRequest,
      people: 100_000,
      items: 5000,
      eventBytes: 250,
    },
  })
  // The warm-up is in both, so these are a little above the truth.
  const total = (report.events * (WARM_UP_MS + measuredMs)) / measuredMs
  return {
    ...report,
    serverCpu: ((server.cpuSeconds() - before) * 1e6) / total,
    generatorCpu: (report.generatorCpuSeconds * 1e6) / total,
  }
}

const runs = new Map<string, Run[]>()
const note = (name: string, run: Run): void => void runs.set(name, [...(runs.get(name) ?? []), run])
const peaks: number[] = []
for (let round = 0; round < Number(values.rounds); round++) {
  for (const form of chosen) {
    const directory = mkdtempSync(join(values.directory, 'millrace-bench-'))
    const server = await startBenchServer(directory, app)
    note(form.name, await load(server, form, durationMs))
    peaks.push(server.memory().peakMiB)
    await server.stop()
    rmSync(directory, { recursive: true })
  }
}
for (const form of chosen) {
  const ceiling = await startCeiling()
  note(`ceiling.${form.name}`, await load(ceiling, form, CEILING_MS))
  await ceiling.stop()
}

const figures = Object.fromEntries(
  [...runs].map(([name, all]) => {
    const middle = (of: (run: Run) => number): number => short(median(all.map(of)))
    return [
      name,
      {
        eventsPerSecond: Math.round(median(all.map(run => run.eventsPerSecond))),
        p50Ms: middle(run => run.p50Ms),
        p99Ms: middle(run => run.p99Ms),
        serverCpuMicrosecondsPerEvent: middle(run => run.serverCpu),
        generatorCpuMicrosecondsPerEvent: middle(run => run.generatorCpu),
      },
    ]
  }),
)
process.stdout.write(
  `${JSON.stringify({ bench: 'http-ingest', app, ...figures, peakMiB: Math.max(...peaks) })}\n`,
)
