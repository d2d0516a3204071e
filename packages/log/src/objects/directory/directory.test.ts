import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isError } from '@millrace/core'
import { objectSuite } from '../suite.ts'
import { openDirectoryStore } from './index.ts'

function folder(): { root: string; dispose: () => Promise<void> } {
  const root = mkdtempSync(join(tmpdir(), 'millrace-objects-'))
  return { root, dispose: async () => rmSync(root, { recursive: true }) }
}

objectSuite('directory', async () => {
  const { root, dispose } = folder()
  return { store: await openDirectoryStore(join(root, 'deep/er')), dispose }
})

test('files are private, and what a crash left half written is no object', async t => {
  const { root, dispose } = folder()
  t.after(dispose)
  const store = await openDirectoryStore(join(root, 'backups'))
  await store.put('objects/ab/abc', Buffer.from('x'))
  writeFileSync(join(root, 'backups/objects/ab/abd.77.part'), 'half')
  const names = []
  for await (const { name } of store.list('objects/')) names.push(name)
  assert.deepEqual(names, ['objects/ab/abc'])
  assert.equal(statSync(join(root, 'backups/objects/ab/abc')).mode & 0o077, 0)
  assert.equal(statSync(join(root, 'backups')).mode & 0o077, 0)
})

test('a place that cannot be written to is refused by name', async t => {
  const { root, dispose } = folder()
  t.after(dispose)
  writeFileSync(join(root, 'file'), '')
  await assert.rejects(
    openDirectoryStore(join(root, 'file/below')),
    error => isError(error, 'OBJECTS_REFUSED') && error.message.includes(root),
  )
})
