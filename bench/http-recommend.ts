/**
 * Recommendations over HTTP at 64 connections while 1,000 events a second arrive. The data has the
 * size and the skew of MovieLens-1M: a million events of 6,040 people on 3,706 items. Prints one
 * JSON object. Processor time is in microseconds per request, that of the events included on the
 * server's side. `ceiling` is a bare node:http server that answers a constant as long as an answer,
 * under the same generator in the same run: what is left when nothing is worked out.
 *
 *   node bench/http-recommend.ts [--events 1000209] [--seconds 5] [--rounds 3]
 *
 * Published beside: Gorse 0.5.9, idle, its lists ready: 1,043 requests/s, p99 229 ms, 474 MB.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fillProduct, PEOPLE } from './http/fill.ts'
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
    events: { type: 'string', default: '1000209' },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    directory: { type: 'string', default: tmpdir() },
  },
})

const directory = mkdtempSync(join(values.directory, 'millrace-bench-'))
await fillProduct(directory, Number(values.events))
const server = await startBenchServer(directory, 'product')
const paths = Array.from(
  { length: 2000 },
  (_, index) => `/v1/surfaces/home/recommendations?person=p${(index * 7919) % PEOPLE}&n=20`,
)
const WARM_UP_MS = 3000
const CEILING_MS = 2000
const durationMs = Number(values.seconds) * 1000

interface Run extends LoadReport {
  readonly serverCpu: number
  readonly generatorCpu: number
}

async function load(from: BenchServer, measuredMs: number): Promise<Run> {
  const before = from.cpuSeconds()
  const report = await runLoad({
    host: '127.0.0.1',
    port: from.port,
    connections: 64,
    warmUpMs: WARM_UP_MS,
    durationMs: measuredMs,
    load: { kind: 'get', paths },
  })
  // The warm-up is in both, so these are a little above the truth.
  const total = (report.requests * (WARM_UP_MS + measuredMs)) / measuredMs
  return {
    ...report,
    serverCpu: ((from.cpuSeconds() - before) * 1e6) / total,
    generatorCpu: (report.generatorCpuSeconds * 1e6) / total,
  }
}

const answerBytes = (await (await fetch(`${server.url}${paths[0]}`)).arrayBuffer()).byteLength
const runs: Run[] = []
for (let round = 0; round < Number(values.rounds); round++) {
  const events = runLoad({
    host: '127.0.0.1',
    port: server.port,
    connections: 10,
    warmUpMs: WARM_UP_MS,
    durationMs,
    ratePerSecond: 100,
    load: {
      kind: 'events',
      format: 'ndjson',
      eventsPerRequest: 10,
      people: PEOPLE,
      items: 3706,
      eventBytes: 200,
    },
  })
  runs.push(await load(server, durationMs))
  await events
}
const memory = server.memory()
await server.stop()
rmSync(directory, { recursive: true })
const bare = await startCeiling(answerBytes)
const ceiling = await load(bare, CEILING_MS)
await bare.stop()

const figuresOf = (all: readonly Run[]): Record<string, number> => ({
  requestsPerSecond: Math.round(median(all.map(run => run.requestsPerSecond))),
  p50Ms: short(median(all.map(run => run.p50Ms))),
  p99Ms: short(median(all.map(run => run.p99Ms))),
  serverCpu: short(median(all.map(run => run.serverCpu))),
  generatorCpu: short(median(all.map(run => run.generatorCpu))),
})
process.stdout.write(
  `${JSON.stringify({
    bench: 'http-recommend',
    ...figuresOf(runs),
    answerBytes,
    ...memory,
    ceiling: figuresOf([ceiling]),
    gorsePublished: { requestsPerSecond: 1043, p99Ms: 229 },
  })}\n`,
)
