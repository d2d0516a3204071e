/**
 * Taking a backup: the chunks of the held files that the store lacks, then the manifest.
 *
 * Promise: a process that dies on the way leaves a store without the manifest; the next run sends
 * what is missing. Cost: each new chunk is read once, hashed and sent, `lanes` of them at a time
 * (4 MiB of memory each), no faster than `bytesPerSecond`. Chunks of files that the backup before
 * holds are neither read nor sent.
 */
import { createHash } from 'node:crypto'
import type { Clock, Disk, Random } from '@millrace/core'
import { logErrors } from '../errors.ts'
import { SEGMENT_HEADER_BYTES } from '../file/layout.ts'
import { readFully } from '../file/segment.ts'
import type { LogHold } from '../file/index.ts'
import type { ObjectStore } from '../objects/objects.ts'
import { checkFence } from './fence.ts'
import { putKeys } from './keys.ts'
import {
  CHUNK_BYTES,
  chunkBytes,
  chunkName,
  hashOf,
  manifestId,
  newestBackup,
  writeManifest,
  type BackupFile,
  type Manifest,
} from './manifest.ts'
import { putMark } from './marks.ts'

const LANES = 4
const STAMP_BYTES = 512

/** How far long work has come. */
export type OnProgress = (progress: { readonly done: number; readonly total: number }) => void

/** What a backup is taken of, and how. */
export interface BackupRequest {
  readonly store: ObjectStore
  /** The data directory. */
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  /** What holds the log; its paths are those of `disk`. */
  readonly hold: Pick<LogHold, 'unit' | 'ingestTimeMs' | 'position' | 'files'>
  /** Files beside the log: identity and snapshots. One that is gone when its turn comes is left out. */
  readonly beside: readonly string[]
  readonly identity: Pick<Manifest, 'app' | 'origin' | 'term' | 'dataFormat'>
  /** Bytes read in a second at most; 0 for no limit. */
  readonly bytesPerSecond?: number
  /** Throws when the hold was lost; asked before the manifest is written. */
  readonly checkHold?: () => void
  readonly onProgress?: OnProgress
}

/** What a backup came to. */
export interface BackupResult {
  readonly manifest: Manifest
  /** Chunks and bytes that were sent; the rest was there. */
  readonly sentChunks: number
  readonly sentBytes: number
  readonly bytes: number
}

/** Takes a backup. Throws BACKUP_OF_OTHER, BACKUP_FENCED, BACKUP_STORE_BUSY, BACKUP_SOURCE_CHANGED, and what store and disk refuse. */
export async function takeBackup(request: BackupRequest): Promise<BackupResult> {
  const { store, clock, identity } = request
  const takenMs = clock.nowMs()
  await checkFence(store, identity.term)
  const mark = await putMark(request, 'backup')
  try {
    const parent = await newestBackup(store)
    if (parent !== undefined && parent.origin !== identity.origin) {
      const details = { place: store.place, app: parent.app, taken: parent.id }
      throw logErrors.create('BACKUP_OF_OTHER', details)
    }
    const known = await knownChunks(store, parent, mark.isAfterCrash)
    const sender = new Sender(request, known, () => mark.renew())
    const files = await sender.send(parent)
    request.checkHold?.()
    const { unit, ingestTimeMs, position } = request.hold
    const manifest: Manifest = {
      // Later than the one before, whatever the clock says.
      id: manifestId(Math.max(takenMs, parent === undefined ? 0 : timeOfId(parent.id) + 1)),
      takenMs,
      parent: parent?.id ?? null,
      ...identity,
      unit,
      ingestTimeMs,
      position,
      files,
    }
    await checkFence(store, identity.term)
    // First: a backup is there when its manifest is.
    const putDestroyed = await putKeys(store, request.disk)
    await writeManifest(store, manifest)
    await putDestroyed()
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
    return { manifest, sentChunks: sender.sentChunks, sentBytes: sender.sentBytes, bytes }
  } finally {
    // A mark that stays is taken for that of a process that died.
    await mark.remove().catch(() => undefined)
  }
}

function timeOfId(id: string): number {
  const [, y, mo, d, h, mi, s, ms] =
    /^(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)(\d{3})z$/.exec(id) ?? []
  return Date.UTC(
    Number(y),
    Number(mo) - 1,
    Number(d),
    Number(h),
    Number(mi),
    Number(s),
    Number(ms),
  )
}

/** Chunks that need not be sent: those of the backup before; after a run that died, whatever is there. */
async function knownChunks(
  store: ObjectStore,
  parent: Manifest | undefined,
  isAfterCrash: boolean,
): Promise<Map<string, number>> {
  const known = new Map<string, number>()
  for (const file of parent?.files ?? []) {
    file.chunks.forEach((hash, index) => known.set(hash, chunkBytes(file, index)))
  }
  if (parent !== undefined && !isAfterCrash) return known
  for await (const { name, bytes } of store.list('objects/')) {
    known.set(name.slice(name.lastIndexOf('/') + 1), bytes)
  }
  return known
}

