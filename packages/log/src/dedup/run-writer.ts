/**
 * Writes a run in one pass; the layout is drawn in run.ts and pages.ts. Memory: one group, one page
 * per level of fences, and a buffer of texts.
 */
import type { Disk, DiskFile } from '@millrace/core'
import { addToFilter } from './filter.ts'
import { compareKeys, TEXT, type IdKey } from './id-key.ts'
import { ENTRY_WORDS, textWord } from './memory-table.ts'
import {
  CONTENT_BYTES,
  createMemory,
  type BufferPool,
  DATA,
  DATA_ENTRIES,
  FENCE,
  FENCES,
  FENCE_WORDS,
  FILTER_AT,
  FILTER_BLOCKS,
  FOOTER,
  GROUP,
  GROUP_COUNT_AT,
  GROUP_ENTRIES,
  GROUP_PAGES,
  HEAD_WORDS,
  HEAP,
  PAGE_BYTES,
  PAGE_WORDS,
  sealPage,
  type Memory,
} from './pages.ts'
import { footerWords } from './manifest.ts'
import type { Run, RunFacts } from './run.ts'

/** Pages written at once. */
const OUT_PAGES = 68
const TEXT_OUT_PAGES = 16

/** The file names of a run. */
export function runPath(directory: string, number: number): string {
  return `${directory}/${String(number).padStart(12, '0')}.run`
}

/** The name of the file of a run's texts. */
export function textsPath(directory: string, number: number): string {
  return `${directory}/${String(number).padStart(12, '0')}.texts`
}

/** A run being written. Call `append` in the order of keys, `flush` whenever `isFull`, then `finish`. */
export class RunWriter {
  readonly #directory: string
  readonly #number: number
  readonly #kind: number
  readonly #disk: Disk
  readonly #pool: BufferPool
  readonly #group: Memory
  readonly #out: Memory
  #outPages = 0
  /** Pages given out, in the buffer or written. */
  #pages = 0
  #entries = 0
  #count = 0
  readonly #levels: { memory: Memory; count: number }[] = []
  readonly #texts: Memory
  #textBytes = 0
  #isFinished = false
  #textPagesWritten = 0
  #file: DiskFile | undefined
  #textFile: DiskFile | undefined
  readonly #range = new Int32Array(8)

  constructor(options: {
    disk: Disk
    directory: string
    number: number
    kind: number
    pool: BufferPool
  }) {
    this.#pool = options.pool
    this.#group = options.pool.take(1 + GROUP_PAGES)
    this.#out = options.pool.take(OUT_PAGES)
    this.#disk = options.disk
    this.#directory = options.directory
    this.#number = options.number
    this.#kind = options.kind
    this.#texts = options.pool.take(options.kind === TEXT ? TEXT_OUT_PAGES : 0)
  }

