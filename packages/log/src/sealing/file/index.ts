/**
 * The store of keys in a data directory.
 *
 *   keys/000000000003.keys   all keys: appended to, and synced before anything is sealed with a new one
 *   keys/*.new               the next file, being written when a process died
 *
 * To destroy a key, a file without it is written, synced and renamed to the next number; then the file
 * before is overwritten with zeros, synced and removed. A crash leaves one of the two as the newest;
 * opening finishes the rest. What a disk keeps of overwritten bytes (flash, copy-on-write, snapshots
 * of a volume) is beyond a file system: encrypt the volume.
 */
import type { Disk, DiskFile, Random } from '@millrace/core'
import { readFully } from '../../file/segment.ts'
import { keyBatchBytes, keyFileBytes, readKeyBytes } from '../key-bytes.ts'
import { KeyTable } from '../key-table.ts'
import { KEY_BYTES, type KeyEntry, type KeyStore } from '../keys.ts'
import { copiesOf } from '../memory/index.ts'

/** The directory of the keys in a data directory. */
export const KEYS_DIRECTORY = 'keys'
const COMPLETE = /^(\d{12})\.keys$/
const ZEROS_BYTES = 1024 * 1024

interface KeyPorts {
  readonly disk: Disk
  readonly random: Random
}

/** Opens the store of a data directory that the caller owns. Throws KEYS_DAMAGED. */
export async function openFileKeys(ports: KeyPorts): Promise<KeyStore> {
  const store = new FileKeys(ports)
  await store.open()
  return store
}

/** Opens the store of a data directory that another owns, for reading; `ensure` and `destroy` are for the owner. */
export async function openFileKeysView(disk: Disk): Promise<KeyStore> {
  let table = new KeyTable()
  /** The file that was read: to destroy a key, its owner begins another one. */
  let read: string | undefined
  const refresh = async (): Promise<void> => {
    const next = new KeyTable()
    const newest = (await completeFiles(disk)).at(-1)
    for (const entry of await readKeyEntries(disk)) next.add(entry)
    table = next
    read = newest
  }
  await refresh()
  const refuse = (): Promise<never> => Promise.reject(new TypeError('keys are made by their owner'))
  return {
    isWhole: false,
    get: name => table.get(name),
    isDestroyed: name => table.isDestroyed(name),
    ensure: refuse,
    async load(names) {
      const isNew = (name: string): boolean =>
        table.get(name) === undefined && !table.isDestroyed(name)
      if (names.some(isNew) || (await completeFiles(disk)).at(-1) !== read) await refresh()
    },
    destroy: refuse,
    async list(prefix) {
      await refresh()
      return table.names(prefix)
    },
    destroyed: () => table.destroyed(),
    entries: async () => copiesOf(table),
    adopt: refuse,
    close: () => Promise.resolve(),
  }
}

/** What the keys of a data directory are; they are read beside their owner. */
export async function readKeyEntries(disk: Disk): Promise<readonly KeyEntry[]> {
  // The newest file may be replaced between the look at the names and that into the file.
  for (let attempt = 0; ; attempt++) {
    const newest = (await completeFiles(disk)).at(-1)
    if (newest === undefined) return []
    try {
      return readKeyBytes(await readWhole(disk, newest), newest).entries
    } catch (error) {
      if (attempt >= 3 || (await completeFiles(disk)).at(-1) === newest) throw error
    }
  }
}

/** The file of a restored directory's keys. */
export function restoredKeyFile(): string {
  return pathOf(1)
}

