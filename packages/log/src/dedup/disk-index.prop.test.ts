import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  createSeededRandom,
  silentLogger,
  systemClock,
  type Logger,
  type Random,
} from '@millrace/core'
import { openNodeDisk } from '../disk/index.ts'
import type { DuplicateIndex, Place } from '../duplicates.ts'
import { openDuplicateIndex } from './disk-index.ts'
import { uuidAt } from './ids-for-tests.ts'
import type { DuplicateIndexOptions } from './options.ts'

let root = ''
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-dedup-'))
})
after(() => rm(root, { recursive: true, force: true }))

const logger: Logger = {
  ...silentLogger,
  error: (message, fields) => assert.fail(`${message}: ${JSON.stringify(fields)}`),
}

const open = (directory: string, options: DuplicateIndexOptions): Promise<DuplicateIndex> =>
  openDuplicateIndex({
    disk: openNodeDisk(root),
    clock: systemClock,
    random: createSeededRandom(7),
    logger,
    directory,
    options,
  })

const placeAt = (number: number): Place => ({
  stream: number % 4096,
  partition: (number * 7) % 4096,
  offset: number * 11 + (number % 2 === 0 ? 2 ** 37 : 0),
})

/** Ids of all kinds, now and then one that was there before. */
function createIds(random: Random): () => string {
  const known: string[] = []
  let liveMs = 1.75e12
  let importMs = 1.5e12
  const fresh = (): string => {
    const kind = random.next()
    liveMs += Math.floor(random.next() * 20)
    importMs += Math.floor(random.next() * 5000)
    if (kind < 0.3) return uuidAt(random, liveMs, 7)
    if (kind < 0.33) return uuidAt(random, liveMs - Math.floor(random.next() * 1e6), 7)
    if (kind < 0.55) return uuidAt(random, importMs, 8)
    if (kind < 0.56) return uuidAt(random, 4e12, 7)
    if (kind < 0.7) return uuidAt(random, 0, 4)
    const number = Math.floor(random.next() * 1e12)
    if (kind < 0.9) return `order-${number}`
    if (kind < 0.95) return `commande-é-${number}`
    if (kind < 0.99) return `\u2603\ud800${number}`
    return `${'x'.repeat(100)}${number}`
  }
  return () => {
    if (known.length > 0 && random.next() < 0.1) {
      return known[Math.floor(random.next() * known.length)] as string
    }
    const id = fresh()
    known.push(id)
    return id
  }
}

async function find(index: DuplicateIndex, id: string): Promise<Place | undefined> {
  const place = index.lookup(id)
  return place === 'unsure' ? await index.lookupSlow(id) : place
}

/** Feeds `count` ids to an index and a Map, and compares every answer; then all of them again, after a restart too. */
async function compareWithMap(
  directory: string,
  options: DuplicateIndexOptions,
  count: number,
  seed: number,
): Promise<void> {
  let index = await open(directory, options)
  const map = new Map<string, Place>()
  const nextId = createIds(createSeededRandom(seed))
  const check = async (id: string): Promise<boolean> => {
    const expected = map.get(id)
    const place = await find(index, id)
    assert.deepEqual(place, expected, `${id}, seed ${seed}`)
    return place === undefined
  }
  for (let number = 1; number <= count; number++) {
    const id = nextId()
    if (await check(id)) {
      map.set(id, placeAt(number))
      index.insert(id, placeAt(number))
    }
    if (number % 256 === 0) await index.checkpoint(number)
  }
  await index.checkpoint(count, { force: true })
  assert.equal(index.durableMark(), count)
  assert.equal(index.stats().ids, map.size)
  await index.close()
  index = await open(directory, options)
  assert.equal(index.durableMark(), count)
  for (const id of map.keys()) await check(id)
  await index.close()
}

test('small tables: every answer equals that of a Map', async () => {
  for (const seed of [1, 2, 3]) {
    const forTests = { tableEntries: 512, cachePages: 64 }
    await compareWithMap(`small-${seed}`, { forTests }, 12_000, seed)
  }
})

test('a hash of 10 bits: over a hundred thousand forced collisions, no wrong answer', async () => {
  const forTests = { tableEntries: 8192, cachePages: 2048, hashBits: 10 }
  await compareWithMap('weak', { forTests }, 110_000, 4)
})

test('a hash of 1 bit and a cache of 16 pages', async () => {
  const forTests = { tableEntries: 256, cachePages: 16, hashBits: 1 }
  await compareWithMap('weakest', { forTests }, 1500, 5)
})

test('default sizes, nothing written but by force', async () => {
  await compareWithMap('default', {}, 20_000, 6)
})
