/**
 * Verifying backups: every byte that a restore would use.
 *
 * Each manifest against its checksum; each unit of ledgers and journal against its own, their
 * numbers without gaps; each block, index and key bucket of each split file, their offsets without
 * gaps; what is sealed against the keys of the store; the ends against the position of the manifest;
 * each chunk against its hash. Cost: every object is read once, for all backups together.
 */
import { isError, partitionName } from '@millrace/core'
import { FrameRecord, frameField } from '../file/frames.ts'
import { SplitStore } from '../file/split-store.ts'
import { directoryOf, openSplit } from '../file/split-directory.ts'
import { BLOCK_HEADER_BYTES, rangeOf } from '../file/split-layout.ts'
import type { Partition } from '../file/partition.ts'
import type { ObjectStore } from '../objects/objects.ts'
import { readKeys } from './keys.ts'
import { openManifestDisk } from './manifest-disk.ts'
import { chunkBytes, listBackups, readChunk, readManifest, type Manifest } from './manifest.ts'
import { SealCheck } from './seals.ts'
import type { OnProgress } from './take.ts'
import { UnitWalk } from './units.ts'

/** A fault of a backup. */
export interface BackupFault {
  readonly backup: string
  /** The file of the data directory, where it is known. */
  readonly file?: string
  readonly reason: string
}

/** What a verification found. */
export interface VerifyResult {
  readonly backups: readonly string[]
  readonly objects: number
  readonly bytes: number
  /** Records that a restore of the newest backup gives. */
  readonly records: number
  /** Empty when a restore of each backup will succeed. */
  readonly faults: readonly BackupFault[]
}

/** Verifies the backups named, or all. Throws BACKUP_UNKNOWN and what the store refuses; faults are part of the result. */
export async function verifyBackups(
  store: ObjectStore,
  {
    backups,
    onProgress,
  }: { readonly backups?: readonly string[]; readonly onProgress?: OnProgress } = {},
): Promise<VerifyResult> {
  const ids = backups ?? (await listBackups(store))
  const check = new Check(store, onProgress)
  const manifests: Manifest[] = []
  for (const id of ids) {
    await check.part(id, undefined, async () => void manifests.push(await readManifest(store, id)))
  }
  const newest = ids.at(-1)
  if (newest !== undefined)
    await check.part(newest, 'keys', async () => check.open(await readKeys(store)))
  for (const manifest of manifests) check.expect(manifest)
  for (const manifest of manifests) await check.manifest(manifest)
  if (newest !== undefined) check.told(newest)
  const { faults, verified, bytes, records } = check
  return { backups: ids, objects: verified.size, bytes, records, faults }
}

class Check {
  readonly #store: ObjectStore
  readonly #onProgress: OnProgress | undefined
  readonly faults: BackupFault[] = []
  /** Chunks that are what was stored. */
  readonly verified = new Set<string>()
  /** Bytes of every chunk to verify. */
  readonly #chunks = new Map<string, number>()
  /** Files that were read as a log reads them. */
  readonly #files = new Set<string>()
  #seals: SealCheck | undefined
  #total = 0
  bytes = 0
  records = 0

  constructor(store: ObjectStore, onProgress: OnProgress | undefined) {
    this.#store = store
    this.#onProgress = onProgress
  }

  /** Takes the keys of the store; without any, nothing is tried. */
  open(entries: ConstructorParameters<typeof SealCheck>[0]): void {
    this.#seals = new SealCheck(entries)
  }

