/**
 * Manifests: what a backup is made of. The object is written last, so a backup is there or not.
 *
 *   objects/<2 digits>/<sha256>   a chunk: at most 4 MiB of a file
 *   manifests/<id>                line 1: sha256 of line 2; line 2: the manifest as JSON
 *   marks/<kind>.<id>             who works on the store now (`marks.ts`)
 *   fence                         the least term that may still write here
 */
import { createHash } from 'node:crypto'
import { encodePosition, decodePosition, type Position } from '@millrace/core'
import { logErrors } from '../errors.ts'
import type { ObjectStore } from '../objects/objects.ts'

/** Format of manifests that this build writes; it reads none that is newer. */
const MANIFEST_FORMAT = 1
/** Bytes of a chunk; the last one of a file is shorter. */
export const CHUNK_BYTES = 4 * 1024 * 1024
const PREFIX = 'manifests/'

/** A file of a backup. */
export interface BackupFile {
  /** Relative to the data directory. */
  readonly path: string
  readonly bytes: number
  /** Tells two files of one path apart without reading them: a hash of their first and last bytes. */
  readonly stamp: string
  /** SHA-256 of each chunk, in order. */
  readonly chunks: readonly string[]
}

/** What is known of a backup. */
export interface Manifest {
  /** Sorts by time. */
  readonly id: string
  /** When the files were named, milliseconds since the epoch. */
  readonly takenMs: number
  /** The newest backup when this one was taken; null for the first. */
  readonly parent: string | null
  readonly app: string
  /** Names the installation: two of them do not share a store. */
  readonly origin: string
  /** How often the installation was promoted from a standby. */
  readonly term: number
  /** Format of the data directory. */
  readonly dataFormat: number
  /** The last unit that the backup holds, when the log took it, and the ends after it. */
  readonly unit: number
  /** -Infinity for a log that took nothing. */
  readonly ingestTimeMs: number
  readonly position: Position
  readonly files: readonly BackupFile[]
}

/** The object of a chunk. */
export function chunkName(hash: string): string {
  return `objects/${hash.slice(0, 2)}/${hash}`
}

/** The id of a backup: later ones sort behind. */
export function manifestId(takenMs: number): string {
  return new Date(takenMs).toISOString().replace(/[-:.]/g, '').toLowerCase()
}

/** Stores a manifest. */
export async function writeManifest(store: ObjectStore, manifest: Manifest): Promise<void> {
  await store.put(PREFIX + manifest.id, Buffer.from(manifestText(manifest)))
}

/** A manifest as it is stored. */
export function manifestText(manifest: Manifest): string {
  const { position, ingestTimeMs, ...rest } = manifest
  const line = JSON.stringify({
    format: MANIFEST_FORMAT,
    ...rest,
    ingestTimeMs: Number.isFinite(ingestTimeMs) ? ingestTimeMs : null,
    position: encodePosition(position),
  })
  return `${sha256(Buffer.from(line))}\n${line}\n`
}

/** Reads a manifest. Throws BACKUP_DAMAGED, LOG_FORMAT_UNKNOWN. */
export function parseManifest(name: string, bytes: Uint8Array): Manifest {
  const [sum = '', line = '', ...rest] = Buffer.from(bytes).toString('utf8').split('\n')
  if (rest.join() !== '' || sha256(Buffer.from(line)) !== sum) {
    throw damaged(name, 'it does not match its checksum')
  }
  let content: unknown
  try {
    content = JSON.parse(line)
  } catch {
    throw damaged(name, 'it is not JSON')
  }
  const { format = null, ...found } = isObject(content) ? content : {}
  if (format !== MANIFEST_FORMAT) {
    const details = { file: name, found: format, known: MANIFEST_FORMAT }
    throw logErrors.create('LOG_FORMAT_UNKNOWN', details)
  }
  if (!isStored(found)) throw damaged(name, 'a fact is missing or has the wrong form')
  return {
    ...found,
    ingestTimeMs: found.ingestTimeMs ?? Number.NEGATIVE_INFINITY,
    position: decodePosition(found.position),
  }
}

