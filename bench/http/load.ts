/**
 * A load generator that disturbs what it measures as little as it can: raw sockets, requests built
 * once and patched in place, answers scanned for their length alone. Runs in a process of its own:
 * `node bench/http/load.ts '<JSON of LoadPlan>'`, prints the JSON of a LoadReport.
 */
import { connect, type Socket } from 'node:net'

/** What to send. */
export interface LoadPlan {
  readonly host: string
  readonly port: number
  readonly connections: number
  /** How long to measure, after `warmUpMs` that do not count. */
  readonly durationMs: number
  readonly warmUpMs: number
  /** Requests per second over all connections; absent: as fast as answers come. */
  readonly ratePerSecond?: number
  readonly load:
    | {
        readonly kind: 'events'
        readonly format: 'ndjson' | 'array' | 'single'
        readonly eventsPerRequest: number
        readonly people: number
        readonly items: number
        /** Type and fields of an event: `watched` with viewer, clip, watchedMs and text to fill 250 bytes. */
        readonly eventBytes: number
      }
    | { readonly kind: 'get'; readonly paths: readonly string[] }
}

/** What came back. */
export interface LoadReport {
  readonly requests: number
  readonly errors: number
  readonly events: number
  readonly seconds: number
  readonly requestsPerSecond: number
  readonly eventsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Processor time of the generator, the warm-up included: what it took from the server's cores. */
  readonly generatorCpuSeconds: number
  readonly firstError: string | undefined
}

const HEX = Buffer.from('0123456789abcdef')

/** Writes a number as hexadecimal digits that end before `end`. */
function writeHex(target: Buffer, end: number, digits: number, value: number): void {
  let rest = value
  for (let index = 1; index <= digits; index++) {
    target[end - index] = HEX[rest % 16] as number
    rest = Math.floor(rest / 16)
  }
}

/** A request whose ids are made new before each sending. */
interface Patched {
  readonly bytes: Buffer
  /** Where each id begins. */
  readonly ids: readonly number[]
}

const ID = '00000000-0000-7000-8000-000000000000'

function eventText(plan: LoadPlan['load'] & { kind: 'events' }, seed: number): string {
  const viewer = `p${(seed * 7919) % plan.people}`
  const clip = `c${(seed * 104_729) % plan.items}`
  const data = { viewer, clip, watchedMs: (seed * 31) % 60_000, device: 'ios', note: '' }
  const bare = JSON.stringify({ type: 'watched', id: ID, data })
  data.note = 'x'.repeat(Math.max(0, plan.eventBytes - bare.length))
  return JSON.stringify({ type: 'watched', id: ID, data })
}

function buildRequest(plan: LoadPlan, connection: number): Patched {
  const load = plan.load as LoadPlan['load'] & { kind: 'events' }
  const events = Array.from({ length: load.eventsPerRequest }, (_, index) =>
    eventText(load, connection * 100_003 + index * 17 + 1),
  )
  const [mediaType, body] =
    load.format === 'ndjson'
      ? ['application/x-ndjson', `${events.join('\n')}\n`]
      : ['application/json', load.format === 'array' ? `[${events.join(',')}]` : events[0]]
  const head =
    `POST /v1/events HTTP/1.1\r\nhost: ${plan.host}:${plan.port}\r\n` +
    `content-type: ${mediaType}\r\ncontent-length: ${Buffer.byteLength(body as string)}\r\n\r\n`
  const bytes = Buffer.from(head + body)
  const ids: number[] = []
  for (let at = bytes.indexOf(ID); at !== -1; at = bytes.indexOf(ID, at + ID.length)) ids.push(at)
  return { bytes, ids }
}

let counter = process.pid * 1_000_003

/** Gives every event of a request a new time-ordered id. */
function patch({ bytes, ids }: Patched): void {
  const nowMs = Date.now()
  for (const at of ids) {
    counter += 1
    writeHex(bytes, at + 8, 8, Math.floor(nowMs / 65_536))
    writeHex(bytes, at + 13, 4, nowMs % 65_536)
    writeHex(bytes, at + 36, 12, counter)
  }
}

interface Tally {
  readonly latencies: number[]
  errors: number
  firstError: string | undefined
  startedMs: number
}

