/** Runs the server of the tests as a child process. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A server that runs elsewhere. */
export interface ChildServer {
  readonly url: string
  readonly process: ChildProcess
  /** Sends a signal and resolves, when the process is gone, to its exit code; null when it was killed. */
  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null>
}

/** Starts the server on a data directory; resolves when it listens. It ends when this process does. */
export async function startServer(
  directory: string,
  { app = 'clips', env = {} }: { app?: 'clips' | 'receipts'; env?: NodeJS.ProcessEnv } = {},
): Promise<ChildServer> {
  const script = fileURLToPath(new URL('./serve.ts', import.meta.url))
  const child = spawn(process.execPath, [script, directory, app], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
  const gone = new Promise<number | null>(resolve => child.once('exit', code => resolve(code)))
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', line => {
      resolve((JSON.parse(line) as { url: string }).url)
    })
    void gone.then(code => reject(new Error(`the server ended with ${code} before it listened`)))
  })
  return {
    url,
    process: child,
    stop(signal) {
      child.kill(signal)
      return gone
    },
  }
}
