/**
 * Restoring a backup into an empty directory, and following backups as a standby, which is the same
 * work not finished.
 *
 *   restoring/manifest   the backup whose files are below; `none` while a restore copies
 *   restoring/data/      the files, as they will stand in the directory
 *   restoring/complete   all of it is as it shall be: what is left is to move it into place
 *
 * Promise: the directory is opened by nobody before the restore is finished (it has `restoring`),
 * and running it again after any crash ends as the first run would have. Every chunk is compared
 * with its hash before it is written.
 */
import type { Clock, Disk, DiskFile, Random } from '@millrace/core'
import { logErrors } from '../errors.ts'
import { rangeOf } from '../file/split-layout.ts'
import type { ObjectStore } from '../objects/objects.ts'
import { applyCut, endsOf, findCut, pointText, type Cut, type RestorePoint } from './cut.ts'
import {
  CHUNK_BYTES,
  chunkBytes,
  listBackups,
  manifestText,
  parseManifest,
  readChunk,
  readManifest,
  type BackupFile,
  type Manifest,
} from './manifest.ts'
import { KEYS_DIRECTORY } from '../sealing/file/index.ts'
import { fetchKeys } from './keys.ts'
import type { OnProgress } from './take.ts'

const LANES = 4
/** The folder whose presence says that a directory is not whole. */
export const RESTORING = 'restoring'
const DATA = `${RESTORING}/data`
const MANIFEST = `${RESTORING}/manifest`
const COMPLETE = `${RESTORING}/complete`
const LEFTOVER = 'restored'
/** What a data directory is known by: moved into place last. */
const LAST = 'millrace.json'

/** What a restore works on. */
export interface RestorePorts {
  readonly store: ObjectStore
  /** The directory to restore into, which the caller has locked. */
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  /** Format of data directories that this build knows; newer ones are refused. */
  readonly dataFormatMax: number
  readonly onProgress?: OnProgress
}

/** What was restored. */
export interface RestoreResult {
  readonly manifest: Manifest
  /** The last unit, when the log took it, and the ends behind it. */
  readonly unit: number
  readonly ingestTimeMs: number
  readonly position: ReadonlyMap<string, number>
  /** False: everything that the backup holds. */
  readonly isCut: boolean
}

/**
 * Restores the oldest backup that holds `point`, or the newest; or the one named. Throws
 * RESTORE_NOT_EMPTY, RESTORE_POINT_GONE, RESTORE_POINT_AHEAD, BACKUP_UNKNOWN, BACKUP_DAMAGED.
 */
export async function restoreBackup(
  ports: RestorePorts,
  { point, backup }: { readonly point?: RestorePoint; readonly backup?: string } = {},
): Promise<RestoreResult> {
  const { disk } = ports
  await refuseOthers(disk)
  if ((await standbyManifest(disk)) !== undefined) {
    throw logErrors.create('RESTORE_NOT_EMPTY', { found: 'a standby' })
  }
  const manifest = await choose(ports, point, backup)
  refuseNewer(ports, manifest)
  await disk.remove(RESTORING)
  await disk.makeDirectory(DATA)
  const isOfPath = (wanted: RegExp) => (file: BackupFile) => wanted.test(file.path)
  const isSplit = isOfPath(/\.split$/)
  await fetchFiles(
    ports,
    manifest.files.filter(isOfPath(/^log\/(journal|units)\/|^millrace\.json$/)),
  )
  const cutPorts = { ...ports, root: `${DATA}/log` }
  const cut = await findCut(cutPorts, point)
  const isNeeded = neededAt(cut)
  const rest = manifest.files.filter(file => (isSplit(file) ? isNeeded(file) : cut.isEnd && file.path.startsWith('snapshots/'))) // prettier-ignore
  await fetchFiles(ports, rest)
  await fetchKeys(ports.store, disk, DATA)
  if (!cut.isEnd) await applyCut(cutPorts, cut)
  const { unit, state } = cut
  const result = { manifest, unit, ingestTimeMs: state.lastIngestMs, position: endsOf(state), isCut: !cut.isEnd } // prettier-ignore
  await putFile(disk, COMPLETE, 'complete\n')
  await finish(disk)
  return result
}

/** True for split files with records before the ends of a cut. */
function neededAt({ state }: Cut): (file: BackupFile) => boolean {
  return ({ path }) => {
    const [, stream, number, name = ''] = /streams\/(\d+)\/(\d+)\/(.*)$/.exec(path) ?? []
    const partition = state.streams.at(Number(stream))?.partitions[Number(number)]
    return partition !== undefined && (rangeOf(name)?.first ?? 0) < partition.nextOffset
  }
}

