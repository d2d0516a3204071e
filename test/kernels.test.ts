import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FINGERPRINT } from '../packages/recommend/src/kernels/binary.ts'
import { kernelFingerprint } from '../scripts/kernels.ts'

test('the kernels that are checked in were compiled from the sources beside them', () => {
  assert.equal(FINGERPRINT, kernelFingerprint(), 'run `node scripts/kernels.ts`')
})
