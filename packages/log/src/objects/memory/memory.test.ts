import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isError } from '@millrace/core'
import { objectSuite } from '../suite.ts'
import { createMemoryObjectStore } from './index.ts'

objectSuite('memory', async () => ({ store: createMemoryObjectStore() }))

test('a memory store fails as it is told to', async () => {
  const store = createMemoryObjectStore((call, name) =>
    call === 'put' && name === 'torn' ? 'torn' : name === 'bad' ? 'fails' : undefined,
  )
  const isUnavailable = (error: unknown): boolean => isError(error, 'OBJECTS_UNAVAILABLE')
  await assert.rejects(store.put('torn', Buffer.from('1234')), isUnavailable)
  assert.equal(Buffer.from(store.objects.get('torn') ?? []).toString(), '12')
  await assert.rejects(store.get('bad'), isUnavailable)
})
