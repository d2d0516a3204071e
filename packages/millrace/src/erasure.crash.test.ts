/**
 * One person after the other is erased, and the process is killed at each step of it by its name: a
 * commit, or a change of the files of keys and snapshots. The next one ends what was begun; afterwards
 * every fold is what a rebuild gives, nobody who was erased is in it, and no file has their key or
 * what they wrote.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { UNCOVERED } from './testing/child.ts'
import { DISK_STEPS } from './testing/disk-steps.ts'
import { ERASURE_STEPS } from './testing/erasure-steps.ts'
import { filesWith, openLetters } from './testing/letters.ts'

const WORKER = join(import.meta.dirname, 'testing', 'erasure-crash-worker.ts')
const { begun, unwritten, written, unended, ended } = ERASURE_STEPS
const ALL = Object.keys({ begun, unwritten, written, ...DISK_STEPS, unended, ended })
/** Before it is decided what is erased, with the events taken back, and with the key in a file that is no longer the newest. */
const FEW = ['begun', 'written', 'replaced', 'destroyed', 'unended']
const STEPS = Number(process.env['MILLRACE_CRASH_RUNS'] ?? 1) >= 100 ? ALL : FEW
const PEOPLE = STEPS.map((_, number) => `person${number}`)
const textsOf = (person: string): readonly string[] => [`${person}-writes`, `${person}-comments`]

interface Told {
  readonly hashes: Readonly<Record<string, string>>
  readonly unlike: Readonly<Record<string, readonly string[]>>
  /** The key of who is erased next, as hex. */
  readonly key: string
}

it(`an erasure survives SIGKILL at ${STEPS.length} steps`, async () => {
  const data = await mkdtemp(join(tmpdir(), 'millrace-erasure-'))
  try {
    await fill(data)
    const keys: Buffer[] = []
    let before = 'nobody'
    for (const [at, step] of [...STEPS, 'none'].entries()) {
      const place = `when it was killed at ${STEPS[at - 1]}`
      const told = await run(data, [before, PEOPLE[at] ?? 'nobody', step])
      assert.deepEqual(told.unlike, {}, place)
      const gone = [
        ...keys,
        ...PEOPLE.slice(0, at)
          .flatMap(textsOf)
          .map(text => Buffer.from(text)),
      ]
      assert.deepEqual(filesWith(data, gone), [], place)
      before = PEOPLE[at] ?? ''
      assert.equal(told.key.length, step === 'none' ? 0 : 64, place)
      keys.push(...(told.key === '' ? [] : [Buffer.from(told.key, 'hex')]))
    }
    const millrace = await openLetters(data)
    for (const person of PEOPLE) assert.equal(millrace.view('lastLetter').get(person)?.value, undefined) // prettier-ignore
    assert.deepEqual(millrace.view('comments').get('c1')?.value, ['ben-was-here'])
    assert.equal(millrace.view('byClip').get('c1')?.value, 1)
    await millrace.close()
  } finally {
    await rm(data, { recursive: true, force: true })
  }
})

async function fill(data: string): Promise<void> {
  const millrace = await openLetters(data)
  const events = PEOPLE.flatMap((author, number) => {
    const [letter, comment] = textsOf(author)
    return [
      { type: 'wrote' as const, id: `w${number}`, data: { author, letter, words: 1 } },
      { type: 'commented' as const, id: `c${number}`, data: { clip: 'c1', by: author, comment } },
    ]
  })
  const ben = { type: 'commented' as const, id: 'ben', data: { clip: 'c1', by: 'ben', comment: 'ben-was-here' } } // prettier-ignore
  await millrace.reached((await millrace.trackMany([...events, ben] as never)).position)
  await millrace.close()
}

/** What a process finds, which is killed in what it begins then. */
async function run(data: string, given: readonly string[]): Promise<Told> {
  const child = spawn(process.execPath, [WORKER, data, ...given], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...UNCOVERED },
  })
  let text = ''
  child.stdout.on('data', chunk => (text += String(chunk)))
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  const step = given.at(-1)
  assert.deepEqual([code, signal], step === 'none' ? [0, null] : [null, 'SIGKILL'], step)
  return JSON.parse(text) as Told
}
