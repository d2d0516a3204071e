/**
 * The snapshot store on a Disk: one directory a name, one file a snapshot.
 *
 *   <directory>/s-<name>/0000000000000007.snapshot   complete, synced, then renamed to this name
 *                        0000000000000006.snapshot   the one before
 *                        0000000000000008.writing    a save that is running, or that a crash cut off
 *
 * Cost: a save writes its bytes once and syncs twice; a load reads them twice, the first time to
 * verify all of them, so that nobody folds half of a damaged snapshot into a state.
 */
import { isError, type Disk, type DiskFile, type Logger } from '@millrace/core'
import { checkName, metaText } from '../checks.ts'
import { storeErrors } from '../errors.ts'
import { directoryOf, nameOf } from '../names.ts'
import type { Snapshot, SnapshotMeta, SnapshotStore } from '../snapshots.ts'
import { readChunks, verifySnapshot, writeSnapshot } from './format.ts'
import { Turns } from '../turns.ts'

/** How many snapshots of a name are kept. */
const KEPT = 2
const COMPLETE = /^(\d{16})\.snapshot$/

/** Opens the snapshot store under `directory` of a disk; the directory is made when it is missing. */
export async function openFileSnapshotStore(options: {
  disk: Disk
  logger: Logger
  directory: string
}): Promise<SnapshotStore> {
  const parts = options.directory.split('/')
  await options.disk.makeDirectory(options.directory)
  for (let depth = 0; depth < parts.length; depth++) {
    await options.disk.syncDirectory(parts.slice(0, depth).join('/'))
  }
  return new FileSnapshotStore(options.disk, options.logger, options.directory)
}

/** The newest complete file of each snapshot under `directory` of a disk, for those who copy them. */
export async function newestSnapshots(disk: Disk, directory: string): Promise<string[]> {
  const newest: string[] = []
  for (const entry of await disk.list(directory)) {
    const file = (await disk.list(`${directory}/${entry}`)).findLast(name => COMPLETE.test(name))
    if (nameOf(entry) !== undefined && file !== undefined)
      newest.push(`${directory}/${entry}/${file}`)
  }
  return newest
}

class FileSnapshotStore implements SnapshotStore {
  readonly #disk: Disk
  readonly #logger: Logger
  readonly #directory: string
  /** Saves and removals of one name run one after the other. */
  readonly #turns = new Turns()
  /** Files found damaged: they do not count among the ones kept. */
  readonly #damaged = new Set<string>()
  /** Files being read, with the number of readers: they are not removed. */
  readonly #readers = new Map<string, number>()
  #isClosed = false

  constructor(disk: Disk, logger: Logger, directory: string) {
    this.#disk = disk
    this.#logger = logger
    this.#directory = directory
  }

  async save(
    name: string,
    meta: SnapshotMeta,
    chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): Promise<void> {
    this.#check(name)
    const text = metaText(name, meta)
    await this.#turns.run(name, () => this.#save(name, text, chunks))
  }

