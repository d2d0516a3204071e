import { storeErrors } from './errors.ts'
import { directoryOf } from './names.ts'
import { CHUNK_BYTES_MAX, NAME_LENGTH_MAX, type SnapshotMeta } from './snapshots.ts'

/** Refuses a name that the contract does not allow. */
export function checkName(name: string): void {
  const reason = nameFault(name)
  if (reason === undefined) return
  throw storeErrors.create('SNAPSHOT_NAME_INVALID', { name: name.slice(0, 60), reason })
}

function nameFault(name: string): string | undefined {
  if (name.length === 0) return 'it is empty'
  if (name.length > NAME_LENGTH_MAX || directoryOf(name).length - 2 > NAME_LENGTH_MAX) {
    return 'it is too long'
  }
  return name.isWellFormed() ? undefined : 'it is not well-formed text'
}

/** Refuses a chunk that the contract does not allow. */
export function checkChunk(name: string, chunk: Uint8Array): void {
  if (chunk.length <= CHUNK_BYTES_MAX) return
  const reason = `a chunk has ${chunk.length} bytes, at most ${CHUNK_BYTES_MAX} are allowed`
  throw storeErrors.create('SNAPSHOT_INVALID', { name, reason })
}

/** The JSON text of a snapshot's facts; refuses what JSON cannot carry. */
export function metaText(name: string, meta: SnapshotMeta): string {
  try {
    return JSON.stringify({ name, version: meta.version, info: meta.info ?? null })
  } catch (error) {
    throw storeErrors.create('SNAPSHOT_INVALID', { name, reason: 'its facts are not JSON' }, error)
  }
}

/** Reads what `metaText` wrote; undefined when it is not that, or speaks of another name. */
export function parseMeta(name: string, text: string): SnapshotMeta | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { name: named, version, info } = value as Record<string, unknown>
  return named === name && typeof version === 'string' ? { version, info } : undefined
}
