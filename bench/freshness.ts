/**
 * From the acknowledgement of an event to a recommendation that reflects it, at 2,000 events a
 * second. A probe tracks an event of a person, then asks for that person's recommendations at least
 * at its position; the time from the acknowledgement to that answer counts. Prints one JSON object.
 *
 *   node bench/freshness.ts [--seconds 8] [--rate 2000]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createClient } from 'millrace/client'
import { fillProduct, PEOPLE } from './http/fill.ts'
import { runLoad, short, startBenchServer } from './http/processes.ts'
import type { product } from './http/product.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '8' },
    rate: { type: 'string', default: '2000' },
    events: { type: 'string', default: '100000' },
    directory: { type: 'string', default: tmpdir() },
  },
})

const directory = mkdtempSync(join(values.directory, 'millrace-bench-'))
await fillProduct(directory, Number(values.events))
const server = await startBenchServer(directory, 'product')
const durationMs = Number(values.seconds) * 1000
const load = runLoad({
  host: '127.0.0.1',
  port: server.port,
  connections: 20,
  warmUpMs: 1000,
  durationMs,
  ratePerSecond: Number(values.rate) / 10,
  load: {
    kind: 'events',
    format: 'ndjson',
    eventsPerRequest: 10,
    people: PEOPLE,
    items: 3706,
    eventBytes: 250,
  },
})
const client = createClient<typeof product>({ url: server.url })
const times: number[] = []
const startedMs = performance.now()
for (let probe = 0; performance.now() < startedMs + 1000 + durationMs; probe++) {
  const person = `probe${probe}`
  const { position } = await client.track('watched', {
    viewer: person,
    clip: `c${probe % 3000}`,
    watchedMs: 9,
  })
  const acknowledgedMs = performance.now()
  const answer = await client.recommend('home', { person, n: 10, atLeast: position })
  if (answer.isColdStart) throw new Error('the answer does not reflect the event')
  if (acknowledgedMs > startedMs + 1000) times.push(performance.now() - acknowledgedMs)
}
const { eventsPerSecond } = await load
await client.close()
await server.stop()
rmSync(directory, { recursive: true })
times.sort((a, b) => a - b)
const at = (share: number): number => short(times[Math.floor(times.length * share)] as number)
process.stdout.write(
  `${JSON.stringify({ bench: 'freshness', eventsPerSecond: Math.round(eventsPerSecond), probes: times.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: short(times.at(-1) as number) })}\n`,
)
