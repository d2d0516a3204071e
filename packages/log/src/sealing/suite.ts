/** What every store of keys does; each implementation runs it. For test files only. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { KEY_BYTES, OTHER_KEYS, type KeyStore } from './keys.ts'

/** Registers the tests of a kind of store; `open` gives an empty one. */
export function keySuite(
  name: string,
  open: () => Promise<{ readonly store: KeyStore; readonly dispose?: () => Promise<void> }>,
): void {
  describe(`${name}: the contract of stores of keys`, () => {
    const cases: Readonly<Record<string, (store: KeyStore) => Promise<void>>> = {
      'a key is made once, and is no other’s': makesKeys,
      'a destroyed key is gone for good, also for a name that never had one': destroysKeys,
      'names that begin with a prefix are listed, the living alone': listsNames,
      'another store takes all of it, and what was destroyed in either is': adopts,
    }
    for (const [title, run] of Object.entries(cases)) {
      it(title, async () => {
        const { store, dispose } = await open()
        try {
          await run(store)
        } finally {
          await store.close()
          await dispose?.()
        }
      })
    }
  })
}

const copy = (store: KeyStore, name: string): Uint8Array | undefined => store.get(name)?.slice()

async function makesKeys(store: KeyStore): Promise<void> {
  assert.equal(store.get('ana'), undefined)
  await store.ensure(['ana', 'ben', 'ana', 'ä☃'])
  const keys = ['ana', 'ben', 'ä☃'].map(name => copy(store, name))
  assert.deepEqual(
    keys.map(key => key?.length),
    [KEY_BYTES, KEY_BYTES, KEY_BYTES],
  )
  assert.equal(new Set(keys.map(key => Buffer.from(key as Uint8Array).toString('hex'))).size, 3)
  await Promise.all([store.ensure(['ana', 'cleo']), store.ensure(['cleo', 'ben'])])
  await store.load(['ana', 'cleo'])
  assert.deepEqual(copy(store, 'ana'), keys[0])
  assert.equal(copy(store, 'cleo')?.length, KEY_BYTES)
  // More than a slab, a batch and a statement hold.
  const many = Array.from({ length: 6_000 }, (_, index) => `p${index}`)
  await store.ensure(many)
  assert.deepEqual(copy(store, 'ben'), keys[1])
  assert.equal(new Set(many.map(name => String(copy(store, name)))).size, many.length)
}

async function destroysKeys(store: KeyStore): Promise<void> {
  await store.ensure(['ana', 'ben'])
  const ben = copy(store, 'ben')
  await store.destroy(['ana', 'nobody'])
  await store.destroy(['ana'])
  assert.deepEqual([...store.destroyed()].sort(), ['ana', 'nobody'])
  for (const name of ['ana', 'nobody']) {
    await store.ensure([name])
    await store.load([name])
    assert.equal(store.get(name), undefined)
    assert.ok(store.isDestroyed(name))
  }
  assert.deepEqual(copy(store, 'ben'), ben)
  assert.ok(!store.isDestroyed('ben'))
  await store.ensure(['cleo'])
  assert.notDeepEqual(copy(store, 'cleo'), ben)
}

async function listsNames(store: KeyStore): Promise<void> {
  const [one, two, three] = [1, 2, 3].map(number => `${OTHER_KEYS}snapshots/${number}`)
  await store.ensure([two as string, 'ana', three as string, one as string])
  await store.destroy([two as string])
  assert.deepEqual(await store.list(`${OTHER_KEYS}snapshots/`), [one, three])
  assert.deepEqual(await store.list('an'), ['ana'])
}

async function adopts(store: KeyStore): Promise<void> {
  await store.ensure(['ana', 'ben'])
  await store.destroy(['dan'])
  const own = copy(store, 'ben')
  const key = new Uint8Array(KEY_BYTES).fill(7)
  await store.adopt([{ name: 'ana' }, { name: 'ben', key }, { name: 'cleo', key }, { name: 'dan', key }]) // prettier-ignore
  await store.load(['ana', 'ben', 'cleo', 'dan'])
  assert.deepEqual([copy(store, 'ana'), copy(store, 'dan')], [undefined, undefined])
  assert.deepEqual([copy(store, 'ben'), copy(store, 'cleo')], [own, key])
  const entries = new Map((await store.entries()).map(entry => [entry.name, entry.key]))
  assert.deepEqual([...entries.keys()].sort(), ['ana', 'ben', 'cleo', 'dan'])
  assert.deepEqual([entries.get('ana'), entries.get('cleo')], [undefined, key])
}