  /** What cannot be opened is a fault: whoever was erased is known to be. */
  told(backup: string): void {
    for (const reason of this.#seals?.reasons() ?? []) this.faults.push({ backup, file: 'keys', reason }) // prettier-ignore
  }

  expect({ files }: Manifest): void {
    for (const file of files) {
      file.chunks.forEach((hash, index) => {
        if (this.#chunks.has(hash)) return
        this.#chunks.set(hash, chunkBytes(file, index))
        this.#total += chunkBytes(file, index)
      })
    }
  }

  /** Runs a part; what it finds wrong is a fault, and the rest goes on. */
  async part(backup: string, file: string | undefined, run: () => Promise<void>): Promise<void> {
    try {
      await run()
    } catch (error) {
      // Whatever damaged bytes lead a reader to; but not a store that does not answer.
      const passed = ['OBJECTS_UNAVAILABLE', 'OBJECTS_REFUSED', 'BACKUP_UNKNOWN']
      if (!(error instanceof Error) || (isError(error) && passed.includes(error.code))) throw error
      this.faults.push({ backup, ...(file === undefined ? {} : { file }), reason: error.message })
    }
  }

  async manifest(manifest: Manifest): Promise<void> {
    const { id, files } = manifest
    const disk = openManifestDisk(this.#store, manifest, hash => this.#note(hash))
    const walk = new UnitWalk(disk, 'log', record => this.#seals?.look(record))
    let isWalked = false
    await this.part(id, undefined, async () => {
      for await (const _ of walk.units());
      this.#compare(manifest, walk)
      isWalked = true
    })
    if (isWalked) {
      const store = new SplitStore({ disk, names: walk.state.names, openMax: 4, blockCacheMax: 0 })
      this.records = 0
      for (const partition of walk.state.streams.partitions()) {
        await this.#partition(manifest, partition, store)
      }
    }
    for (const file of files) {
      for (const [index, hash] of file.chunks.entries()) {
        if (this.verified.has(hash)) continue
        await this.part(id, file.path, async () => {
          await readChunk(this.#store, hash, chunkBytes(file, index))
          this.#note(hash)
        })
      }
    }
  }

  #note(hash: string): void {
    if (this.verified.has(hash)) return
    this.verified.add(hash)
    this.bytes += this.#chunks.get(hash) ?? 0
    this.#onProgress?.({ done: this.bytes, total: this.#total })
  }

  #fault({ id }: Manifest, file: string, reason: string): void {
    this.faults.push({ backup: id, file, reason })
  }

  #compare(manifest: Manifest, { last, state }: UnitWalk): void {
    if (last?.number !== manifest.unit) {
      this.#fault(
        manifest,
        'log/journal',
        `it ends at unit ${last?.number ?? 0}, not at ${manifest.unit}`,
      )
    }
    for (const { name, nextOffset } of state.streams.partitions()) {
      const said = manifest.position.get(name) ?? 0
      if (said !== nextOffset)
        this.#fault(manifest, 'log', `${name} ends at ${nextOffset}, not at ${said}`)
    }
  }

  async #partition(manifest: Manifest, partition: Partition, store: SplitStore): Promise<void> {
    const directory = directoryOf('log', partition)
    const { stream, number } = partition
    const isTransient = stream.declared.transient !== undefined
    let next = isTransient ? undefined : 0
    for (const name of await store.disk.list(directory)) {
      const range = rangeOf(name)
      if (range === undefined) continue
      const path = `${directory}/${name}`
      if (next !== undefined && range.first !== next) {
        this.#fault(
          manifest,
          path,
          `${partitionName(stream.declared.name, number)} has no offset ${next}`,
        )
      }
      next = range.end
      await this.part(manifest.id, path, () => this.#split(manifest, partition, store, path))
    }
    this.records += partition.nextOffset
  }

  async #split(
    manifest: Manifest,
    partition: Partition,
    store: SplitStore,
    path: string,
  ): Promise<void> {
    const { stamp = '', bytes = 0 } = manifest.files.find(file => file.path === path) ?? {}
    const name = `${path} ${stamp} ${bytes}`
    if (this.#files.has(name)) return
    this.#files.add(name)
    const { first, end } = rangeOf(path.slice(path.lastIndexOf('/') + 1)) as {
      first: number
      end: number
    }
    const file = openSplit(store, partition, { path, first, end, bytes })
    let next = first
    for await (const { bytes: block } of file.blocks()) {
      const blockEnd = block.u32[0] as number
      for (let at = BLOCK_HEADER_BYTES; at < blockEnd; at += frameField.length(block, at)) {
        if (frameField.offset(block, at) !== next) break
        this.#seals?.look(new FrameRecord(block, at, partition.stream.declared.name, store.names))
        next += 1
      }
    }
    if (next !== end) this.#fault(manifest, path, `it has no offset ${next}`)
    for await (const _ of file.keys());
    await file.shut()
  }
}
