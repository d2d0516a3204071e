import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readDelimited, type Dialect } from './delimited.ts'
import { IMPORT_LIMITS } from './limits.ts'
import type { CellRow, RefusedRow } from './rows.ts'

const CSV: Dialect = { delimiter: ',', isQuoted: true, encoding: 'utf-8', newline: '\n' }

async function read(
  content: string | Uint8Array,
  dialect: Partial<Dialect> = {},
  options: { chunkBytes?: number; rowMax?: number } = {},
): Promise<{ rows: CellRow[]; refused: RefusedRow[]; latinLines: number }> {
  const bytes = Buffer.from(content as string)
  const size = options.chunkBytes ?? 7
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
  }
  const found = { rows: [] as CellRow[], refused: [] as RefusedRow[], latinLines: 0 }
  const limits = { ...IMPORT_LIMITS, rowMax: options.rowMax ?? IMPORT_LIMITS.rowMax }
  for await (const block of readDelimited(chunks(), { ...CSV, ...dialect }, limits)) {
    found.rows.push(...block.rows)
    found.refused.push(...block.refused)
    found.latinLines += block.latinLines
  }
  return found
}

test('cells with delimiters, quotes and line ends inside quotes', async () => {
  const { rows, refused } = await read('a,"b, ""c""",d\r\n"x\ny",,z\n\n1,2,3')
  assert.deepEqual(refused, [])
  assert.deepEqual(rows, [
    { line: 1, cells: ['a', 'b, "c"', 'd'] },
    { line: 2, cells: ['x\ny', '', 'z'] },
    { line: 5, cells: ['1', '2', '3'] },
  ])
})

test('a byte order mark is no part of the first cell', async () => {
  const { rows } = await read('\ufeffuserId,x\n1,2\n', {}, { chunkBytes: 1 })
  assert.deepEqual(rows[0]?.cells, ['userId', 'x'])
})

test('delimiters of several characters, no quotes', async () => {
  const { rows } = await read('1::Say "Hi"::a:b\n', { delimiter: '::', isQuoted: false })
  assert.deepEqual(rows[0]?.cells, ['1', 'Say "Hi"', 'a:b'])
})

test('a quote that is never closed costs its own row only', async () => {
  const { rows, refused } = await read('a,b\n"open,2\nc,d\ne,f\n')
  assert.deepEqual(
    rows.map(row => [row.line, ...row.cells]),
    [
      [1, 'a', 'b'],
      [3, 'c', 'd'],
      [4, 'e', 'f'],
    ],
  )
  assert.deepEqual(
    refused.map(row => [row.line, row.code, row.raw]),
    [[2, 'ROW_QUOTES', '"open,2']],
  )
})

test('a quote that is not closed within the limit costs its own row only', async () => {
  const lines = Array.from({ length: 50 }, (_, index) => `r${index},x`).join('\n')
  const { rows, refused } = await read(`"open,2\n${lines}\n`, {}, { rowMax: 100 })
  assert.equal(rows.length, 50)
  assert.equal(refused[0]?.line, 1)
  assert.match(refused[0]?.reason ?? '', /within 100 characters/)
})

test('text behind a closing quote refuses the row', async () => {
  const { rows, refused } = await read('"a"b,c\nd,e\n')
  assert.deepEqual(rows, [{ line: 2, cells: ['d', 'e'] }])
  assert.equal(refused[0]?.code, 'ROW_QUOTES')
})

test('a quote inside an unquoted cell is an ordinary character', async () => {
  const { rows } = await read('5" disk,"q"\n')
  assert.deepEqual(rows[0]?.cells, ['5" disk', 'q'])
})

test('a line that is too long is refused by number, the next one is read', async () => {
  const { rows, refused } = await read(`a,b\n${'x'.repeat(500)}\nc,d\n`, {}, { rowMax: 64 })
  assert.deepEqual(
    rows.map(row => row.line),
    [1, 3],
  )
  assert.deepEqual(
    refused.map(row => [row.line, row.code]),
    [[2, 'ROW_TOO_LONG']],
  )
})

test('bytes that are not UTF-8 refuse their row, or are read as Windows-1252', async () => {
  const bytes = Buffer.concat([
    Buffer.from('1,caf\u00e9\n2,caf'),
    Buffer.from([0xe9]),
    Buffer.from('\n3,x\n'),
  ])
  const strict = await read(bytes, {}, { chunkBytes: 1000 })
  assert.deepEqual(
    strict.rows.map(row => row.line),
    [1, 3],
  )
  assert.deepEqual(
    strict.refused.map(row => [row.line, row.code]),
    [[2, 'ROW_ENCODING']],
  )
  const mixed = await read(bytes, { encoding: 'mixed' }, { chunkBytes: 1000 })
  assert.deepEqual(
    mixed.rows.map(row => row.cells[1]),
    ['café', 'café', 'x'],
  )
  assert.equal(mixed.latinLines, 1)
  const latin = await read(Buffer.from('caf\u00e9,\u20ac', 'latin1'), { encoding: 'latin1' })
  assert.equal(latin.rows[0]?.cells[0], 'café')
})

test('line ends of old Macs', async () => {
  const { rows } = await read('a,b\r"c\rd",e\rf,g', { newline: '\r' })
  assert.deepEqual(
    rows.map(row => [row.line, ...row.cells]),
    [
      [1, 'a', 'b'],
      [2, 'c\rd', 'e'],
      [4, 'f', 'g'],
    ],
  )
})

test('too many cells refuse the row', async () => {
  const { rows, refused } = await read(`${','.repeat(5000)}\na,b\n`, {}, { chunkBytes: 512 })
  assert.equal(rows.length, 1)
  assert.equal(refused[0]?.code, 'ROW_CELLS')
})

test('an empty file has no rows', async () => {
  assert.deepEqual(await read(''), { rows: [], refused: [], latinLines: 0 })
  assert.deepEqual(await read('\ufeff'), { rows: [], refused: [], latinLines: 0 })
})
