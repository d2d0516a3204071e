import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createSeededRandom, deriveId, isError, silentLogger, systemClock } from '@millrace/core'
import { openNodeDisk } from '../disk/index.ts'
import type { DuplicateIndex, Place } from '../duplicates.ts'
import { openDuplicateIndex } from './disk-index.ts'
import { uuidAt } from './ids-for-tests.ts'
import type { DuplicateIndexOptions } from './options.ts'

let root = ''
let directories = 0
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-dedup-unit-'))
})
after(() => rm(root, { recursive: true, force: true }))

const open = (
  directory = `d${directories++}`,
  forTests: DuplicateIndexOptions['forTests'] = { tableEntries: 512, cachePages: 256 },
): Promise<DuplicateIndex> =>
  openDuplicateIndex({
    disk: openNodeDisk(root),
    clock: systemClock,
    random: createSeededRandom(1),
    logger: silentLogger,
    directory,
    options: { forTests },
  })

const at = (offset: number): Place => ({ stream: 1, partition: 2, offset })
const find = async (index: DuplicateIndex, id: string): Promise<Place | undefined> => {
  const place = index.lookup(id)
  return place === 'unsure' ? await index.lookupSlow(id) : place
}

for (const hashBits of [32, 0]) {
  test(`ids that look alike are told apart with ${hashBits} bits of hash`, () =>
    tellApart(hashBits))
}

async function tellApart(hashBits: number): Promise<void> {
  const index = await open(undefined, { tableEntries: 512, cachePages: 256, hashBits })
  const uuid = '0190a6f2-7c3d-7abc-8def-0123456789ab'
  const alike = [
    uuid,
    uuid.toUpperCase(),
    uuid.replace('7abc', '4abc'),
    uuid.replaceAll('-', ''),
    uuid.replace('-', '_'),
    `${uuid} `,
    uuid.replace('a', '\u0430'),
    uuid.replace('a', 'g'),
    'a',
    'a\0',
    '\ud800',
    '\ud801',
    '\ufffd',
    'aa',
    // The same bytes: Latin-1 of one, UTF-16 of the other.
    '\u0061\u0001',
    '\u0161',
    'x'.repeat(128),
    'x'.repeat(127),
    '\u2603'.repeat(128),
  ]
  for (let round = 0; round < 2; round++) {
    for (const [number, id] of alike.entries()) {
      assert.deepEqual(await find(index, id), round === 0 ? undefined : at(number), id)
      if (round === 0) index.insert(id, at(number))
    }
  }
  await index.checkpoint(1, { force: true })
  for (const [number, id] of alike.entries())
    assert.deepEqual(await find(index, id), at(number), id)
  await index.close()
}

test('ordered ids later than all runs are new without a file being read', async () => {
  const index = await open()
  const random = createSeededRandom(2)
  for (let number = 0; number < 20_000; number++) {
    const id =
      number % 2 === 0 ? uuidAt(random, 1.7e12 + number, 7) : deriveId(1.7e12 + number, `${number}`)
    assert.equal(index.lookup(id), undefined)
    index.insert(id, at(number))
    if (number % 100 === 0) await index.checkpoint(number)
  }
  const { slowLookups, runs, ids } = index.stats()
  assert.equal(slowLookups, 0)
  assert.equal(ids, 20_000)
  assert.ok(runs < 30, `${runs} runs`)
  await index.close()
})

test('an import of old events and a clock years ahead leave new ids new at once', async () => {
  const index = await open()
  const random = createSeededRandom(3)
  let unsure = 0
  for (let number = 0; number < 20_000; number++) {
    const id = uuidAt(random, 1.7e12 + number, 7)
    if (index.lookup(id) === 'unsure') unsure += 1
    index.insert(id, at(number))
    const old = uuidAt(random, 1.2e12 + number * 1000, 8)
    assert.equal(await find(index, old), undefined)
    index.insert(old, at(number))
    if (number % 500 === 0) index.insert(uuidAt(random, 4e12 + number, 7), at(number))
    if (number % 50 === 0) await index.checkpoint(number)
  }
  assert.ok(unsure < 20, `${unsure} of 20,000 live ids asked for files`)
  await index.close()
})

