import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deriveId } from '@millrace/core'
import fc from 'fast-check'
import { rowId } from './row-id.ts'

test('a row id is what core derives', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.string(), (timeMs, content) => {
      assert.equal(rowId(timeMs, content), deriveId(timeMs, content))
    }),
    { seed: 20_263 },
  )
})
