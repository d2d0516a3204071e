/**
 * Starts the demo as a reader of the README does, `npm start`, on a free port with a data directory of
 * its own; expects the page, its script and a ready server; stops it as Ctrl-C does and expects the
 * port to be free and the processes to be gone.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const root = dirname(import.meta.dirname)
const startTimeoutMs = 120_000
const stopTimeoutMs = 20_000

const port = await freePort()
const data = mkdtempSync(join(tmpdir(), 'millrace-smoke-'))
const child = spawn('npm', ['start'], {
  cwd: root,
  detached: true,
  stdio: ['ignore', 'inherit', 'inherit'],
  env: { ...process.env, PORT: String(port), MILLRACE_DATA: data },
})
const exited = once(child, 'exit')
try {
  const startedAt = performance.now()
  const origin = `http://127.0.0.1:${port}`
  const page = await waitFor(`${origin}/`, child)
  console.log(`the page is served after ${Math.round(performance.now() - startedAt)} ms`)
  const script = /<script[^>]+src="([^"]+\.js)"/.exec(page)?.[1]
  if (script === undefined) throw new TypeError('The page names no script.')
  for (const path of [script, '/healthz', '/readyz', '/metrics', '/openapi.json']) {
    const answer = await fetch(new URL(path, origin))
    await answer.arrayBuffer()
    if (!answer.ok) throw new TypeError(`${path} answers ${answer.status}.`)
  }
  signal(child, 'SIGINT')
  const ended = await Promise.race([exited, sleep(stopTimeoutMs, undefined, { ref: false })])
  if (ended === undefined) throw new TypeError(`It still runs ${stopTimeoutMs} ms after Ctrl-C.`)
  await assertFree(port)
  console.log('stopped, the port is free')
} finally {
  signal(child, 'SIGKILL')
  rmSync(data, { recursive: true, force: true })
}

async function waitFor(url: string, process: ChildProcess): Promise<string> {
  for (let waitedMs = 0; waitedMs < startTimeoutMs; waitedMs += 100) {
    if (process.exitCode !== null)
      throw new TypeError(`npm start ended with code ${process.exitCode}.`)
    const answer = await fetch(url).catch(() => undefined)
    if (answer?.ok === true) return answer.text()
    await answer?.arrayBuffer()
    await sleep(100)
  }
  throw new TypeError(`${url} did not answer within ${startTimeoutMs} ms.`)
}

/** Signals the whole group, as a terminal does. */
function signal(process: ChildProcess, name: NodeJS.Signals): void {
  if (process.pid === undefined) return
  try {
    globalThis.process.kill(-process.pid, name)
  } catch {
    // The group has ended already.
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function assertFree(port: number): Promise<void> {
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  server.close()
}
