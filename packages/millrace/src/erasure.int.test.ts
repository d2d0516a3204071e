/**
 * Erasing somebody while two processes share a database: one erases, the other has their key in
 * memory and appends events of theirs all the while. Afterwards nobody can read anything of them, and
 * the tables and the files of the keys have no text and no key.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { isError, silentLogger, systemClock } from '@millrace/core'
import { Database } from '@millrace/log/postgres'
import type { Erasures } from '@millrace/product'
import { withDatabase } from './testing/database.ts'
import { dumpOf, keyOf } from './testing/letter-tables.ts'
import { SECRETS, fillLetters, openLetters, saidIn, type Letters } from './testing/letters.ts'

const server = process.env['MILLRACE_TEST_POSTGRES']
const reason =
  process.env['MILLRACE_TEST_POSTGRES_ABSENT'] ??
  'MILLRACE_TEST_POSTGRES names no server; `npm test -- --int` starts one'
const request = { people: ['ana'], reason: 'she asked for it', by: 'test' }
const LATE = 'ana-writes-while-she-is-erased'
const WITHOUT_ANA = {
  lastLetter: [undefined, 'ben-writes'],
  letters: [undefined, 1],
  comments: ['ben-was-here'],
  lastComment: [undefined, 'ben-was-here'],
  byClip: 1,
  people: [undefined, { name: 'Ben Nevis' }],
}

/** Which of the texts or keys are there, as they are or as hex. */
const inside = (all: Buffer, wanted: readonly (string | Buffer)[]): readonly number[] =>
  wanted.flatMap((one, index) => {
    const bytes = Buffer.from(one as string)
    return all.includes(bytes) || all.includes(bytes.toString('hex')) ? [index] : []
  })

const pause = (ms: number): Promise<void> => new Promise(resolve => systemClock.after(ms, resolve))

const WRITERS = 8

/** Appends letters of ana's until they are refused; gives how many were taken. */
async function writeUntilRefused(millrace: Letters, onTaken: () => void): Promise<number> {
  let count = 0
  const write = async (): Promise<void> => {
    for (;;) {
      await millrace.track('wrote', { author: 'ana', letter: LATE, words: 1 })
      count += 1
      onTaken()
    }
  }
  const refused = (error: unknown): void => assert.ok(isError(error, 'PERSON_ERASED'), String(error)) // prettier-ignore
  await Promise.all(Array.from({ length: WRITERS }, () => write().catch(refused)))
  return count
}

/** The erasure, when it has ended, as a process knows it that need not be the one that carries it out. */
async function endedIn(millrace: Letters, erasure: string): Promise<void> {
  for (let turn = 0; turn < 600; turn++) {
    const known = millrace.module<Erasures>('erasure').list()
    if (known.some(one => one.erasure === erasure && one.report !== undefined)) return
    await pause(50)
  }
  assert.fail('it did not end')
}

if (server === undefined) {
  test('erasing somebody on PostgreSQL', { skip: reason }, () => assert.ok(server))
} else {
  test('nothing is readable of somebody who is erased while another process appends events of theirs', () =>
    withDatabase(server, async (directory, url) => {
      const database = new Database({ url, logger: silentLogger })
      const open = (name: string): Promise<Letters> => openLetters(join(directory, name))
      const [one, other] = [await open('one'), await open('other')]
      await fillLetters(one)
      await other.reached(new Map(one.log.ends()), { timeoutMs: 60_000 })
      await Promise.all([one, other].map(millrace => millrace.streams.snapshot()))
      const key = (await keyOf(database, 'ana')) as Buffer
      const wanted = [...SECRETS, LATE, key]
      assert.deepEqual(inside(await dumpOf(database), wanted), [4], 'texts are sealed, the key is there') // prettier-ignore

      const first = Promise.withResolvers<void>()
      const writing = writeUntilRefused(other, first.resolve)
      await first.promise
      await pause(50)
      const branch = await other.streams.branches.open({ changes: {} })
      const { erasure } = await one.module<Erasures>('erasure').begin(request)
      const { report } = await one.module<Erasures>('erasure').ended(erasure)
      const late = await writing
      assert.ok(late > 0)
      // Those of the other process were found, too: its last event was durable before it was looked for them.
      assert.deepEqual([report?.events, report?.ofOthers], [4 + late, 2])
      await endedIn(other, erasure)
      await assert.rejects(branch.view('lastLetter').get('ana'), error => isError(error, 'BRANCH_UNKNOWN')) // prettier-ignore
      for (const millrace of [one, other]) {
        assert.deepEqual(saidIn(millrace), WITHOUT_ANA)
        for await (const { data, isErased } of millrace.log.history({
          stream: 'person',
          keys: ['ana'],
        })) {
          assert.equal(isErased, true)
          assert.equal((data as { letter?: unknown }).letter ?? null, null)
        }
      }
      assert.equal(await keyOf(database, 'ana'), undefined)
      assert.deepEqual(inside(await dumpOf(database), wanted), [])
      // Who takes over from a snapshot, and who folds all of it again, say the same.
      await Promise.all([one, other].map(millrace => millrace.close()))
      const next = await open('next')
      assert.deepEqual(saidIn(next), WITHOUT_ANA)
      for (const { name } of next.streams.status()) {
        assert.deepEqual((await next.streams.rebuild({ fold: name })).different, [], name)
      }
      await next.close()
      assert.deepEqual(inside(await dumpOf(database), wanted), [])
      await database.close()
    }))

  test('an erasure goes on in another process when the one that began it ends', () =>
    withDatabase(server, async directory => {
      const [one, other] = [await openLetters(join(directory, 'one')), await openLetters(join(directory, 'other'))] // prettier-ignore
      await fillLetters(one)
      await other.reached(new Map(one.log.ends()), { timeoutMs: 60_000 })
      const { erasure } = await one.module<Erasures>('erasure').begin(request)
      await one.close()
      await endedIn(other, erasure)
      assert.deepEqual(saidIn(other), WITHOUT_ANA)
      await other.close()
    }))
}
