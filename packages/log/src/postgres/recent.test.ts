import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LogRecord } from '../log.ts'
import type { TablePartition } from './catalog.ts'
import { Recent } from './recent.ts'

function partitionOf(transient?: object): TablePartition {
  return { stream: { declared: { transient } } } as unknown as TablePartition
}

function recordsFrom(start: number, count: number): LogRecord[] {
  return Array.from({ length: count }, (_, index) => ({ offset: start + index }) as LogRecord)
}

describe('records of a moment ago', () => {
  const offsets = (records: readonly LogRecord[] | undefined): number[] | undefined =>
    records?.map(({ offset }) => offset)

  it('are read across groups, and not past a gap that others filled', () => {
    const recent = new Recent()
    const place = partitionOf()
    for (const [start, count] of [[3, 2], [5, 3], [9, 1]] as const) recent.add(place, recordsFrom(start, count), 0) // prettier-ignore
    assert.equal(recent.read(place, 2, 10), undefined)
    assert.deepEqual(offsets(recent.read(place, 3, 4)), [3])
    assert.deepEqual(offsets(recent.read(place, 4, 7)), [4, 5, 6])
    assert.deepEqual(offsets(recent.read(place, 4, 10)), [4, 5, 6, 7])
    assert.equal(recent.read(place, 8, 10), undefined)
    assert.deepEqual(offsets(recent.read(place, 9, 10)), [9])
    assert.equal(recent.read(partitionOf(), 3, 4), undefined)
  })

  it('are bounded by their bytes over all partitions, the oldest go first', () => {
    const recent = new Recent(2_000)
    const [first, second] = [partitionOf(), partitionOf()]
    recent.add(first, recordsFrom(0, 1), 600)
    recent.add(second, recordsFrom(0, 1), 600)
    recent.add(first, recordsFrom(1, 1), 600)
    assert.equal(recent.read(first, 0, 2), undefined)
    assert.deepEqual(offsets(recent.read(second, 0, 1)), [0])
    assert.deepEqual(offsets(recent.read(first, 1, 2)), [1])
    recent.add(second, recordsFrom(1, 1), 5_000)
    assert.equal(recent.read(second, 0, 2), undefined)
    assert.equal(recent.read(first, 1, 2), undefined)
  })

  it('are not kept of a stream that loses records', () => {
    const recent = new Recent()
    const place = partitionOf({ maxBytes: 1 })
    recent.add(place, recordsFrom(0, 1), 1)
    assert.equal(recent.read(place, 0, 1), undefined)
  })
})
