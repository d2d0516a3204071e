/**
 * The keys of people in a store of backups: one object for all backups, which every run replaces. So a
 * restore from a backup of any age reads the living, and not those who were erased since.
 *
 * What was destroyed in the store stays so, whatever the directory says: it may be an older copy.
 */
import type { Disk } from '@millrace/core'
import type { ObjectStore } from '../objects/objects.ts'
import { KEYS_DIRECTORY, readKeyEntries, restoredKeyFile, wipeFile } from '../sealing/file/index.ts'
import { keyFileBytes, readKeyBytes } from '../sealing/key-bytes.ts'
import { KeyTable } from '../sealing/key-table.ts'

const KEYS = 'keys'

/** Puts the keys of a data directory in place of those that the store has; gives how to do so again if keys were destroyed since. */
export async function putKeys(store: ObjectStore, disk: Disk): Promise<() => Promise<void>> {
  const table = new KeyTable()
  const stored = await readKeys(store)
  for (const entry of stored) if (entry.key === undefined) table.add(entry)
  for (const entry of await readKeyEntries(disk)) table.add(entry)
  const all = [...table.entries()]
  const bytes = keyFileBytes(all)
  if (all.length > 0 && !bytes.equals(keyFileBytes(stored))) await store.put(KEYS, bytes)
  return async () => {
    const entries = await readKeyEntries(disk)
    const isNews = entries.some(({ name, key }) => key === undefined && !table.isDestroyed(name))
    if (isNews) await (await putKeys(store, disk))()
  }
}

/** Writes the keys of a store to where a data directory below `root` has them, in place of what is there. */
export async function fetchKeys(store: ObjectStore, disk: Disk, root: string): Promise<void> {
  const entries = await readKeys(store)
  const folder = `${root}/${KEYS_DIRECTORY}`
  const path = `${root}/${restoredKeyFile()}`
  if ((await disk.sizeOf(path)) !== undefined) await wipeFile(disk, path)
  if (entries.length === 0) return
  await disk.makeDirectory(folder)
  const bytes = keyFileBytes(entries)
  const file = await disk.open(path, 'create')
  try {
    await file.write(bytes, 0, bytes.length, 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await disk.syncDirectory(folder)
  await disk.syncDirectory(root)
}

/** The keys that a store has; none when no backup of it needed any. Throws KEYS_DAMAGED. */
export async function readKeys(
  store: ObjectStore,
): Promise<ReturnType<typeof readKeyBytes>['entries']> {
  const bytes = await store.get(KEYS)
  if (bytes === undefined) return []
  return readKeyBytes(Buffer.from(bytes), `${store.place}: ${KEYS}`).entries
}
