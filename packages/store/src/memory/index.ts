import { storeErrors } from '../errors.ts'
import { checkChunk, checkName, metaText, parseMeta } from '../checks.ts'
import type { SnapshotMeta, SnapshotStore } from '../snapshots.ts'

/** A snapshot store in memory: the double for tests, and what a log in memory uses. */
export function createMemorySnapshotStore(): SnapshotStore {
  const kept = new Map<string, { text: string; chunks: readonly Uint8Array[] }>()
  const running = new Set<Promise<void>>()
  let saves: Promise<unknown> = Promise.resolve()
  let isClosed = false
  const check = (): void => {
    if (isClosed) throw storeErrors.create('SNAPSHOT_STORE_CLOSED')
  }
  return {
    async save(name, meta, chunks) {
      check()
      checkName(name)
      const text = metaText(name, meta)
      const save = saves.then(async () => {
        const copies: Uint8Array[] = []
        for await (const chunk of chunks) {
          checkChunk(name, chunk)
          copies.push(chunk.slice())
        }
        kept.set(name, { text, chunks: copies })
      })
      saves = save.catch(() => undefined)
      running.add(save)
      try {
        await save
      } finally {
        running.delete(save)
      }
    },
    async load(name) {
      check()
      checkName(name)
      const found = kept.get(name)
      if (found === undefined) return undefined
      const meta = parseMeta(name, found.text) as SnapshotMeta
      return { meta, chunks: copiesOf(found.chunks) }
    },
    async list() {
      check()
      return [...kept.keys()].sort()
    },
    async remove(name) {
      check()
      checkName(name)
      await saves
      kept.delete(name)
    },
    async close() {
      isClosed = true
      await Promise.allSettled(running)
    },
  }
}

async function* copiesOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield chunk.slice()
}
