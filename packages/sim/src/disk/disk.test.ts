import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSeededRandom, isError, type Disk } from '@millrace/core'
import { createSimClock, createSimDisk, type SimClock, type SimDisk } from '../index.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (content: Uint8Array | undefined): string | undefined =>
  content === undefined ? undefined : new TextDecoder().decode(content)
const rejects = (promise: Promise<unknown>, code: string): Promise<void> =>
  assert.rejects(promise, error => isError(error, code))

function inWorld(work: (disk: SimDisk, clock: SimClock) => Promise<void>): () => Promise<void> {
  return async () => {
    const clock = createSimClock({ seed: 7 })
    const disk = createSimDisk({ clock, random: createSeededRandom(7) })
    await clock.drive(() => work(disk, clock))
  }
}

async function put(disk: Disk, path: string, content: string, position = 0): Promise<void> {
  const file = await disk.open(path, 'write')
  await file.write(bytes(content), 0, bytes(content).length, position)
  await file.close()
}

test(
  'files keep what was written at its place, with zeros between, and shrink and grow',
  inWorld(async disk => {
    const file = await disk.open('a', 'create')
    await file.write(bytes('xxhelloxx'), 2, 5, 10_000)
    assert.equal(await file.size(), 10_005)
    const target = new Uint8Array(8).fill(255)
    assert.equal(await file.read(target, 1, 7, 10_000), 5)
    assert.deepEqual([...target], [255, ...bytes('hello'), 255, 255])
    assert.equal(await file.read(target, 0, 8, 9_996), 8)
    assert.deepEqual([...target], [0, 0, 0, 0, ...bytes('hell')])
    assert.equal(await file.read(target, 0, 8, 10_005), 0)
    await file.truncate(10_002)
    await file.truncate(10_004)
    assert.equal(await file.read(target, 0, 8, 10_000), 4)
    assert.deepEqual([...target.subarray(0, 4)], [...bytes('he'), 0, 0])
    await file.truncate(0)
    await file.truncate(4)
    assert.deepEqual(disk.peek('a'), new Uint8Array(4))
  }),
)

test(
  'modes, closed files and arguments are refused as by the disk of a machine',
  inWorld(async disk => {
    await rejects(disk.open('missing', 'read'), 'DISK_NOT_FOUND')
    await rejects(disk.open('no/where', 'write'), 'DISK_NOT_FOUND')
    await put(disk, 'b', 'abc')
    await rejects(disk.open('b', 'create'), 'DISK_EXISTS')
    const reader = await disk.open('b', 'read')
    await rejects(reader.write(bytes('z'), 0, 1, 0), 'DISK_FAILED')
    await rejects(reader.read(new Uint8Array(1), 0, 2, 0), 'DISK_FAILED')
    const reading = reader.read(new Uint8Array(3), 0, 3, 0)
    const closing = reader.close()
    await rejects(reader.size(), 'DISK_FAILED')
    assert.equal(await reading, 3)
    await closing
    await reader.close()
    await rejects(disk.open('/b', 'read'), 'DISK_FAILED')
    await rejects(disk.open('../b', 'read'), 'DISK_FAILED')
    await rejects(disk.rename('b', 'c/../d'), 'DISK_FAILED')
    await rejects(disk.remove(''), 'DISK_FAILED')
    await rejects(disk.syncDirectory('none'), 'DISK_NOT_FOUND')
    await rejects(disk.makeDirectory('b'), 'DISK_EXISTS')
    await rejects(disk.open('', 'read'), 'DISK_FAILED')
    await rejects(disk.list('b'), 'DISK_FAILED')
  }),
)

test(
  'directories are made with parents, listed in order, renamed into and removed',
  inWorld(async disk => {
    await disk.makeDirectory('x/y/z')
    await disk.makeDirectory('x/y/z')
    for (const name of ['b', 'a', 'c']) await put(disk, `x/y/${name}`, name)
    assert.deepEqual(await disk.list('x/y'), ['a', 'b', 'c', 'z'])
    await disk.rename('x/y/a', 'x/y/b')
    assert.equal(text(disk.peek('x/y/b')), 'a')
    await rejects(disk.rename('x/y/gone', 'x/y/b'), 'DISK_NOT_FOUND')
    await rejects(disk.rename('x/y/b', 'x/y/z'), 'DISK_FAILED')
    await rejects(disk.rename('x', 'x/y/x'), 'DISK_FAILED')
    await disk.rename('x/y', 'x/moved')
    assert.deepEqual(await disk.list('x/moved'), ['b', 'c', 'z'])
    assert.equal(await disk.sizeOf('x/moved/c'), 1)
    assert.notEqual(await disk.sizeOf('x/moved'), undefined)
    await disk.remove('x')
    await disk.remove('x')
    assert.deepEqual(await disk.list('x'), [])
    assert.equal(await disk.sizeOf('x'), undefined)
    assert.deepEqual(disk.paths(), [])
  }),
)

