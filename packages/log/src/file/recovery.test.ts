import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createSeededRandom, isError, silentLogger, systemClock } from '@millrace/core'
import { openNodeDisk } from '../disk/index.ts'
import type { EventLog, NewEvent } from '../log.ts'
import { readAll } from '../suite/harness.ts'
import { createBytes } from './bytes.ts'
import { openFileLog } from './index.ts'
import { UNIT_HEADER_BYTES } from './layout.ts'
import type { FileLogOptions } from './options.ts'
import { unitsInRow } from './scan.ts'
import type { Unit } from './scan.ts'

const STREAM = 'clicks'
const SEGMENT = 'log/journal/000000000001.jnl'

function open(root: string, options: FileLogOptions = {}, clock = systemClock): Promise<EventLog> {
  return openFileLog({
    disk: openNodeDisk(root),
    clock,
    random: createSeededRandom(7),
    logger: silentLogger,
    directory: 'log',
    options: {
      firstSegmentBytes: 16_384,
      segmentBytes: 16_384,
      idMemoryBytesMax: 4 * 1024 * 1024,
      ...options,
    },
  })
}

function eventOf(id: string, text = ''): NewEvent {
  const data = { id, text }
  return { stream: STREAM, type: 'clicked', key: 'k', id, eventTimeMs: 1, partition: 0, data }
}

async function idsIn(log: EventLog): Promise<unknown[]> {
  return (await readAll(log, 0, { stream: STREAM })).map(record => record['id'])
}

/** A directory with what a process that was killed after these commits leaves behind. */
async function crashed(
  directory: string,
  commits: readonly (readonly NewEvent[])[],
  options: { isOneGroup?: boolean } = {},
): Promise<string> {
  const root = mkdtempSync(join(directory, 'root-'))
  const log = await open(root)
  await log.declare([{ name: STREAM, partitions: 2 }])
  const pending: Promise<unknown>[] = []
  for (const events of commits) {
    const commit = log.commit({ events })
    if (options.isOneGroup === true) pending.push(commit)
    else await commit
  }
  await Promise.all(pending)
  const left = mkdtempSync(join(directory, 'left-'))
  cpSync(root, left, { recursive: true })
  await log.close()
  return left
}

function unitsOf(root: string): { content: Buffer; units: Unit[] } {
  const content = readFileSync(join(root, SEGMENT))
  const bytes = createBytes(content.length)
  content.copy(bytes.u8)
  const salt = bytes.u32[2] as number
  return { content, units: [...unitsInRow(bytes, content.length, salt, undefined)] }
}

