/** What the split files of a log share: the disk, and limits on what they hold open and in memory. */
import type { Disk } from '@millrace/core'
import { createBytes } from './bytes.ts'
import type { Bytes } from './bytes.ts'
import type { NameTable } from './names.ts'
import type { SplitFile } from './split-file.ts'

/** So many buffers are kept for those who read at the same time, none of them larger. */
const SCRATCH_BUFFERS = 8
const SCRATCH_BYTES_MAX = 2 * 1024 * 1024

/** See the head of the file. */
export class SplitStore {
  readonly disk: Disk
  readonly names: NameTable
  readonly #openMax: number
  readonly #blockCacheMax: number
  /** Open files, least recently used first. */
  readonly #open = new Set<SplitFile>()
  readonly #blocks = new Map<string, Bytes>()
  /** Buffers from which some records or entries are picked, to be used again. */
  readonly #scratch: Bytes[] = []
  readonly #loading = new Map<string, Promise<Bytes>>()

  constructor(options: { disk: Disk; names: NameTable; openMax: number; blockCacheMax: number }) {
    this.disk = options.disk
    this.names = options.names
    this.#openMax = options.openMax
    this.#blockCacheMax = options.blockCacheMax
  }

  /** Notes a use; closes files that were not used for longest. */
  async used(file: SplitFile): Promise<void> {
    this.#open.delete(file)
    this.#open.add(file)
    if (this.#open.size <= this.#openMax) return
    for (const oldest of this.#open) {
      if (oldest.isBusy) continue
      this.#open.delete(oldest)
      await oldest.shut()
      return
    }
  }

  forget(file: SplitFile): void {
    this.#open.delete(file)
  }

  /** A block: kept from before, or loaded, once for all who ask meanwhile. */
  async block(name: string, load: () => Promise<Bytes>): Promise<Bytes> {
    const block = this.#blocks.get(name)
    if (block !== undefined) {
      this.#blocks.delete(name)
      this.#blocks.set(name, block)
      return block
    }
    let loading = this.#loading.get(name)
    if (loading === undefined) {
      loading = load().finally(() => this.#loading.delete(name))
      this.#loading.set(name, loading)
    }
    const loaded = await loading
    this.#keep(name, loaded)
    return loaded
  }

  /** Lends a buffer of at least `size` bytes for as long as `use` takes. */
  async withScratch<T>(size: number, use: (scratch: Bytes) => Promise<T>): Promise<T> {
    const kept = this.#scratch.pop()
    const scratch = kept !== undefined && kept.u8.length >= size ? kept : createBytes(size)
    try {
      return await use(scratch)
    } finally {
      const isKept = this.#scratch.length < SCRATCH_BUFFERS && size <= SCRATCH_BYTES_MAX
      if (isKept) this.#scratch.push(scratch)
    }
  }

  #keep(name: string, block: Bytes): void {
    this.#blocks.set(name, block)
    if (this.#blocks.size <= this.#blockCacheMax) return
    for (const oldest of this.#blocks.keys()) {
      this.#blocks.delete(oldest)
      return
    }
  }

  async close(): Promise<void> {
    for (const file of [...this.#open]) await file.shut()
    this.#open.clear()
  }
}
