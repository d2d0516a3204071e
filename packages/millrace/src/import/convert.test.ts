import assert from 'node:assert/strict'
import { test } from 'node:test'
import { float } from '@millrace/core'
import { Unfit, createConverter } from './convert.ts'

test('numbers are read with a point, or with a comma where that was said', () => {
  const read = (text: string, hasDecimalComma: boolean): unknown => {
    const value = createConverter(float(), { listSeparator: '|', hasDecimalComma })(text)
    return value instanceof Unfit ? 'unfit' : value
  }
  const cases: [text: string, point: unknown, comma: unknown][] = [
    ['12.5', 12.5, 'unfit'],
    ['12,5', 'unfit', 12.5],
    ['-1.234,50', 'unfit', -1234.5],
    ['1.234', 1.234, 1234],
    ['1234', 1234, 1234],
    [',5', 'unfit', 0.5],
    ['1,234,567', 'unfit', 'unfit'],
    ['1e3', 1000, 'unfit'],
    [',', 'unfit', 'unfit'],
    ['', 'unfit', 'unfit'],
    ['1.23.456', 'unfit', 'unfit'],
  ]
  for (const [text, point, comma] of cases) {
    assert.deepEqual([read(text, false), read(text, true)], [point, comma], text)
  }
})

test('a number with a comma is refused with what reads it', () => {
  const convert = createConverter(float(), { listSeparator: '|' })
  const reasonOf = (text: string): string => (convert(text) as Unfit).reason
  assert.equal(reasonOf('12,50'), '"12,50" is not a number; --decimal-comma reads it as one')
  assert.equal(reasonOf('dear'), '"dear" is not a number')
})
