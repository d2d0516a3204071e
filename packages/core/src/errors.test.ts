import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineErrors } from './errors.ts'

const errors = defineErrors({
  STOPPED: {
    status: 500,
    retryable: false,
    message: '{what} stopped: {reason}. The rest goes on.',
    remedy: 'Restart {what}.',
  },
})

test('messages are filled in, and a reason that is a sentence ends once', () => {
  const error = errors.create('STOPPED', { what: 'fold', reason: 'There is no space left.' })
  assert.equal(error.message, 'fold stopped: There is no space left. The rest goes on.')
  assert.equal(error.remedy, 'Restart fold.')
  const plain = errors.create('STOPPED', { what: 7, reason: 'full' })
  assert.equal(plain.message, '7 stopped: full. The rest goes on.')
  assert.equal(plain.remedy, 'Restart 7.')
  assert.equal(
    errors.create('STOPPED', { what: 'it' }).message,
    'it stopped: {reason}. The rest goes on.',
  )
})
