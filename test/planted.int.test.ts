/**
 * Faults planted in the real code, one at a time, each of which a suite must find; a simulation must
 * name the command that replays it. A suite that finds nothing proves little until this is seen.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

interface Fault {
  readonly name: string
  readonly file: string
  readonly find: string
  readonly replace: string
  /** The suite that must find it. */
  readonly suite: string
}

const LOG = 'packages/log/src/file/file-log.sim.test.ts'
const IDS = 'packages/log/src/dedup/disk-index.sim.test.ts'
const STORE = 'packages/store/src/file/file.sim.test.ts'
const STREAMS = 'packages/streams/src/runtime.sim.test.ts'

const faults: readonly Fault[] = [
  {
    name: 'an event is acknowledged before it is on the disk',
    file: 'packages/log/src/file/journal.ts',
    find: 'await file.sync()',
    replace: 'void file.sync().catch(() => undefined)',
    suite: LOG,
  },
  {
    name: 'a torn tail is not cut off',
    file: 'packages/log/src/file/recovery.ts',
    find: 'walk.stop === undefined ? 0 : await cutTail(walk.stop)',
    replace: '0',
    suite: LOG,
  },
  {
    name: 'a run of the duplicate index is used before it is on the disk',
    file: 'packages/log/src/dedup/run-writer.ts',
    find: 'await (this.#file as DiskFile).sync()',
    replace: '',
    suite: IDS,
  },
  {
    name: 'a snapshot takes its name before it is on the disk',
    file: 'packages/store/src/file/format.ts',
    find: 'await file.sync()',
    replace: '',
    suite: STORE,
  },
  {
    name: 'the range of a step is committed without what it emitted',
    file: 'packages/streams/src/step-writer.ts',
    find: 'emitted: lane.emitted,',
    replace: 'emitted: [],',
    suite: STREAMS,
  },
  {
    name: 'a snapshot says that it holds more than it does',
    file: 'packages/streams/src/snapshot-codec.ts',
    find: 'consumed: lane.consumed,',
    replace: 'consumed: lane.consumed + 1,',
    suite: STREAMS,
  },
  {
    name: 'what was emitted before a crash is emitted again',
    file: 'packages/streams/src/load.ts',
    find: 'lane.mutedBefore = writer?.committed ?? 0',
    replace: 'lane.mutedBefore = 0',
    suite: STREAMS,
  },
]

const LEASES = 'packages/log/src/postgres/leases.int.test.ts'
const ROLES = 'packages/streams/src/roles.sim.test.ts'

/** Of several processes over one log: each loses a lease and commits, in its own way. */
const sharingFaults: readonly Fault[] = [
  {
    name: 'a step is folded ahead of the steps of the process that commits them',
    file: 'packages/streams/src/step-writer.ts',
    find: 'return this.#leads ? Infinity : this.committed',
    replace: 'return Infinity',
    suite: ROLES,
  },
  {
    name: 'what was emitted and lost with a lease is not emitted under the next one',
    file: 'packages/streams/src/roles.ts',
    find: 'if (lane.consumed > writer.committed) await',
    replace: 'if (lane.consumed < 0) await',
    suite: ROLES,
  },
]
const databaseFault: Fault = {
  name: 'a lease is lost, and a step is committed all the same',
  file: 'packages/log/src/postgres/schema.ts',
  find: '(l.token IS DISTINCT FROM t.token OR l.owner IS DISTINCT FROM a_member)',
  replace: 'false',
  suite: LEASES,
}

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

for (const fault of [...faults, ...sharingFaults]) {
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
  for (const suite of [
    LOG,
    IDS,
    STORE,
    STREAMS,
    ROLES,
    ...(absent === undefined ? [LEASES] : []),
  ]) {
    const { passed, text } = await run(suite, undefined)
    assert.equal(passed, true, text)
  }
})
