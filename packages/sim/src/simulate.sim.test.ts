import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { isError, type DiskFile } from '@millrace/core'
import { chooseSeeds } from './simulate.ts'
import {
  createSimWorld,
  failEachCall,
  replayCommand,
  simulate,
  type DiskFault,
  type SimWorld,
} from './index.ts'

const RECORD_BYTES = 16

/** A small log with group commit. With `isHasty` it acknowledges before the sync: a planted fault. */
function createWriter(file: DiskFile, options: { isHasty: boolean }) {
  let end = 0
  let group: Promise<void> | undefined
  const sync = async (): Promise<void> => {
    await Promise.resolve()
    group = undefined
    await file.sync()
  }
  return async (record: string): Promise<void> => {
    const at = end
    end += RECORD_BYTES
    await file.write(Buffer.from(record.padEnd(RECORD_BYTES)), 0, RECORD_BYTES, at)
    if (options.isHasty) return
    group ??= sync()
    await group
  }
}

/** Four clients write through one writer until the power fails; then what was acknowledged must be there. */
async function powerFails(world: SimWorld, options: { isHasty: boolean }): Promise<void> {
  const machine = world.startProcess()
  const file = await machine.disk.open('log', 'create')
  await machine.disk.syncDirectory('')
  const append = createWriter(file, options)
  const acknowledged: string[] = []
  const client = async (name: string): Promise<void> => {
    for (let count = 0; count < 15; count++) {
      const record = `${name}:${count}`
      await append(record)
      acknowledged.push(record)
      world.trace('acknowledged', record)
      await new Promise<void>(resolve => {
        machine.clock.after(machine.random.between(0, 10), resolve)
      })
    }
  }
  for (const name of ['a', 'b', 'c', 'd']) void client(name)
  await world.clock.sleep(world.random.between(10, 150))
  machine.kill()
  world.disk.crash()
  const left = Buffer.from(world.disk.peek('log') ?? []).toString()
  world.trace('crashed with', left)
  for (const record of acknowledged) {
    assert.ok(left.includes(record.padEnd(RECORD_BYTES)), `${record} was acknowledged and is lost`)
  }
}

test('a writer that syncs first loses nothing that it acknowledged', async () => {
  const report = await simulate({
    name: 'a writer that syncs first loses nothing that it acknowledged',
    file: import.meta.url,
    environment: process.env,
    seeds: 200,
    isReplayChecked: true,
    scenario: world => powerFails(world, { isHasty: false }),
  })
  assert.ok(
    new Set(report.digests).size >= report.seeds.length * 0.99,
    'seeds give other histories',
  )
})

test('a writer that acknowledges before the sync is caught, with the command that replays it', async () => {
  const name = "the hasty writer's scenario (planted)"
  const simulation = {
    name,
    file: import.meta.url,
    environment: process.env,
    seeds: Array.from({ length: 20 }, (_, index) => index),
    scenario: (world: SimWorld) => powerFails(world, { isHasty: true }),
  }
  const error = await simulate(simulation).then(
    () => assert.fail('the planted fault was not found'),
    (reason: unknown) => reason,
  )
  assert.ok(isError(error, 'SIM_FAILED'))
  const seed = error.details['seed'] as number
  assert.match(error.message, /was acknowledged and is lost/)
  assert.ok(error.message.includes(replayCommand(simulation, seed)))
  assert.match(error.message, /^ {2}\d+\.\d{3} crashed with/m)
  await assert.rejects(simulate({ ...simulation, seeds: [seed] }), again =>
    isError(again, 'SIM_FAILED'),
  )
})

test('a failure says when the environment was not passed on', async () => {
  const failing = simulate({
    name: 'failing',
    file: import.meta.url,
    seeds: [1],
    scenario: () => Promise.reject(new Error('always')),
  })
  await assert.rejects(failing, /pass `environment: process\.env`, then MILLRACE_SIM_SEED=1 /)
})

