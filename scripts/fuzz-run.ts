/** Runs one target of the fuzzer on a thread of its own, so that a hang and too much memory are seen. */
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'

/** One thing found. */
export interface FuzzFinding {
  /** Number of the input. */
  readonly input: number
  readonly text: string
}

/** What a run found. */
export interface FuzzReport {
  readonly inputs: number
  readonly seconds: number
  readonly findings: readonly FuzzFinding[]
}

/** What to run, and within which bounds. */
export interface FuzzRequest {
  /** Path of a module that exports `targets`. */
  readonly targets: string
  /** Name of one of them. */
  readonly name: string
  readonly seed: number
  /** Milliseconds, or inputs. */
  readonly until: { readonly ms: number } | { readonly inputs: number }
  /** Number of the one input to run; all when undefined. */
  readonly only?: number | undefined
  /** Longer than this on one input is a hang. Default 20,000. */
  readonly hangMs?: number
  /** Bytes held that count as growth. Default 16 MiB. */
  readonly growthBytes?: number
}

const HANG_MS_DEFAULT = 20_000
const GROWTH_BYTES_DEFAULT = 16 * 1024 * 1024
const MEMORY_MIB_MAX = 512
const LOOK_EVERY_MS = 100
const WORKER = join(import.meta.dirname, 'fuzz-worker.ts')

/** Runs a target until its time is over, or something ends its thread. */
export async function fuzz(request: FuzzRequest): Promise<FuzzReport> {
  const { hangMs = HANG_MS_DEFAULT, growthBytes = GROWTH_BYTES_DEFAULT } = request
  const startedAt = performance.now()
  // What the thread works on: readable also when it is stuck.
  const current = new Float64Array(new SharedArrayBuffer(8)).fill(-1)
  const findings: FuzzFinding[] = []
  const worker = new Worker(WORKER, {
    workerData: { ...request, growthBytes, current },
    resourceLimits: { maxOldGenerationSizeMb: MEMORY_MIB_MAX },
  })
  let input = -1
  let since = startedAt
  const watch = setInterval(() => {
    const now = performance.now()
    if (current[0] !== input) [input, since] = [current[0] as number, now]
    else if (input >= 0 && now - since > hangMs) {
      clearInterval(watch)
      findings.push({ input, text: `hang: no end after ${hangMs} ms` })
      void worker.terminate()
    }
  }, LOOK_EVERY_MS)
  worker.on('message', (finding: FuzzFinding) => findings.push(finding))
  await new Promise<void>(resolve => {
    worker.on('error', error => {
      const text = `the thread ended: ${error instanceof Error ? error.message : String(error)}`
      findings.push({ input: current[0] as number, text })
    })
    worker.on('exit', () => resolve())
  })
  clearInterval(watch)
  const seconds = (performance.now() - startedAt) / 1000
  return { inputs: (current[0] as number) + 1, seconds, findings }
}
