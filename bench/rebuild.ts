/**
 * A counting view is rebuilt beside the live one while 2,000 requests a second are answered: how fast
 * the build folds, what the requests notice of it, and whether the comparison finds every wrong row
 * that was planted. Then the switch, under the same load, and a second rebuild, which has nothing to
 * find. Prints one JSON object.
 *
 *   node bench/rebuild.ts [--events 3000000] [--people 100000] [--seconds 6] [--data <directory>]
 *
 * `--data` fills a directory that does not exist yet and keeps it, so that a second run needs no fill.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { LoadReport } from './http/load.ts'
import { runLoad, short, startServer } from './http/processes.ts'

const EVERY = 200
const CONNECTIONS = 16

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '3000000' },
    people: { type: 'string', default: '100000' },
    rate: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '6' },
    data: { type: 'string' },
  },
})
const pathOf = (name: string): string => fileURLToPath(new URL(`rebuild/${name}`, import.meta.url))
const people = Number(values.people)
const directory = values.data ?? mkdtempSync(join(tmpdir(), 'millrace-bench-'))
if (values.data === undefined || !existsSync(values.data)) {
  execFileSync(process.execPath, [pathOf('fill.ts'), directory, values.events, values.people])
}

interface Status {
  readonly state: string
  readonly folded: number
  readonly foldedNow: number
  readonly elapsedMs: number
  readonly live: { readonly build: number }
  readonly open?: object
  readonly error?: { readonly code: string; readonly message: string }
  readonly comparison?: { readonly keys: number; readonly different: number; readonly file: string }
}

const server = await startServer<{ planted: readonly string[] }>([
  pathOf('serve.ts'),
  directory,
  String(EVERY),
])

async function ask(path = '', body?: unknown): Promise<Status> {
  const init =
    body === undefined
      ? {}
      : {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        }
  const answer = await fetch(`${server.url}/v1/rebuilds/plays${path}`, init)
  if (!answer.ok) throw new Error(await answer.text())
  return (await answer.json()) as Status
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** Asks until the rebuild is in none of `states`. */
async function leaves(...states: readonly string[]): Promise<Status> {
  for (;;) {
    const status = await ask()
    if (!states.includes(status.state)) return status
    await pause(100)
  }
}

function load(seconds: number): Promise<LoadReport> {
  const paths = Array.from(
    { length: 1_000 },
    (_, at) => `/v1/views/plays/person-${(at * 97) % people}`,
  )
  return runLoad({
    host: '127.0.0.1',
    port: server.port,
    connections: CONNECTIONS,
    warmUpMs: 500,
    durationMs: seconds * 1000,
    ratePerSecond: Number(values.rate),
    load: { kind: 'get', paths },
  })
}

/** Processor time of each thread of the server, seconds. */
function threadSeconds(): ReadonlyMap<string, number> {
  const folder = `/proc/${server.pid}/task`
  return new Map(
    readdirSync(folder).map(thread => {
      const stat = readFileSync(`${folder}/${thread}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return [thread, (Number(fields[11]) + Number(fields[12])) / 100]
    }),
  )
}

const brief = ({ requestsPerSecond, errors, p50Ms, p99Ms, maxMs }: LoadReport): object => ({
  requestsPerSecond: Math.round(requestsPerSecond),
  errors,
  p50Ms: short(p50Ms),
  p99Ms: short(p99Ms),
  maxMs: short(maxMs),
})

// What an earlier run left would be gone on with.
if ((await ask()).open !== undefined) await ask('/drop', {})
const quiet = await load(3)
const before = threadSeconds()
await ask('', {})
const [busy, duringLoad] = await Promise.all([
  load(Number(values.seconds)),
  pause(Number(values.seconds) * 1000).then(() => ask()),
])
// Its thread is there until the comparison is over.
let builder = 0
let built = duringLoad
for (; built.state === 'building'; built = await ask()) await pause(50)
for (const [thread, seconds] of threadSeconds()) {
  if (!before.has(thread)) builder = Math.max(builder, seconds)
}
const compared = await leaves('building', 'comparing')
if (compared.comparison === undefined) throw new Error(JSON.stringify(compared.error))
const { comparison } = compared
const found = readFileSync(comparison.file, 'utf8').trimEnd().split('\n')
const names = found.map(line => {
  const { kind, partition, key } = JSON.parse(line) as Record<string, string>
  return `${kind} ${partition}/${key}`
})
const planted = new Set(server.planted)
const missed = planted.size - names.filter(name => planted.has(name)).length

const switching = load(4)
await pause(1_500)
const switchedMs = performance.now()
const switched = await ask('/switch', { maxDifferences: planted.size })
const switchMs = performance.now() - switchedMs
const atSwitch = await switching
await ask('', { isDryRun: true })
const again = await leaves('building', 'comparing')
await server.stop()
if (values.data === undefined) rmSync(directory, { recursive: true })

process.stdout.write(
  `${JSON.stringify({
    bench: 'rebuild',
    events: built.folded,
    rows: comparison.keys,
    buildSeconds: short(built.elapsedMs / 1000),
    eventsPerSecond: Math.round((built.foldedNow * 1000) / built.elapsedMs),
    eventsPerThreadCpuSecond: Math.round(built.foldedNow / builder),
    wasBuildingAllTheWhile: duringLoad.state === 'building',
    quiet: brief(quiet),
    whileBuilding: brief(busy),
    planted: planted.size,
    found: names.length,
    missed,
    refusal: compared.error?.code,
    switchMs: short(switchMs),
    whileSwitching: brief(atSwitch),
    servedBuild: switched.live.build,
    differencesAfter: again.comparison?.different,
  })}\n`,
)