test('what a scenario takes from outside its world is found by a second run', async () => {
  let outside = 0
  const diverging = simulate({
    name: 'diverging',
    file: import.meta.url,
    environment: process.env,
    seeds: [1],
    isReplayChecked: true,
    scenario: async world => {
      world.trace('same')
      world.trace('outside', ++outside)
    },
  })
  await assert.rejects(diverging, error => {
    assert.ok(isError(error, 'SIM_DIVERGED'))
    return error.details['step'] === 1
  })
})

test('a killed process hears nothing more, and its timers never fire', async () => {
  const world = createSimWorld(1)
  await world.clock.drive(async () => {
    const machine = world.startProcess()
    const seen: string[] = []
    machine.clock.after(1, () => seen.push('first'))
    machine.clock.after(100, () => seen.push('second'))
    machine.clock.soon(() => seen.push('soon'))
    await world.clock.sleep(10)
    assert.ok(machine.isAlive)
    machine.kill()
    assert.ok(!machine.isAlive)
    machine.disk.list('').then(
      () => seen.push('list'),
      () => seen.push('refused'),
    )
    await world.clock.sleep(1_000)
    assert.deepEqual(seen, ['soon', 'first'])
    assert.equal(machine.clock.nowMs(), world.clock.nowMs())
    assert.equal(machine.clock.monotonicMs(), world.clock.monotonicMs())
  })
})

test('each call of some work is failed once', async () => {
  const struck: string[] = []
  const failed = await failEachCall({
    effect: 'fail',
    run: async (fault: DiskFault) => {
      const world = createSimWorld(1)
      const armed = world.disk.inject(fault)
      await world.clock.drive(async () => {
        try {
          const file = await world.disk.open('f', 'create')
          await file.write(Buffer.from('x'), 0, 1, 0)
          await file.sync()
          await world.disk.rename('f', 'g')
          struck.push('none')
        } catch (error) {
          assert.ok(isError(error, 'DISK_FAILED'))
          struck.push(String(error.details['operation']))
        }
      })
      return armed.hits
    },
  })
  assert.equal(failed, 4)
  assert.equal(await failEachCall({ effect: 'fail', callsMax: 3, run: async () => 1 }), 3)
  assert.deepEqual(struck, ['open', 'write', 'sync', 'rename', 'none'])
})

test('seeds kept beside the test are always run; the environment chooses seeds', () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-seeds-'))
  try {
    const file = String(pathToFileURL(join(directory, 'some.sim.test.ts')))
    const choose = (
      name: string,
      env: Record<string, string> = {},
      seeds: number | readonly number[] = 3,
    ): readonly number[] => chooseSeeds({ name, file, seeds, environment: env })
    assert.deepEqual(choose('kept'), [1, 2, 3])
    assert.deepEqual(chooseSeeds({ name: 'kept', file, seeds: 2 }), [1, 2])
    writeFileSync(join(directory, 'seeds.json'), JSON.stringify({ kept: [4711, 2] }))
    assert.deepEqual(choose('kept'), [4711, 2, 1, 3])
    assert.deepEqual(choose('kept', {}, [7, 2]), [4711, 2, 7])
    assert.deepEqual(choose('other'), [1, 2, 3])
    assert.deepEqual(choose('kept', { MILLRACE_SIM_SEED: '17' }), [17])
    assert.deepEqual(choose('other', { MILLRACE_SIM_SEEDS: '5' }), [1, 2, 3, 4, 5])
    assert.deepEqual(choose('other', { MILLRACE_SIM_SEEDS: '5' }, [9]), [9])
    const isInvalid = (error: unknown): boolean => isError(error, 'SIM_OPTION_INVALID')
    assert.throws(() => choose('other', { MILLRACE_SIM_SEED: 'x' }), isInvalid)
    writeFileSync(join(directory, 'seeds.json'), JSON.stringify({ kept: 'all' }))
    assert.throws(() => choose('kept'), isInvalid)
    assert.match(
      replayCommand({ name: "it's (one)", file }, 5),
      /^MILLRACE_SIM_SEED=5 node --test --test-name-pattern='it'\\''s \\\(one\\\)' .*some\.sim\.test\.ts$/,
    )
  } finally {
    rmSync(directory, { recursive: true })
  }
})
