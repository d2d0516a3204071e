import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createSeededRandom } from '@millrace/core'
import { createSimClock, createSimDisk, type SimDisk } from '../index.ts'

const SIZE = 3_000

async function inWorld(seed: number, work: (disk: SimDisk) => Promise<void>): Promise<void> {
  const clock = createSimClock({ seed })
  const disk = createSimDisk({ clock, random: createSeededRandom(seed) })
  await clock.drive(() => work(disk))
}

const change = fc.oneof(
  fc.record({
    kind: fc.constant('write' as const),
    position: fc.nat(SIZE - 1),
    length: fc.integer({ min: 1, max: 1_500 }),
  }),
  fc.record({ kind: fc.constant('truncate' as const), size: fc.nat(SIZE) }),
  fc.record({ kind: fc.constant('sync' as const) }),
)

test('after a crash every byte is one that was written there and not overwritten by a synced one', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 12 }), fc.nat(), async (changes, seed) => {
      await inWorld(seed, async disk => {
        disk.place('f', new Uint8Array(0))
        const file = await disk.open('f', 'write')
        // Per position, the values that may be read there; a sync leaves only the newest one.
        let now = new Uint8Array(0)
        let sizes = new Set([0])
        const possible = Array.from({ length: SIZE * 2 }, () => new Set([0]))
        for (const [index, each] of changes.entries()) {
          if (each.kind === 'write') {
            const bytes = new Uint8Array(each.length).fill(index + 1)
            await file.write(bytes, 0, each.length, each.position)
            const grown = new Uint8Array(Math.max(now.length, each.position + each.length))
            grown.set(now)
            grown.set(bytes, each.position)
            now = grown
            for (let at = 0; at < each.length; at++) possible[each.position + at]?.add(index + 1)
          } else if (each.kind === 'truncate') {
            await file.truncate(each.size)
            const cut = new Uint8Array(each.size)
            cut.set(now.subarray(0, each.size))
            now = cut
            for (let at = each.size; at < possible.length; at++) possible[at]?.add(0)
          } else {
            await file.sync()
            sizes = new Set()
            for (let at = 0; at < possible.length; at++) possible[at] = new Set([now[at] ?? 0])
          }
          sizes.add(now.length)
          assert.deepEqual(disk.peek('f'), now)
        }
        disk.crash()
        const left = disk.peek('f') as Uint8Array
        assert.deepEqual(disk.peekDurable('f'), left)
        for (const [at, byte] of left.entries()) assert.ok(possible[at]?.has(byte), `byte ${at}`)
        if (changes.at(-1)?.kind === 'sync') assert.deepEqual(left, now)
        const isShrunk = changes.some(each => each.kind === 'truncate')
        if (!isShrunk) assert.ok(left.length >= Math.min(...sizes), 'synced bytes are not cut off')
      })
    }),
    { numRuns: Number(process.env['MILLRACE_PROP_RUNS'] ?? 300), seed: 20260101 },
  )
})

/** Runs the same work under many seeds and collects what a crash left of it. */
async function outcomes(
  work: (disk: SimDisk) => Promise<void>,
  look: (disk: SimDisk) => string,
): Promise<ReadonlySet<string>> {
  const seen = new Set<string>()
  for (let seed = 0; seed < 400; seed++) {
    await inWorld(seed, async disk => {
      await work(disk)
      disk.crash()
      seen.add(look(disk))
    })
  }
  return seen
}

const filesOf = (disk: SimDisk): string =>
  disk
    .paths()
    .map(path => `${path}=${Buffer.from(disk.peek(path) ?? []).toString()}`)
    .join(' ')

async function write(disk: SimDisk, path: string, content: string): Promise<void> {
  const file = await disk.open(path, 'write')
  const bytes = Buffer.from(content)
  await file.truncate(0)
  await file.write(bytes, 0, bytes.length, 0)
  await file.sync()
  await file.close()
}

test('replacing by rename leaves the old or the new content, and the new one once synced', async () => {
  const replace = async (disk: SimDisk): Promise<void> => {
    disk.place('d/f', Buffer.from('old'))
    await write(disk, 'd/f.tmp', 'new')
    await disk.rename('d/f.tmp', 'd/f')
  }
  assert.deepEqual([...(await outcomes(replace, filesOf))].sort(), [
    'd/f=new',
    'd/f=old',
    'd/f=old d/f.tmp=new',
  ])
  const durable = async (disk: SimDisk): Promise<void> => {
    await replace(disk)
    await disk.syncDirectory('d')
  }
  assert.deepEqual([...(await outcomes(durable, filesOf))], ['d/f=new'])
})

