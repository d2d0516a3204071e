/**
 * Moving a product to PostgreSQL while it serves: an audience sends events to a server on a data
 * directory, `millrace move to-postgres --stop` takes everything along, and a server starts at the new
 * home. `stoodStillMs` is what the command says: from the request to stop until the new home was whole;
 * `startMs` is what the next server takes to listen. Starts a PostgreSQL of its own. Prints one JSON object.
 *
 *   node bench/move.ts [--rate 2000] [--seconds 20]
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import type { AudienceLoad } from './http/audience-load.ts'
import { startBenchDatabase } from './http/database.ts'
import { short, startBenchServer } from './http/processes.ts'

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '20' },
    people: { type: 'string', default: '20000' },
    clips: { type: 'string', default: '5000' },
  },
})
const pathOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const run = promisify(execFile)
const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
const server = await startBenchServer(directory, 'demo')
const plan: AudienceLoad = {
  ports: [server.port],
  eventsPerSecond: Number(values.rate),
  // It ends when its server is gone.
  seconds: 3_600,
  people: Number(values.people),
  clips: Number(values.clips),
}
const load = run(process.execPath, [pathOf('./http/audience-load.ts'), JSON.stringify(plan)])
const isGone = load.then(
  () => false,
  () => true,
)
await sleep(Number(values.seconds) * 1000)
const database = await startBenchDatabase()
const startedMs = performance.now()
const command = [pathOf('../packages/millrace/bin/millrace.mjs'), 'move', 'to-postgres', '--stop']
const { stdout } = await run(process.execPath, [...command, '--json', '--data', directory])
const moveSeconds = (performance.now() - startedMs) / 1000
if (!(await isGone)) throw new Error('the load ended before the move')
const next = await startBenchServer(join(directory, 'next'), 'demo')
const { startMs } = next
await next.stop()
await database.stop()
rmSync(directory, { recursive: true, force: true })
const { records, recordsLast, stoodStillMs } = JSON.parse(stdout) as Record<string, number>
process.stdout.write(
  `${JSON.stringify({
    bench: 'move',
    eventsPerSecond: plan.eventsPerSecond,
    records,
    seconds: short(moveSeconds),
    recordsPerSecond: Math.round((records ?? 0) / moveSeconds),
    stoodStillMs,
    recordsLast,
    startMs: Math.round(startMs),
    loadAverage: loadavg().map(short),
  })}\n`,
)
