/**
 * Hand-over on PostgreSQL: two processes share the partitions, one is killed, and every partition of
 * the other must go on: from the kill until an event of each partition, sent after it, is in a view
 * behind what a fold emitted, as the other one reads it. Then the killed one starts again. Starts a
 * server of its own. Prints one JSON object.
 *
 *   node bench/hand-over.ts [--kills 15]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { partitionOf } from '@millrace/core'
import type { App } from 'millrace'
import { createClient } from 'millrace/client'
import { startServer, type ChildServer } from '../packages/millrace/src/testing/child.ts'
import type { clips } from '../packages/millrace/src/testing/clips.ts'
import { startPostgres } from '../scripts/postgres.ts'
import { short } from './http/processes.ts'

const PARTITIONS = 4
const { values } = parseArgs({ options: { kills: { type: 'string', default: '15' } } })
const postgres = await startPostgres()
if ('reason' in postgres) throw new Error(postgres.reason)
process.env['DATABASE_URL'] = postgres.url
const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
const start = (index: number): Promise<ChildServer> => startServer(join(folder, `${index}`))
const servers = await Promise.all([start(0), start(1)])
const people = Array.from({ length: PARTITIONS }, (_, partition) => {
  for (let number = 0; ; number++) {
    if (partitionOf(`p${number}`, PARTITIONS) === partition) return `p${number}`
  }
})

/** Waits until two processes hold partitions, and gives how many each has. */
async function shared(url: string): Promise<void> {
  for (;;) {
    const answer = await fetch(`${url}/v1/leases`)
    const { leases } = (await answer.json()) as { leases: { address: string | null }[] }
    if (new Set(leases.map(({ address }) => address)).size === 2) return
    await sleep(20)
  }
}

const times: number[] = []
for (let kill = 0; kill < Number(values.kills); kill++) {
  const index = kill % 2
  const other = servers[1 - index] as ChildServer
  await shared(other.url)
  // At any moment between two signs of life.
  await sleep(Math.random() * 300)
  const client = createClient<App<typeof clips.options>>({ url: other.url })
  const killedMs = performance.now()
  const gone = servers[index]?.stop('SIGKILL')
  for (const viewer of people) {
    const { position } = await client.track('watched', { viewer, clip: `c${kill}`, watchedMs: 1 })
    await client.view('plays').get(`c${kill}`, { atLeast: position, timeoutMs: 20_000 })
  }
  times.push(performance.now() - killedMs)
  await client.close()
  await gone
  servers[index] = await start(index)
}
for (const server of servers) await server.stop('SIGTERM')
await postgres.stop()
rmSync(folder, { recursive: true, force: true })

times.sort((a, b) => a - b)
const at = (share: number): number => short(times[Math.floor((times.length - 1) * share)] ?? 0)
process.stdout.write(
  `${JSON.stringify({
    bench: 'hand-over',
    kills: times.length,
    milliseconds: { min: at(0), p50: at(0.5), p99: at(0.99), max: at(1) },
    loadAverage: loadavg().map(short),
  })}\n`,
)
