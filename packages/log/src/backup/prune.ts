/** Forgetting old backups, and the objects that none of the others needs. */
import { logErrors } from '../errors.ts'
import { chunkName, listBackups, readManifest, removeManifest } from './manifest.ts'
import { putMark, type MarkPorts } from './marks.ts'

/** What a prune came to. */
export interface PruneResult {
  readonly kept: readonly string[]
  readonly removed: readonly string[]
  readonly removedObjects: number
  readonly removedBytes: number
}

/**
 * Keeps the newest `keep` backups, at least one. Manifests go first: a process that dies leaves
 * objects that nothing names, which the next run removes. Throws BACKUP_STORE_BUSY while a backup
 * is taken, BACKUP_DAMAGED when a manifest that stays cannot be read, and removes nothing then.
 */
export async function pruneBackups(ports: MarkPorts, keep: number): Promise<PruneResult> {
  const { store } = ports
  if (!(Number.isInteger(keep) && keep >= 1))
    throw logErrors.create('BACKUP_KEEP_INVALID', { keep })
  const mark = await putMark(ports, 'prune')
  try {
    const ids = await listBackups(store)
    const removed = ids.slice(0, Math.max(0, ids.length - keep))
    const kept = ids.slice(removed.length)
    const needed = new Set<string>()
    for (const id of kept) {
      for (const { chunks } of (await readManifest(store, id)).files) {
        for (const hash of chunks) needed.add(chunkName(hash))
      }
    }
    for (const id of removed) await removeManifest(store, id)
    let removedObjects = 0
    let removedBytes = 0
    for await (const { name, bytes } of store.list('objects/')) {
      if (needed.has(name)) continue
      await mark.renew()
      await store.remove(name)
      removedObjects += 1
      removedBytes += bytes
    }
    return { kept, removed, removedObjects, removedBytes }
  } finally {
    await mark.remove().catch(() => undefined)
  }
}
