/**
 * A process under load is killed at random moments, again and again. Afterwards every acknowledged
 * event is in the log, every view is what a naive computation from the log gives, nothing was
 * emitted twice or lost, and every fold is the same when it is built again.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { it } from 'node:test'
import { createSeededRandom, systemClock, systemRandom } from '@millrace/core'
import { openNodeDisk } from '@millrace/log/disk'
import { assertExact, assertRebuilds } from './testing/oracle.ts'
import { eventOf, openStack, settle } from './testing/stack.ts'

const ROUNDS = Number(process.env['MILLRACE_CRASH_RUNS'] ?? 4)
const SEED = Number(process.env['MILLRACE_CRASH_SEED'] ?? 1)
// The naive computation takes the square of the events.
const DIRECTORY_ROUNDS = 10
const ACKNOWLEDGED_MAX = 30
const WORKER = join(import.meta.dirname, 'testing', 'crash-worker.ts')

it(`survives ${ROUNDS} kills (seed ${SEED})`, async () => {
  const random = createSeededRandom(SEED)
  for (let first = 0; first < ROUNDS; first += DIRECTORY_ROUNDS) {
    const rounds = Math.min(DIRECTORY_ROUNDS, ROUNDS - first)
    await killAndCompare(rounds, () => random.next())
  }
})

/** Kills the worker of one directory so many times, then compares. */
async function killAndCompare(rounds: number, next: () => number): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-streams-crash-'))
  try {
    let acknowledged = 0
    for (let round = 0; round < rounds; round++) {
      acknowledged = await runAndKill(directory, acknowledged, {
        answers: Math.floor(next() * ACKNOWLEDGED_MAX),
        turns: Math.floor(next() * 40),
      })
    }
    const { log, snapshots, streams } = await openStack({
      disk: openNodeDisk(directory),
      clock: systemClock,
      random: systemRandom,
    })
    for (let number = 0; number < acknowledged; number++) {
      const { id } = eventOf(number)
      assert.equal((await log.find(id))?.id, id, `event ${number}`)
    }
    await settle(log, streams)
    await assertExact(log, streams)
    await assertRebuilds(streams)
    await streams.close()
    await snapshots.close()
    await log.close()
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Kills the worker a few turns after it acknowledged so many batches; returns the events acknowledged. */
async function runAndKill(
  directory: string,
  first: number,
  moment: { answers: number; turns: number },
): Promise<number> {
  const child = spawn(process.execPath, [WORKER, directory, `${first}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
    // Who is killed never tells what it covered.
    env: { ...process.env, NODE_V8_COVERAGE: undefined },
  })
  const closed = once(child, 'close')
  let acknowledged = first
  let answers = 0
  for await (const line of createInterface({ input: child.stdout })) {
    if (line !== 'ready') {
      acknowledged = Number(line)
      answers += 1
    }
    if (answers !== moment.answers) continue
    for (let turn = 0; turn < moment.turns; turn++) {
      await new Promise<void>(resolve => setImmediate(resolve))
    }
    child.kill('SIGKILL')
  }
  const [code, signal] = (await closed) as [number | null, string | null]
  assert.equal(signal, 'SIGKILL', `the worker ended by itself with ${code}`)
  return acknowledged
}