class FileKeys implements KeyStore {
  readonly isWhole = true
  readonly #ports: KeyPorts
  readonly #table = new KeyTable()
  #number = 0
  #file: DiskFile | undefined
  #end = 0
  /** Why no more keys are appended. */
  #failure: Error | undefined
  /** Writes run one after the other. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(ports: KeyPorts) {
    this.#ports = ports
  }

  async open(): Promise<void> {
    const { disk } = this.#ports
    const files = await completeFiles(disk)
    const newest = files.at(-1)
    for (const name of await disk.list(KEYS_DIRECTORY)) {
      const path = `${KEYS_DIRECTORY}/${name}`
      if (path !== newest) await wipeFile(disk, path)
    }
    if (newest === undefined) return
    this.#number = numberOf(newest)
    const { entries, end } = readKeyBytes(await readWhole(disk, newest), newest)
    for (const entry of entries) this.#table.add(entry)
    this.#file = await disk.open(newest, 'write')
    this.#end = end
    if ((await this.#file.size()) === end) return
    // Zeros of a torn write would pass for the rest of a longer batch.
    await this.#file.truncate(end)
    await this.#file.sync()
  }

  get(name: string): Uint8Array | undefined {
    return this.#table.get(name)
  }

  isDestroyed(name: string): boolean {
    return this.#table.isDestroyed(name)
  }

  destroyed(): Iterable<string> {
    return this.#table.destroyed()
  }

  async ensure(names: readonly string[]): Promise<void> {
    await this.#inTurn(async () => {
      const { random } = this.#ports
      const wanted = [...new Set(names)].filter(name => !this.#isKnown(name))
      await this.#append(wanted.map(name => ({ name, key: random.fill(new Uint8Array(KEY_BYTES)) }))) // prettier-ignore
    })
  }

  load(): Promise<void> {
    return Promise.resolve()
  }

  async destroy(names: readonly string[]): Promise<void> {
    await this.#inTurn(async () => {
      const wanted = names.filter(name => !this.#table.isDestroyed(name))
      if (wanted.length > 0) await this.#rewrite(wanted.map(name => ({ name })))
    })
  }

  list(prefix: string): Promise<readonly string[]> {
    return Promise.resolve(this.#table.names(prefix))
  }

  entries(): Promise<readonly KeyEntry[]> {
    return this.#inTurn(async () => copiesOf(this.#table))
  }

  async adopt(entries: readonly KeyEntry[]): Promise<void> {
    await this.#inTurn(() => this.#rewrite(entries))
  }

  async close(): Promise<void> {
    await this.#turn
    await this.#file?.close()
    this.#file = undefined
  }

  #isKnown(name: string): boolean {
    return this.#table.get(name) !== undefined || this.#table.isDestroyed(name)
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  async #append(entries: readonly KeyEntry[]): Promise<void> {
    if (entries.length === 0) return
    if (this.#file === undefined) {
      await this.#rewrite(entries)
      return
    }
    if (this.#failure !== undefined) throw this.#failure
    const bytes = keyBatchBytes(entries)
    try {
      await this.#file.write(bytes, 0, bytes.length, this.#end)
      await this.#file.sync()
    } catch (error) {
      // After a failed sync nobody knows what the medium has.
      this.#failure = error as Error
      throw error
    }
    this.#end += bytes.length
    for (const entry of entries) this.#table.add(entry)
  }

  /** Replaces the file by one that holds `changes` as well; nothing of the one before stays. */
  async #rewrite(changes: readonly KeyEntry[]): Promise<void> {
    const { disk } = this.#ports
    const next = new KeyTable()
    for (const entry of [...changes.filter(({ key }) => key === undefined), ...this.#table.entries(), ...changes]) next.add(entry) // prettier-ignore
    const bytes = keyFileBytes(next.entries())
    const [before, after] = [pathOf(this.#number), pathOf(this.#number + 1)]
    const aside = `${after}.new`
    await disk.makeDirectory(KEYS_DIRECTORY)
    await disk.syncDirectory('')
    await disk.remove(aside)
    const file = await disk.open(aside, 'create')
    try {
      await file.write(bytes, 0, bytes.length, 0)
      await file.sync()
      await disk.rename(aside, after)
      await disk.syncDirectory(KEYS_DIRECTORY)
    } catch (error) {
      await file.close()
      throw error
    }
    await this.#file?.close()
    if (this.#number > 0) await wipeFile(disk, before)
    for (const entry of changes) this.#table.add(entry)
    this.#file = file
    this.#number += 1
    this.#end = bytes.length
  }
}

/** Overwrites a file with zeros, then removes it. */
export async function wipeFile(disk: Disk, path: string): Promise<void> {
  const file = await disk.open(path, 'write')
  try {
    const size = await file.size()
    const zeros = Buffer.alloc(Math.min(size, ZEROS_BYTES))
    for (let at = 0; at < size; at += zeros.length) {
      await file.write(zeros, 0, Math.min(zeros.length, size - at), at)
    }
    await file.sync()
  } finally {
    await file.close()
  }
  await disk.remove(path)
  await disk.syncDirectory(path.slice(0, path.lastIndexOf('/')))
}

async function completeFiles(disk: Disk): Promise<readonly string[]> {
  const names = await disk.list(KEYS_DIRECTORY)
  return names.filter(name => COMPLETE.test(name)).map(name => `${KEYS_DIRECTORY}/${name}`)
}

function pathOf(number: number): string {
  return `${KEYS_DIRECTORY}/${String(number).padStart(12, '0')}.keys`
}

function numberOf(path: string): number {
  return Number(COMPLETE.exec(path.slice(KEYS_DIRECTORY.length + 1))?.[1])
}

async function readWhole(disk: Disk, path: string): Promise<Buffer> {
  const file = await disk.open(path, 'read')
  try {
    const bytes = Buffer.alloc(await file.size())
    return bytes.subarray(0, await readFully(file, bytes, 0))
  } finally {
    await file.close()
  }
}
