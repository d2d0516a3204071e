/** What every object store does; each implementation runs it. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { isError } from '@millrace/core'
import type { ObjectStore } from './objects.ts'

/** Registers the tests of a kind of store; `open` gives an empty one. */
export function objectSuite(
  name: string,
  open: () => Promise<{ store: ObjectStore; dispose?: () => Promise<void> }>,
): void {
  describe(`${name}: the contract of object stores`, () => {
    let store: ObjectStore
    let dispose: (() => Promise<void>) | undefined
    before(async () => ({ store, dispose } = { dispose: undefined, ...(await open()) }))
    after(() => dispose?.())

    const listed = async (prefix: string): Promise<[string, number][]> => {
      const found: [string, number][] = []
      for await (const { name: each, bytes } of store.list(prefix)) found.push([each, bytes])
      return found
    }

    it('gives back what was put, replaced as a whole', async () => {
      assert.equal(await store.get('objects/aa/none'), undefined)
      const bytes = Uint8Array.from({ length: 70_000 }, (_, index) => index * 7)
      await store.put('objects/aa/one', bytes)
      assert.deepEqual(await store.get('objects/aa/one'), bytes)
      await store.put('objects/aa/one', new Uint8Array(0))
      assert.deepEqual(await store.get('objects/aa/one'), new Uint8Array(0))
    })

    it('keeps its own copy of the bytes', async () => {
      const bytes = Buffer.from([1, 2, 3])
      const put = store.put('copy', bytes)
      await put
      bytes[0] = 9
      assert.deepEqual(await store.get('copy'), Uint8Array.from([1, 2, 3]))
    })

    it('lists what is below a folder, sorted, with sizes', async () => {
      for (const each of ['list/b', 'list/a/2', 'list/a/1', 'lists/c']) {
        await store.put(each, Buffer.from(each))
      }
      const all: [string, number][] = [
        ['list/a/1', 8],
        ['list/a/2', 8],
        ['list/b', 6],
      ]
      assert.deepEqual(await listed('list/'), all)
      assert.deepEqual(await listed('list/a/'), all.slice(0, 2))
      assert.deepEqual(await listed('nothing/'), [])
    })

    it('lists more than one page', async () => {
      const names = Array.from(
        { length: 60 },
        (_, index) => `many/${String(index).padStart(4, '0')}`,
      )
      for (let at = 0; at < names.length; at += 50) {
        await Promise.all(names.slice(at, at + 50).map(each => store.put(each, Buffer.from('x'))))
      }
      assert.deepEqual(
        await listed('many/'),
        names.map(each => [each, 1]),
      )
    })

    it('removes, and removing what is not there is harmless', async () => {
      await store.put('gone/a', Buffer.from('x'))
      await store.remove('gone/a')
      await store.remove('gone/a')
      assert.equal(await store.get('gone/a'), undefined)
      assert.deepEqual(await listed('gone/'), [])
    })

    it('refuses what is no name', async () => {
      const isRefused = (error: unknown): boolean => isError(error, 'OBJECT_NAME_INVALID')
      for (const bad of ['', '/a', 'a/', '../a', 'a//b', 'a/../b', 'A', 'a b', 'x'.repeat(201)]) {
        await assert.rejects(async () => store.put(bad, new Uint8Array(1)), isRefused, bad)
        await assert.rejects(async () => store.get(bad), isRefused, bad)
        await assert.rejects(async () => store.remove(bad), isRefused, bad)
      }
    })
  })
}
