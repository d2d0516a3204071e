import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check, compileCheck, event, id, int, item, text } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import fc from 'fast-check'
import { CheckShard } from './check-shard.ts'
import { QUARANTINE_HEADER } from './plan.ts'
import { verdictOf } from './verdicts.ts'

const MINUTE = 60_000
const Clip = item('clip', {})
const seen = event(
  'seen',
  { who: id('person'), clip: id('clip'), ms: int(), order: text().optional() },
  { key: 'who' },
)
const counted = [
  check({ of: seen, field: 'ms', expect: { range: { max: 5 } }, per: '1m' }),
  check({ of: seen, field: 'order', expect: { missing: { max: 0.4 } }, per: '2m', atLeast: 1 }),
  check({ of: seen, field: 'order', expect: { unique: { max: 0.2 } }, per: '3m', atLeast: 1 }),
  check({ of: seen, field: 'ms', expect: { quantile: { q: 0.5, min: 2, max: 6 } }, per: '1m', atLeast: 1 }), // prettier-ignore
  check({ of: seen, expect: { fresh: '6m' } }),
  check({ of: seen, expect: { volume: { min: 2 } }, per: '1m' }),
].map((made, index) => compileCheck(`c${index}`, made))
const referring = [
  ...counted,
  compileCheck('exists', check({ of: seen, field: 'clip', expect: { exists: Clip }, per: '1m' })),
]

interface Seen {
  readonly who: string
  readonly clip: string
  readonly ms: number
  readonly order: string
  readonly minute: number
  readonly isMarked: boolean
}

const events = fc.array(
  fc.record({
    who: fc.constantFrom('ana', 'ben', 'cem'),
    clip: fc.constantFrom('c1', 'c2'),
    ms: fc.integer({ min: 0, max: 9 }),
    order: fc.constantFrom('', 'a', 'b', 'c'),
    minute: fc.integer({ min: 0, max: 12 }),
    isMarked: fc.boolean(),
  }),
  { maxLength: 40 },
)

function recordsOf(all: readonly Seen[]): readonly LogRecord[] {
  let watermarkMs = 0
  return all.map(({ who, clip, ms, order, minute, isMarked }, offset) => {
    const eventTimeMs = minute * MINUTE + offset
    watermarkMs = Math.max(watermarkMs, eventTimeMs)
    const headers = isMarked ? { [QUARANTINE_HEADER]: 'c0' } : {}
    const data = { who, clip, ms, ...(order === '' ? {} : { order }) }
    return { type: 'seen', key: who, keys: [who], id: `e${offset}`, offset, eventTimeMs, watermarkMs, headers, data } as unknown as LogRecord // prettier-ignore
  })
}

function open(checks = counted, known: ReadonlySet<string> = new Set()): CheckShard {
  const tables = { asOf: (_: string, clip: string) => (known.has(clip) ? {} : undefined) }
  return new CheckShard(checks, 0, { partition: 0, tables })
}

function fold(shard: CheckShard, records: Iterable<LogRecord>): CheckShard {
  for (const record of records) {
    shard.advance(record.watermarkMs)
    shard.fold(record)
  }
  return shard
}

/** All that a shard says, in bytes. */
function bytesOf(shard: CheckShard): unknown {
  const keys = [...shard.keys()].sort()
  return keys.map(key => [key, Buffer.from(shard.encodeKey(key) ?? []).toString('hex')])
}

function verdictsOf(checks: typeof counted, shard: CheckShard): unknown {
  return checks.map((made, index) => verdictOf(made, index, [shard]))
}

test('what is taken out leaves the bytes and the verdicts of what never came, and put in those of what came', () => {
  fc.assert(
    fc.property(events, fc.infiniteStream(fc.boolean()), (all, draw) => {
      const records = recordsOf(all)
      const isOut = records.map(() => draw.next().value === true)
      const shard = fold(open(), records)
      const whole = [bytesOf(shard), verdictsOf(counted, shard)]
      for (const record of records) if (isOut[record.offset] === true) assert.ok(shard.invert(record)) // prettier-ignore
      const without = open()
      for (const record of records) {
        without.advance(record.watermarkMs)
        if (isOut[record.offset] !== true) without.fold(record)
      }
      assert.deepEqual(bytesOf(shard), bytesOf(without))
      assert.deepEqual(verdictsOf(counted, shard), verdictsOf(counted, without))
      for (const record of records.toReversed()) if (isOut[record.offset] === true) assert.ok(shard.insert(record)) // prettier-ignore
      assert.deepEqual([bytesOf(shard), verdictsOf(counted, shard)], whole)
    }),
  )
})

