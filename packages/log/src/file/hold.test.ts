import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createSeededRandom, isError, silentLogger, systemClock } from '@millrace/core'
import type { Disk } from '@millrace/core'
import { openNodeDisk } from '../disk/index.ts'
import { readTextFrame } from './group.ts'
import { frameField } from './frames.ts'
import { HoldingDisk } from './holding-disk.ts'
import { openFileLog } from './index.ts'
import type { FileEventLog } from './index.ts'
import { KIND, SEGMENT_HEADER_BYTES, UNIT_HEADER_BYTES } from './layout.ts'
import { unitsInRow } from './scan.ts'
import { ledgerPath, listLedgers, loadLedger, readAdvance } from './unit-ledger.ts'

async function withDisk(run: (disk: Disk, root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'millrace-hold-'))
  try {
    await run(openNodeDisk(root), root)
  } finally {
    await rm(root, { recursive: true })
  }
}

function open(disk: Disk): Promise<FileEventLog> {
  return openFileLog({
    disk,
    clock: systemClock,
    random: createSeededRandom(3),
    logger: silentLogger,
    directory: 'log',
    options: { firstSegmentBytes: 4_096, segmentBytes: 4_096, mergeFiles: 2, blockBytes: 512 },
  })
}

async function fill(log: FileEventLog, from: number, to: number): Promise<void> {
  await log.declare([{ name: 'clicks', partitions: 3 }])
  for (let number = from; number < to; number++) {
    const events = ['a', 'b', 'c'].map(key => ({
      stream: 'clicks',
      type: 'clicked',
      key: `${key}${number % 5}`,
      id: `${key}-${number}`,
      eventTimeMs: number,
      data: { number },
    }))
    await log.commit({ events: events.slice(0, 1 + (number % 3)) })
  }
}

/** Waits until so many segments were split. */
async function split(log: FileEventLog, segments: number): Promise<void> {
  while ((log.stats().counters['splitSegments'] as number) < segments) {
    await new Promise<void>(resolve => systemClock.soon(resolve))
  }
}

test('the ledgers of split segments tell every unit, its records and its names', () =>
  withDisk(async disk => {
    const log = await open(disk)
    await fill(log, 0, 120)
    await split(log, 2)
    await log.close()
    const ledgers = await listLedgers(disk, 'log')
    assert.ok(ledgers.length >= 2)
    let expected: number | undefined
    let records = 0
    for (const { path, number } of ledgers) {
      const { bytes, size, salt, number: said } = await loadLedger(disk, path)
      assert.equal(said, number)
      let end = SEGMENT_HEADER_BYTES
      for (const unit of unitsInRow(bytes, size, salt, expected)) {
        const first = unit.at + UNIT_HEADER_BYTES
        end = unit.at + unit.length
        if (unit.at === SEGMENT_HEADER_BYTES) {
          assert.equal(frameField.kind(bytes, first), KIND.checkpoint)
          const { streams } = readTextFrame(bytes, first) as { streams: { ends: number[] }[] }
          const ends = streams.flatMap(stream => stream.ends)
          assert.equal(
            ends.reduce((sum, each) => sum + each, 0),
            records,
          )
        }
        for (let at = first; at < end; at += frameField.length(bytes, at)) {
          assert.notEqual(frameField.kind(bytes, at), KIND.record)
          if (frameField.kind(bytes, at) !== KIND.advance) continue
          for (const advance of readAdvance(bytes, at)) {
            assert.equal(advance.stream, 0)
            assert.ok(advance.partition < 3)
            records += advance.records
          }
        }
        expected = unit.number + 1
      }
      assert.equal(end, size, 'every unit of the ledger can be read')
    }
    assert.ok(records > 40 && records <= 240, `${records} records`)
  }))

test('a ledger whose header is not what was written is refused, and a newer one too', () =>
  withDisk(async disk => {
    await disk.makeDirectory('log/units')
    const path = ledgerPath('log', 1)
    const write = async (text: string): Promise<void> => {
      const file = await disk.open(path, 'write')
      await file.write(Buffer.from(text), 0, text.length, 0)
      await file.close()
    }
    await write('MR')
    await assert.rejects(loadLedger(disk, path), error => isError(error, 'LOG_DAMAGED'))
    await write('MRL\u0002')
    await assert.rejects(loadLedger(disk, path), error => isError(error, 'LOG_FORMAT_UNKNOWN'))
  }))

test('what a hold names stays until it is released, and holds all that was durable', () =>
  withDisk(async (disk, root) => {
    const log = await open(disk)
    await fill(log, 0, 60)
    const hold = log.hold()
    assert.deepEqual(hold.position, new Map(log.ends()))
    await fill(log, 60, 300)
    await split(log, 6)
    const late = log.hold()
    assert.ok(late.unit > hold.unit && late.ingestTimeMs >= hold.ingestTimeMs)
    for (const { path } of hold.files) assert.ok(existsSync(join(root, path)), path)
    // A crash now leaves what waits to be removed; the log is opened as if nothing had been held.
    await log.close()
    const again = await open(disk)
    assert.deepEqual(new Map(again.ends()), late.position)
    const held = again.hold()
    await held.release()
    await held.release()
    assert.equal(held.files.filter(({ path }) => path.endsWith('.units')).length >= 6, true)
    await again.close()
  }))

test('removals wait for the holds before them, and go in their order', () =>
  withDisk(async (disk, root) => {
    const removed: string[] = []
    let isFailing = false
    const holding = new HoldingDisk(
      {
        ...disk,
        async remove(path) {
          if (isFailing) throw new Error('planted')
          removed.push(path)
        },
      },
      silentLogger,
    )
    await holding.makeDirectory('log/journal')
    await holding.remove('log/journal/0.jnl')
    const first = holding.hold()
    await holding.remove('log/journal/1.jnl')
    const second = holding.hold()
    await holding.remove('log/journal/2.jnl')
    await holding.remove('log/journal/x.tmp')
    assert.deepEqual(removed, ['log/journal/0.jnl', 'log/journal/x.tmp'])
    await first()
    await first()
    assert.deepEqual(removed.slice(2), ['log/journal/1.jnl'])
    isFailing = true
    await second()
    assert.equal(removed.length, 3)
    isFailing = false
    await holding.remove('log/journal/3.jnl')
    assert.deepEqual(removed.slice(3), ['log/journal/2.jnl', 'log/journal/3.jnl'])
    assert.ok(existsSync(root))
  }))
