import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createSeededRandom, isError, type Disk } from '@millrace/core'
import { createSimWorld, failEachCall, type SimWorld } from '@millrace/sim'
import { openNodeDisk } from '../../disk/index.ts'
import { keySuite } from '../suite.ts'
import { openFileKeys, openFileKeysView, readKeyEntries } from './index.ts'
import type { KeyStore } from '../keys.ts'

const open = (disk: Disk, seed = 1): Promise<KeyStore> =>
  openFileKeys({ disk, random: createSeededRandom(seed) })

keySuite('file', async () => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-keys-'))
  const dispose = async (): Promise<void> => rmSync(root, { recursive: true })
  return { store: await open(openNodeDisk(root), 7), dispose }
})

const inWorld = async (seed: number, work: (world: SimWorld) => Promise<void>): Promise<void> => {
  const world = createSimWorld(seed)
  await world.clock.drive(() => work(world))
}

/** The files that hold the bytes, as running code sees them or as they are on the medium. */
function filesWith({ disk }: SimWorld, bytes: Uint8Array): readonly string[] {
  const holds = (found: Uint8Array | undefined): boolean =>
    found !== undefined && Buffer.from(found).includes(Buffer.from(bytes))
  return disk.paths().filter(path => holds(disk.peek(path)) || holds(disk.peekDurable(path)))
}

interface Told {
  readonly made: Map<string, Uint8Array>
  readonly destroyed: Set<string>
}

/** Makes keys and destroys one, after another; what was told is kept in `told`. */
async function use(store: KeyStore, told: Told): Promise<void> {
  for (const names of [['ana', 'ben'], ['cleo']]) {
    await store.ensure(names)
    for (const name of names) told.made.set(name, (store.get(name) as Uint8Array).slice())
  }
  await store.destroy(['ben'])
  told.destroyed.add('ben')
  await store.ensure(['dan'])
  told.made.set('dan', (store.get('dan') as Uint8Array).slice())
  await store.close()
}

test('whichever call fails, and the power with it: a key that was told of is there, a destroyed one nowhere', async () => {
  for (const effect of ['fail', 'applied', 'short', 'drop', 'full'] as const) {
    const failed = await failEachCall({
      effect,
      callsMax: 200,
      async run(fault, nth) {
        const world = createSimWorld(nth)
        const armed = world.disk.inject(fault)
        await world.clock.drive(() => failThenLook(world, nth))
        return armed.hits
      },
    })
    assert.ok(failed >= (effect === 'drop' ? 5 : 12), `${effect}: ${failed} calls were failed`)
  }
})

async function failThenLook(world: SimWorld, nth: number): Promise<void> {
  const told: Told = { made: new Map(), destroyed: new Set() }
  const registeredOnly = (error: unknown): undefined => {
    assert.ok(isError(error), String(error))
  }
  const store = await open(world.disk).catch(registeredOnly)
  if (store !== undefined) await use(store, told).catch(registeredOnly)
  if (nth % 2 === 0) world.disk.crash()
  world.disk.repair()
  const again = await open(world.disk, 2)
  for (const [name, key] of told.made) {
    if (!again.isDestroyed(name)) assert.deepEqual(again.get(name)?.slice(), key, name)
    else assert.equal(name, 'ben')
  }
  for (const name of told.destroyed) {
    assert.ok(again.isDestroyed(name))
    assert.deepEqual(filesWith(world, told.made.get(name) as Uint8Array), [], name)
  }
  // What was begun ends when it is asked for again.
  await again.ensure(['ben'])
  await again.destroy(['ben'])
  await again.close()
  assert.equal(world.disk.paths().length, 1)
  const ben = told.made.get('ben')
  if (ben !== undefined) assert.deepEqual(filesWith(world, ben), [])
}

test('a file that is damaged is refused; one that was cut off goes on', () =>
  inWorld(3, async ({ disk }) => {
    const store = await open(disk)
    await store.ensure(['ana'])
    const first = disk.peek('keys/000000000001.keys')?.length as number
    await store.ensure(['ben'])
    await store.close()
    const whole = Uint8Array.from(disk.peek('keys/000000000001.keys') as Uint8Array)
    for (let at = first + 1; at < whole.length; at++) {
      disk.place('keys/000000000001.keys', whole.subarray(0, at))
      const cut = await open(disk)
      assert.deepEqual([cut.get('ben'), cut.get('ana')?.length], [undefined, 32])
      await cut.ensure(['cleo'])
      await cut.close()
      assert.deepEqual(
        (await readKeyEntries(disk)).map(({ name }) => name),
        ['ana', 'cleo'],
      )
    }
    for (const at of [0, 3, first - 1]) {
      const damaged = Uint8Array.from(whole)
      damaged[at] = (damaged[at] as number) ^ 0x10
      disk.place('keys/000000000001.keys', damaged)
      await assert.rejects(open(disk), error =>
        isError(error, at === 3 ? 'LOG_FORMAT_UNKNOWN' : 'KEYS_DAMAGED'),
      )
    }
  }))

test('a reader beside the owner follows it, and makes nothing', () =>
  inWorld(4, async ({ disk }) => {
    const store = await open(disk)
    const view = await openFileKeysView(disk)
    assert.deepEqual(await view.list(''), [])
    await store.ensure(['ana', 'ben'])
    await view.load(['ana'])
    assert.deepEqual(view.get('ana')?.slice(), store.get('ana')?.slice())
    await store.destroy(['ana'])
    // Of whom it knows already: the owner has begun another file.
    await view.load(['ben'])
    assert.deepEqual([view.get('ana'), view.isDestroyed('ana'), [...view.destroyed()]], [undefined, true, ['ana']]) // prettier-ignore
    assert.deepEqual(await view.entries(), await store.entries())
    await assert.rejects(view.ensure(['x']), TypeError)
    await view.close()
    await store.close()
  }))
