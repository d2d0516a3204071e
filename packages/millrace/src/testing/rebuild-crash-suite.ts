/**
 * A server that rebuilds a view on threads, switches to it and goes back, again and again while events
 * come, is killed at random moments of it, wherever the log is. Each one that starts after it serves the
 * build that the log names, whole, and goes on.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createSeededRandom, silentLogger } from '@millrace/core'
import { openMillrace } from '../millrace.ts'
import { UNCOVERED } from './child.ts'
import { nextApp } from './posts.ts'
import { assertServed, FOLD, recordsOf } from './rebuilt.ts'

const RUNS = Number(process.env['MILLRACE_CRASH_RUNS'] ?? 3)
const SEED = Number(process.env['MILLRACE_CRASH_SEED'] ?? 1)
const WORKER = fileURLToPath(new URL('./rebuild-crash-worker.ts', import.meta.url))
/** A rebuild and the way back have so many states. */
const STATES = 7
const TURNS_MAX = 300

/** Registers the test; `withData` runs it with an empty place for data. */
export function rebuildCrashSuite(
  name: string,
  roundsMax: number,
  withData: (run: (directory: string) => Promise<void>) => Promise<void>,
): void {
  const rounds = Math.min(RUNS, roundsMax)
  it(`a rebuild, ${name}, survives ${rounds} kills (seed ${SEED})`, () =>
    withData(directory => killAgainAndAgain(directory, rounds)))
}

async function killAgainAndAgain(data: string, rounds: number): Promise<void> {
  const random = createSeededRandom(SEED)
  let acknowledged = 0
  const ended = new Set<string>()
  for (let round = 0; round < rounds; round++) {
    const states = 1 + Math.floor(random.next() * STATES)
    const turns = Math.floor(random.next() * TURNS_MAX)
    const end = await runAndKill(data, acknowledged, { states, turns })
    acknowledged = end.acknowledged
    ended.add(end.state)
  }
  assert.ok(ended.size > 1, [...ended].join())
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

/** Kills the worker a few turns after its rebuild came into so many states. */
async function runAndKill(
  data: string,
  first: number,
  moment: { readonly states: number; readonly turns: number },
): Promise<{ readonly acknowledged: number; readonly state: string }> {
  const child = spawn(process.execPath, [WORKER, data, `${first}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...UNCOVERED },
  })
  const closed = once(child, 'close')
  let acknowledged = first
  let states = 0
  let state = ''
  for await (const line of createInterface({ input: child.stdout })) {
    if (/^\d+$/.test(line)) {
      acknowledged = Number(line)
      continue
    }
    state = line.split(' ')[0] as string
    states += 1
    if (states !== moment.states) continue
    for (let turn = 0; turn < moment.turns; turn++) {
      await new Promise<void>(resolve => setImmediate(resolve))
    }
    child.kill('SIGKILL')
  }
  const [code, signal] = (await closed) as [number | null, string | null]
  assert.equal(signal, 'SIGKILL', `the worker ended by itself with ${code}`)
  return { acknowledged, state }
}
