import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createSeededRandom, isError, silentLogger, systemClock } from '@millrace/core'
import { openNodeDisk } from '../disk/index.ts'
import type { DuplicateIndex, Place } from '../duplicates.ts'
import { openDuplicateIndex } from './disk-index.ts'
import { uuidAt } from './ids-for-tests.ts'

const COUNT = 3000
let root = ''
const ids: string[] = []

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-damage-'))
  const random = createSeededRandom(11)
  const index = await open()
  for (let number = 0; number < COUNT; number++) {
    const kind = number % 3
    const id =
      kind === 0
        ? uuidAt(random, 1.7e12 + number, 7)
        : kind === 1
          ? uuidAt(random, 0, 4)
          : `text ${number} ${random.next()}`
    ids.push(id)
    index.insert(id, { stream: 0, partition: 0, offset: number })
  }
  await index.checkpoint(7, { force: true })
  await index.close()
})
after(() => rm(root, { recursive: true, force: true }))

const open = (): Promise<DuplicateIndex> =>
  openDuplicateIndex({
    disk: openNodeDisk(root),
    clock: systemClock,
    random: createSeededRandom(1),
    logger: silentLogger,
    directory: 'ids',
    options: { forTests: { tableEntries: 8192, cachePages: 256 } },
  })

const find = async (index: DuplicateIndex, id: string): Promise<Place | undefined> => {
  const place = index.lookup(id)
  return place === 'unsure' ? await index.lookupSlow(id) : place
}

/** Opens and asks for every id: each answer is right, or the damage is named with its remedy. */
async function refusals(): Promise<number> {
  const refused = (error: unknown): void => {
    assert.ok(isError(error, 'LOG_DAMAGED'), String(error))
    assert.match(error.remedy, /delete the directory ids/)
  }
  let index: DuplicateIndex
  try {
    index = await open()
  } catch (error) {
    refused(error)
    return 1
  }
  let count = 0
  for (let number = 0; number < COUNT; number += 13) {
    try {
      assert.equal((await find(index, ids[number] as string))?.offset, number)
    } catch (error) {
      refused(error)
      count += 1
    }
  }
  await index.close()
  return count
}

const paths = async (): Promise<string[]> =>
  (await readdir(join(root, 'ids'))).map(name => join(root, 'ids', name))

test('every kind of file is there, and undamaged files are not refused', async () => {
  const names = (await readdir(join(root, 'ids'))).map(name => name.replace(/^\d+/, ''))
  assert.deepEqual(names.sort(), ['.run', '.run', '.run', '.texts', 'manifest'])
  assert.equal(await refusals(), 0)
})

test('flipped bits anywhere are named or do not matter, never answered wrongly', async () => {
  const random = createSeededRandom(5)
  for (const path of await paths()) {
    const good = await readFile(path)
    let noticed = 0
    for (let round = 0; round < 25; round++) {
      const bad = Uint8Array.from(good)
      const at = Math.floor(random.next() * bad.length)
      bad[at] = (bad[at] as number) ^ (1 << Math.floor(random.next() * 8))
      await writeFile(path, bad)
      if ((await refusals()) > 0) noticed += 1
    }
    await writeFile(path, good)
    assert.ok(noticed > 0, `damage of ${path} is noticed`)
  }
})

test('files cut off, emptied, prolonged or missing are named', async () => {
  for (const path of await paths()) {
    const good = await readFile(path)
    for (const length of [0, 1, 4095, 4096, Math.floor(good.length / 2), good.length - 1]) {
      if (length >= good.length) continue
      await writeFile(path, good.subarray(0, length))
      assert.ok((await refusals()) > 0, `${path} cut off at ${length}`)
    }
    if (path.endsWith('manifest')) {
      await writeFile(path, Buffer.concat([good, Buffer.from('\n')]))
      assert.ok((await refusals()) > 0)
    } else {
      await rm(path)
      assert.equal(await refusals(), 1)
    }
    await writeFile(path, good)
  }
  assert.equal(await refusals(), 0)
})

test('a page that belongs elsewhere is named though its checksum is right', async () => {
  for (const path of await paths()) {
    const good = await readFile(path)
    if (good.length < 4096 * 3 || path.endsWith('manifest')) continue
    const bad = Buffer.from(good)
    good.copy(bad, 4096, 4096 * 2, 4096 * 3)
    await writeFile(path, bad)
    assert.ok((await refusals()) > 0, path)
    await writeFile(path, good)
  }
})

test('random bytes as a manifest are refused', async () => {
  const path = join(root, 'ids', 'manifest')
  const good = await readFile(path)
  const random = createSeededRandom(9)
  for (let round = 0; round < 50; round++) {
    await writeFile(path, random.fill(new Uint8Array(Math.floor(random.next() * 400))))
    assert.equal(await refusals(), 1)
  }
  await writeFile(path, good)
})

test('a manifest of a newer format is refused as such', async () => {
  const { crc32 } = await import('node:zlib')
  const path = join(root, 'ids', 'manifest')
  const good = await readFile(path)
  const line = '{"format":2}'
  await writeFile(path, `${crc32(line).toString(16).padStart(8, '0')}\n${line}\n`)
  await assert.rejects(open(), error => isError(error, 'LOG_FORMAT_UNKNOWN'))
  await writeFile(path, good)
})

test('a lost manifest starts again from nothing, and leftovers are removed', async () => {
  const manifest = join(root, 'ids', 'manifest')
  await rm(manifest)
  await writeFile(`${manifest}.writing`, 'cut off')
  const index = await open()
  assert.equal(index.durableMark(), 0)
  assert.equal(index.stats().ids, 0)
  assert.deepEqual(await readdir(join(root, 'ids')), [])
  await index.close()
  assert.equal((await stat(join(root, 'ids'))).isDirectory(), true)
})