  async load(name: string): Promise<Snapshot | undefined> {
    this.#check(name)
    const files = await this.#complete(name)
    for (const path of files) {
      const meta = await this.#verify(path, name)
      if (meta !== undefined) return { meta, chunks: this.#read(path, name) }
    }
    if (files.length > 0) {
      this.#logger.warn('no snapshot can be read: the state is folded from the log', { name })
    }
    return undefined
  }

  async list(): Promise<readonly string[]> {
    this.#check()
    const names: string[] = []
    for (const entry of await this.#disk.list(this.#directory)) {
      const name = nameOf(entry)
      if (name !== undefined && (await this.#complete(name)).length > 0) names.push(name)
    }
    return names.sort()
  }

  async remove(name: string): Promise<void> {
    this.#check(name)
    await this.#turns.run(name, async () => {
      await this.#disk.remove(this.#pathOf(name))
      await this.#disk.syncDirectory(this.#directory)
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#turns.ended()
  }

  #check(name?: string): void {
    if (this.#isClosed) throw storeErrors.create('SNAPSHOT_STORE_CLOSED')
    if (name !== undefined) checkName(name)
  }

  #pathOf(name: string): string {
    return `${this.#directory}/${directoryOf(name)}`
  }

  /** The complete files of a name, newest first. */
  async #complete(name: string): Promise<string[]> {
    const path = this.#pathOf(name)
    const files = (await this.#disk.list(path)).filter(file => COMPLETE.test(file))
    return files.toReversed().map(file => `${path}/${file}`)
  }

  async #save(
    name: string,
    text: string,
    chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const path = this.#pathOf(name)
    await this.#disk.makeDirectory(path)
    const newest = (await this.#complete(name))[0]
    if (newest === undefined) await this.#disk.syncDirectory(this.#directory)
    const number = newest === undefined ? 1 : numberOf(newest) + 1
    const base = `${path}/${String(number).padStart(16, '0')}`
    const aside = `${base}.writing`
    await this.#disk.remove(aside)
    try {
      const file = await this.#disk.open(aside, 'create')
      try {
        await writeSnapshot(file, name, text, chunks)
      } finally {
        await file.close()
      }
      await this.#disk.rename(aside, `${base}.snapshot`)
      await this.#disk.syncDirectory(path)
    } catch (error) {
      // The first error is what the caller needs; a leftover is removed by the next save.
      await this.#disk.remove(aside).catch(() => undefined)
      throw error
    }
    await this.#removeOld(name, `${base}.snapshot`)
  }

  /** Removes all but the newest files; a failure costs space only, and the next save tries again. */
  async #removeOld(name: string, newest: string): Promise<void> {
    const path = this.#pathOf(name)
    try {
      let kept = 0
      const names = await this.#disk.list(path)
      const files = names.toReversed().map(file => `${path}/${file}`)
      for (const file of files) {
        const isKept = COMPLETE.test(file.slice(path.length + 1)) && !this.#damaged.has(file)
        if (isKept && kept++ < KEPT) continue
        if (file === newest || this.#readers.has(file)) continue
        await this.#disk.remove(file)
        this.#damaged.delete(file)
      }
    } catch (error) {
      if (!isError(error)) throw error
      this.#logger.warn('old snapshots could not be removed', { name, reason: error.message })
    }
  }

  async #verify(path: string, name: string): Promise<SnapshotMeta | undefined> {
    try {
      const { file, release } = await this.#open(path)
      try {
        return await verifySnapshot(file, path, name)
      } finally {
        await release()
      }
    } catch (error) {
      if (!isError(error)) throw error
      // A file removed by a save meanwhile is no damage; a newer one took its place.
      if (!isError(error, 'DISK_NOT_FOUND')) this.#damaged.add(path)
      this.#logger.warn('a snapshot cannot be read: the one before it is tried', {
        name,
        file: path,
        reason: error.message,
      })
      return undefined
    }
  }

  /** Opens a file for reading and keeps it from being removed until `release`. */
  async #open(path: string): Promise<{ file: DiskFile; release: () => Promise<void> }> {
    const file = await this.#disk.open(path, 'read')
    this.#readers.set(path, (this.#readers.get(path) ?? 0) + 1)
    const release = (): Promise<void> => {
      const readers = (this.#readers.get(path) as number) - 1
      if (readers === 0) this.#readers.delete(path)
      else this.#readers.set(path, readers)
      return file.close()
    }
    return { file, release }
  }

  async *#read(path: string, name: string): AsyncGenerator<Uint8Array> {
    const { file, release } = await this.#open(path)
    try {
      yield* readChunks(file, path, name)
    } finally {
      await release()
    }
  }
}

function numberOf(path: string): number {
  return Number(path.slice(-'0000000000000000.snapshot'.length, -'.snapshot'.length))
}
