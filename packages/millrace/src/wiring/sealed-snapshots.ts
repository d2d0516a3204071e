/**
 * Snapshots that are sealed, where the definition seals anything: state of folds holds what events
 * said of people. All are sealed with one key of the key store, which an erasure replaces: what was
 * written before cannot be read any more, in backups neither, and is folded from the log.
 *
 * Cost: one pass of AES-GCM over what is written and read.
 */
import type { Random } from '@millrace/core'
import { logErrors } from '@millrace/log'
import { OTHER_KEYS, seal, unseal, type KeyStore } from '@millrace/log/sealing'
import type { Snapshot, SnapshotMeta, SnapshotStore } from '@millrace/store'

const PREFIX = `${OTHER_KEYS}snapshots/`

/** Snapshots whose past can be made unreadable. */
export interface ErasableSnapshots extends SnapshotStore {
  /** Makes all that was saved until now unreadable, or removes it; `write` saves what is to stay. */
  renew(write: () => Promise<void>): Promise<void>
}

interface Ports {
  readonly keys: KeyStore
  readonly random: Random
  /** True when state holds anything that is sealed. */
  readonly isSealed: boolean
}

interface SealedInfo {
  readonly sealedWith: string
  readonly info: unknown
}

/** Makes sure that there is a key for snapshots, which only the owner of the keys can make. */
export async function ensureSnapshotKey(keys: KeyStore): Promise<void> {
  if ((await keys.list(PREFIX)).length === 0) await keys.ensure([nameOf(1)])
}

/** Seals what is saved in `store`, with the newest key for snapshots. */
export function erasableSnapshots(store: SnapshotStore, ports: Ports): ErasableSnapshots {
  const { keys, random, isSealed } = ports
  const load = async (name: string): Promise<Snapshot | undefined> => {
    const snapshot = await store.load(name)
    if (snapshot === undefined || !isSealedInfo(snapshot.meta.info)) return snapshot
    const { sealedWith, info } = snapshot.meta.info
    await keys.load([sealedWith])
    const key = keys.get(sealedWith)
    if (key === undefined) return undefined
    const { version } = snapshot.meta
    return { meta: { version, info }, chunks: opened(snapshot.chunks, { key, name, sealedWith }) }
  }
  return {
    async save(name, meta, chunks) {
      if (!isSealed) return store.save(name, meta, chunks)
      const sealedWith = (await keys.list(PREFIX)).at(-1) as string
      await keys.load([sealedWith])
      const info: SealedInfo = { sealedWith, info: meta.info }
      const sealed = async function* (): AsyncGenerator<Uint8Array> {
        let index = 0
        for await (const chunk of chunks) {
          const key = keys.get(sealedWith)
          // The state was captured before an erasure that has ended meanwhile.
          if (key === undefined) throw logErrors.create('SEAL_KEY_MISSING', { subject: `The snapshot ${name}` }) // prettier-ignore
          yield seal(key, chunk, { place: placeOf(name, sealedWith, index++), random })
        }
      }
      await store.save(name, { version: meta.version, info } satisfies SnapshotMeta, sealed())
    },
    load,
    list: () => store.list(),
    remove: name => store.remove(name),
    close: () => store.close(),
    async renew(write) {
      const before = await keys.list(PREFIX)
      if (!isSealed) {
        for (const name of await store.list()) await store.remove(name)
        await write()
        return
      }
      await keys.ensure([nameOf(numberOf(before.at(-1)) + 1)])
      await write()
      await keys.destroy(before)
      // Of builds that are kept, and of definitions that are no more.
      for (const name of await store.list()) {
        if ((await load(name)) === undefined) await store.remove(name)
      }
    },
  }
}

async function* opened(
  chunks: AsyncIterable<Uint8Array>,
  { key, name, sealedWith }: { key: Uint8Array; name: string; sealedWith: string },
): AsyncGenerator<Uint8Array> {
  let index = 0
  for await (const chunk of chunks) {
    yield unseal(key, chunk, placeOf(name, sealedWith, index++))
  }
}

function placeOf(name: string, sealedWith: string, index: number): string {
  return [name, sealedWith, index].join('\0')
}

function nameOf(number: number): string {
  return `${PREFIX}${String(number).padStart(8, '0')}`
}

function numberOf(name: string | undefined): number {
  return name === undefined ? 0 : Number(name.slice(PREFIX.length))
}

function isSealedInfo(info: unknown): info is SealedInfo {
  return typeof info === 'object' && info !== null && 'sealedWith' in info
}
