/**
 * A bounded cache of pages of run files, replaced by the clock algorithm (second chance). A page
 * enters it only when its checksum was right.
 */
import type { DiskFile } from '@millrace/core'
import { logErrors } from '../errors.ts'
import { createMemory, faultOfPage, PAGE_BYTES, PAGES_MAX, type Memory } from './pages.ts'

/** A file whose pages are cached. */
export interface PagedFile {
  /** Unique among all files of the index. */
  readonly key: number
  readonly run: number
  readonly path: string
  readonly file: DiskFile
  readonly pages: number
}

/** Pages of run files in memory. */
export class PageCache {
  readonly memory: Memory
  readonly #slots = new Map<number, number>()
  /** Key of the page in each slot, -1 for none. */
  readonly #owners: Float64Array
  /** 0 free to be replaced, 1 used since the hand passed, 2 being read into. */
  readonly #states: Uint8Array
  readonly #loading = new Map<number, Promise<void>>()
  readonly #goOn: string
  #hand = 0

  /** `pages` is the bound; `goOn` says in an error what to do about a damaged file. */
  constructor(pages: number, goOn: string) {
    this.memory = createMemory(pages)
    this.#owners = new Float64Array(pages).fill(-1)
    this.#states = new Uint8Array(pages)
    this.#goOn = goOn
  }

  get memoryBytes(): number {
    return this.memory.bytes.length + this.#owners.length * 9 + this.#slots.size * 40
  }

  /** The slot of a page, or -1 when it is not in memory. Valid until the next `load`. */
  find(file: PagedFile, page: number): number {
    const slot = this.#slots.get(file.key * PAGES_MAX + page)
    if (slot === undefined) return -1
    this.#states[slot] = 1
    return slot
  }

  /** Reads a page into memory; LOG_DAMAGED when it is not what was written. */
  load(file: PagedFile, page: number): Promise<void> {
    const key = file.key * PAGES_MAX + page
    if (this.#slots.has(key)) return Promise.resolve()
    const running = this.#loading.get(key)
    if (running !== undefined) return running
    const loading = this.#load(file, page, key).finally(() => this.#loading.delete(key))
    this.#loading.set(key, loading)
    return loading
  }

  /** Forgets the pages of a file. */
  forget(file: PagedFile): void {
    const first = file.key * PAGES_MAX
    for (let slot = 0; slot < this.#owners.length; slot++) {
      const owner = this.#owners[slot] as number
      if (owner < first || owner >= first + PAGES_MAX || this.#states[slot] === 2) continue
      this.#slots.delete(owner)
      this.#owners[slot] = -1
      this.#states[slot] = 0
    }
  }

  async #load(file: PagedFile, page: number, key: number): Promise<void> {
    const slot = this.#take()
    try {
      await readPages(file, page, 1, this.memory.bytes, slot * PAGE_BYTES, this.#goOn)
      const fault = faultOfPage(this.memory, slot, { page, run: file.run })
      if (fault !== undefined) throw damaged(file, page, fault, this.#goOn)
      this.#owners[slot] = key
      this.#slots.set(key, slot)
      this.#states[slot] = 1
    } catch (error) {
      this.#states[slot] = 0
      throw error
    }
  }

  /** Frees a slot and marks it as being read into. */
  #take(): number {
    const slots = this.#owners.length
    for (let steps = 0; steps < slots * 3; steps++) {
      const slot = this.#hand
      this.#hand = (slot + 1) % slots
      if (this.#states[slot] === 2) continue
      if (this.#states[slot] === 1) {
        this.#states[slot] = 0
        continue
      }
      const owner = this.#owners[slot] as number
      if (owner >= 0) this.#slots.delete(owner)
      this.#owners[slot] = -1
      this.#states[slot] = 2
      return slot
    }
    throw logErrors.create('LOG_OVERLOADED', { queuedBytes: 0, limitBytes: 0, retryAfterMs: 100 })
  }
}

/** Reads whole pages; LOG_DAMAGED when the file ends before. */
export async function readPages(
  file: PagedFile,
  page: number,
  pages: number,
  target: Uint8Array,
  offset: number,
  goOn: string,
): Promise<void> {
  const wanted = pages * PAGE_BYTES
  for (let have = 0; have < wanted;) {
    const position = page * PAGE_BYTES + have
    const count = await file.file.read(target, offset + have, wanted - have, position)
    if (count === 0) throw damaged(file, page, 'it ends too early', goOn)
    have += count
  }
}

/** The error of a run file that is not what was written. */
export function damaged(file: PagedFile, page: number, reason: string, goOn: string): Error {
  return logErrors.create('LOG_DAMAGED', {
    file: file.path,
    at: page * PAGE_BYTES,
    reason,
    affected: 'the index of event ids; the events themselves are not',
    goOn,
  })
}
