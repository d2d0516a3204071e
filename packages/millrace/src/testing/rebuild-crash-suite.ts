/**
 * A server that rebuilds a view on threads, switches to it and goes back while events come is killed at
 * each step of it by its name, wherever the log is. Each one that starts after it serves the build that
 * the log names, whole, which is what a rebuild gives, and goes on.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { silentLogger } from '@millrace/core'
import { openMillrace } from '../millrace.ts'
import { UNCOVERED } from './child.ts'
import { nextApp } from './posts.ts'
import { REBUILD_STEPS } from './rebuild-steps.ts'
import { assertServed, FOLD, recordsOf } from './rebuilt.ts'

const WORKER = fileURLToPath(new URL('./rebuild-crash-worker.ts', import.meta.url))
/** A thread that builds has a part of it by then. */
const BUILDING = 'building'
const FEW = [BUILDING, 'unswitched', 'switched']
const isLong = Number(process.env['MILLRACE_CRASH_RUNS'] ?? 1) >= 100

/** Registers the test; `withData` runs it with an empty place for data. */
export function rebuildCrashSuite(
  name: string,
  withData: (run: (directory: string) => Promise<void>) => Promise<void>,
): void {
  const steps = isLong ? [BUILDING, ...Object.keys(REBUILD_STEPS)] : FEW
  it(`a rebuild, ${name}, survives SIGKILL at ${steps.length} steps`, () =>
    withData(directory => killAtEach(directory, steps)))
}

async function killAtEach(data: string, steps: readonly string[]): Promise<void> {
  let acknowledged = 0
  for (const step of steps) acknowledged = await runAndKill(data, acknowledged, step)
  const millrace = await openMillrace({ app: nextApp, data, logger: silentLogger })
  await assertServed(millrace)
  const kept = new Set((await recordsOf(millrace, 'person')).map(({ id }) => id))
  for (let number = 0; number < acknowledged; number++) assert.ok(kept.has(`c${number}`))
  const { rebuilds } = millrace.streams
  await rebuilds.start({ fold: FOLD, maxDifferences: Number.MAX_SAFE_INTEGER })
  const { error } = await rebuilds.settled(FOLD)
  assert.equal(error, undefined, error?.message)
  assert.ok(millrace.streams.fold(FOLD).definition.replaces)
  await assertServed(millrace)
  await millrace.close()
}

/** Runs a worker until it is killed at a step; gives how many events it was told are durable. */
async function runAndKill(data: string, first: number, step: string): Promise<number> {
  const child = spawn(process.execPath, [WORKER, data, `${first}`, step], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...UNCOVERED },
  })
  const closed = once(child, 'close')
  let acknowledged = first
  for await (const line of createInterface({ input: child.stdout })) acknowledged = Number(line)
  const [code, signal] = (await closed) as [number | null, string | null]
  assert.equal(signal, 'SIGKILL', `the worker ended by itself with ${code} before ${step}`)
  return acknowledged
}