  /** Creates the files. */
  async open(): Promise<void> {
    this.#file = await this.#disk.open(runPath(this.#directory, this.#number), 'create')
    if (this.#kind !== TEXT) return
    this.#textFile = await this.#disk.open(textsPath(this.#directory, this.#number), 'create')
  }

  /** Entries in the group that is not complete yet. */
  get pending(): number {
    return this.#entries
  }

  /** True when `flush` must be called before the next `append`. */
  get isFull(): boolean {
    return (
      this.#entries === GROUP_ENTRIES ||
      (this.#kind === TEXT && this.#textBufferPages() >= TEXT_OUT_PAGES - 2)
    )
  }

  /** True when the last entry has the key at a word. */
  endsWith(words: Int32Array, at: number): boolean {
    return this.#count > 0 && compareKeys(words, at, this.#range, 4) === 0
  }

  /** Adds an entry. For a text, `key` must hold its bytes. */
  append(key: IdKey, low: number, high: number): void {
    const { words } = this.#group
    const index = this.#entries
    const page = Math.floor(index / DATA_ENTRIES)
    const inPage = index - page * DATA_ENTRIES
    const at = (1 + page) * PAGE_WORDS + HEAD_WORDS + inPage * ENTRY_WORDS
    words[at] = key.w0
    words[at + 1] = key.w1
    if (this.#kind === TEXT) {
      words[at + 2] = this.#textBytes | 0
      const above = Math.floor(this.#textBytes / 2 ** 32)
      words[at + 3] = textWord(above, key.textBytes, key.isWide)
      this.#appendText(key)
    } else {
      words[at + 2] = key.w2
      words[at + 3] = key.w3
    }
    words[at + 4] = low
    words[at + 5] = high
    if (inPage === 0) copyKey(words, at, words, HEAD_WORDS + page * 4)
    if (this.#count === 0) copyKey(words, at, this.#range, 0)
    copyKey(words, at, this.#range, 4)
    addToFilter(words, FILTER_AT, FILTER_BLOCKS, key.hash)
    this.#entries = index + 1
    this.#count += 1
  }

  /** Makes room for more entries. */
  async flush(): Promise<void> {
    if (this.#kind === TEXT) await this.#writeTexts(false)
    if (this.#entries === GROUP_ENTRIES) await this.closeGroup()
  }

  /** Completes the group, however many entries it has. */
  async closeGroup(): Promise<void> {
    if (this.#entries === 0) return
    const dataPages = Math.ceil(this.#entries / DATA_ENTRIES)
    const { words } = this.#group
    const page = this.#pages
    words[GROUP_COUNT_AT] = this.#entries
    this.#seal(this.#group, 0, page, GROUP, dataPages)
    for (let index = 0; index < dataPages; index++) {
      const count = Math.min(DATA_ENTRIES, this.#entries - index * DATA_ENTRIES)
      this.#seal(this.#group, 1 + index, page + 1 + index, DATA, count)
    }
    await this.#put(this.#group, 0, 1 + dataPages)
    await this.#fence(0, words, HEAD_WORDS, page)
    words.fill(0)
    this.#entries = 0
  }

  /**
   * Takes a whole group of another run as it is, found at page `slot` of `source`; `last` is the
   * word of its greatest key. Only after `closeGroup`, and only for UUIDs.
   */
  async takeGroup(source: Memory, slot: number, dataPages: number, last: number): Promise<void> {
    const { words } = source
    const first = slot * PAGE_WORDS + HEAD_WORDS
    const count = words[slot * PAGE_WORDS + GROUP_COUNT_AT] as number
    if (this.#count === 0) copyKey(words, first, this.#range, 0)
    copyKey(words, last, this.#range, 4)
    const page = this.#pages
    for (let index = 0; index <= dataPages; index++) {
      const facts = words[(slot + index) * PAGE_WORDS + 3] as number
      this.#seal(source, slot + index, page + index, facts >>> 16, facts & 0xffff)
    }
    this.#count += count
    await this.#put(source, slot, 1 + dataPages)
    await this.#fence(0, words, first, page)
  }

  /** Writes what is left, syncs the files and resolves to the run, which has at least one entry. */
  async finish(): Promise<Run> {
    await this.flush()
    await this.closeGroup()
    // The root is the last fence page that is written: close levels from below until one is left.
    for (let level = 0; level < this.#levels.length; level++) {
      const { count } = this.#levels[level] as { count: number }
      if (count > 0) await this.#closeFence(level, level === this.#levels.length - 1)
    }
    const facts: RunFacts = {
      number: this.#number,
      kind: this.#kind,
      count: this.#count,
      pages: this.#pages,
      levels: this.#levels.length,
      textPages: Math.ceil(this.#textBytes / CONTENT_BYTES),
      range: [...this.#range],
    }
    const footer = createMemory(1)
    footer.words.set(footerWords(facts), HEAD_WORDS)
    this.#seal(footer, 0, this.#pages, FOOTER, 0)
    await this.#put(footer, 0, 1)
    await this.#writeOut()
    if (this.#kind === TEXT) await this.#writeTexts(true)
    await this.#textFile?.sync()
    await (this.#file as DiskFile).sync()
    for (const memory of this.#buffers()) this.#pool.give(memory)
    this.#isFinished = true
    return openedRun(this.#directory, facts, this.#file as DiskFile, this.#textFile)
  }

  /** Closes and removes what was written. A write may still be under way: its buffers are not used again. */
  async abandon(): Promise<void> {
    if (!this.#isFinished) for (const memory of this.#buffers()) this.#pool.drop(memory)
    this.#isFinished = true
    await this.#file?.close()
    await this.#textFile?.close()
    await this.#disk.remove(runPath(this.#directory, this.#number))
    await this.#disk.remove(textsPath(this.#directory, this.#number))
  }

  #buffers(): readonly Memory[] {
    const levels = this.#levels.map(({ memory }) => memory)
    return [this.#group, this.#out, this.#texts, ...levels]
  }

  #seal(memory: Memory, slot: number, page: number, type: number, count: number): void {
    sealPage(memory, slot, { page, run: this.#number, type, count })
  }

  /** Adds a pointer to a level of fences; completes its page when it is full. */
  async #fence(level: number, words: Int32Array, at: number, page: number): Promise<void> {
    const fences = (this.#levels[level] ??= { memory: this.#pool.take(1), count: 0 })
    const target = HEAD_WORDS + fences.count * FENCE_WORDS
    copyKey(words, at, fences.memory.words, target)
    fences.memory.words[target + 4] = page
    fences.count += 1
    if (fences.count === FENCES) await this.#closeFence(level, false)
  }

  async #closeFence(level: number, isRoot: boolean): Promise<void> {
    const fences = this.#levels[level] as { memory: Memory; count: number }
    const page = this.#pages
    this.#seal(fences.memory, 0, page, FENCE, fences.count)
    await this.#put(fences.memory, 0, 1)
    if (!isRoot) await this.#fence(level + 1, fences.memory.words, HEAD_WORDS, page)
    fences.memory.words.fill(0)
    fences.count = 0
  }

  async #put(source: Memory, slot: number, pages: number): Promise<void> {
    if (this.#outPages + pages > OUT_PAGES) await this.#writeOut()
    const from = slot * PAGE_WORDS
    this.#out.words.set(
      source.words.subarray(from, from + pages * PAGE_WORDS),
      this.#outPages * PAGE_WORDS,
    )
    this.#outPages += pages
    this.#pages += pages
  }

  async #writeOut(): Promise<void> {
    if (this.#outPages === 0) return
    const position = (this.#pages - this.#outPages) * PAGE_BYTES
    const bytes = this.#outPages * PAGE_BYTES
    await (this.#file as DiskFile).write(this.#out.bytes, 0, bytes, position)
    this.#outPages = 0
  }

  #textBufferPages(): number {
    return Math.ceil(this.#textBytes / CONTENT_BYTES) - this.#textPagesWritten
  }

  #appendText(key: IdKey): void {
    let position = this.#textBytes
    for (let byte = 0; byte < key.textBytes; byte++, position++) {
      const page = Math.floor(position / CONTENT_BYTES)
      const inPage = position - page * CONTENT_BYTES
      const slot = page - this.#textPagesWritten
      this.#texts.bytes[slot * PAGE_BYTES + HEAD_WORDS * 4 + inPage] = key.text[byte] as number
    }
    this.#textBytes = position
  }

  /** Writes the complete pages of text, or all of them at the end. */
  async #writeTexts(isEnd: boolean): Promise<void> {
    const whole = Math.floor(this.#textBytes / CONTENT_BYTES)
    const until = isEnd ? Math.ceil(this.#textBytes / CONTENT_BYTES) : whole
    const pages = until - this.#textPagesWritten
    if (pages === 0) return
    for (let slot = 0; slot < pages; slot++) {
      this.#seal(this.#texts, slot, this.#textPagesWritten + slot, HEAP, 0)
    }
    const position = this.#textPagesWritten * PAGE_BYTES
    await (this.#textFile as DiskFile).write(this.#texts.bytes, 0, pages * PAGE_BYTES, position)
    this.#texts.words.copyWithin(0, pages * PAGE_WORDS, (pages + 1) * PAGE_WORDS)
    this.#texts.words.fill(0, PAGE_WORDS)
    this.#textPagesWritten = until
  }
}

/** The run of open files. */
export function openedRun(
  directory: string,
  facts: RunFacts,
  file: DiskFile,
  textFile: DiskFile | undefined,
): Run {
  const { number } = facts
  return {
    facts,
    range: Int32Array.from(facts.range),
    file: {
      key: number * 2,
      run: number,
      path: runPath(directory, number),
      file,
      pages: facts.pages,
    },
    texts:
      textFile === undefined
        ? undefined
        : {
            key: number * 2 + 1,
            run: number,
            path: textsPath(directory, number),
            file: textFile,
            pages: facts.textPages,
          },
  }
}

function copyKey(from: Int32Array, at: number, to: Int32Array, target: number): void {
  to[target] = from[at] as number
  to[target + 1] = from[at + 1] as number
  to[target + 2] = from[at + 2] as number
  to[target + 3] = from[at + 3] as number
}
