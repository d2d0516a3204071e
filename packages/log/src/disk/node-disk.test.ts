import assert from 'node:assert/strict'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isError, type Disk } from '@millrace/core'
import { openNodeDisk } from './index.ts'

let root = ''
let disk: Disk

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-disk-'))
  disk = openNodeDisk(root)
})
after(() => rm(root, { recursive: true, force: true }))

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const rejects = (promise: Promise<unknown>, code: string): Promise<void> =>
  assert.rejects(promise, error => isError(error, code))

test('a file keeps what was written at its place', async () => {
  const file = await disk.open('a.bin', 'write')
  await file.write(bytes('xxhelloxx'), 2, 5, 10)
  await file.sync()
  assert.equal(await file.size(), 15)
  const target = new Uint8Array(8).fill(255)
  assert.equal(await file.read(target, 1, 7, 10), 5)
  assert.deepEqual([...target], [255, ...bytes('hello'), 255, 255])
  assert.equal(await file.read(target, 0, 8, 15), 0)
  await file.truncate(12)
  assert.equal(await disk.sizeOf('a.bin'), 12)
  await file.write(bytes(''), 0, 0, 0)
  await file.close()
})

test('a write through reaches its place, under a later name of the file too', async () => {
  const file = await disk.open('through.bin', 'create')
  await file.write(bytes('........'), 0, 8, 0)
  await disk.rename('through.bin', 'renamed.bin')
  assert.ok(file.writeThrough)
  await file.writeThrough(bytes('xxhixx'), 2, 2, 1)
  await file.writeThrough(bytes('ho'), 0, 2, 7)
  const target = new Uint8Array(16)
  assert.equal(await file.read(target, 0, 16, 0), 9)
  assert.deepEqual([...target.subarray(0, 9)], [...bytes('.hi....ho')])
  assert.equal(await disk.sizeOf('through.bin'), undefined)
  const last = file.writeThrough(bytes('!'), 0, 1, 9)
  await Promise.all([last, file.close()])
  await rejects(file.writeThrough(bytes('z'), 0, 1, 0), 'DISK_FAILED')
  assert.equal(await disk.sizeOf('renamed.bin'), 10)
})

test('modes: read refuses a missing file, create refuses an existing one, write keeps content', async () => {
  await rejects(disk.open('missing', 'read'), 'DISK_NOT_FOUND')
  const file = await disk.open('b.bin', 'create')
  await file.write(bytes('abc'), 0, 3, 0)
  await file.close()
  await rejects(disk.open('b.bin', 'create'), 'DISK_EXISTS')
  const again = await disk.open('b.bin', 'write')
  assert.equal(await again.size(), 3)
  await again.close()
  const reader = await disk.open('b.bin', 'read')
  await rejects(reader.write(bytes('z'), 0, 1, 0), 'DISK_FAILED')
  await reader.close()
})

test('a closed file refuses every call; close waits for calls in flight and may be repeated', async () => {
  const file = await disk.open('c.bin', 'create')
  const writing = file.write(new Uint8Array(1 << 20), 0, 1 << 20, 0)
  const closing = file.close()
  await rejects(file.sync(), 'DISK_FAILED')
  await Promise.all([writing, closing, file.close()])
  assert.equal(await disk.sizeOf('c.bin'), 1 << 20)
  await rejects(file.read(new Uint8Array(1), 0, 1, 0), 'DISK_FAILED')
})

test('a call with arguments outside the buffer rejects and does not block close', async () => {
  const file = await disk.open('d.bin', 'create')
  await rejects(file.read(new Uint8Array(4), 0, 8, 0), 'DISK_FAILED')
  await file.close()
})

test('directories are made with their parents, listed in order, renamed into and removed', async () => {
  await disk.makeDirectory('x/y/z')
  await disk.makeDirectory('x/y/z')
  for (const name of ['b', 'a', 'c']) await (await disk.open(`x/y/${name}`, 'create')).close()
  assert.deepEqual(await disk.list('x/y'), ['a', 'b', 'c', 'z'])
  await disk.rename('x/y/a', 'x/y/b')
  await disk.syncDirectory('x/y')
  assert.deepEqual(await disk.list('x/y'), ['b', 'c', 'z'])
  await rejects(disk.rename('x/y/gone', 'x/y/b'), 'DISK_NOT_FOUND')
  await disk.remove('x')
  await disk.remove('x')
  assert.deepEqual(await disk.list('x'), [])
  assert.equal(await disk.sizeOf('x'), undefined)
  await rejects(disk.syncDirectory('x'), 'DISK_NOT_FOUND')
})

test('the root is made by makeDirectory, and has free bytes', async () => {
  const nested = openNodeDisk(join(root, 'fresh', 'root'))
  assert.deepEqual(await nested.list(''), [])
  await nested.makeDirectory('')
  assert.equal((await stat(join(root, 'fresh', 'root'))).isDirectory(), true)
  assert.ok((await nested.freeBytes()) > 0)
})

test('paths outside the root are refused', async () => {
  await writeFile(join(root, 'outside'), 'x')
  await disk.makeDirectory('inner')
  const inner = openNodeDisk(join(root, 'inner'))
  for (const path of [
    '../outside',
    'a/../../outside',
    '/etc/passwd',
    './a',
    'a//b',
    'a\\..\\b',
    'a\0',
  ]) {
    await rejects(inner.open(path, 'read'), 'DISK_FAILED')
    await rejects(inner.remove(path), 'DISK_FAILED')
    await rejects(inner.rename('a', path), 'DISK_FAILED')
    await rejects(inner.list(path), 'DISK_FAILED')
  }
  await rejects(inner.remove(''), 'DISK_FAILED')
  assert.equal(existsSync(join(root, 'outside')), true)
})

test(
  'a full volume is DISK_FULL',
  { skip: existsSync('/dev/full') ? false : '/dev/full is absent' },
  async () => {
    const devices = openNodeDisk('/dev')
    const file = await devices.open('full', 'write')
    await rejects(file.write(bytes('x'), 0, 1, 0), 'DISK_FULL')
    await file.close()
  },
)
