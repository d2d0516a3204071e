import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isError, silentLogger, type Disk } from '@millrace/core'
import { createSimWorld, failEachCall, simulate, type SimWorld } from '@millrace/sim'
import type { SnapshotStore } from '../snapshots.ts'
import { chunk, chunksOf, meta } from '../suite.ts'
import { openFileSnapshotStore } from './index.ts'

const open = (disk: Disk): Promise<SnapshotStore> =>
  openFileSnapshotStore({ disk, logger: silentLogger, directory: 'data/snapshots' })

const chunksFor = (number: number): Uint8Array[] =>
  Array.from({ length: 1 + (number % 4) }, (_, index) => chunk(100 + number * 37, index + number))

/** The number of the snapshot that is loaded, after checking all of its bytes; 0 for none. */
async function loaded(store: SnapshotStore, name: string): Promise<number> {
  const found = await store.load(name)
  if (found === undefined) return 0
  const number = Number(found.meta.version.slice(1))
  assert.deepEqual(found.meta, meta(number))
  assert.deepEqual(await chunksOf(found), chunksFor(number))
  return number
}

test('crashes at any moment: a snapshot is the last one saved, or the one being saved', async () => {
  await simulate({
    name: 'crashes at any moment: a snapshot is the last one saved, or the one being saved',
    file: import.meta.url,
    environment: process.env,
    seeds: 12,
    async scenario(world) {
      const names = ['a', 'B/ü', 'c']
      const saved = new Map<string, number>()
      let number = 0
      for (let lives = 0; lives < 6; lives++) {
        const process = world.startProcess()
        const store = await open(process.disk)
        for (const name of names) {
          const found = await loaded(store, name)
          const least = saved.get(name) ?? 0
          assert.ok(found >= least && found <= number, `${name}: ${found}, saved ${least}`)
          saved.set(name, found)
        }
        const saving = async (name: string): Promise<void> => {
          while (process.isAlive) {
            number += 1
            const mine = number
            await store.save(name, meta(mine), chunksFor(mine))
            if (process.isAlive) saved.set(name, mine)
          }
        }
        // A killed process never answers again, so that these may never end.
        for (const name of names) void saving(name)
        await world.clock.sleep(5 + world.random.next() * 200)
        process.kill()
        if (world.random.next() < 0.8) world.disk.crash()
        world.trace('killed', [...saved.values()])
      }
    },
  })
})

test('each call of the disk fails once: the save tells, and what was saved before stays', async () => {
  for (const effect of ['fail', 'full', 'applied', 'short', 'drop'] as const) {
    const failed = await failEachCall({
      effect,
      callsMax: 200,
      async run(fault, nth) {
        const world = createSimWorld(nth)
        const armed = world.disk.inject(fault)
        await world.clock.drive(() => saveDespiteFaults(world))
        const { hits } = armed
        return hits
      },
    })
    assert.ok(failed >= (effect === 'drop' ? 4 : 30), `${effect}: ${failed} calls were failed`)
  }
})

async function saveDespiteFaults(world: SimWorld): Promise<void> {
  const process = world.startProcess()
  const registeredOnly = (error: unknown): undefined => {
    assert.ok(isError(error), String(error))
    return undefined
  }
  let store: SnapshotStore | undefined
  let saved = 0
  for (let number = 1; number <= 4; number++) {
    store ??= await open(process.disk).catch(registeredOnly)
    if (store === undefined) continue
    const done = await store
      .save('view', meta(number), chunksFor(number))
      .then(() => true, registeredOnly)
    if (done === true) saved = number
    const found = await loaded(store, 'view').catch(registeredOnly)
    if (found !== undefined && found !== 0)
      assert.ok(found >= saved - 1, `${found}, saved ${saved}`)
  }
  process.kill()
  world.disk.repair()
  world.disk.crash()
  const again = await open(world.startProcess().disk)
  const found = await loaded(again, 'view')
  assert.ok(found >= saved, `after the crash ${found}, saved ${saved}`)
  await again.save('view', meta(5), chunksFor(5))
  assert.equal(await loaded(again, 'view'), 5)
  await again.close()
}

test('bits that rot in the newest snapshot lead to the one before', async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const world = createSimWorld(seed)
    await world.clock.drive(async () => {
      const store = await open(world.disk)
      await store.save('view', meta(1), chunksFor(1))
      await store.save('view', meta(2), chunksFor(2))
      world.disk.rot('data/snapshots/s-view/0000000000000002.snapshot', {
        bits: seed % 2 === 0 ? 1 : 9,
      })
      const found = await loaded(store, 'view')
      assert.ok(found === 1 || (found === 2 && seed % 2 === 1), `seed ${seed}: ${found}`)
      await store.close()
    })
  }
})
