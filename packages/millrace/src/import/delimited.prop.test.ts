import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'csv-parse/sync'
import { stringifyRow } from './fixtures.test.ts'
import fc from 'fast-check'
import { readDelimited, rowText, type Dialect } from './delimited.ts'
import { IMPORT_LIMITS } from './limits.ts'

const cell = fc.string({
  unit: fc.constantFrom('a', 'é', '😀', ',', ';', '"', '\n', '\r\n', ' ', '\t', ':', '1'),
  maxLength: 12,
})

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

test('reads what csv-parse reads, whatever the chunks', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { maxLength: 8 }),
      fc.constantFrom(',', ';', '\t', '::'),
      fc.constantFrom('\n', '\r\n'),
      fc.integer({ min: 1, max: 40 }),
      async (rows, delimiter, newline, chunkBytes) => {
        const text = rows.map(row => stringifyRow(row, delimiter) + newline).join('')
        const expected = parse(text, {
          delimiter,
          record_delimiter: newline,
          relax_column_count: true,
          relax_quotes: true,
        })
        const dialect: Dialect = { delimiter, isQuoted: true, encoding: 'utf-8', newline: '\n' }
        const found: (readonly string[])[] = []
        const blocks = readDelimited(
          chunksOf(Buffer.from(text), chunkBytes),
          dialect,
          IMPORT_LIMITS,
        )
        for await (const block of blocks) {
          assert.deepEqual(block.refused, [])
          found.push(...block.rows.map(row => row.cells))
        }
        assert.deepEqual(found, expected)
        assert.deepEqual(found, rows)
      },
    ),
    { seed: 20_261, numRuns: 500 },
  )
})

test('a row that was read is written such that it is read again', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(cell, { minLength: 2, maxLength: 4 }).filter(cells => cells.join('') !== ''),
      fc.constantFrom(',', ';', '\t', '::'),
      async (cells, delimiter) => {
        const dialect: Dialect = { delimiter, isQuoted: true, encoding: 'utf-8', newline: '\n' }
        const found: (readonly string[])[] = []
        const bytes = Buffer.from(rowText(cells, dialect))
        for await (const block of readDelimited(chunksOf(bytes, 64), dialect, IMPORT_LIMITS)) {
          found.push(...block.rows.map(row => row.cells))
        }
        assert.deepEqual(found, [cells])
      },
    ),
    { seed: 20_261, numRuns: 300 },
  )
})

test('any bytes end in rows and refusals whose lines exist, each line at most once', async () => {
  const piece = fc.oneof(
    fc.constantFrom('"', '""', ',', '\n', '\r\n', '\r', '::', '\t', 'x', '\u0000', '\ufeff'),
    fc.string({ maxLength: 30 }),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 60 }),
      fc.uint8Array({ maxLength: 8 }),
      fc.integer({ min: 1, max: 64 }),
      fc.constantFrom<Dialect['encoding']>('utf-8', 'mixed', 'latin1'),
      async (pieces, noise, chunkBytes, encoding) => {
        const bytes = Buffer.concat([Buffer.from(pieces.join('')), noise])
        const lines = bytes.toString('latin1').split('\n').length
        const dialect: Dialect = { delimiter: ',', isQuoted: true, encoding, newline: '\n' }
        const limits = { ...IMPORT_LIMITS, rowMax: 40 }
        const seen = new Set<number>()
        for await (const block of readDelimited(chunksOf(bytes, chunkBytes), dialect, limits)) {
          for (const { line } of [...block.rows, ...block.refused]) {
            assert.ok(line >= 1 && line <= lines, `line ${line} of ${lines}`)
            assert.ok(!seen.has(line), `line ${line} twice`)
            seen.add(line)
          }
        }
      },
    ),
    { seed: 20_262, numRuns: 1_000 },
  )
})
