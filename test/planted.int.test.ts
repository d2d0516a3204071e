/**
 * Faults planted in the real code, one at a time, each of which a suite must find; a simulation must
 * name the command that replays it. A suite that finds nothing proves little until this is seen.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { databaseFault, faults, type Fault } from './planted/faults.ts'

const root = dirname(import.meta.dirname)
const SEEDS = '10'
const TIMEOUT_MS = 240_000

/** Runs a suite, with a fault or without; resolves to whether it passed, and what it said. */
function run(suite: string, fault: Fault | undefined): Promise<{ passed: boolean; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ passed: boolean; text: string }>()
  const hook = fault === undefined ? [] : ['--import', join(root, 'test/planted/hook.mjs')]
  const child = spawn(process.execPath, [...hook, '--test-reporter=spec', suite], {
    cwd: root,
    timeout: TIMEOUT_MS,
    env: {
      ...process.env,
      NODE_TEST_CONTEXT: undefined,
      // A fault covers nothing, and its text is found in the source with its types.
      NODE_V8_COVERAGE: undefined,
      MILLRACE_SIM_SEEDS: fault === undefined ? '1' : SEEDS,
      MILLRACE_PLANTED: JSON.stringify(fault),
    },
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  }
  child.on('error', reject)
  child.on('close', code => resolve({ passed: code === 0, text }))
  return promise
}

for (const fault of faults) {
  test(`found by simulation: ${fault.name}`, async () => {
    const { passed, text } = await run(fault.suite, fault)
    assert.equal(passed, false, `the fault was not found:\n${text}`)
    assert.match(text, /MILLRACE_SIM_SEED=\d+ node --test/, text)
  })
}

const absent =
  process.env['MILLRACE_TEST_POSTGRES'] === undefined
    ? (process.env['MILLRACE_TEST_POSTGRES_ABSENT'] ?? '`npm test -- --int` starts PostgreSQL')
    : undefined

test(`found on PostgreSQL: ${databaseFault.name}`, { skip: absent ?? false }, async () => {
  const { passed, text } = await run(databaseFault.suite, databaseFault)
  assert.equal(passed, false, `the fault was not found:\n${text}`)
  assert.match(text, /✖ a step that was on its way when its lease was given away/, text)
})

test('without a fault the same suites pass', async () => {
  const all = absent === undefined ? [...faults, databaseFault] : faults
  for (const suite of new Set(all.map(fault => fault.suite))) {
    const { passed, text } = await run(suite, undefined)
    assert.equal(passed, true, text)
  }
})
