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

/** For a process that ends by SIGKILL: it would count covered lines, slowly, and never tell them. */
export const UNCOVERED: NodeJS.ProcessEnv = {
  NODE_V8_COVERAGE: undefined,
  NODE_COMPILE_CACHE:
    process.env['NODE_COMPILE_CACHE'] ??
    fileURLToPath(new URL('../../../../node_modules/.cache/node', import.meta.url)),
}

/** Starts the server on a data directory; resolves when it listens. It ends when this process does. */
export async function startServer(
  directory: string,
  {
    app = 'clips',
    env = {},
    isToBeKilled = false,
  }: { app?: 'clips' | 'receipts'; env?: NodeJS.ProcessEnv; isToBeKilled?: boolean } = {},
): Promise<ChildServer> {
  const script = fileURLToPath(new URL('./serve.ts', import.meta.url))
  const child = spawn(process.execPath, [script, directory, app], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...(isToBeKilled ? UNCOVERED : {}), ...env },
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