test('places up to the limits are kept, places beyond are refused', async () => {
  const index = await open()
  const most = { stream: 4095, partition: 4095, offset: 2 ** 38 - 1 }
  const ids = ['most', deriveId(1, 'a'), uuidAt(createSeededRandom(4), 0, 4)]
  for (const id of ids) index.insert(id, most)
  await index.checkpoint(1, { force: true })
  for (const id of ids) assert.deepEqual(await find(index, id), most)
  for (const place of [
    { ...most, stream: 4096 },
    { ...most, partition: 4096 },
    { ...most, offset: 2 ** 38 },
    { ...most, offset: -1 },
    { ...most, offset: 0.5 },
  ]) {
    assert.throws(
      () => index.insert('beyond', place),
      error => isError(error, 'UNSUPPORTED'),
    )
  }
  await index.close()
})

test('nothing is written before the events are durable, and nothing when they never are', async () => {
  const directory = `d${directories++}`
  const index = await open(directory)
  index.insert('a', at(1))
  let resolve = (): void => undefined
  const durable = new Promise<void>(done => (resolve = done))
  const checkpoint = index.checkpoint(5, { force: true, durable })
  index.insert('b', at(2))
  for (let turn = 0; turn < 50; turn++) await new Promise<void>(done => systemClock.soon(done))
  assert.equal(index.durableMark(), 0)
  assert.deepEqual(await find(index, 'a'), at(1))
  resolve()
  await checkpoint
  assert.equal(index.durableMark(), 5)
  await assert.rejects(
    index.checkpoint(6, { force: true, durable: Promise.reject(new RangeError('no sync')) }),
    RangeError,
  )
  await assert.rejects(index.checkpoint(7, { force: true }), RangeError)
  assert.deepEqual([await find(index, 'a'), await find(index, 'b')], [at(1), at(2)])
  await index.close()
  const again = await open(directory)
  assert.equal(again.durableMark(), 5)
  assert.deepEqual([await find(again, 'a'), await find(again, 'b')], [at(1), undefined])
  await again.close()
})

test('a table that is not handed over in time grows and forgets nothing', async () => {
  const index = await open()
  for (let number = 0; number < 5000; number++) index.insert(`id ${number}`, at(number))
  for (let number = 0; number < 5000; number++)
    assert.deepEqual(index.lookup(`id ${number}`), at(number))
  await index.checkpoint(1)
  await index.checkpoint(2, { force: true })
  for (let number = 0; number < 5000; number += 7) {
    assert.deepEqual(await find(index, `id ${number}`), at(number))
  }
  await index.close()
})

test('many lookups at once with a small cache all end, while runs are written and merged', async () => {
  const index = await open(`d${directories++}`, { tableEntries: 256, cachePages: 32 })
  const random = createSeededRandom(6)
  const ids = Array.from({ length: 8000 }, () => uuidAt(random, 0, 4))
  for (const [number, id] of ids.entries()) {
    index.insert(id, at(number))
    if (number % 100 === 0) await index.checkpoint(number)
    if (number % 1000 !== 999) continue
    const asked = ids.slice(0, number).filter((_, other) => other % 9 === 0)
    const places = await Promise.all(asked.map(each => index.lookupSlow(each)))
    places.forEach((place, other) => assert.deepEqual(place, at(other * 9)))
  }
  assert.ok(index.stats().runs < 24, `${index.stats().runs} runs`)
  await index.close()
})

