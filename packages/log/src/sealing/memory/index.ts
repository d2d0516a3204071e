/** The store of keys in memory: the double of all tests, and the store of a Millrace in memory. */
import type { Random } from '@millrace/core'
import { KeyTable } from '../key-table.ts'
import { KEY_BYTES, type KeyEntry, type KeyStore } from '../keys.ts'

/** Opens a store that ends with the process. */
export function openMemoryKeys(random: Random): KeyStore {
  const table = new KeyTable()
  return {
    isWhole: true,
    get: name => table.get(name),
    isDestroyed: name => table.isDestroyed(name),
    async ensure(names) {
      for (const name of names) {
        if (table.get(name) !== undefined) continue
        table.add({ name, key: random.fill(new Uint8Array(KEY_BYTES)) })
      }
    },
    load: () => Promise.resolve(),
    async destroy(names) {
      for (const name of names) table.add({ name })
    },
    list: async prefix => table.names(prefix),
    destroyed: () => table.destroyed(),
    entries: async () => copiesOf(table),
    async adopt(entries) {
      for (const entry of entries) table.add(entry)
    },
    close: () => Promise.resolve(),
  }
}

/** What a table holds, in memory of its own. */
export function copiesOf(table: KeyTable): readonly KeyEntry[] {
  return [...table.entries()].map(({ name, key }) => ({ name, key: key?.slice() }))
}
