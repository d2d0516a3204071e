/**
 * A visitor is merged into a person and split again, and the process is killed at each step of it by
 * its name. The next one goes on by itself; afterwards every fold is what a rebuild gives, and what it
 * was each time before, hash for hash.
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
import { IDENTITY_STEPS } from './testing/identity-steps.ts'

const WORKER = join(import.meta.dirname, 'testing', 'identity-crash-worker.ts')
/** Lately: ticks bring the time of the clock, and what an hour's window has left by then depends on the machine. */
const AT_MS = systemClock.nowMs() - 600_000
const PEOPLE = ['ana', 'visitor', 'ben', 'cleo']

interface Told {
  readonly hashes: Readonly<Record<string, string>>
  readonly unlike: Readonly<Record<string, readonly string[]>>
}

it('a merge and a split survive SIGKILL at each of their steps', async () => {
  const data = await mkdtemp(join(tmpdir(), 'millrace-identity-'))
  try {
    await fill(data)
    const known = new Map<string, Told>()
    const [merges, splits] = [Object.keys(IDENTITY_STEPS.merge), Object.keys(IDENTITY_STEPS.split)]
    let person = 'visitor'
    const find = async (verb: string, step: string): Promise<void> => {
      const found = await run(data, person, verb, step)
      const place = `before it is killed in a ${verb} when ${step}`
      assert.deepEqual(found.unlike, {}, place)
      const first = known.get(person)
      if (first === undefined) known.set(person, found)
      else assert.deepEqual(found.hashes, first.hashes, place)
    }
    for (const [at, step] of merges.entries()) {
      await find('merge', step)
      person = 'ana'
      await find('split', splits[at % splits.length] as string)
      person = 'visitor'
    }
    await find('none', 'none')
    const [apart, one] = [known.get('visitor'), known.get('ana')]
    for (const fold of ['profile', 'view.time', 'item-stats']) {
      assert.notEqual(apart?.hashes[fold], one?.hashes[fold], fold)
    }
  } finally {
    await rm(data, { recursive: true, force: true })
  }
})

async function fill(data: string): Promise<void> {
  const millrace = await openForTest({ data })
  const { url } = await millrace.listen()
  const body = Array.from({ length: 80 }, (_, number) =>
    watchedBy(PEOPLE[number % PEOPLE.length] as string, `c${(number * 7) % 11}`, {
      id: `e${number}`,
      at: AT_MS + number * 1000,
    }),
  )
  assert.equal((await send(url, '/v1/events', { body })).status, 200)
  await millrace.close()
}

/** What a process finds, which is killed in what it begins then. */
async function run(data: string, person: string, verb: string, step: string): Promise<Told> {
  const child = spawn(process.execPath, [WORKER, data, person, verb, step], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...(step === 'none' ? {} : UNCOVERED) },
  })
  let text = ''
  child.stdout.on('data', chunk => (text += String(chunk)))
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  assert.deepEqual(
    [code, signal],
    step === 'none' ? [0, null] : [null, 'SIGKILL'],
    `${verb} ${step}`,
  )
  return JSON.parse(text) as Told
}
