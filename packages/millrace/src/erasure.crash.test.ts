/**
 * A process that erases somebody is killed at calls of the disk that change anything, from the first
 * to the last. The one that starts after it either knows nothing of the erasure, or ends it: then the
 * views, the files and the keys are as after one that nobody disturbed.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Erasures } from '@millrace/product'
import { UNCOVERED } from './testing/child.ts'
import { SECRETS, fillLetters, filesWith, keyIn, openLetters, saidIn } from './testing/letters.ts'

/** Each copies a directory and opens it three times: a tenth of the kills of other suites. */
const RUNS = Math.min(Math.ceil(Number(process.env['MILLRACE_CRASH_RUNS'] ?? 50) / 10), 60)
const CALLS_MAX = 400
const child = fileURLToPath(new URL('./testing/erasure-crash-child.ts', import.meta.url))

/** True when the child was killed. */
function eraseUntil(data: string, nth: number): boolean {
  const { status, signal } = spawnSync(process.execPath, [child, data, String(nth)], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...UNCOVERED },
  })
  assert.ok(signal === 'SIGKILL' || status === 0, `it ended with ${status} ${signal}`)
  return signal === 'SIGKILL'
}

it(`an erasure survives ${RUNS} kills, one at each of as many steps`, async () => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-erasure-'))
  try {
    const before = join(root, 'before')
    const filled = await openLetters(before)
    await fillLetters(filled)
    const full = saidIn(filled)
    await filled.close()
    const key = (await keyIn(before, 'ana')) as Uint8Array
    const seen = { unknown: 0, ended: 0 }
    // The first calls one by one, since the decision is among them; then in steps to the last.
    let killed = true
    for (let run = 0, nth = 1; killed && nth < CALLS_MAX; run++) {
      const data = join(root, 'data')
      cpSync(before, data, { recursive: true })
      killed = eraseUntil(data, nth)
      const millrace = await openLetters(data)
      const [erasure] = millrace.module<Erasures>('erasure').list()
      if (erasure === undefined) {
        seen.unknown += 1
        assert.deepEqual(saidIn(millrace), full)
        await millrace.close()
      } else {
        seen.ended += 1
        await millrace.module<Erasures>('erasure').ended(erasure.erasure)
        assert.deepEqual(saidIn(millrace), {
          lastLetter: [undefined, 'ben-writes'],
          letters: [undefined, 1],
          comments: ['ben-was-here'],
          lastComment: [undefined, 'ben-was-here'],
          byClip: 1,
          people: [undefined, { name: 'Ben Nevis' }],
        })
        for (const { name } of millrace.streams.status()) {
          assert.deepEqual((await millrace.streams.rebuild({ fold: name })).different, [], name)
        }
        await millrace.close()
        const texts = SECRETS.map(text => Buffer.from(text))
        assert.deepEqual(filesWith(data, [key, ...texts]), [], `killed at call ${nth}`)
      }
      rmSync(data, { recursive: true })
      nth += run < 2 ? 1 : Math.max(1, Math.ceil(60 / RUNS))
    }
    assert.ok(!killed, 'the last one ended undisturbed')
    assert.ok(seen.unknown > 0 && seen.ended > 3, JSON.stringify(seen))
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
})
