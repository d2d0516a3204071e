/**
 * A ring of bots is taken back and put back by a changeset, and the process is killed at each step of
 * the run by its name. The next one goes on by itself; afterwards every fold is what a rebuild gives,
 * and what it was each time before, hash for hash.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { systemClock } from '@millrace/core'
import { UNCOVERED } from './testing/child.ts'
import { openForTest, watchedBy } from './testing/clips.ts'
import { send } from './testing/http.ts'
import { UNDO_STEPS } from './testing/undo-steps.ts'

/** The second round kills each step in the other direction; one is enough beside a measurement of coverage. */
const ROUNDS = Number(process.env['MILLRACE_CRASH_RUNS'] ?? 1) >= 100 ? 2 : 1
const WORKER = join(import.meta.dirname, 'testing', 'undo-crash-worker.ts')
/** Lately: ticks bring the time of the clock, and what an hour's window has left by then depends on the machine. */
const AT_MS = systemClock.nowMs() - 600_000
const BOTS = ['bot0', 'bot1', 'bot2']
const POISONED = ['c0', 'c1', 'c2']
const ACTS = 20
const PEOPLE = 12

interface Told {
  readonly applied: number
  readonly hashes: Readonly<Record<string, string>>
  readonly unlike: Readonly<Record<string, readonly string[]>>
}

it('a changeset of corrections survives SIGKILL at each of its steps', async () => {
  const data = await mkdtemp(join(tmpdir(), 'millrace-undo-'))
  try {
    await plan(data)
    const first = await run(data, 'none', 'none')
    let applied: Told | undefined
    // An odd number of steps: what is applied in one round is taken back in the next.
    const steps = Array.from({ length: ROUNDS }, () => Object.keys(UNDO_STEPS)).flat()
    for (const [at, step] of [...steps, 'none'].entries()) {
      const isApplied = at % 2 === 1
      const found = await run(data, isApplied ? 'undo' : 'apply', step)
      const place = `run ${at}, before it is killed when ${step}`
      assert.deepEqual(found.unlike, {}, place)
      assert.equal(found.applied, isApplied ? BOTS.length * ACTS : 0, place)
      if (isApplied) applied ??= found
      assert.deepEqual(found.hashes, (isApplied ? applied : first)?.hashes, place)
    }
    assert.notEqual(applied?.hashes['item-stats'], first.hashes['item-stats'])
  } finally {
    await rm(data, { recursive: true, force: true })
  }
})

async function plan(data: string): Promise<void> {
  const millrace = await openForTest({ data })
  const { url } = await millrace.listen()
  const people = Array.from({ length: PEOPLE * ACTS }, (_, number) =>
    watchedBy(`p${number % PEOPLE}`, `c${(number * 7) % 11}`, {
      id: `e${number}`,
      at: AT_MS + number * 1000,
    }),
  )
  const bots = Array.from({ length: BOTS.length * ACTS }, (_, number) =>
    watchedBy(BOTS[number % BOTS.length] as string, POISONED[(number % 7) % 3] as string, {
      id: `b${number}`,
      at: AT_MS + number * 3500,
    }),
  )
  const body = [...people, ...bots].sort((a, b) => Number(a['at']) - Number(b['at']))
  assert.equal((await send(url, '/v1/events', { body })).status, 200)
  const query = { stream: 'person', keys: BOTS, types: ['watched'] }
  const planned = { id: 'ring', kind: 'corrections', request: { query } }
  const { status, text } = await send(url, '/v1/changesets', { body: planned })
  assert.equal(status, 200, text)
  await millrace.close()
}

/** What a process finds, which is killed in a run that it begins then. */
async function run(data: string, direction: string, step: string): Promise<Told> {
  const child = spawn(process.execPath, [WORKER, data, direction, step], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...(step === 'none' ? {} : UNCOVERED) },
  })
  let text = ''
  child.stdout.on('data', chunk => (text += String(chunk)))
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  assert.deepEqual([code, signal], step === 'none' ? [0, null] : [null, 'SIGKILL'], step)
  return JSON.parse(text) as Told
}
