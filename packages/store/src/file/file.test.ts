import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { silentLogger, type Logger } from '@millrace/core'
import { openNodeDisk } from '@millrace/log/disk'
import type { SnapshotStore } from '../snapshots.ts'
import { chunk, chunksOf, meta, testSnapshotStore } from '../suite.ts'
import { openFileSnapshotStore } from './index.ts'

let root = ''
let count = 0

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-store-'))
})
after(() => rm(root, { recursive: true, force: true }))

const open = (directory: string, logger: Logger = silentLogger): Promise<SnapshotStore> =>
  openFileSnapshotStore({ disk: openNodeDisk(root), logger, directory })

testSnapshotStore('file', () => open(`suite-${count++}/snapshots`))

test('snapshots outlive the store; the two newest files are kept', async () => {
  const store = await open('outlive')
  for (let round = 1; round <= 5; round++) await store.save('view', meta(round), [chunk(9, round)])
  await store.close()
  const again = await open('outlive')
  const found = await again.load('view')
  assert.deepEqual(found?.meta, meta(5))
  assert.deepEqual(await chunksOf(found), [chunk(9, 5)])
  assert.deepEqual(await readdir(join(root, 'outlive/s-view')), [
    '0000000000000004.snapshot',
    '0000000000000005.snapshot',
  ])
  await again.close()
})

test('any damage of the newest file falls back to the one before, then to nothing, and says so', async () => {
  const warnings: string[] = []
  const logger: Logger = { ...silentLogger, warn: message => void warnings.push(message) }
  const store = await open('damage', logger)
  await store.save('view', meta(1), [chunk(300, 1)])
  await store.save('view', meta(2), [chunk(40, 2), chunk(0, 0), chunk(20, 3)])
  const path = join(root, 'damage/s-view/0000000000000002.snapshot')
  const good = await readFile(path)
  const check = async (bytes: Uint8Array, what: string): Promise<void> => {
    await writeFile(path, bytes)
    const found = await store.load('view')
    assert.deepEqual(found?.meta, meta(1), what)
    assert.deepEqual(await chunksOf(found), [chunk(300, 1)], what)
  }
  for (let at = 0; at < good.length; at++) {
    await check(good.subarray(0, at), `cut at ${at}`)
    const flipped = Uint8Array.from(good)
    flipped[at] = (flipped[at] as number) ^ (1 << (at & 7))
    await check(flipped, `flipped at ${at}`)
  }
  await check(Buffer.concat([good, Buffer.from([0])]), 'a byte behind the end')
  assert.ok(warnings.every(text => text.includes('the one before it is tried')))
  await writeFile(join(root, 'damage/s-view/0000000000000001.snapshot'), 'MRSNAP01')
  assert.equal(await store.load('view'), undefined)
  assert.match(warnings.at(-1) as string, /folded from the log/)
  await writeFile(path, good)
  assert.deepEqual((await store.load('view'))?.meta, meta(2))
  await store.close()
})

test('a damaged file does not count among the two that are kept', async () => {
  const store = await open('prune')
  await store.save('view', meta(1), [])
  await store.save('view', meta(2), [])
  await writeFile(join(root, 'prune/s-view/0000000000000002.snapshot'), 'x')
  assert.deepEqual((await store.load('view'))?.meta, meta(1))
  await store.save('view', meta(3), [])
  await writeFile(join(root, 'prune/s-view/0000000000000003.snapshot'), 'x')
  assert.deepEqual((await store.load('view'))?.meta, meta(1))
  await store.close()
})

test('a snapshot copied under another name is not taken for its own', async () => {
  const store = await open('swap')
  await store.save('a', meta(1), [])
  await store.save('b', meta(2), [])
  const file = '0000000000000001.snapshot'
  await writeFile(join(root, 'swap/s-b', file), await readFile(join(root, 'swap/s-a', file)))
  assert.equal(await store.load('b'), undefined)
  await store.close()
})

test('a snapshot that is being read stays readable while others are saved', async () => {
  const store = await open('reading')
  await store.save('view', meta(1), [chunk(300_000, 1), chunk(300_000, 2)])
  const found = await store.load('view')
  const chunks: Uint8Array[] = []
  for await (const one of found?.chunks ?? []) {
    for (let round = 0; round < 3; round++) await store.save('view', meta(2), [])
    chunks.push(one)
  }
  assert.deepEqual(chunks, [chunk(300_000, 1), chunk(300_000, 2)])
  await store.save('view', meta(3), [])
  assert.equal((await readdir(join(root, 'reading/s-view'))).length, 2)
  await store.close()
})

test('foreign files and cut-off saves are ignored and cleared away', async () => {
  const store = await open('foreign')
  await store.save('view', meta(1), [])
  const path = join(root, 'foreign/s-view')
  await writeFile(join(path, '0000000000000002.writing'), 'cut off')
  await writeFile(join(root, 'foreign/README'), 'not ours')
  assert.deepEqual(await store.list(), ['view'])
  await store.save('view', meta(2), [])
  assert.deepEqual((await readdir(path)).length, 2)
  assert.deepEqual((await store.load('view'))?.meta, meta(2))
  await store.close()
})

test('a file that changes between its check and its reading is refused while it is read', async () => {
  const store = await open('changing')
  await store.save('view', meta(1), [chunk(10, 1)])
  const path = join(root, 'changing/s-view/0000000000000001.snapshot')
  const found = await store.load('view')
  const bytes = await readFile(path)
  bytes[bytes.length - 12] = (bytes[bytes.length - 12] as number) ^ 1
  await writeFile(path, bytes)
  await assert.rejects(chunksOf(found), /SNAPSHOT_DAMAGED|is damaged/)
  await store.close()
})
