/** Histories of keys that lie thinly in large split files: some of many records, of some blocks, by some entries of an index. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createSeededRandom, silentLogger, systemClock, type Disk } from '@millrace/core'
import { openNodeDisk } from '../disk/index.ts'
import type { EventLog, HistoryRequest, LogRecord, NewEvent } from '../log.ts'
import { openFileLog } from './file-log.ts'

const RECORDS = 8_000
const KEYS = 400
const STREAM = 'clicks'

/** Notes how many bytes of split files are read at once. */
function noting(disk: Disk, reads: number[]): Disk {
  return {
    ...disk,
    open: async (path, mode) => {
      const file = await disk.open(path, mode)
      if (!path.endsWith('.split')) return file
      return {
        read: (target, offset, length, position) => {
          reads.push(length)
          return file.read(target, offset, length, position)
        },
        write: (source, offset, length, position) => file.write(source, offset, length, position),
        sync: () => file.sync(),
        truncate: size => file.truncate(size),
        size: () => file.size(),
        close: () => file.close(),
      }
    },
  }
}

function eventOf(number: number): NewEvent {
  // One key in eighty records, the others thinner still.
  const key = number % 80 === 7 ? 'often' : `k${number % KEYS}`
  const data = { number, text: 'x'.repeat(60 + (number % 90)) }
  return { stream: STREAM, type: 't', key, id: `e${number}`, eventTimeMs: number, data }
}

async function numbersOf(
  log: EventLog,
  keys: readonly string[],
  span: Pick<HistoryRequest, 'from' | 'to' | 'known'> = {},
): Promise<number[]> {
  const found: number[] = []
  const request = { stream: STREAM, keys, isByOffset: true, ...span }
  for await (const record of log.history(request)) {
    const { number } = record.data as { number: number }
    assert.equal(record.id, `e${number}`)
    found.push(number)
  }
  return found
}

test('a history has the records of its keys alone, however thinly they lie', async () => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-sparse-'))
  const reads: number[] = []
  const log = await openFileLog({
    disk: noting(openNodeDisk(root), reads),
    clock: systemClock,
    random: createSeededRandom(5),
    logger: silentLogger,
    directory: 'log',
    options: { firstSegmentBytes: 2 ** 19, segmentBytes: 2 ** 19, tailBytesMax: 0, blockBytes: 4_096, readBytes: 32_768 }, // prettier-ignore
  })
  try {
    await log.declare([{ name: STREAM, partitions: 1 }])
    for (let from = 0; from < RECORDS; from += 500) {
      await log.commit({ events: Array.from({ length: 500 }, (_, at) => eventOf(from + at)) })
    }
    while ((log.stats().gauges['journalSegments'] ?? 0) > 1) {
      await new Promise<void>(resolve => systemClock.soon(resolve))
    }
    const wantedOf = (keys: readonly string[], from = 0, to = RECORDS): number[] =>
      Array.from({ length: RECORDS }, (_, number) => number).filter(
        number => number >= from && number < to && keys.includes(eventOf(number).key),
      )
    const many = ['often', ...Array.from({ length: 30 }, (_, number) => `k${number * 11}`), 'never']
    for (const keys of [['often'], ['k3'], ['k3', 'often'], many]) {
      assert.deepEqual(await numbersOf(log, keys), wantedOf(keys))
      const [from, to] = [1_321, 6_003]
      assert.deepEqual(await numbersOf(log, keys, { from, to }), wantedOf(keys, from, to))
    }
    // What is at hand is given in its place.
    const atHand = new Map<number, LogRecord>()
    for await (const record of log.history({ stream: STREAM, keys: ['often'] })) {
      if (record.offset % 3 > 0 || record.offset > 5_000) atHand.set(record.offset, record)
    }
    const known = (_: number, offset: number): LogRecord | undefined => atHand.get(offset)
    let given = 0
    for await (const record of log.history({ stream: STREAM, keys: ['often'], known })) {
      if (atHand.get(record.offset) === record) given += 1
    }
    assert.equal(given, atHand.size)
    for (const keys of [['often'], many]) {
      for (const to of [5_000, RECORDS])
        assert.deepEqual(await numbersOf(log, keys, { to, known }), wantedOf(keys, 0, to))
    }
    // At the same time: none gets what another reads into the same buffer.
    const histories = await Promise.all(many.map(key => numbersOf(log, [key])))
    assert.deepEqual(
      histories,
      many.map(key => wantedOf([key])),
    )
    // One key: some entries of the index. Many: all of it at once.
    reads.length = 0
    await numbersOf(log, ['k3'])
    const ofOne = reads.length
    assert.ok(reads.every(length => length <= 32_768))
    reads.length = 0
    await numbersOf(log, many)
    assert.ok(reads.some(length => length > 8_192))
    assert.ok(reads.length < ofOne * 6, `${reads.length} reads of many keys, ${ofOne} of one`)
  } finally {
    await log.close()
    rmSync(root, { recursive: true })
  }
})
