/**
 * Rows of 50 features for 200 entities: Millrace in process and over HTTP, and Feast (its SDK with the
 * SQLite and the Redis online store, and its own server) on the same values, in one run. Prints one
 * JSON object: figures, ratios, and how many values differ.
 *
 *   node bench/feast.ts [--entities 5000] [--reads 200] [--redis localhost:6379] [--venv <where>]
 *
 * Feast is installed by pip into a virtual environment, by default in the folder for temporary files,
 * when it is not there. Without `--redis` its Redis store is left out, and its server is on SQLite.
 * Requests over HTTP go one after the other through one connection.
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { createSeededRandom } from '@millrace/core'
import { ParquetWriter, fileWriter, schemaFromColumnData } from 'hyparquet-writer'
import type { Features } from '@millrace/product'
import { defineApp, event, featureService, featureView, id, int, openMillrace } from 'millrace'

const { values } = parseArgs({
  options: {
    entities: { type: 'string', default: '5000' },
    reads: { type: 'string', default: '200' },
    redis: { type: 'string', default: '' },
    venv: { type: 'string', default: join(tmpdir(), 'millrace-feast') },
  },
})
const VERSION = '0.67.0'
const ROWS = 200
const PORT = 16_566
const ENTITIES = Number(values.entities)
const READS = Number(values.reads)
const WINDOWS = ['1h', '6h', '1d', '7d', 'lifetime'] as const
const python = join(values.venv, 'bin', 'python')
const random = createSeededRandom(5)
const below = (n: number): number => Math.floor(random.next() * n)

const watched = event('watched', { clip: id('clip'), ms: int(), share: int() }, { key: 'clip' })
const clips = featureView({
  from: [watched],
  key: 'clip',
  features: f =>
    Object.fromEntries(
      WINDOWS.flatMap((window, place) =>
        [
          f.count({ window }),
          f.sum({ window, of: 'ms' }),
          f.mean({ window, of: 'ms' }),
          f.min({ window, of: 'ms' }),
          f.max({ window, of: 'ms' }),
          f.sum({ window, of: 'share' }),
          f.ratio({ window, of: 'share', over: 'ms' }),
          f.variance({ window, of: 'ms' }),
          f.first({ window, of: 'ms' }),
          f.last({ window, of: 'ms' }),
        ].map((made, kind) => [`f${place * 10 + kind}`, made]),
      ),
    ),
})
const ranking = featureService({ entities: ['clip'], features: clips.features })
const app = defineApp({ name: 'bench-feast', events: [watched], features: { clips, ranking } })

interface Figures {
  readonly p50Ms: number
  readonly p99Ms: number
  /** Processor time in the middle, of the process that reads. */
  readonly cpuP50Ms?: number
}
type Rows = readonly (readonly (number | null)[])[]

function figuresOf(took: readonly number[]): Figures {
  const sorted = took.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.floor(share * sorted.length)] as number
  return { p50Ms: at(0.5), p99Ms: at(0.99) }
}

const agent = new Agent({ keepAlive: true, maxSockets: 1 })

