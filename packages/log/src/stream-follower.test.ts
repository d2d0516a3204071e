import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StreamFollower } from './stream-follower.ts'
import type { LogRecord } from './log.ts'

/** A log whose stream `book` has `count` records, of which a read gives two at most. */
function logOf(count: number, reads: number[] = []) {
  const records = Array.from({ length: count }, (_, offset) => ({ offset }) as LogRecord)
  return {
    ends: () => new Map([['book/0', count]]),
    read: async ({ from }: { from: number }) => {
      reads.push(from)
      return records.slice(from, from + 2)
    },
  }
}

test('records are given out once, in order, to callers that come together', async () => {
  const follower = new StreamFollower(logOf(5), 'book')
  const seen: number[] = []
  const note = ({ offset }: LogRecord): void => void seen.push(offset)
  await Promise.all([follower.follow(note), follower.follow(note)])
  assert.deepEqual(seen, [0, 1, 2, 3, 4])
  assert.equal(follower.hasNews, false)
})

test('a record that its reader throws on is read again', async () => {
  const follower = new StreamFollower(logOf(3), 'book')
  let isFirst = true
  const seen: number[] = []
  const add = ({ offset }: LogRecord): void => {
    if (offset === 1 && isFirst) {
      isFirst = false
      throw new Error('not now')
    }
    seen.push(offset)
  }
  await assert.rejects(follower.follow(add), /not now/)
  assert.equal(follower.position, 1)
  await follower.follow(add)
  assert.deepEqual(seen, [0, 1, 2])
})

test('an end that cannot be read yet does not keep it busy', async () => {
  const reads: number[] = []
  const log = logOf(2, reads)
  const follower = new StreamFollower({ ...log, ends: () => new Map([['book/0', 3]]) }, 'book')
  await follower.follow(() => undefined)
  assert.deepEqual(reads, [0, 2])
  assert.equal(follower.hasNews, true)
})