async function withDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-recovery-'))
  try {
    await run(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function damaged(error: unknown, at: number): boolean {
  assert.ok(isError(error, 'LOG_DAMAGED'), String(error))
  assert.equal(error.details['at'], at)
  assert.match(String(error.details['file']), /journal/)
  return true
}

test('a tail torn at any byte is cut off, and the log goes on', () =>
  withDirectory(async directory => {
    const left = await crashed(directory, [[eventOf('a')], [eventOf('b')], [eventOf('c')]])
    const { content, units } = unitsOf(left)
    const last = units.at(-1) as Unit
    for (let kept = 0; kept < last.length; kept++) {
      const torn = Buffer.from(content)
      // What follows is what the disk held before: zeros, or anything.
      torn.fill(kept % 2 === 0 ? 0 : 0xab, last.at + kept, last.at + last.length)
      writeFileSync(join(left, SEGMENT), torn)
      // Padding behind the last frame is part of the unit: only a tail that differs is torn.
      const isTorn = !torn.equals(content)
      const log = await open(left)
      assert.deepEqual(await idsIn(log), isTorn ? ['a', 'b'] : ['a', 'b', 'c'], `byte ${kept}`)
      const { results } = await log.commit({ events: [eventOf('c')] })
      assert.equal(results[0]?.status, isTorn ? 'appended' : 'duplicate')
      assert.deepEqual(await idsIn(log), ['a', 'b', 'c'])
      await log.close()
    }
  }))

test('damage before an acknowledged unit is refused, wherever it is, and nothing is changed', () =>
  withDirectory(async directory => {
    const left = await crashed(directory, [[eventOf('a')], [eventOf('b')], [eventOf('c')]])
    const { content, units } = unitsOf(left)
    for (const unit of units.slice(0, -1)) {
      for (let at = unit.at; at < unit.at + unit.length; at += 13) {
        const bad = Buffer.from(content)
        bad[at] = (bad[at] as number) ^ 0x10
        writeFileSync(join(left, SEGMENT), bad)
        await assert.rejects(open(left), error => damaged(error, unit.at))
        assert.ok(readFileSync(join(left, SEGMENT)).equals(bad))
      }
    }
    const [, , first, second] = units as [Unit, Unit, Unit, Unit]
    const bad = Buffer.from(content)
    bad.fill(0, first.at, first.at + UNIT_HEADER_BYTES)
    writeFileSync(join(left, SEGMENT), bad)
    await assert.rejects(open(left), error => {
      assert.ok(isError(error, 'LOG_DAMAGED'))
      assert.equal(error.details['affected'], 'clicks/0 from offset 0 to 0')
      assert.match(error.remedy, new RegExp(`truncate -s ${first.at}`))
      return true
    })
    // The way out that the error names.
    writeFileSync(join(left, SEGMENT), bad.subarray(0, first.at))
    rmSync(join(left, 'log/ids'), { recursive: true })
    const log = await open(left)
    assert.deepEqual(await idsIn(log), [])
    assert.equal((await log.commit({ events: [eventOf('b')] })).results[0]?.status, 'appended')
    assert.ok(second.number > first.number)
    await log.close()
  }))

test('a unit behind a torn one never comes back', () =>
  withDirectory(async directory => {
    const left = await crashed(directory, [[eventOf('a')], [eventOf('b')], [eventOf('c')]], {
      isOneGroup: true,
    })
    const { content, units } = unitsOf(left)
    const [b, c] = units.slice(-2) as [Unit, Unit]
    assert.equal(b.durableMark, c.durableMark, 'both are of one group')
    const torn = Buffer.from(content)
    torn[b.at + 20] = 0xff
    writeFileSync(join(left, SEGMENT), torn)
    const first = await open(left)
    assert.deepEqual(await idsIn(first), ['a'])
    // A unit of the same length and number in the place of the torn one, right before the other.
    await first.commit({ events: [eventOf('x')] })
    const again = mkdtempSync(join(directory, 'again-'))
    cpSync(left, again, { recursive: true })
    await first.close()
    const second = await open(again)
    assert.deepEqual(await idsIn(second), ['a', 'x'])
    await second.close()
  }))

test('a wrong header and a later format are refused by name', () =>
  withDirectory(async directory => {
    const left = await crashed(directory, [[eventOf('a')]])
    const { content } = unitsOf(left)
    const newer = Buffer.from(content)
    newer[3] = 9
    writeFileSync(join(left, SEGMENT), newer)
    await assert.rejects(open(left), error => isError(error, 'LOG_FORMAT_UNKNOWN'))
    const wrong = Buffer.from(content)
    wrong[9] = (wrong[9] as number) ^ 1
    writeFileSync(join(left, SEGMENT), wrong)
    await assert.rejects(open(left), error => isError(error, 'LOG_DAMAGED'))
  }))

/** A log with several split files per partition. */
async function split(root: string, options: FileLogOptions = {}): Promise<void> {
  const log = await open(root, options)
  await log.declare([{ name: STREAM, partitions: 1 }])
  for (let index = 0; index < 60; index++) {
    await log.commit({ events: [eventOf(`id-${index}`, 'x'.repeat(2_000))] })
  }
  while ((log.stats().gauges['journalSegments'] ?? 0) > 1) await turn()
  await log.close()
}

function turn(): Promise<void> {
  return new Promise(resolve => systemClock.soon(resolve))
}

function splitPaths(root: string): string[] {
  const directory = join(root, 'log/streams/0/0')
  return readdirSync(directory).map(name => join(directory, name))
}

test('damage in a split file is refused when it is touched, and only there', () =>
  withDirectory(async root => {
    await split(root)
    const [, path = ''] = splitPaths(root)
    const content = readFileSync(path)
    content[1_000] = (content[1_000] as number) ^ 1
    writeFileSync(path, content)
    const log = await open(root)
    const first = await log.read({ stream: STREAM, partition: 0, from: 0 })
    const from = first.length
    await assert.rejects(log.read({ stream: STREAM, partition: 0, from }), error => {
      assert.ok(isError(error, 'LOG_DAMAGED'), String(error))
      assert.match(String(error.details['affected']), new RegExp(`clicks/0 from offset ${from} to`))
      return true
    })
    assert.equal((await log.read({ stream: STREAM, partition: 0, from: 59 })).length, 1)
    // The event cannot be compared with what is stored: it is refused and not taken for new.
    const { results } = await log.commit({ events: [eventOf(`id-${from}`, 'x'.repeat(2_000)), eventOf('new')] }) // prettier-ignore
    assert.ok(results[0]?.status === 'conflict' && results[0].code === 'LOG_DAMAGED')
    assert.equal(results[1]?.status, 'appended')
    await log.close()
  }))

test('a missing split file is refused', () =>
  withDirectory(async root => {
    await split(root)
    rmSync(splitPaths(root)[0] as string)
    await assert.rejects(open(root), error => isError(error, 'LOG_DAMAGED'))
  }))

test('the index of ids is made again when it is missing', () =>
  withDirectory(async root => {
    await split(root)
    rmSync(join(root, 'log/ids'), { recursive: true })
    const log = await open(root)
    const events = Array.from({ length: 60 }, (_, index) =>
      eventOf(`id-${index}`, 'x'.repeat(2_000)),
    )
    const { results } = await log.commit({ events })
    assert.ok(results.every((result, offset) => result.status === 'duplicate' && result.offset === offset)) // prettier-ignore
    await log.close()
  }))

test('a transient stream loses its oldest files, never its newest record, and remembers their ids', () =>
  withDirectory(async root => {
    let nowMs = 1_000_000
    const clock = { ...systemClock, nowMs: () => nowMs }
    const log = await open(root, { mergeFiles: 100 }, clock)
    await log.declare([{ name: STREAM, partitions: 1, transient: { maxAgeMs: 1_000 } }])
    for (let index = 0; index < 60; index++) {
      nowMs += 100
      await log.commit({ events: [eventOf(`id-${index}`, 'x'.repeat(2_000))] })
    }
    while ((log.stats().gauges['journalSegments'] ?? 0) > 1) await turn()
    await log.close()
    nowMs += 100_000
    const later = await open(root, { mergeFiles: 100 }, clock)
    const start = (): number => later.stats().streams[0]?.partitions[0]?.start ?? 0
    // Which files hold the newest record depends on how far splitting came: wait until nothing more goes.
    for (let before = -1; before !== start() || before === 0;) {
      before = start()
      for (let waited = 0; waited < 200; waited++) await turn()
    }
    assert.ok(start() > 0 && start() < 60)
    await assert.rejects(later.read({ stream: STREAM, partition: 0, from: 0 }), error =>
      isError(error, 'LOG_OFFSET_GONE'),
    )
    const left = await readAll(later, 0, { stream: STREAM, from: start() })
    assert.equal(left.at(-1)?.['id'], 'id-59')
    const { results } = await later.commit({ events: [eventOf('id-3')] })
    assert.deepEqual(results, [{ status: 'duplicate', partition: 0, offset: 3 }])
    assert.equal(await later.find('id-3'), undefined)
    await later.close()
    const reopened = await open(root, {}, clock)
    assert.equal(reopened.stats().streams[0]?.partitions[0]?.start, start())
    await reopened.close()
  }))
