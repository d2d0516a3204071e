/**
 * The log in PostgreSQL, client and server on this machine: durable appends and reads. Starts a server
 * of its own. Prints one JSON object.
 *
 *   node bench/postgres.ts [--url postgres://...]
 *
 * Every batch is one commit. `depth` 1 sends the next one when the last is durable; with more on
 * their way they are committed in groups. `cpuMicrosecondsPerEvent` is that of this process; the
 * server has its own.
 */
import { parseArgs } from 'node:util'
import { silentLogger, systemClock } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import { Database, openPostgresLog } from '@millrace/log/postgres'
import { startPostgres } from '../scripts/postgres.ts'
import { STREAM, createEventSource } from './log/events.ts'

const { values } = parseArgs({ options: { url: { type: 'string' } } })
const CASES = [
  { batch: 1, events: 500, depth: 1 },
  { batch: 1, events: 5_000, depth: 50 },
  { batch: 100, events: 20_000, depth: 1 },
  { batch: 1_000, events: 100_000, depth: 1 },
  { batch: 1_000, events: 100_000, depth: 8 },
]

const server =
  values.url === undefined
    ? await startPostgres()
    : { url: values.url, stop: async (): Promise<void> => undefined }
if ('reason' in server) throw new Error(server.reason)
const { url } = server
const schema = `bench_${process.pid}`
const database = new Database({ url, schema, logger: silentLogger })
try {
  const log = await openPostgresLog({
    database,
    clock: systemClock,
    logger: silentLogger,
    options: { recentBytesMax: 0 },
  })
  await log.declare([{ name: STREAM, partitions: 4 }])
  const appends = []
  for (const one of CASES) appends.push({ ...one, ...(await append(log, one)) })
  const reads = await readAll(log)
  const megabytes = log.stats().bytes / 1e6
  await log.close()
  console.log(JSON.stringify({ appends, reads, payloadMegabytes: Math.round(megabytes) }, null, 2))
} finally {
  await database.query('DROP SCHEMA IF EXISTS $schema CASCADE')
  await database.close()
  await server.stop()
}

async function append(
  log: EventLog,
  { batch, events, depth }: { batch: number; events: number; depth: number },
): Promise<Record<string, number>> {
  const source = createEventSource(batch + depth)
  const batches = Array.from({ length: events / batch }, () => source(batch))
  const cpu = process.cpuUsage()
  const started = performance.now()
  const waits: number[] = []
  const send = async (): Promise<void> => {
    for (let next = batches.pop(); next !== undefined; next = batches.pop()) {
      const sent = performance.now()
      await log.commit({ events: next })
      waits.push(performance.now() - sent)
    }
  }
  await Promise.all(Array.from({ length: depth }, send))
  const took = performance.now() - started
  const { user, system } = process.cpuUsage(cpu)
  waits.sort((a, b) => a - b)
  return {
    eventsPerSecond: Math.round((events / took) * 1000),
    millisecondsMedian: Number((waits[waits.length >> 1] ?? 0).toFixed(2)),
    millisecondsP99: Number((waits[Math.floor(waits.length * 0.99)] ?? 0).toFixed(2)),
    cpuMicrosecondsPerEvent: Number(((user + system) / events).toFixed(1)),
  }
}

async function readAll(log: EventLog): Promise<Record<string, number>> {
  const cpu = process.cpuUsage()
  const started = performance.now()
  let records = 0
  for (let partition = 0; partition < 4; partition++) {
    for (let from = 0; ;) {
      const batch = await log.read({ stream: STREAM, partition, from, recordsMax: 4_096 })
      if (batch.length === 0) break
      from += batch.length
      records += batch.filter(record => record.data !== undefined).length
    }
  }
  const { user, system } = process.cpuUsage(cpu)
  return {
    records,
    recordsPerSecond: Math.round((records / (performance.now() - started)) * 1000),
    cpuMicrosecondsPerRecord: Number(((user + system) / records).toFixed(1)),
  }
}
