/**
 * Recommendations over HTTP at 64 connections while 1,000 events a second arrive. The data has the
 * size and the skew of MovieLens-1M: a million events of 6,040 people on 3,706 items. Prints one
 * JSON object.
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
import { median, runLoad, short, startBenchServer } from './http/processes.ts'

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
const common = { host: '127.0.0.1', port: server.port, warmUpMs: 1500 }
const durationMs = Number(values.seconds) * 1000
const runs = []
for (let round = 0; round < Number(values.rounds); round++) {
  const events = runLoad({
    ...common,
    connections: 10,
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
  runs.push(await runLoad({ ...common, connections: 64, durationMs, load: { kind: 'get', paths } }))
  await events
}
const memory = server.memory()
await server.stop()
rmSync(directory, { recursive: true })
process.stdout.write(
  `${JSON.stringify({
    bench: 'http-recommend',
    requestsPerSecond: Math.round(median(runs.map(run => run.requestsPerSecond))),
    p50Ms: short(median(runs.map(run => run.p50Ms))),
    p99Ms: short(median(runs.map(run => run.p99Ms))),
    ...memory,
    gorsePublished: { requestsPerSecond: 1043, p99Ms: 229 },
  })}\n`,
)
