import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSeededRandom } from '@millrace/core'
import { JsonBytes } from './json-bytes.ts'

const written = (write: (json: JsonBytes) => unknown): string => {
  const json = new JsonBytes().begin()
  write(json)
  return json.end().toString('utf8')
}

test('scores have six significant digits at any size, and are JSON', () => {
  const random = createSeededRandom(3)
  const scores = [
    0, 0.1, 1, 999.9999995, 1000, 0.09999999, 1e-4, 9.9999996e-5, 1e-300, 5e-324, 1e21,
  ]
  for (let turn = 0; turn < 2_000; turn++) scores.push(10 ** (random.next() * 24 - 12))
  for (const score of scores) {
    const text = written(json => json.score(score))
    const read = JSON.parse(text) as number
    assert.ok(Math.abs(read - score) <= 5.1e-6 * score, `${score} was written as ${text}`)
  }
})

test('counts are whole numbers', () => {
  for (const count of [0, 7, 9, 10, 99, 100, 12_345, 99_999, 2 ** 31 - 1]) {
    assert.equal(
      written(json => json.count(count)),
      String(count),
    )
  }
})

test('a value is whole wherever its slab ends, and stays as it is', () => {
  const json = new JsonBytes()
  const piece = Buffer.from('"käse",')
  const long = Buffer.from(`,${'x'.repeat(150)},`)
  const values: { readonly wanted: string; readonly got: Buffer }[] = []
  for (let size = 1; size < 400; size += 37) {
    json.begin()
    let wanted = ''
    for (let at = 0; at < size * 20; at++) {
      json.bytes(piece).text('"€"').bytes(long).ascii('"a",').count(at)
      wanted += `"käse","€",${'x'.repeat(150)},"a",${at}`
    }
    values.push({ wanted, got: json.end() })
  }
  for (const { wanted, got } of values) assert.equal(got.toString('utf8'), wanted)
})

test('the comma behind the last can be taken back', () => {
  assert.equal(
    written(json => json.ascii('[1,').count(2).ascii(',').takeBack().ascii(']')),
    '[1,2]',
  )
})