test('ids with one first half, and ids in reverse order, are sorted and found', async () => {
  const index = await open(`d${directories++}`, { tableEntries: 4096, cachePages: 256 })
  const ids = Array.from({ length: 3000 }, (_, number) => {
    const tail = (3000 - number).toString(16).padStart(12, '0')
    return number % 2 === 0
      ? `0190a6f2-7c3d-7abc-8def-${tail}`
      : `${(9000 - number).toString(16).padStart(8, '0')}-7c3d-7abc-8def-${tail}`
  })
  ids.forEach((id, number) => index.insert(id, at(number)))
  await index.checkpoint(1, { force: true })
  for (const [number, id] of ids.entries()) assert.deepEqual(await find(index, id), at(number))
  await index.close()
})

test('memory stays within its bound and files within reason', async () => {
  const directory = `d${directories++}`
  const memoryBytesMax = 8 * 1024 * 1024
  const index = await openDuplicateIndex({
    disk: openNodeDisk(root),
    clock: systemClock,
    random: createSeededRandom(1),
    logger: silentLogger,
    directory,
    options: { memoryBytesMax },
  })
  const random = createSeededRandom(8)
  let most = 0
  for (let number = 0; number < 200_000; number++) {
    const id = number % 4 === 0 ? `text ${number}` : uuidAt(random, 1.7e12 + number, 7)
    index.insert(id, at(number))
    if (number % 1000 === 0) {
      await index.checkpoint(number)
      most = Math.max(most, index.stats().memoryBytes)
    }
  }
  await index.checkpoint(1, { force: true })
  assert.ok(most <= memoryBytesMax, `${most} bytes`)
  const { diskBytes } = index.stats()
  assert.ok(diskBytes < 200_000 * 40, `${diskBytes} bytes on disk`)
  await index.close()
  assert.ok((await readdir(join(root, directory))).length < 60)
})

test('a closed index refuses every call', async () => {
  const index = await open()
  await index.close()
  await index.close()
  const closed = (error: unknown): boolean => isError(error, 'LOG_CLOSED')
  assert.throws(() => index.lookup('a'), closed)
  assert.throws(() => index.insert('a', at(1)), closed)
  await assert.rejects(index.lookupSlow('a'), closed)
  await assert.rejects(index.checkpoint(1), closed)
})

test('an id that is inserted again gets the new place', async () => {
  const index = await open()
  for (const id of ['a', deriveId(1, 'a')]) {
    index.insert(id, at(1))
    index.insert(id, at(2))
    assert.deepEqual(index.lookup(id), at(2))
  }
  assert.equal(index.stats().ids, 2)
  await index.close()
})

test('a merge that meets damage says so once, leaves no file, and everything else is still found', async () => {
  const directory = `d${directories++}`
  const errors: unknown[] = []
  const index = await openDuplicateIndex({
    disk: openNodeDisk(root),
    clock: systemClock,
    random: createSeededRandom(1),
    logger: { ...silentLogger, error: (_, fields) => void errors.push(fields?.['reason']) },
    directory,
    options: { forTests: { tableEntries: 512, cachePages: 256 } },
  })
  const random = createSeededRandom(2)
  const ids = Array.from({ length: 450 }, (_, number) => uuidAt(random, 1.7e12 + number, 7))
  for (const [number, id] of ids.entries()) {
    index.insert(id, at(number))
    if (number % 50 !== 49) continue
    if (number === 399) {
      const path = join(root, directory, '000000000003.run')
      const bytes = await readFile(path)
      bytes[5000] = (bytes[5000] as number) ^ 1
      await writeFile(path, bytes)
    }
    await index.checkpoint(number, { force: true })
  }
  for (let turns = 0; errors.length === 0 && turns < 20_000; turns++) {
    await new Promise<void>(resolve => systemClock.soon(resolve))
  }
  assert.equal(errors.length, 1)
  assert.match(String(errors[0]), /000000000003\.run is damaged at byte 4096/)
  for (const [number, id] of ids.entries()) {
    const isDamaged = number >= 100 && number < 150
    if (isDamaged) await assert.rejects(find(index, id), error => isError(error, 'LOG_DAMAGED'))
    else assert.deepEqual(await find(index, id), at(number))
  }
  await index.close()
  assert.equal((await readdir(join(root, directory))).length, 10)
})