/** One keep-alive connection that sends, waits for the whole answer, and sends again. */
function runConnection(
  plan: LoadPlan,
  connection: number,
  tally: Tally,
  endMs: number,
): Promise<void> {
  const { load } = plan
  const request = load.kind === 'events' ? buildRequest(plan, connection) : undefined
  const gapMs =
    plan.ratePerSecond === undefined ? 0 : (1000 * plan.connections) / plan.ratePerSecond
  let next = connection
  let sentMs = 0
  let dueMs = performance.now() + (gapMs * connection) / plan.connections
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ host: plan.host, port: plan.port, noDelay: true })
    const send = (): void => {
      // Timed from when the request was due, so that waiting behind a slow answer counts.
      sentMs = gapMs === 0 ? performance.now() : dueMs
      dueMs += gapMs
      if (request !== undefined) {
        patch(request)
        socket.write(request.bytes)
        return
      }
      const paths = (load as { paths: readonly string[] }).paths
      next += plan.connections
      const path = paths[next % paths.length] as string
      socket.write(`GET ${path} HTTP/1.1\r\nhost: ${plan.host}:${plan.port}\r\n\r\n`)
    }
    const answers = createAnswerScanner(status => {
      const nowMs = performance.now()
      if (sentMs >= tally.startedMs) {
        tally.latencies.push(nowMs - sentMs)
        if (status >= 300) {
          tally.errors += 1
          tally.firstError ??= answers.lastHead()
        }
      }
      if (nowMs >= endMs) {
        socket.end()
        resolve()
        return
      }
      const waitMs = gapMs === 0 ? 0 : dueMs - nowMs
      if (waitMs > 1) setTimeout(send, waitMs)
      else send()
    })
    socket.on('connect', send)
    socket.on('data', answers.take)
    socket.on('error', reject)
    socket.on('close', () => resolve())
  })
}

/** Finds the ends of answers that carry `content-length`. */
function createAnswerScanner(onAnswer: (status: number) => void): {
  take: (chunk: Buffer) => void
  lastHead: () => string
} {
  let head = ''
  let missing = -1
  let status = 0
  /** The beginning of a head that came in two pieces. */
  let rest: Buffer | undefined
  return {
    lastHead: () => head,
    take(received) {
      const chunk = rest === undefined ? received : Buffer.concat([rest, received])
      rest = undefined
      let at = 0
      while (at < chunk.length) {
        if (missing === -1) {
          const end = chunk.indexOf('\r\n\r\n', at)
          if (end === -1) {
            rest = chunk.subarray(at)
            return
          }
          head = chunk.toString('latin1', at, end)
          status = Number(head.slice(9, 12))
          missing = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
          at = end + 4
        }
        const taken = Math.min(missing, chunk.length - at)
        if (status >= 300 && taken > 0) head += chunk.toString('utf8', at, at + taken)
        missing -= taken
        at += taken
        if (missing === 0) {
          missing = -1
          onAnswer(status)
        }
      }
    },
  }
}

async function run(plan: LoadPlan): Promise<LoadReport> {
  const cpuBefore = process.cpuUsage()
  const startedMs = performance.now() + plan.warmUpMs
  const endMs = startedMs + plan.durationMs
  const tally: Tally = { latencies: [], errors: 0, firstError: undefined, startedMs }
  await Promise.all(
    Array.from({ length: plan.connections }, (_, index) =>
      runConnection(plan, index, tally, endMs),
    ),
  )
  const seconds = (performance.now() - startedMs) / 1000
  const cpu = process.cpuUsage(cpuBefore)
  const sorted = Float64Array.from(tally.latencies).sort()
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
  const requests = sorted.length
  const perRequest = plan.load.kind === 'events' ? plan.load.eventsPerRequest : 0
  return {
    requests,
    errors: tally.errors,
    events: requests * perRequest,
    seconds,
    requestsPerSecond: requests / seconds,
    eventsPerSecond: (requests * perRequest) / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
    generatorCpuSeconds: (cpu.user + cpu.system) / 1e6,
    firstError: tally.firstError,
  }
}

if (process.argv[1]?.endsWith('load.ts') === true) {
  const report = await run(JSON.parse(process.argv[2] as string) as LoadPlan)
  process.stdout.write(`${JSON.stringify(report)}\n`)
  process.exit(0)
}
