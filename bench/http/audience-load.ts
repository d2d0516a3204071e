/**
 * A simulated audience as a load generator, in a process of its own:
 * `node bench/http/audience-load.ts '<JSON of AudienceLoad>'`. Sends the catalogue, then events in
 * NDJSON requests at a rate, and prints the JSON of an AudienceLoadReport.
 */
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { createAudience, type AudienceBatch } from '@millrace/sim/audience'

/** What to send, and how fast. */
export interface AudienceLoad {
  /** Where the servers listen; requests go to them in turn, and to the next when one is gone. */
  readonly ports: readonly number[]
  readonly eventsPerSecond: number
  readonly seconds: number
  readonly people: number
  readonly clips: number
}

/** What was acknowledged. */
export interface AudienceLoadReport {
  readonly events: number
  readonly seconds: number
  readonly eventsPerSecond: number
  /** Requests refused because the log was full, or a server gone, and sent again. */
  readonly retries: number
  readonly p99Ms: number
  /** Processor time of the generator. */
  readonly cpuSeconds: number
}

const BATCH = 500
const IN_FLIGHT_MAX = 8
const DAY_MS = 86_400_000
const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT_MAX })

function linesOf(batch: AudienceBatch): Buffer {
  const rows: object[] = []
  for (const { kind, id, data } of batch.items) {
    rows.push({ type: `${kind}.put`, at: data.publishedAt, data: { id, attributes: data } })
  }
  for (const { id, data } of batch.people) {
    rows.push({ type: 'person.put', at: data.joinedAt, data: { id, attributes: data } })
  }
  for (const { type, id, atMs, data } of batch.events) rows.push({ type, id, at: atMs, data })
  return Buffer.from(`${rows.map(row => JSON.stringify(row)).join('\n')}\n`)
}

/** The status of the answer; 0 when there is none. */
function post(port: number, body: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        agent,
        method: 'POST',
        path: '/v1/events',
        headers: { 'content-type': 'application/x-ndjson', 'content-length': body.length },
      },
      answer => {
        let text = ''
        answer.setEncoding('utf8')
        answer.on('data', chunk => (text = text === '' ? String(chunk).slice(0, 200) : text))
        answer.on('end', () => {
          const isClean = answer.statusCode === 503 || !/"(invalid|conflicts)":[1-9]/.test(text)
          if (isClean) resolve(answer.statusCode ?? 0)
          else reject(new Error(text))
        })
      },
    )
    sent.on('error', () => resolve(0))
    sent.end(body)
  })
}

async function send(load: AudienceLoad): Promise<AudienceLoadReport> {
  const audience = createAudience({
    seed: 11,
    people: load.people,
    clips: load.clips,
    courses: Math.ceil(load.clips / 15),
    startMs: Date.now() - 400 * DAY_MS,
  })
  const pending = new Set<Promise<void>>()
  const times: number[] = []
  let events = 0
  let retries = 0
  let requests = 0
  let startedMs = performance.now()
  const deliver = async (batch: AudienceBatch): Promise<void> => {
    const body = linesOf(batch)
    const beganMs = performance.now()
    for (;;) {
      const status = await post(load.ports[requests++ % load.ports.length] as number, body)
      if (status !== 503 && status !== 0) break
      if (status === 0 && load.ports.length === 1) throw new Error('the server is gone')
      retries += 1
      await sleep(50)
    }
    times.push(performance.now() - beganMs)
    events += batch.events.length
  }
  let isFirst = true
  for await (const batch of audience.history({ eventsMax: 1e9, batchEvents: BATCH })) {
    if (isFirst) {
      for (let at = 0; at < Math.max(batch.items.length, batch.people.length); at += BATCH) {
        const items = batch.items.slice(at, at + BATCH)
        await deliver({ items, people: batch.people.slice(at, at + BATCH), events: [] })
      }
      isFirst = false
      times.length = 0
      startedMs = performance.now()
      continue
    }
    const dueMs = startedMs + (events / load.eventsPerSecond) * 1000
    if (dueMs > performance.now()) await sleep(dueMs - performance.now())
    if (performance.now() - startedMs > load.seconds * 1000) break
    const sending = deliver(batch).finally(() => pending.delete(sending))
    pending.add(sending)
    if (pending.size >= IN_FLIGHT_MAX) await Promise.race(pending)
  }
  await Promise.all(pending)
  const seconds = (performance.now() - startedMs) / 1000
  times.sort((a, b) => a - b)
  const { user, system } = process.cpuUsage()
  return {
    events,
    seconds,
    eventsPerSecond: events / seconds,
    retries,
    p99Ms: times[Math.floor(times.length * 0.99)] ?? 0,
    cpuSeconds: (user + system) / 1e6,
  }
}

const report = await send(JSON.parse(process.argv[2] ?? '{}') as AudienceLoad)
agent.destroy()
process.stdout.write(`${JSON.stringify(report)}\n`)
