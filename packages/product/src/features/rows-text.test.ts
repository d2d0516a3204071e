/** Rows as text are what `JSON.stringify` makes of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { FeatureRows } from '@millrace/features'
import { textOfRows } from './rows-text.ts'

const parsed = (read: FeatureRows): unknown =>
  JSON.parse(Buffer.from(`{${textOfRows(read)}}`, 'latin1').toString('utf8'))

function plain(read: FeatureRows): unknown {
  const { service, fingerprint, atMs, columns, rows, values, statuses, others } = read
  const rowsOf = (cell: (at: number) => unknown): unknown[][] =>
    Array.from({ length: rows }, (_, row) => columns.map((_c, at) => cell(row * columns.length + at))) // prettier-ignore
  const told = { service, fingerprint, atMs, columns, values: rowsOf(at => others[at] ?? values[at]), statuses: rowsOf(at => statuses[at]) } // prettier-ignore
  return JSON.parse(JSON.stringify(told))
}

const number = fc.oneof(
  fc.constantFrom(0, 9, 10, 99, 100, 999_999_999, 1e9, 1e21, 5e-324, -1, 0.1, -1.7976931348623157e308), // prettier-ignore
  fc.nat(2_000),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(value => value + 0),
)
const other = fc.oneof(fc.string({ unit: 'grapheme' }), fc.array(fc.integer()))
const cell = fc.oneof({ weight: 4, arbitrary: number }, { weight: 1, arbitrary: other })

test('rows of numbers, texts and lists, repeated or not', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(cell, { minLength: 3, maxLength: 3 }), { maxLength: 8 }),
      fc.array(fc.nat(7), { maxLength: 20 }),
      fc.array(fc.nat(5), { minLength: 60, maxLength: 60 }),
      (made, order, found) => {
        const asked = made.length === 0 ? [] : order.map(at => made[at % made.length] ?? [])
        const cells = asked.flat()
        const read: FeatureRows = {
          service: 'ränge',
          fingerprint: 'f',
          atMs: 1_790_000_000_000,
          columns: ['a', 'ü', 'c'],
          rows: asked.length,
          values: Float64Array.from(cells, value => (typeof value === 'number' ? value : NaN)),
          statuses: Uint8Array.from(cells, (_, at) => found[at] as number),
          others: cells.map(value => (typeof value === 'number' ? undefined : value)),
        }
        assert.deepEqual(parsed(read), plain(read))
      },
    ),
  )
})

test('what is longer than the room that there was', () => {
  const long = 'ß'.repeat(200_000)
  const rows = 400
  const read: FeatureRows = {
    service: 's',
    fingerprint: 'f',
    atMs: 0,
    columns: ['n', 't'],
    rows,
    values: Float64Array.from({ length: rows * 2 }, (_, at) => (at === 3 ? NaN : at + 0.1)),
    statuses: new Uint8Array(rows * 2),
    others: [undefined, undefined, undefined, long],
  }
  assert.deepEqual(parsed(read), plain(read))
})
