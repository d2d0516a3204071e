/** Runs commands as named stages, several at once, keeps their output apart and times them. */
import { spawn } from 'node:child_process'
import { delimiter, join } from 'node:path'

/** One command of a check. */
export interface Stage {
  readonly name: string
  /** Program and arguments; `node` is the one that runs this script. */
  readonly command: readonly [string, ...string[]]
  readonly env?: Readonly<Record<string, string>>
  /** Milliseconds after which the stage is killed and has failed. */
  readonly timeoutMs?: number
  /** Print the output as it comes instead of only when the stage fails. */
  readonly isLive?: boolean
}

/** How one stage ended. */
export interface StageResult {
  readonly name: string
  readonly isPassed: boolean
  readonly durationMs: number
  /** Standard output and errors, interleaved as they came; empty for a live stage. */
  readonly output: string
}

/** Runs the stages, at most `concurrency` at once, and reports each as it ends. */
export async function runStages(
  root: string,
  stages: readonly Stage[],
  concurrency: number,
): Promise<StageResult[]> {
  const waiting = [...stages]
  const results: StageResult[] = []
  const work = async (): Promise<void> => {
    for (let stage = waiting.shift(); stage !== undefined; stage = waiting.shift()) {
      const result = await runStage(root, stage)
      results.push(result)
      print(result)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  return results
}

/** Runs one stage in a process group of its own, which is gone when the promise settles. */
export async function runStage(root: string, stage: Stage): Promise<StageResult> {
  const startedAt = performance.now()
  const [program, ...args] = stage.command
  const child = spawn(program === 'node' ? process.execPath : program, args, {
    cwd: root,
    detached: true,
    stdio: [
      'ignore',
      stage.isLive === true ? 'inherit' : 'pipe',
      stage.isLive === true ? 'inherit' : 'pipe',
    ],
    env: {
      ...process.env,
      PATH: `${join(root, 'node_modules/.bin')}${delimiter}${process.env['PATH'] ?? ''}`,
      ...stage.env,
    },
  })
  const chunks: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk))
  const stop = (): void => killGroup(child.pid)
  const timer = setTimeout(() => {
    chunks.push(Buffer.from(`\nkilled after ${stage.timeoutMs ?? 0} ms\n`))
    stop()
  }, stage.timeoutMs ?? 600_000)
  const interrupted = (signal: NodeJS.Signals): void => {
    stop()
    process.exit(signal === 'SIGINT' ? 130 : 143)
  }
  process.once('exit', stop).once('SIGINT', interrupted).once('SIGTERM', interrupted)
  const code = await new Promise<number | null>(resolve => {
    child.on('error', error => {
      chunks.push(Buffer.from(`${error.message}\n`))
      resolve(1)
    })
    child.on('close', resolve)
  })
  clearTimeout(timer)
  process.off('exit', stop).off('SIGINT', interrupted).off('SIGTERM', interrupted)
  stop()
  return {
    name: stage.name,
    isPassed: code === 0,
    durationMs: performance.now() - startedAt,
    output: Buffer.concat(chunks).toString(),
  }
}

/** Kills what is left of the process group `pid`; nothing when all have ended. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // The group has ended already.
  }
}

function print(result: StageResult): void {
  const seconds = (result.durationMs / 1000).toFixed(1).padStart(6)
  console.log(`${result.isPassed ? 'ok    ' : 'FAILED'} ${seconds} s  ${result.name}`)
  if (!result.isPassed && result.output !== '') {
    console.log(result.output.trimEnd().replace(/^/gm, '    '))
  }
}