/** Only what a restore or a standby left may be there. */
async function refuseOthers(disk: Disk): Promise<void> {
  const found = (await disk.list('')).filter(name => name !== 'lock' && name !== LEFTOVER)
  const isComplete = (await disk.sizeOf(COMPLETE)) !== undefined
  const isStandby = (await disk.sizeOf(MANIFEST)) !== undefined
  const isOurs =
    found.length === 0 || (found.includes(RESTORING) && (found.length === 1 || isComplete))
  if (!isOurs || (isComplete && isStandby)) {
    throw logErrors.create('RESTORE_NOT_EMPTY', { found: found.slice(0, 3).join(', ') })
  }
  // A restore that died while it moved things into place put them there.
  for (const name of found) if (name !== RESTORING) await disk.remove(name)
}

function refuseNewer({ dataFormatMax: known }: RestorePorts, { id, dataFormat }: Manifest): void {
  if (dataFormat <= known) return
  throw logErrors.create('LOG_FORMAT_UNKNOWN', { file: `backup ${id}`, found: dataFormat, known })
}

/** The backup to restore from. The oldest that holds the point knows what the log was then. */
async function choose(
  { store }: RestorePorts,
  point: RestorePoint | undefined,
  backup: string | undefined,
): Promise<Manifest> {
  if (backup !== undefined) return readManifest(store, backup)
  const ids = await listBackups(store)
  const newest = ids.at(-1)
  if (newest === undefined) throw logErrors.create('BACKUP_NONE', { place: store.place })
  if (point === undefined) return readManifest(store, newest)
  for (const id of ids) {
    const manifest = await readManifest(store, id)
    if (holds(manifest, point)) return manifest
  }
  const manifest = await readManifest(store, newest)
  // What arrived between its last unit and the moment it was taken: nothing that was acknowledged.
  if (point.kind === 'time' && point.timeMs <= manifest.takenMs) return manifest
  const details = { point: pointText(point), newest: new Date(manifest.takenMs).toISOString() }
  throw logErrors.create('RESTORE_POINT_AHEAD', details)
}

function holds({ ingestTimeMs, position }: Manifest, point: RestorePoint): boolean {
  if (point.kind === 'time') return ingestTimeMs > point.timeMs
  return [...point.position].every(([name, end]) => (position.get(name) ?? 0) >= end)
}

/** What a standby has. */
export interface StandbyState {
  readonly manifest: Manifest
  /** Bytes that the last step brought. */
  readonly fetchedBytes: number
}

/** The backup that a standby directory holds; undefined when it holds none whole. */
export async function standbyManifest(disk: Disk): Promise<Manifest | undefined> {
  const size = await disk.sizeOf(MANIFEST)
  if (size === undefined) return undefined
  const bytes = Buffer.alloc(size)
  const file = await disk.open(MANIFEST, 'read')
  try {
    await file.read(bytes, 0, size, 0)
  } finally {
    await file.close()
  }
  return parseManifest(MANIFEST, bytes)
}

/**
 * Brings a standby to the newest backup; undefined when the store has none. Only chunks that it
 * lacks are read. A crash leaves the backup before, or the new one. Throws RESTORE_NOT_EMPTY.
 */
export async function followBackups(ports: RestorePorts): Promise<StandbyState | undefined> {
  const { disk, store } = ports
  await refuseOthers(disk)
  const id = (await listBackups(store)).at(-1)
  if (id === undefined) return undefined
  const before = await standbyManifest(disk)
  if (before?.id === id) {
    // Somebody may have been erased since.
    await fetchKeys(store, disk, DATA)
    return { manifest: before, fetchedBytes: 0 }
  }
  const manifest = await readManifest(store, id)
  refuseNewer(ports, manifest)
  if (before === undefined) await disk.remove(RESTORING)
  await disk.makeDirectory(DATA)
  const fetchedBytes = await fetchFiles(ports, manifest.files, before)
  await fetchKeys(store, disk, DATA)
  await putFile(disk, MANIFEST, manifestText(manifest))
  const kept = new Set(manifest.files.map(({ path }) => path))
  for (const { path } of before?.files ?? []) {
    if (!kept.has(path)) await disk.remove(`${DATA}/${path}`)
  }
  return { manifest, fetchedBytes }
}

/**
 * Ends a standby: its directory becomes that of a primary, of the given identity text. Throws
 * STANDBY_EMPTY when it holds no backup.
 */