test(
  'the n-th matching call fails, for as long as told; every effect does what it says',
  inWorld(async disk => {
    const file = await disk.open('f', 'create')
    const write = (content: string): Promise<void> =>
      file.write(bytes(content), 0, content.length, 0)
    const second = disk.inject({ on: 'write', path: /^f$/, nth: 2, times: 2, effect: 'fail' })
    await write('1')
    await rejects(write('2'), 'DISK_FAILED')
    await rejects(write('3'), 'DISK_FAILED')
    assert.equal(text(disk.peek('f')), '1')
    await write('4')
    assert.equal(second.hits, 2)
    disk.inject({ on: ['write', 'sync'], effect: 'short', bytes: 2 })
    await rejects(write('567'), 'DISK_FAILED')
    assert.equal(text(disk.peek('f')), '56')
    disk.inject({ on: 'any', effect: 'applied' })
    await rejects(write('8'), 'DISK_FAILED')
    assert.equal(text(disk.peek('f')), '86')
    disk.inject({ on: 'write', effect: 'full' })
    await rejects(write('9'), 'DISK_FULL')
    const always = disk.inject({ on: 'sync', times: Infinity, effect: 'fail' })
    await rejects(file.sync(), 'DISK_FAILED')
    await rejects(file.sync(), 'DISK_FAILED')
    always.lift()
    await file.sync()
    assert.equal(disk.calls().sync, 3)
    disk.resetCalls()
    assert.equal(disk.calls().sync, 0)
  }),
)

test(
  'a slow sync takes its time; a failed one keeps the data waiting; a dropped one loses it in silence',
  inWorld(async (disk, clock) => {
    await put(disk, 'f', 'old')
    const file = await disk.open('f', 'write')
    await disk.syncDirectory('')
    disk.inject({ on: 'sync', effect: 'slow', slowMs: 1_000 })
    await file.sync()
    assert.ok(clock.monotonicMs() > 1_000)
    await file.write(bytes('new'), 0, 3, 0)
    disk.inject({ on: 'sync', effect: 'fail' })
    await rejects(file.sync(), 'DISK_FAILED')
    await file.sync()
    assert.equal(text(disk.peekDurable('f')), 'new')
    await file.write(bytes('bad'), 0, 3, 0)
    disk.inject({ on: 'sync', effect: 'drop' })
    await rejects(file.sync(), 'DISK_FAILED')
    await file.sync()
    assert.equal(text(disk.peek('f')), 'bad')
    assert.equal(text(disk.peekDurable('f')), 'new')
    disk.crash()
    assert.equal(text(disk.peek('f')), 'new')
  }),
)

test(
  'a full volume takes what fits in its free blocks, and more when there is room again',
  inWorld(async disk => {
    const file = await disk.open('f', 'create')
    disk.limitFree(8_192)
    assert.equal(await disk.freeBytes(), 8_192)
    const content = new Uint8Array(10_000).fill(1)
    await rejects(file.write(content, 0, 10_000, 100), 'DISK_FULL')
    assert.equal(await file.size(), 8_192)
    await file.write(content, 0, 8_192, 0)
    await rejects(file.write(content, 0, 1, 8_192), 'DISK_FULL')
    assert.equal(await disk.freeBytes(), 0)
    await file.truncate(4_096)
    await file.write(content, 0, 10, 5_000)
    disk.limitFree(undefined)
    await file.write(content, 0, 10_000, 0)
    disk.limitFree(0)
    disk.repair()
    await file.write(content, 0, 10_000, 10_000)
    assert.ok((await disk.freeBytes()) > 2 ** 30)
  }),
)