interface Work {
  readonly path: string
  readonly bytes: number
  readonly stamp: string
  readonly chunks: string[]
  /** First chunk that must be read. */
  readonly from: number
}

class Sender {
  readonly #request: BackupRequest
  /** Chunks of the store with their sizes: one of another size was torn. */
  readonly #known: Map<string, number>
  readonly #onChunk: () => Promise<void>
  readonly #startMs: number
  #read = 0
  #done = 0
  #total = 0
  sentChunks = 0
  sentBytes = 0

  constructor(request: BackupRequest, known: Map<string, number>, onChunk: () => Promise<void>) {
    this.#request = request
    this.#known = known
    this.#onChunk = onChunk
    this.#startMs = request.clock.monotonicMs()
  }

  async send(parent: Manifest | undefined): Promise<BackupFile[]> {
    const before = new Map((parent?.files ?? []).map(file => [file.path, file]))
    const works: Work[] = []
    for (const { path, bytes } of this.#request.hold.files) {
      works.push(await this.#plan({ path, bytes }, before.get(path)))
    }
    for (const path of this.#request.beside) {
      const bytes = await this.#request.disk.sizeOf(path)
      if (bytes !== undefined) works.push(await this.#plan({ path, bytes }, before.get(path)))
    }
    this.#total = works.reduce((sum, { bytes, from }) => sum + bytes - from * CHUNK_BYTES, 0)
    const jobs = works.flatMap(work => {
      const count = Math.ceil(work.bytes / CHUNK_BYTES)
      return Array.from({ length: count - work.from }, (_, index) => ({ work, index: work.from + index })) // prettier-ignore
    })
    let next = 0
    const lane = async (): Promise<void> => {
      const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES)
      for (let job = jobs[next++]; job !== undefined; job = jobs[next++]) {
        job.work.chunks[job.index] = await this.#sendChunk(job.work, job.index, buffer)
      }
    }
    await Promise.all(Array.from({ length: Math.min(LANES, jobs.length) }, lane))
    return works.map(({ path, bytes, stamp, chunks }) => ({ path, bytes, stamp, chunks }))
  }

  /** What of a file must be read: all of it, what a journal grew by, or nothing. */
  async #plan(
    { path, bytes }: { path: string; bytes: number },
    before: BackupFile | undefined,
  ): Promise<Work> {
    const stamp = await this.#stamp(path, bytes)
    const grows = path.endsWith('.jnl')
    const isSame = before !== undefined && before.stamp === stamp
    if (isSame && before.bytes === bytes) {
      return { path, bytes, stamp, chunks: [...before.chunks], from: before.chunks.length }
    }
    const whole = isSame && grows ? Math.floor(Math.min(before.bytes, bytes) / CHUNK_BYTES) : 0
    const chunks = isSame ? before.chunks.slice(0, whole) : []
    return { path, bytes, stamp, chunks, from: whole }
  }

  /** Of a journal the header, which has a salt: it grows behind that. Any other file ends in its checksums. */
  async #stamp(path: string, bytes: number): Promise<string> {
    const isJournal = path.endsWith('.jnl')
    const first = Buffer.alloc(Math.min(bytes, isJournal ? SEGMENT_HEADER_BYTES : STAMP_BYTES))
    const last = Buffer.alloc(isJournal ? 0 : first.length)
    const file = await this.#request.disk.open(path, 'read')
    try {
      await readFully(file, first, 0)
      await readFully(file, last, bytes - last.length)
    } finally {
      await file.close()
    }
    return createHash('sha256').update(first).update(last).digest('hex').slice(0, 32)
  }

  async #sendChunk(work: Work, index: number, buffer: Buffer): Promise<string> {
    const { disk, store, onProgress } = this.#request
    const target = buffer.subarray(0, chunkBytes(work, index))
    const file = await disk.open(work.path, 'read')
    try {
      const count = await readFully(file, target, index * CHUNK_BYTES)
      if (count !== target.length) {
        throw logErrors.create('BACKUP_SOURCE_CHANGED', { file: work.path })
      }
    } finally {
      await file.close()
    }
    const hash = await hashOf(target)
    if (this.#known.get(hash) !== target.length) {
      await store.put(chunkName(hash), target)
      this.#known.set(hash, target.length)
      this.sentChunks += 1
      this.sentBytes += target.length
    }
    this.#done += target.length
    onProgress?.({ done: this.#done, total: this.#total })
    await this.#onChunk()
    await this.#keepPace(target.length)
    return hash
  }

  async #keepPace(bytes: number): Promise<void> {
    const { clock, bytesPerSecond = 0 } = this.#request
    this.#read += bytes
    if (bytesPerSecond <= 0) return
    const aheadMs = (this.#read * 1000) / bytesPerSecond - (clock.monotonicMs() - this.#startMs)
    if (aheadMs > 0) await new Promise<void>(resolve => clock.after(aheadMs, resolve))
  }
}
