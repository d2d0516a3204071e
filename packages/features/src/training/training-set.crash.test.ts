/**
 * A training set whose process is killed at each of its steps, the last one between the file and its
 * manifest: a manifest stands beside a whole file alone, and the run that goes on gives the bytes of
 * one that was never killed.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const child = fileURLToPath(new URL('../testing/training-crash-child.ts', import.meta.url))

function run(
  file: string,
  dieAt?: number | string,
): { isKilled: boolean; steps: readonly string[] } {
  const words = dieAt === undefined ? [] : [`${dieAt}`]
  const { signal, status, stdout, stderr } = spawnSync(process.execPath, [child, file, ...words], {
    encoding: 'utf8',
  })
  assert.ok(signal === 'SIGKILL' || status === 0, stderr)
  return { isKilled: signal === 'SIGKILL', steps: stdout.trim().split('\n') }
}

test('a training set that is killed at any step is whole or not there, and goes on', t => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-training-kill-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const whole = join(folder, 'whole.parquet')
  const { steps } = run(whole)
  const bytesOf = (file: string): readonly string[] =>
    [file, `${file}.json`].map(path => readFileSync(path).toString('hex'))
  const total = Number(steps.at(-1)?.split('/')[1])
  // Observations and labels, their join, the view, what is derived, the file.
  assert.deepEqual([steps.length, total], [6, 6])
  const file = join(folder, 'killed.parquet')
  const half = join(folder, 'half.parquet')
  // Killed in each step after having gone on from the one before, then never.
  for (let step = 1; step <= total; step++) {
    assert.equal(run(file, step).isKilled, true)
    assert.equal(existsSync(`${file}.json`), false)
    // It is renamed when it is whole: in the last step alone.
    assert.equal(existsSync(file), step === total)
  }
  assert.equal(run(half, 'answer').isKilled, true)
  for (const made of [file, half]) {
    assert.equal(run(made).isKilled, false)
    assert.deepEqual(bytesOf(made), bytesOf(whole))
  }
  rmSync(half)
  rmSync(`${half}.json`)
  assert.deepEqual(readdirSync(folder).sort(), ['killed.parquet', 'killed.parquet.json', 'whole.parquet', 'whole.parquet.json']) // prettier-ignore
})
