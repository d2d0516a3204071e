/** The thread of `fuzz-run.ts`. */
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort, workerData } from 'node:worker_threads'
import { findingOf, inputOf, type FuzzTarget } from '@millrace/sim'
import type { FuzzRequest } from './fuzz-run.ts'

/** Findings that differ, after which a run is over. */
const FINDINGS_MAX = 10
/**
 * How often memory is looked at in a run. The first looks see it filled with what is kept for good; it
 * has grown when the last ones all see more.
 */
const LOOKS = 20
const LOOKS_COMPARED = 5

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const request = workerData as Required<FuzzRequest> & { readonly current: Float64Array }
const { targets } = (await import(request.targets)) as { targets: readonly FuzzTarget[] }
const target = targets.find(({ name }) => name === request.name) as FuzzTarget
const corpus = await target.corpus()
const { seed, only, current } = request
const seen = new Set<string>()

if (only === undefined) await runAll()
else await run(only)

async function runAll(): Promise<void> {
  const startedAt = performance.now()
  const { until } = request
  const held: number[] = []
  for (let number = 0; seen.size < FINDINGS_MAX; number++) {
    await run(number)
    const done =
      'ms' in until ? (performance.now() - startedAt) / until.ms : (number + 1) / until.inputs
    while (done * LOOKS >= held.length + 1) held.push(await heldBytes())
    if (done < 1) continue
    const warm = Math.max(...held.slice(0, LOOKS_COMPARED))
    const last = Math.min(...held.slice(-LOOKS_COMPARED))
    if (last > warm + request.growthBytes) {
      report(number, `growth: ${mebibytes(warm)} held after a while, ${mebibytes(last)} in the end`)
    }
    return
  }
}

async function run(number: number): Promise<void> {
  current[0] = number
  const finding = await findingOf(target, inputOf(corpus, { seed, number }))
  if (finding !== undefined) report(number, finding)
}

/** Tells of a finding, unless one that begins alike was told. */
function report(input: number, text: string): void {
  const lines = text.split('\n')
  // The same place in the code, whatever the text of the error quotes.
  const kind = lines.find(line => line.trim().startsWith('at ')) ?? text.slice(0, 60)
  if (seen.has(kind)) return
  seen.add(kind)
  parentPort?.postMessage({ input, text: lines.slice(0, 8).join('\n') })
}

async function heldBytes(): Promise<number> {
  // Buffers are let go of a turn after the objects that had them.
  for (let times = 0; times < 2; times++) {
    collectGarbage()
    await setImmediate()
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(0)} MiB`
}
