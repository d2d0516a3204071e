/**
 * A real process under load is killed, at random moments and at every named step. After each
 * restart every acknowledged event is there once, in its place, and is recognised when sent again.
 * MILLRACE_CRASH_RUNS sets the number of random kills (default 6).
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createSeededRandom, silentLogger, systemClock, systemRandom } from '@millrace/core'
import { openNodeDisk } from '../disk/index.ts'
import type { EventLog, LogRecord } from '../log.ts'
import { CRASH_OPTIONS, CRASH_STEPS, CRASH_STREAM, dataOf } from './crash-plan.ts'
import type { CrashStep } from './crash-plan.ts'
import { openFileLog } from './index.ts'

const RUNS = Number(process.env['MILLRACE_CRASH_RUNS'] ?? 6)
// After each kill everything that a directory ever took is read.
const DIRECTORY_RUNS = 20
const LINES_MAX = 3_000
const AGAIN_MAX = 300

type Places = Map<string, string>

async function withDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-crash-'))
  try {
    await run(directory)
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** Runs the program until it dies; adds what it acknowledged. */
async function runUntilKilled(
  directory: string,
  places: Places,
  options: { life: number; step?: CrashStep; linesMax: number },
): Promise<void> {
  const { life, step, linesMax } = options
  const program = fileURLToPath(new URL('crash-child.ts', import.meta.url))
  const args = [
    program,
    directory,
    String(life),
    ...(step === undefined ? [] : [JSON.stringify(step)]),
  ]
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    // Who is killed never tells what it covered.
    env: { ...process.env, NODE_V8_COVERAGE: undefined },
  })
  const exited = once(child, 'exit')
  let text = ''
  let lines = 0
  for await (const chunk of child.stdout) {
    text += String(chunk)
    lines += String(chunk).split('\n').length - 1
    if (lines >= linesMax) child.kill('SIGKILL')
  }
  const [, signal] = (await exited) as [number | null, string | null]
  assert.equal(signal, 'SIGKILL', 'it was killed and did not end by itself')
  if (step !== undefined) assert.ok(lines < linesMax, `the step "${step.name}" was reached`)
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  for (const line of whole.split('\n').slice(0, -1)) {
    const [id = '', status, partition = '', offset = ''] = line.split(' ')
    assert.equal(status, 'appended', line)
    places.set(id, `${partition} ${offset}`)
  }
}

async function reopen(directory: string): Promise<EventLog> {
  const log = await openFileLog({
    disk: openNodeDisk(directory),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    directory: 'log',
    options: CRASH_OPTIONS,
  })
  await log.declare([{ name: CRASH_STREAM, partitions: 4 }])
  return log
}

async function check(directory: string, places: Places): Promise<void> {
  const log = await reopen(directory)
  try {
    const found = new Map<string, LogRecord>()
    for (let partition = 0; partition < 4; partition++) {
      for (let from = 0; ;) {
        const records = await log.read({ stream: CRASH_STREAM, partition, from })
        if (records.length === 0) break
        for (const record of records) {
          assert.equal(record.offset, from++)
          assert.equal(found.has(record.id), false, `${record.id} is there once`)
          assert.deepEqual(record.data, dataOf(record.id))
          found.set(record.id, record)
        }
      }
    }
    for (const [id, place] of places) {
      const record = found.get(id)
      assert.equal(`${record?.partition} ${record?.offset}`, place, `${id} is in its place`)
    }
    await sendAgain(log, [...found.values()])
  } finally {
    await log.close()
  }
}

async function sendAgain(log: EventLog, records: readonly LogRecord[]): Promise<void> {
  const every = Math.ceil(records.length / AGAIN_MAX)
  const again = records.filter((_, index) => index % every === 0)
  const { results } = await log.commit({
    events: again.map(({ stream, type, key, id, eventTimeMs, data }) => {
      return { stream, type, key, id, eventTimeMs, data }
    }),
  })
  again.forEach(({ partition, offset }, index) => {
    assert.deepEqual(results[index], { status: 'duplicate', partition, offset })
  })
}

test(`${RUNS} kills at random moments lose and repeat nothing`, async () => {
  const random = createSeededRandom(41)
  for (let first = 0; first < RUNS; first += DIRECTORY_RUNS) {
    await withDirectory(async directory => {
      const places: Places = new Map()
      for (let life = first; life < Math.min(first + DIRECTORY_RUNS, RUNS); life++) {
        const linesMax = Math.ceil(random.next() * LINES_MAX)
        await runUntilKilled(directory, places, { life, linesMax })
        await check(directory, places)
      }
      assert.ok(places.size > 0)
    })
  }
})

for (const step of CRASH_STEPS) {
  test(`killed when ${step.name}`, () =>
    withDirectory(async directory => {
      const places: Places = new Map()
      await runUntilKilled(directory, places, { life: 0, step, linesMax: 200_000 })
      await check(directory, places)
    }))
}
