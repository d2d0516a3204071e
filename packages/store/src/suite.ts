/** The tests that every snapshot store passes. For test files only. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isError } from '@millrace/core'
import {
  CHUNK_BYTES_MAX,
  type Snapshot,
  type SnapshotMeta,
  type SnapshotStore,
} from './snapshots.ts'

/** Registers the contract tests; `open` gives a new, empty store for each. */
export function testSnapshotStore(title: string, open: () => Promise<SnapshotStore>): void {
  describe(`snapshot store: ${title}`, () => {
    const cases: Readonly<Record<string, (store: SnapshotStore) => Promise<void>>> = {
      'a snapshot comes back with its facts and its chunks, border for border': roundTrip,
      'a save replaces the one before, also under a name that differs in case only': replaces,
      'a save whose chunks throw leaves the one before': keepsOnThrow,
      'saves of one name run one after the other, the last one stays': concurrentSaves,
      'names of any characters stay apart and are listed': names,
      'a name that is empty, too long or ill-formed is refused': badNames,
      'facts that are not JSON and chunks that are too large are refused': badInput,
      'a removed name has no snapshot; removing twice is harmless': removal,
      'what the caller changes after a save is not in the snapshot': isolation,
    }
    for (const [name, run] of Object.entries(cases)) {
      test(name, async () => {
        const store = await open()
        await run(store)
        await store.close()
      })
    }
    test('a closed store refuses every call', async () => {
      const store = await open()
      await store.close()
      const closed = (error: unknown): boolean => isError(error, 'SNAPSHOT_STORE_CLOSED')
      await assert.rejects(store.save('a', meta(1), []), closed)
      await assert.rejects(store.load('a'), closed)
      await assert.rejects(store.list(), closed)
      await assert.rejects(store.remove('a'), closed)
      await store.close()
    })
  })
}

/** Facts for tests. */
export function meta(number: number): SnapshotMeta {
  return { version: `v${number}`, info: { position: { 'clips/0': number }, note: 'ä☃' } }
}

/** A repeatable chunk for tests. */
export function chunk(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let index = 0; index < length; index++) bytes[index] = index * 31 + seed * 7 + (index >> 8)
  return bytes
}

/** All chunks of a snapshot that must be there. */
export async function chunksOf(snapshot: Snapshot | undefined): Promise<Uint8Array[]> {
  assert.ok(snapshot !== undefined, 'there is no snapshot')
  const chunks: Uint8Array[] = []
  for await (const one of snapshot.chunks) chunks.push(one)
  return chunks
}

async function roundTrip(store: SnapshotStore): Promise<void> {
  assert.equal(await store.load('view'), undefined)
  const sizes = [0, 1, 255, 256, 0, 70_000, 262_144, 262_143, 600_000, 3]
  const chunks = sizes.map((size, index) => chunk(size, index))
  await store.save('view', meta(1), chunks)
  const found = await store.load('view')
  assert.deepEqual(found?.meta, meta(1))
  const back = await chunksOf(found)
  assert.deepEqual(
    back.map(one => one.length),
    sizes,
  )
  back.forEach((one, index) => assert.ok(Buffer.from(one).equals(chunks[index] as Uint8Array)))
  await store.save('empty', { version: '', info: null }, [])
  assert.deepEqual(await chunksOf(await store.load('empty')), [])
}

async function replaces(store: SnapshotStore): Promise<void> {
  for (let round = 1; round <= 4; round++) {
    await store.save('view', meta(round), [chunk(round, round)])
    await store.save('View', meta(-round), [])
    const found = await store.load('view')
    assert.deepEqual(found?.meta, meta(round))
    assert.deepEqual(await chunksOf(found), [chunk(round, round)])
  }
  assert.deepEqual((await store.load('View'))?.meta, meta(-4))
}

async function keepsOnThrow(store: SnapshotStore): Promise<void> {
  await store.save('view', meta(1), [chunk(10, 1)])
  const failing = async function* (): AsyncGenerator<Uint8Array> {
    yield chunk(400_000, 2)
    throw new RangeError('the state is in two minds')
  }
  await assert.rejects(store.save('view', meta(2), failing()), RangeError)
  assert.deepEqual((await store.load('view'))?.meta, meta(1))
  await store.save('view', meta(3), [])
  assert.deepEqual((await store.load('view'))?.meta, meta(3))
}

async function concurrentSaves(store: SnapshotStore): Promise<void> {
  const numbers = Array.from({ length: 12 }, (_, index) => index)
  await Promise.all(
    numbers.map(number =>
      store.save('view', meta(number), [chunk(1000, number), chunk(5, number)]),
    ),
  )
  const found = await store.load('view')
  assert.deepEqual(found?.meta, meta(11))
  assert.deepEqual(await chunksOf(found), [chunk(1000, 11), chunk(5, 11)])
}

async function names(store: SnapshotStore): Promise<void> {
  const all = [
    'a',
    'A',
    '.',
    '..',
    'a/b',
    'a=2fb',
    'con',
    'ü',
    '\u{1f600}',
    '\ufeffx',
    'x y',
    '-',
    's-a',
  ]
  for (const [index, name] of all.entries()) await store.save(name, meta(index), [])
  assert.deepEqual(await store.list(), [...all].sort())
  for (const [index, name] of all.entries()) {
    assert.deepEqual((await store.load(name))?.meta, meta(index), name)
  }
}

async function badNames(store: SnapshotStore): Promise<void> {
  for (const name of ['', 'x'.repeat(201), 'Ä'.repeat(40), '\ud800']) {
    const refused = (error: unknown): boolean => isError(error, 'SNAPSHOT_NAME_INVALID')
    await assert.rejects(store.save(name, meta(1), []), refused)
    await assert.rejects(store.load(name), refused)
    await assert.rejects(store.remove(name), refused)
  }
  await store.save('x'.repeat(200), meta(1), [])
  assert.ok((await store.load('x'.repeat(200))) !== undefined)
}

async function badInput(store: SnapshotStore): Promise<void> {
  const refused = (error: unknown): boolean => isError(error, 'SNAPSHOT_INVALID')
  await assert.rejects(store.save('view', { version: 'v', info: 1n }, []), refused)
  const large = new Uint8Array(CHUNK_BYTES_MAX + 1)
  await assert.rejects(store.save('view', meta(1), [large]), refused)
  assert.equal(await store.load('view'), undefined)
  assert.deepEqual(await store.list(), [])
}

async function removal(store: SnapshotStore): Promise<void> {
  await store.save('a', meta(1), [chunk(3, 1)])
  await store.save('b', meta(2), [])
  await store.remove('a')
  await store.remove('a')
  assert.equal(await store.load('a'), undefined)
  assert.deepEqual(await store.list(), ['b'])
  await store.save('a', meta(3), [])
  assert.deepEqual((await store.load('a'))?.meta, meta(3))
}

async function isolation(store: SnapshotStore): Promise<void> {
  const bytes = chunk(100, 1)
  const info = { position: 1 }
  await store.save('view', { version: 'v', info }, [bytes])
  bytes.fill(0)
  info.position = 2
  const found = await store.load('view')
  assert.deepEqual(found?.meta.info, { position: 1 })
  const [first] = await chunksOf(found)
  assert.deepEqual(first, chunk(100, 1))
  first?.fill(9)
  assert.deepEqual(await chunksOf(await store.load('view')), [chunk(100, 1)])
}
