import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { deriveId } from '@millrace/core'
import { fastDeriveId } from './emission-id.ts'

it('gives the ids of core', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true }), fc.string({ unit: 'binary' }), (timeMs, content) => {
      assert.equal(fastDeriveId(timeMs, content), deriveId(timeMs, content))
    }),
    { seed: 1, numRuns: 500 },
  )
})