function post(url: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } // prettier-ignore
    const sent = request(url, { method: 'POST', agent, headers }, answer => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        if (answer.statusCode === 200) resolve(text)
        else reject(new Error(`${url}: ${answer.statusCode} ${text.slice(0, 500)}`))
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

async function measureHttp(
  url: string,
  bodies: readonly string[],
): Promise<Figures & { bytes: number }> {
  const took: number[] = []
  let bytes = 0
  for (let read = -10; read < READS; read++) {
    const body = bodies[(read + 10) % bodies.length] as string
    const before = performance.now()
    bytes = (await post(url, body)).length
    if (read >= 0) took.push(performance.now() - before)
  }
  return { ...figuresOf(took), bytes }
}

const differing = (a: Rows, b: Rows): number =>
  a.reduce((sum, row, at) => sum + row.filter((value, cell) => value !== b[at]?.[cell]).length, 0)

if (!existsSync(python)) {
  execFileSync('python3', ['-m', 'venv', values.venv])
  execFileSync(python, ['-m', 'pip', 'install', '--quiet', `feast[redis]==${VERSION}`], { stdio: 'inherit' }) // prettier-ignore
}
const directory = mkdtempSync(join(tmpdir(), 'millrace-feast-'))
const millrace = await openMillrace({ app, data: 'memory', port: 0, logLevel: 'error' })
const nowMs = Date.now()
const ids = Array.from({ length: ENTITIES }, (_, n) => `clip-${n}`)
for (let done = 0; done < ENTITIES * 20; done += 1_000) {
  await millrace.trackMany(
    Array.from({ length: 1_000 }, (_, index) => ({
      type: 'watched' as const,
      at: nowMs - Math.floor((7 * 86_400_000 * (ENTITIES * 20 - done - index)) / (ENTITIES * 20)),
      data: { clip: ids[below(ENTITIES)] as string, ms: below(60_000), share: below(100) },
    })),
    { isHistory: true },
  )
}
await millrace.reached(new Map(millrace.log.ends()), { timeoutMs: 60_000 })
const features = millrace.module<Features>('features')
const read = (asked: readonly string[]) => features.read({ service: 'ranking', rows: asked.map(clip => ({ clip })), atMs: nowMs }) // prettier-ignore
const all = read(ids)
const columns = all.columns.map((name, column) => ({
  name,
  type: 'DOUBLE' as const,
  data: Float64Array.from(ids, (_, row) => all.values[row * all.columns.length + column] as number),
}))
const columnData = [
  { name: 'clip', type: 'STRING' as const, data: ids },
  { name: 'event_timestamp', type: 'DOUBLE' as const, data: ids.map(() => nowMs) },
  ...columns,
]
const writer = new ParquetWriter({ writer: fileWriter(join(directory, 'values.parquet')), schema: schemaFromColumnData({ columnData }) }) // prettier-ignore
void writer.write({ columnData })
await writer.finish()
const batches = Array.from({ length: 50 }, () => Array.from({ length: ROWS }, () => ids[below(ENTITIES)] as string)) // prettier-ignore
writeFileSync(join(directory, 'batches.json'), JSON.stringify(batches))

const [first] = batches as [string[]]
const width = all.columns.length
const took: number[] = []
for (let round = -200; round < READS; round++) {
  const batch = batches[(round + 200) % batches.length] as string[]
  const before = performance.now()
  read(batch)
  if (round >= 0) took.push(performance.now() - before)
}
const inProcess = figuresOf(took)
const given = read(first)
const ours: Rows = first.map((_, row) => [...given.values.subarray(row * width, (row + 1) * width)])
const { url } = await millrace.listen()
const http = await measureHttp(`${url}/v1/features/read`, batches.map(batch => JSON.stringify({ service: 'ranking', rows: batch.map(clip => ({ clip })) }))) // prettier-ignore
const memoryMiB = process.resourceUsage().maxRSS / 1024

const child = spawn(python, [join(import.meta.dirname, 'feast', 'measure.py'), directory, `${READS}`, values.redis, `${PORT}`], { stdio: ['ignore', 'pipe', 'ignore'], detached: true }) // prettier-ignore
const stores: (Figures & { store: string; memoryMiB: number; first: Rows })[] = []
for await (const line of createInterface({ input: child.stdout })) {
  if (!line.startsWith('{')) continue
  const told = JSON.parse(line) as { serving?: true }
  if (told.serving === true) break
  stores.push(told as unknown as (typeof stores)[number])
}
const bodies = batches.map(batch => JSON.stringify({ features: all.columns.map(name => `clips:${name}`), entities: { clip: batch } })) // prettier-ignore
const server = `http://127.0.0.1:${PORT}/get-online-features`
for (let tries = 0; ; tries++) {
  try {
    await post(server, bodies[0] as string)
    break
  } catch (error) {
    if (tries === 60) throw error
    await new Promise(resolve => setTimeout(resolve, 500))
  }
}
const served = await measureHttp(server, bodies)
const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
const serverMiB = Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024)
// Its workers too, which would keep the port.
process.kill(-(child.pid as number), 'SIGKILL')
const ratio = (theirs: Figures, own: Figures): object => ({
  p50: Math.round(theirs.p50Ms / own.p50Ms),
  p99: Math.round(theirs.p99Ms / own.p99Ms),
})
console.log(
  JSON.stringify({
    entities: ENTITIES,
    rows: ROWS,
    columns: width,
    reads: READS,
    millrace: { inProcess, http, memoryMiB: Math.round(memoryMiB) },
    feast: {
      version: VERSION,
      ...Object.fromEntries(
        stores.map(({ store, first: theirs, ...figures }) => [
          store,
          { ...figures, ratio: ratio(figures, inProcess), different: differing(ours, theirs) },
        ]),
      ),
      server: { ...served, memoryMiB: serverMiB, ratio: ratio(served, http) },
    },
    compared: ROWS * width,
  }),
)
agent.destroy()
await millrace.close()
rmSync(directory, { recursive: true, force: true })
process.exit(0)
