/** The processes of the story: a server that may be killed, and commands of the CLI. */
import { execFile, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { systemClock } from '@millrace/core'
import type { BacktestReport } from '@millrace/product'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const POLL_MS = 20

/** A server that runs elsewhere. */
export interface Server {
  /** Asks it; gives the body. Throws what it refuses. */
  ask<Body>(method: string, path: string, body?: unknown): Promise<Body>
  /** Sends a signal, and resolves when the process is gone. */
  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

/** Starts the server on a data directory, `shiftMs` from the machine's time; resolves when it listens. */
export async function startServer(data: string, shiftMs: number): Promise<Server> {
  const child = spawn(process.execPath, [fileOf('./server.ts'), data, String(shiftMs)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // Who is killed never tells what it covered.
    env: { ...process.env, NODE_V8_COVERAGE: undefined },
  })
  const gone = new Promise<void>(resolve => child.once('exit', () => resolve()))
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', line =>
      resolve((JSON.parse(line) as { url: string }).url),
    )
    void gone.then(() => reject(new Error('the server ended before it listened')))
  })
  return {
    async ask<Body>(method: string, path: string, body?: unknown) {
      const response = await fetch(`${url}${path}`, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }), // prettier-ignore
      })
      if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`)
      return (await response.json()) as Body
    },
    async stop(signal) {
      child.kill(signal)
      await gone
    },
  }
}

/** Asks again and again until the answer is what is waited for, or the last of so many. */
export async function until<Value>(
  ask: () => Promise<Value>,
  isIt: (value: Value) => boolean,
  triesMax = Infinity,
): Promise<Value> {
  for (let tries = 1; ; tries++) {
    const value = await ask()
    if (isIt(value) || tries === triesMax) return value
    await new Promise<void>(resolve => systemClock.after(POLL_MS, resolve))
  }
}

/** Runs `millrace backtest` of the home surface by the definition in a file beside this one. */
export async function runBacktest(
  data: string,
  app: string,
  { toMs, out }: { readonly toMs: number; readonly out?: string },
): Promise<BacktestReport> {
  const bin = fileOf('../../packages/millrace/bin/millrace.mjs')
  const words = ['backtest', '--surface', 'home', '--app', fileOf(app), '--data', data, '--json']
  words.push('--to', new Date(toMs).toISOString(), ...(out === undefined ? [] : ['--out', out]))
  const { stdout } = await promisify(execFile)(process.execPath, [bin, ...words])
  return JSON.parse(stdout) as BacktestReport
}