test(
  'bit rot changes what is read and what survives',
  inWorld(async disk => {
    disk.place('d/f', bytes('abcd'))
    disk.rot('d/f', { position: 2 })
    assert.notEqual(text(disk.peek('d/f')), 'abcd')
    assert.deepEqual(disk.peekDurable('d/f'), disk.peek('d/f'))
    const before = disk.peek('d/f') as Uint8Array
    disk.rot('d/f', { bits: 1 })
    const after = disk.peek('d/f') as Uint8Array
    const flipped = [...before].map((byte, index) => byte ^ (after[index] as number))
    assert.equal(flipped.filter(difference => difference !== 0).length, 1)
    assert.throws(
      () => disk.rot('nothing'),
      error => isError(error, 'DISK_NOT_FOUND'),
    )
  }),
)

test(
  'a snapshot brings back what was there, durable or not',
  inWorld(async disk => {
    disk.place('kept', bytes('durable'))
    await put(disk, 'fresh', 'unsynced')
    const snapshot = disk.snapshot()
    await put(disk, 'kept', 'changed')
    await disk.remove('fresh')
    disk.restore(snapshot)
    assert.equal(text(disk.peek('kept')), 'durable')
    assert.equal(text(disk.peek('fresh')), 'unsynced')
    assert.equal(disk.peekDurable('fresh'), undefined)
    const file = await disk.open('fresh', 'write')
    await file.sync()
    await disk.syncDirectory('')
    assert.equal(text(disk.peekDurable('fresh')), 'unsynced')
    disk.restore(snapshot)
    assert.equal(disk.peekDurable('fresh'), undefined)
  }),
)

test(
  'after a kill nothing answers the old process, and what it wrote stays',
  inWorld(async (disk, clock) => {
    const first = disk.mount()
    await put(first.disk, 'f', 'kept')
    assert.deepEqual(disk.paths(), ['f'])
    const file = await first.disk.open('f', 'write')
    let isAnswered = false
    const answered = (): void => void (isAnswered = true)
    file.sync().then(answered, answered)
    first.kill()
    first.kill()
    first.disk.list('').then(answered, answered)
    file.size().then(answered, answered)
    await clock.sleep(10_000)
    assert.equal(isAnswered, false)
    assert.equal(text(disk.peek('f')), 'kept')
    const second = disk.mount()
    assert.deepEqual(await second.disk.list(''), ['f'])
  }),
)

test(
  'a buffer that changes while it is being written is reported',
  inWorld(async disk => {
    const file = await disk.open('f', 'create')
    const buffer = bytes('abc')
    const writing = file.write(buffer, 0, 3, 0)
    buffer[1] = 0
    await rejects(writing, 'SIM_BUFFER_CHANGED')
  }),
)

test('a write under way when its process is killed is done, done in part, or not done', async () => {
  const seen = new Set<number>()
  for (let seed = 0; seed < 60; seed++) {
    const clock = createSimClock({ seed })
    const disk = createSimDisk({ clock, random: createSeededRandom(seed) })
    await clock.drive(async () => {
      const mount = disk.mount()
      const file = await mount.disk.open('f', 'create')
      void file.write(bytes('abcd'), 0, 4, 0)
      void mount.disk.rename('missing', 'g')
      mount.kill()
      seen.add(disk.peek('f')?.length ?? -1)
      await clock.sleep(10)
    })
  }
  assert.deepEqual([...seen].sort(), [0, 1, 2, 3, 4])
})

test(
  'what was written stays when the caller reuses its Buffer, whose own slice is a view',
  inWorld(async disk => {
    const buffer = Buffer.from('abc')
    disk.place('placed', buffer)
    const file = await disk.open('f', 'create')
    await file.write(buffer, 0, 3, 0)
    buffer.fill('x')
    await file.sync()
    await disk.syncDirectory('')
    assert.equal(text(disk.peekDurable('f')), 'abc')
    assert.equal(text(disk.peekDurable('placed')), 'abc')
  }),
)

test(
  'an unlinked file stays readable through its open handle',
  inWorld(async disk => {
    await put(disk, 'f', 'still')
    const file = await disk.open('f', 'read')
    await disk.remove('f')
    const target = new Uint8Array(5)
    assert.equal(await file.read(target, 0, 5, 0), 5)
    assert.equal(text(target), 'still')
  }),
)
