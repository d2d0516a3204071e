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

/**
 * Reads a manifest: bytes that anybody may have written. Paths lead nowhere but into a data
 * directory, and every number is one that a file can have. Throws BACKUP_DAMAGED, LOG_FORMAT_UNKNOWN.
 */
export function parseManifest(name: string, bytes: Uint8Array): Manifest {
  const [sum = '', line = '', ...rest] = Buffer.from(bytes).toString('utf8').split('\n')
  if (rest.join() !== '' || sha256(Buffer.from(line)) !== sum) {
    throw damaged(name, 'it does not match its checksum')
  }
  const content = parseObject(name, line)
  const { format, ...fields } = content
  if (format !== MANIFEST_FORMAT) {
    const details = { file: name, found: JSON.stringify(format) ?? 'none', known: MANIFEST_FORMAT }
    throw logErrors.create('LOG_FORMAT_UNKNOWN', details)
  }
  for (const [field, isFit] of Object.entries(FIELDS)) {
    if (!isFit(fields[field])) throw damaged(name, `${field} is not what it should be`)
  }
  const manifest = fields as unknown as Omit<Manifest, 'position' | 'ingestTimeMs'> & {
    position: string
    ingestTimeMs: number | null
  }
  return {
    ...manifest,
    ingestTimeMs: manifest.ingestTimeMs ?? Number.NEGATIVE_INFINITY,
    position: positionOf(name, manifest.position),
  }
}

/** Reads a small object of a store. Throws BACKUP_DAMAGED. */
export function parseObject(name: string, text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    if (isObject(value)) return value
  } catch (error) {
    throw logErrors.create('BACKUP_DAMAGED', { object: name, reason: 'it is not JSON' }, error)
  }
  throw damaged(name, 'it is no JSON object')
}

function positionOf(name: string, text: string): Position {
  try {
    return decodePosition(text)
  } catch (error) {
    const reason = 'its position cannot be read'
    throw logErrors.create('BACKUP_DAMAGED', { object: name, reason }, error)
  }
}

type Check = (value: unknown) => boolean

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const isText: Check = value => typeof value === 'string'
/** Within what a date can be, too. */
const isCount: Check = value =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= 8.64e15
/** As `manifestId` makes them. */
const isId: Check = value => typeof value === 'string' && /^\d{8}t\d{9}z$/.test(value)
/** Names with dots inside, between slashes: no way up, no drive, no root. */
const isPath: Check = value =>
  typeof value === 'string' && /^[A-Za-z0-9=_-][A-Za-z0-9=._-]*(\/[A-Za-z0-9=_-][A-Za-z0-9=._-]*)*$/.test(value) // prettier-ignore
const isHash: Check = value => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)

function isFile(value: unknown): boolean {
  if (!isObject(value)) return false
  const { path, bytes, stamp, chunks } = value
  if (!isPath(path) || !isCount(bytes) || !isText(stamp) || !Array.isArray(chunks)) return false
  return chunks.length === Math.ceil((bytes as number) / CHUNK_BYTES) && chunks.every(isHash)
}

const FIELDS: Readonly<Record<keyof Manifest, Check>> = {
  id: isId,
  takenMs: isCount,
  parent: value => value === null || isId(value),
  app: isText,
  origin: isText,
  term: isCount,
  dataFormat: isCount,
  unit: isCount,
  ingestTimeMs: value => value === null || Number.isFinite(value),
  position: isText,
  files: value =>
    Array.isArray(value) &&
    value.every(isFile) &&
    new Set(value.map(({ path }: BackupFile) => path)).size === value.length,
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
  const manifest = parseManifest(PREFIX + id, bytes)
  if (manifest.id !== id) throw damaged(PREFIX + id, `it is the manifest of ${manifest.id}`)
  return manifest
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
