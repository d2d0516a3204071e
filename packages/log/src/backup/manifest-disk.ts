/** The files of a backup as a disk that is read only: what reads a log reads a backup through it. */
import { diskErrors, type Disk, type DiskFile } from '@millrace/core'
import type { ObjectStore } from '../objects/objects.ts'
import { CHUNK_BYTES, chunkBytes, readChunk, type BackupFile, type Manifest } from './manifest.ts'

const CACHED_CHUNKS_MAX = 16

/** A disk over a backup. `onChunk` hears of each chunk that was read and is what was stored. */
export function openManifestDisk(
  store: ObjectStore,
  manifest: Manifest,
  onChunk: (hash: string) => void,
): Disk {
  const files = new Map(manifest.files.map(file => [file.path, file]))
  const cache = new Map<string, Promise<Uint8Array>>()
  const chunkOf = (file: BackupFile, index: number): Promise<Uint8Array> => {
    const hash = file.chunks[index] as string
    const found = cache.get(hash) ?? readChunk(store, hash, chunkBytes(file, index))
    cache.delete(hash)
    cache.set(hash, found)
    for (const oldest of cache.keys()) {
      if (cache.size <= CACHED_CHUNKS_MAX) break
      cache.delete(oldest)
    }
    return found.then(bytes => {
      onChunk(hash)
      return bytes
    })
  }
  const refuse =
    (operation: string) =>
    async (path: string): Promise<never> => {
      throw diskErrors.create('DISK_FAILED', { operation, path, reason: 'a backup is read only' })
    }
  return {
    async open(path) {
      const file = files.get(path)
      if (file === undefined) throw diskErrors.create('DISK_NOT_FOUND', { operation: 'open', path })
      return openFile(file, index => chunkOf(file, index))
    },
    async list(directory) {
      const below = [...files.keys()].filter(path => path.startsWith(`${directory}/`))
      const names = below.map(path => path.slice(directory.length + 1).split('/')[0] as string)
      return [...new Set(names)].sort()
    },
    sizeOf: async path => files.get(path)?.bytes,
    makeDirectory: refuse('makeDirectory'),
    rename: refuse('rename'),
    remove: refuse('remove'),
    syncDirectory: refuse('syncDirectory'),
    freeBytes: async () => 0,
  }
}

function openFile(file: BackupFile, chunkAt: (index: number) => Promise<Uint8Array>): DiskFile {
  const refuse = (operation: string) => async (): Promise<never> => {
    const { path } = file
    throw diskErrors.create('DISK_FAILED', { operation, path, reason: 'a backup is read only' })
  }
  return {
    async read(target, offset, length, position) {
      if (position >= file.bytes) return 0
      const index = Math.floor(position / CHUNK_BYTES)
      const start = position - index * CHUNK_BYTES
      const part = (await chunkAt(index)).subarray(start, start + length)
      target.set(part, offset)
      return part.length
    },
    size: async () => file.bytes,
    close: async () => undefined,
    write: refuse('write'),
    sync: refuse('sync'),
    truncate: refuse('truncate'),
  }
}