export async function promoteStandby(
  { disk }: Pick<RestorePorts, 'disk'>,
  identityOf: (text: string) => string,
): Promise<Manifest> {
  const manifest = await standbyManifest(disk)
  if (manifest === undefined) throw logErrors.create('STANDBY_EMPTY')
  if ((await disk.sizeOf(COMPLETE)) === undefined) {
    const kept = new Set(manifest.files.map(({ path }) => path))
    // A step that died may have left more than the manifest names.
    for (const path of await listFiles(disk, DATA)) {
      if (!kept.has(path) && !path.startsWith(`${KEYS_DIRECTORY}/`)) {
        await disk.remove(`${DATA}/${path}`)
      }
    }
    for (const { path, bytes } of manifest.files) {
      if (!path.endsWith('.jnl')) continue
      const file = await disk.open(`${DATA}/${path}`, 'write')
      await file.truncate(bytes)
      await file.close()
    }
    const identity = `${DATA}/${LAST}`
    const size = (await disk.sizeOf(identity)) ?? 0
    const file = await disk.open(identity, 'read')
    const text = Buffer.alloc(size)
    await file.read(text, 0, size, 0)
    await file.close()
    await putFile(disk, identity, identityOf(text.toString('utf8')))
    await putFile(disk, COMPLETE, 'complete\n')
  }
  await finish(disk)
  return manifest
}

/** Moves everything into place; may be done again after a crash. */
async function finish(disk: Disk): Promise<void> {
  const names = (await disk.list(DATA)).toSorted((a, b) => Number(a === LAST) - Number(b === LAST))
  for (const name of names) await disk.rename(`${DATA}/${name}`, name)
  await disk.syncDirectory('')
  // At once: a folder that is half removed would pass for a restore that is not finished.
  await disk.remove(LEFTOVER)
  await disk.rename(RESTORING, LEFTOVER)
  await disk.syncDirectory('')
  await disk.remove(LEFTOVER)
}

/** Files below a folder, relative to it. */
async function listFiles(disk: Disk, folder: string, below = ''): Promise<string[]> {
  const found: string[] = []
  for (const name of await disk.list(`${folder}${below}`)) {
    const path = `${below}/${name}`
    const isFile = /\.[a-z]+$/.test(name)
    found.push(...(isFile ? [path.slice(1)] : await listFiles(disk, folder, path)))
  }
  return found
}

/** Copies files to the folder of data, but for what `before` brought; resolves to the bytes read. */
async function fetchFiles(
  { store, disk, onProgress }: RestorePorts,
  files: readonly BackupFile[],
  before?: Manifest,
): Promise<number> {
  const known = new Map((before?.files ?? []).map(file => [file.path, file]))
  const works = files
    .map(file => ({ file, from: firstChunk(file, known.get(file.path)) }))
    .filter(({ file, from }) => from < file.chunks.length || file.chunks.length === 0)
  const total = works.reduce((sum, { file, from }) => sum + file.bytes - from * CHUNK_BYTES, 0)
  let done = 0
  const folders = new Set<string>()
  for (const { file, from } of works) {
    const path = `${DATA}/${file.path}`
    const folder = path.slice(0, path.lastIndexOf('/'))
    if (!folders.has(folder)) await disk.makeDirectory(folder)
    folders.add(folder)
    const target = from > 0 ? path : `${path}.new`
    if (from === 0) await disk.remove(target)
    const open = await disk.open(target, 'write')
    try {
      await fetchChunks(store, file, from, open, bytes => {
        done += bytes
        onProgress?.({ done, total })
      })
      await open.sync()
    } finally {
      await open.close()
    }
    if (from === 0) await disk.rename(target, path)
  }
  for (const folder of folders) await syncPath(disk, folder)
  return done
}

/** Where a file differs from the one that is there: a journal of the same header has grown. */
function firstChunk(file: BackupFile, before: BackupFile | undefined): number {
  if (before === undefined || before.stamp !== file.stamp) return 0
  if (before.bytes === file.bytes) return file.chunks.length
  return file.path.endsWith('.jnl') ? Math.floor(before.bytes / CHUNK_BYTES) : 0
}

async function fetchChunks(
  store: ObjectStore,
  file: BackupFile,
  from: number,
  target: DiskFile,
  onBytes: (bytes: number) => void,
): Promise<void> {
  let next = from
  const lane = async (): Promise<void> => {
    for (let index = next++; index < file.chunks.length; index = next++) {
      const bytes = await readChunk(store, file.chunks[index] as string, chunkBytes(file, index))
      await target.write(bytes, 0, bytes.length, index * CHUNK_BYTES)
      onBytes(bytes.length)
    }
  }
  await Promise.all(Array.from({ length: Math.min(LANES, file.chunks.length - from) }, lane))
}

async function syncPath(disk: Disk, folder: string): Promise<void> {
  const parts = folder.split('/')
  for (let depth = parts.length; depth >= 0; depth--) {
    await disk.syncDirectory(parts.slice(0, depth).join('/'))
  }
}

/** Replaces a small file. */
async function putFile(disk: Disk, path: string, text: string): Promise<void> {
  const aside = `${path}.new`
  await disk.remove(aside)
  const file = await disk.open(aside, 'create')
  try {
    const bytes = Buffer.from(text)
    await file.write(bytes, 0, bytes.length, 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await disk.rename(aside, path)
  await disk.syncDirectory(path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '')
}