test('keys that are encoded and decoded, or replaced, keep the counts in all', () => {
  fc.assert(
    fc.property(events, all => {
      const records = recordsOf(all)
      const shard = fold(open(), records)
      const copy = open()
      copy.decodeShared(shard.encodeShared())
      for (const key of shard.keys()) copy.decodeKey(key, shard.encodeKey(key))
      assert.deepEqual(bytesOf(copy), bytesOf(shard))
      assert.deepEqual(verdictsOf(counted, copy), verdictsOf(counted, shard))
      assert.deepEqual([...copy.marked()].length, [...shard.marked()].length)
      for (const key of [...shard.keys()]) {
        shard.decodeKey(key, shard.encodeKey(key))
        copy.decodeKey(key, undefined)
      }
      assert.deepEqual(verdictsOf(counted, copy), verdictsOf(counted, withTime(shard.watermarkMs)))
    }),
  )
})

function withTime(watermarkMs: number): CheckShard {
  const shard = open()
  shard.advance(watermarkMs)
  return shard
}

test('verdicts are what counting the events of their windows gives', () => {
  fc.assert(
    fc.property(events, all => {
      const records = recordsOf(all)
      const shard = fold(open(), records)
      const nowMs = shard.watermarkMs
      if (records.length === 0) return
      const inWindow = (stepMs: number, from: number, to: number): readonly Seen[] =>
        all.filter((_, at) => {
          const window = Math.floor((records[at] as LogRecord).eventTimeMs / stepMs)
          return window >= from && window <= to
        })
      const last = (stepMs: number): readonly Seen[] => {
        const window = Math.floor(nowMs / stepMs) - 1
        return inWindow(stepMs, window, window)
      }
      const minute = Math.floor(nowMs / MINUTE)
      const misfits = inWindow(MINUTE, minute - 1, minute).filter(({ ms }) => ms > 5).length
      const orders = last(2 * MINUTE).map(({ order }) => order)
      const values = last(3 * MINUTE).flatMap(({ order }) => (order === '' ? [] : [order]))
      const sorted = last(MINUTE).map(({ ms }) => ms)
      const share = (of: readonly unknown[], count: number): number => count / of.length
      const expected = [
        misfits > 0 ? 'failing' : 'ok',
        orders.length === 0 ? 'unknown' : share(orders, orders.filter(order => order === '').length) > 0.4 ? 'failing' : 'ok', // prettier-ignore
        values.length === 0 ? 'unknown' : share(values, values.length - new Set(values).size) > 0.2 ? 'failing' : 'ok', // prettier-ignore
        sorted.length === 0 ? 'unknown' : sorted.filter(ms => ms < 2).length * 2 > sorted.length || sorted.filter(ms => ms <= 6).length * 2 < sorted.length ? 'failing' : 'ok', // prettier-ignore
        inWindow(MINUTE, minute - 6, minute).length > 0 ? 'ok' : 'failing',
        last(MINUTE).length >= 2 ? 'ok' : 'failing',
      ]
      assert.deepEqual(counted.map((made, index) => verdictOf(made, index, [shard]).state), expected) // prettier-ignore
    }),
  )
})

test('a key is named by the items that it asked for, as long as its windows are kept', () => {
  const ana = { who: 'ana', clip: 'c1', ms: 1, order: 'a', isMarked: false }
  const records = recordsOf([
    { ...ana, minute: 0 },
    { ...ana, who: 'ben', clip: 'c2', minute: 1 },
  ])
  const shard = fold(open(referring, new Set(['c1'])), records)
  assert.equal(verdictOf(referring[6] as (typeof referring)[number], 6, [shard]).state, 'failing')
  assert.deepEqual([...shard.readersOf('clip', 'c2', 0)], ['ben'])
  assert.deepEqual([...shard.readersOf('clip', 'c2', 2 * MINUTE)], [])
  // What the table says may have changed: the key is folded again.
  assert.equal(shard.invert(records[1] as LogRecord), false)
  const again = open(referring, new Set(['c1', 'c2']))
  again.advance(shard.watermarkMs)
  again.fold(records[1] as LogRecord)
  shard.decodeKey('ben', again.encodeKey('ben'))
  assert.equal(verdictOf(referring[6] as (typeof referring)[number], 6, [shard]).state, 'ok')
  shard.advance(1_000 * MINUTE)
  assert.deepEqual([...shard.keys()], [])
  for (const minute of [1_000, 1_001, 1_002])
    fold(shard, recordsOf([{ ...ana, who: 'cem', minute }]))
  assert.deepEqual([...shard.readersOf('clip', 'c2', 0)], [])
})

test('a value that two partitions have is repeated', () => {
  const one = { who: 'ana', clip: 'c1', ms: 1, order: 'a', isMarked: false, minute: 0 }
  const unique = counted[2] as (typeof counted)[number]
  const shards = ['ana', 'ben'].map(who => fold(open(), recordsOf([{ ...one, who }])))
  for (const shard of shards) shard.advance(4 * MINUTE)
  assert.match(verdictOf(unique, 2, shards).found, /^50 % of 2 are repeated/)
  const nothing = { state: 'unknown', found: 'no events yet', fromMs: undefined, toMs: undefined }
  assert.deepEqual(verdictOf(unique, 2, [open()]), nothing)
})
