/** Starts the server and the load generator of the HTTP benches, each in a process of its own. */
import { execFile, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { LoadPlan, LoadReport } from './load.ts'

/** What a server says of itself. Bytes. */
export interface InnerReport {
  readonly memory: {
    readonly heapUsed: number
    readonly external: number
    readonly arrayBuffers: number
  }
  readonly log: Readonly<Record<string, number>>
  /** Keys that have state, by fold. */
  readonly keys: Readonly<Record<string, number>>
  /** Processor time of the main thread so far: when it nears the clock, that thread is the limit. */
  readonly mainThreadSeconds: number
}

/** A server under measurement. */
export interface BenchServer {
  readonly pid: number
  readonly url: string
  readonly port: number
  /** From the start of the script to listening. */
  readonly readyMs: number
  /** From the start of the process to listening. */
  readonly startMs: number
  /** Resident memory now, and the most so far; MiB. */
  memory(): { readonly residentMiB: number; readonly peakMiB: number }
  /** What it says of its own memory, and the gauges of its log. */
  inner(): Promise<InnerReport>
  /** Processor time of all its threads so far, seconds: what other processes on the machine disturb less than the clock. */
  cpuSeconds(): number
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

const pathOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** Starts a server on a data directory; on a port that is free unless one is named. */
export function startBenchServer(
  directory: string,
  app: 'product' | 'bare' | 'demo',
  port = 0,
): Promise<BenchServer> {
  return startServer([pathOf('serve.ts'), directory, app, String(port)])
}

/** Starts a bare node:http server that reads each body and answers a constant, of so many bytes if told. */
export function startCeiling(answerBytes = 0): Promise<BenchServer> {
  return startServer([pathOf('ceiling.ts'), String(answerBytes)])
}

/** Starts a script that prints its address as JSON, with what else it has to say. */
export async function startServer<More = object>(
  script: readonly string[],
): Promise<BenchServer & More> {
  const startedMs = performance.now()
  const flags = (process.env['BENCH_NODE_FLAGS'] ?? '').split(' ').filter(flag => flag !== '')
  const child = spawn(process.execPath, [...flags, ...script], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  const gone = new Promise<void>(resolve => child.once('exit', () => resolve()))
  const line = await new Promise<string>(resolve =>
    createInterface({ input: child.stdout as Readable }).once('line', resolve),
  )
  const startMs = performance.now() - startedMs
  return {
    ...(JSON.parse(line) as { url: string; port: number; readyMs: number } & More),
    pid: child.pid as number,
    startMs,
    memory() {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
      const mib = (name: string): number =>
        Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024)
      return { residentMiB: mib('VmRSS'), peakMiB: mib('VmHWM') }
    },
    inner: () =>
      new Promise(resolve => {
        child.once('message', message => resolve(message as InnerReport))
        child.send('report')
      }),
    cpuSeconds() {
      const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
      // The fields after the name, which may hold blanks; user and system time in hundredths.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return (Number(fields[11]) + Number(fields[12])) / 100
    },
    stop(signal = 'SIGTERM') {
      child.kill(signal)
      return gone
    },
  }
}

/** Processor time of the whole machine so far, seconds, all processes and cores. */
export function machineCpuSeconds(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = readFileSync(
    '/proc/stat',
    'utf8',
  )
    .slice('cpu '.length, 200)
    .trim()
    .split(/\s+/)
    .map(Number)
  return (user + nice + system + irq + softirq) / 100
}

/** Runs the load generator to its end. */
export async function runLoad(plan: LoadPlan): Promise<LoadReport> {
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, [pathOf('load.ts'), JSON.stringify(plan)], {
    maxBuffer: 16 * 1024 * 1024,
  })
  const report = JSON.parse(stdout) as LoadReport
  if (report.errors > 0) throw new Error(`${report.errors} requests failed: ${report.firstError}`)
  return report
}

/** The middle of an odd number of values. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number
}

/** A number with three significant digits. */
export function short(value: number): number {
  return Number(value.toPrecision(3))
}