type Stored = Omit<Manifest, 'position' | 'ingestTimeMs'> & {
  readonly position: string
  readonly ingestTimeMs: number | null
}

/** Restoring writes to the paths: none may lead out of the directory. */
const PATH = /^(?!\.)[\w=-][\w.=-]*(\/[\w=-][\w.=-]*)*$/
const HASH = /^[0-9a-f]{64}$/

function isStored(value: Record<string, unknown>): value is Stored {
  const { parent, ingestTimeMs, files } = value
  return (
    ['id', 'app', 'origin', 'position'].every(field => typeof value[field] === 'string') &&
    ['takenMs', 'term', 'dataFormat', 'unit'].every(field => typeof value[field] === 'number') &&
    (parent === null || typeof parent === 'string') &&
    (ingestTimeMs === null || typeof ingestTimeMs === 'number') &&
    Array.isArray(files) &&
    files.every(isBackupFile)
  )
}

function isBackupFile(value: unknown): value is BackupFile {
  if (!isObject(value)) return false
  const { path, bytes, stamp, chunks } = value
  return (
    typeof path === 'string' &&
    PATH.test(path) &&
    typeof stamp === 'string' &&
    Array.isArray(chunks) &&
    chunks.length === Math.ceil(Number(bytes) / CHUNK_BYTES) &&
    chunks.every(hash => typeof hash === 'string' && HASH.test(hash))
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** The ids of the backups of a store, oldest first. */
export async function listBackups(store: ObjectStore): Promise<string[]> {
  const ids: string[] = []
  for await (const { name } of store.list(PREFIX)) ids.push(name.slice(PREFIX.length))
  return ids
}

/** Reads the manifest of a backup. Throws BACKUP_UNKNOWN, BACKUP_DAMAGED, LOG_FORMAT_UNKNOWN. */
export async function readManifest(store: ObjectStore, id: string): Promise<Manifest> {
  const unknown = (): Error => logErrors.create('BACKUP_UNKNOWN', { place: store.place, id })
  if (!/^[a-z0-9]+$/.test(id)) throw unknown()
  const bytes = await store.get(PREFIX + id)
  if (bytes === undefined) throw unknown()
  return parseManifest(PREFIX + id, bytes)
}

/** The newest backup; undefined when there is none. A damaged one is refused: the one before may be far behind. */
export async function newestBackup(store: ObjectStore): Promise<Manifest | undefined> {
  const id = (await listBackups(store)).at(-1)
  return id === undefined ? undefined : readManifest(store, id)
}

/** Forgets a backup; its objects go with `pruneBackups`. */
export async function removeManifest(store: ObjectStore, id: string): Promise<void> {
  await store.remove(PREFIX + id)
}

/** Reads a chunk. Throws BACKUP_DAMAGED when it is missing or not what was stored. */
export async function readChunk(
  store: ObjectStore,
  hash: string,
  bytes: number,
): Promise<Uint8Array> {
  const name = chunkName(hash)
  const found = await store.get(name)
  if (found === undefined) throw damaged(name, 'it is missing')
  if (found.length !== bytes || (await hashOf(found)) !== hash) {
    throw damaged(name, 'it does not match its checksum')
  }
  return found
}

/** SHA-256 in hexadecimal digits, computed beside the main thread. */
export async function hashOf(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', bytes as BufferSource)
  return Buffer.from(digest).toString('hex')
}

/** Bytes of the chunk at an index of a file. */
export function chunkBytes(file: Pick<BackupFile, 'bytes'>, index: number): number {
  return Math.min(CHUNK_BYTES, file.bytes - index * CHUNK_BYTES)
}

function damaged(object: string, reason: string): Error {
  return logErrors.create('BACKUP_DAMAGED', { object, reason })
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
