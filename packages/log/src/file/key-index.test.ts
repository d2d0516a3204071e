import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { partitionOf, silentLogger, systemClock, systemRandom } from '@millrace/core'
import fc from 'fast-check'
import { openNodeDisk } from '../disk/index.ts'
import type { EventLog, NewEvent } from '../log.ts'
import { createBytes } from './bytes.ts'
import { openFileLog } from './file-log.ts'
import { writeRecord } from './frames.ts'
import { Group } from './group.ts'
import { hashOfKey } from './key-chains.ts'
import { forEachKeyHash, hashOfBytes, partitionOfBytes } from './key-index.ts'
import { Stream } from './partition.ts'
import type { Partition } from './partition.ts'
import type { Segment } from './segment.ts'

const textOf = fc.oneof(
  fc.string({ minLength: 1, maxLength: 20 }),
  fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }),
)

test('the hashes of bytes are those of their text', () => {
  fc.assert(
    fc.property(textOf, fc.nat({ max: 9 }), fc.integer({ min: 1, max: 99 }), (text, tenant, n) => {
      const bytes = Buffer.from(`..${text}..`.toWellFormed(), 'utf8')
      const length = bytes.length - 4
      assert.equal(hashOfBytes(tenant, bytes, 2, length), hashOfKey(tenant, text.toWellFormed()))
      assert.equal(partitionOfBytes(bytes, 2, length, n), partitionOf(text.toWellFormed(), n))
    }),
    { seed: 31, numRuns: 500 },
  )
})

test('the keys of a frame are those of its event that belong to the partition', () => {
  const key = textOf.map(text => text.toWellFormed())
  const streamOf = (partitions: number): Stream =>
    new Stream({ name: 's', partitions, latenessMs: 0, skewMs: 0 } as Stream['declared'], 0)
  fc.assert(
    fc.property(
      key,
      fc.option(fc.array(key, { minLength: 1, maxLength: 6 }), { nil: undefined }),
      fc.integer({ min: 1, max: 4 }),
      fc.nat({ max: 3 }),
      (own, keys, partitions, number) => {
        const partition = streamOf(partitions).partitions[number % partitions] as Partition
        const group = new Group({} as Segment, 0, createBytes(64))
        const event: NewEvent = {
          stream: 's',
          type: 't',
          key: own,
          id: 'an id',
          eventTimeMs: 1,
          data: 1,
          ...(keys === undefined ? {} : { keys }),
        }
        const numbers = { stream: 0, partition: 0, type: 0, tenant: 5, definition: 0, offset: 0 }
        const head = { ...numbers, isUnique: false, ingestTimeMs: 0, watermarkMs: 0 }
        writeRecord(group, head, event, '1')
        const found: number[] = []
        forEachKeyHash(group.bytes, 0, partition.home, hash => found.push(hash))
        const home = (keys ?? [own]).filter(
          name => partitionOf(name, partitions) === partition.number,
        )
        assert.deepEqual(found, [...new Set(home.map(name => hashOfKey(5, name)))])
      },
    ),
    { seed: 32, numRuns: 500 },
  )
})

const KEYS = 40

function eventOf(index: number): NewEvent {
  const key = `k${index % KEYS}`
  // Every third is found under two keys, one of them with letters outside ASCII.
  const keys = index % 3 === 0 ? { keys: [key, `ключ${index % 7}`] } : {}
  const data = { index, pad: 'x'.repeat(200) }
  return { stream: 's', type: 't', key, ...keys, id: `id-${index}`, eventTimeMs: index, data }
}

async function idsOf(log: EventLog, key: string): Promise<string[]> {
  const found: string[] = []
  for await (const record of log.history({ stream: 's', keys: [key] })) found.push(record.id)
  return found
}

test('keys that were in the journal on open are found before, while and after it is split', async () => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-keys-'))
  const open = (): Promise<EventLog> =>
    openFileLog({
      disk: openNodeDisk(root),
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      directory: 'log',
      options: { firstSegmentBytes: 64 * 1024, segmentBytes: 64 * 1024, tailBytesMax: 1 },
    })
  let count = 0
  const append = async (log: EventLog, events: number): Promise<void> => {
    const batch = Array.from({ length: events }, () => eventOf(count++))
    const { results } = await log.commit({ events: batch })
    assert.ok(results.every(({ status }) => status === 'appended'))
  }
  const check = async (log: EventLog, key: string): Promise<void> => {
    const partition = partitionOf(key, 3)
    const wanted = Array.from({ length: count }, (_, index) => eventOf(index)).filter(
      event => (event.keys ?? [event.key]).includes(key) && partitionOf(event.key, 3) === partition,
    )
    assert.deepEqual(
      await idsOf(log, key),
      wanted.map(({ id }) => id),
      key,
    )
  }
  try {
    let log = await open()
    await log.declare([{ name: 's', partitions: 3 }])
    // Closed at once each time, so that hardly anything of the journal is split.
    for (let round = 0; round < 4; round++) {
      for (let batch = 0; batch < 6; batch++) await append(log, 50)
      await log.close()
      log = await open()
      const key = `k${round}`
      const stale = { ...eventOf(count), key, expectedVersion: 0, id: 'stale' }
      const { results } = await log.commit({ events: [stale] })
      assert.equal(results[0]?.status, 'conflict')
      await append(log, 20)
      await Promise.all(Array.from({ length: KEYS }, (_, index) => check(log, `k${index}`)))
      await Promise.all(Array.from({ length: 7 }, (_, index) => check(log, `ключ${index}`)))
    }
    while ((log.stats().gauges['journalSegments'] ?? 0) > 1) {
      await check(log, 'k1')
      await new Promise<void>(resolve => systemClock.soon(resolve))
    }
    for (let index = 0; index < KEYS; index++) await check(log, `k${index}`)
    for (let index = 0; index < 7; index++) await check(log, `ключ${index}`)
    await log.close()
  } finally {
    rmSync(root, { recursive: true })
  }
})