test('renaming without syncing the file first may leave it empty or torn', async () => {
  const careless = async (disk: SimDisk): Promise<void> => {
    disk.place('f', Buffer.from('old'))
    const file = await disk.open('f.tmp', 'create')
    await file.write(Buffer.from('new'), 0, 3, 0)
    await disk.rename('f.tmp', 'f')
    await disk.syncDirectory('')
  }
  const seen = await outcomes(careless, filesOf)
  for (const wanted of ['f=', 'f=n', 'f=ne', 'f=new']) assert.ok(seen.has(wanted), wanted)
})

test('a name is durable only when its directory was synced, and that directory its parent', async () => {
  const synced = (directories: readonly string[]) => async (disk: SimDisk) => {
    await disk.makeDirectory('a/b')
    await write(disk, 'a/b/f', 'x')
    for (const directory of directories) await disk.syncDirectory(directory)
  }
  assert.ok((await outcomes(synced([]), filesOf)).has(''))
  assert.ok((await outcomes(synced(['a/b']), filesOf)).has(''))
  assert.ok((await outcomes(synced(['a/b', 'a']), filesOf)).has(''))
  assert.deepEqual([...(await outcomes(synced(['a/b', 'a', '']), filesOf))], ['a/b/f=x'])
})

test('a removed file may come back unless its directory was synced; a move is never half done', async () => {
  const removed = async (disk: SimDisk): Promise<void> => {
    disk.place('f', Buffer.from('x'))
    await disk.remove('f')
  }
  assert.deepEqual([...(await outcomes(removed, filesOf))].sort(), ['', 'f=x'])
  const moved = async (disk: SimDisk): Promise<void> => {
    disk.place('a/f', Buffer.from('x'))
    await disk.makeDirectory('b')
    await disk.syncDirectory('')
    await disk.rename('a/f', 'b/f')
  }
  assert.deepEqual([...(await outcomes(moved, filesOf))].sort(), ['a/f=x', 'b/f=x'])
})

test('a change of names survives only with the earlier changes that it rests on', async () => {
  const chain = async (disk: SimDisk): Promise<void> => {
    disk.place('a', Buffer.from('x'))
    await disk.rename('a', 'b')
    await disk.rename('b', 'c')
  }
  assert.deepEqual([...(await outcomes(chain, filesOf))].sort(), ['a=x', 'b=x', 'c=x'])
  const synced = async (disk: SimDisk): Promise<void> => {
    await disk.makeDirectory('d')
    await disk.syncDirectory('')
    await chain(disk)
    await disk.rename('c', 'd/e')
    await disk.syncDirectory('d')
  }
  assert.deepEqual([...(await outcomes(synced, filesOf))], ['d/e=x'])
})

test('unsynced writes of a file survive in any combination, torn at any byte', async () => {
  const two = async (disk: SimDisk): Promise<void> => {
    disk.place('f', new Uint8Array(1_024))
    const file = await disk.open('f', 'write')
    await file.write(Buffer.from('ab'), 0, 2, 0)
    await file.write(Buffer.from('cd'), 0, 2, 512)
  }
  const look = (disk: SimDisk): string => {
    const content = disk.peek('f') as Uint8Array
    return String.fromCharCode(...[0, 1, 512, 513].map(at => content[at] || 46))
  }
  const seen = await outcomes(two, look)
  assert.deepEqual([...seen].sort(), ['....', '..cd', 'a...', 'ab..', 'abc.', 'abcd'])
})

test('a volume goes on after a crash, a snapshot and another crash', async () => {
  const look = async (seed: number): Promise<string> => {
    let left = ''
    await inWorld(seed, async disk => {
      await disk.makeDirectory('d')
      await write(disk, 'd/a', 'one')
      await disk.rename('d/a', 'd/b')
      const snapshot = disk.snapshot()
      disk.crash()
      disk.restore(snapshot)
      await disk.syncDirectory('d')
      await disk.syncDirectory('')
      await write(disk, 'd/c', 'two')
      disk.crash()
      left = filesOf(disk)
      await write(disk, 'd/b', 'three')
      disk.crash()
      assert.equal(Buffer.from(disk.peek('d/b') ?? []).toString(), 'three')
    })
    return left
  }
  const seen = new Set<string>()
  for (let seed = 0; seed < 50; seed++) seen.add(await look(seed))
  assert.deepEqual([...seen].sort(), ['d/b=one', 'd/b=one d/c=two'])
})
