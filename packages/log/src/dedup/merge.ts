/**
 * Merges runs of one kind into one, reading each of them once, in order.
 *
 * Cost: stretches in which the runs do not overlap, as those of ordered ids, are copied group by
 * group without looking at their entries. Memory: a group and a few pages of text for each run.
 */
import { compareKeys, TEXT, type IdKey } from './id-key.ts'
import { ENTRY_WORDS, isWideOf, textBytesOf } from './memory-table.ts'
import { damaged, readPages, type PagedFile } from './page-cache.ts'
import {
  CONTENT_BYTES,
  countOf,
  type BufferPool,
  DATA,
  DATA_ENTRIES,
  FENCE,
  faultOfPage,
  GROUP,
  GROUP_PAGES,
  HEAD_WORDS,
  PAGE_BYTES,
  PAGE_WORDS,
  typeOf,
  type Memory,
} from './pages.ts'
import type { Run } from './run.ts'
import type { RunWriter } from './run-writer.ts'

/** A group that is at least this full may be closed so that the next ones can be copied whole. */
const CLOSE_FROM = 510
/** Groups handled before the event loop turns, when the disk answers at once. */
const GROUPS_PER_TURN = 4
const TEXT_PAGES = 8

/** Writes all entries of `runs` in the order of their keys; `breathe` lets others run and may throw to stop. */
export async function mergeRuns(options: {
  runs: readonly Run[]
  writer: RunWriter
  key: IdKey
  goOn: string
  pool: BufferPool
  breathe: () => Promise<void>
}): Promise<void> {
  const { key, pool, goOn } = options
  const all = options.runs.map(run => new Cursor(run, { key, pool, goOn }))
  try {
    await mergeCursors(all, options.writer, options.breathe)
  } catch (error) {
    // A read may still be under way: its buffers are not used again.
    for (const cursor of all) for (const memory of cursor.buffers()) pool.drop(memory)
    throw error
  }
  for (const cursor of all) for (const memory of cursor.buffers()) pool.give(memory)
}

async function mergeCursors(
  all: readonly Cursor[],
  writer: RunWriter,
  breathe: () => Promise<void>,
): Promise<void> {
  const cursors: Cursor[] = []
  for (const cursor of all) if (await cursor.nextGroup()) cursors.push(cursor)
  for (let turn = 1; cursors.length > 0; turn++) {
    if (turn % GROUPS_PER_TURN === 0) await breathe()
    const first = leastOf(cursors, undefined) as Cursor
    const second = leastOf(cursors, first)
    if (first.isWhole && (second === undefined || first.isGroupBefore(second))) {
      if (writer.pending >= CLOSE_FROM || second === undefined) await writer.closeGroup()
      if (writer.pending === 0) {
        await first.handOver(writer)
        if (!(await first.nextGroup())) cursors.splice(cursors.indexOf(first), 1)
        continue
      }
    }
    do {
      if (first.needsText) await first.loadText()
      if (writer.isFull) await writer.flush()
      // The same UUID in two runs has one place: the log never gave it another.
      if (!first.isSameAsLast(writer)) first.append(writer)
      if (!first.next()) {
        if (!(await first.nextGroup())) cursors.splice(cursors.indexOf(first), 1)
        break
      }
    } while (second === undefined || first.isBefore(second))
  }
}

function leastOf(cursors: readonly Cursor[], except: Cursor | undefined): Cursor | undefined {
  let least: Cursor | undefined
  for (const cursor of cursors) {
    if (cursor === except) continue
    if (least === undefined || cursor.isBefore(least)) least = cursor
  }
  return least
}

/** Walks through the entries of a run. */
class Cursor {
  /** Word of the entry in `memory`. */
  at = 0
  readonly #run: Run
  readonly #key: IdKey
  readonly #goOn: string
  readonly #pool: BufferPool
  readonly memory: Memory
  #page = 0
  #dataPages = 0
  #dataPage = 0
  #entry = 0
  #texts: Memory | undefined
  #textPage = 0
  #textPages = 0
  readonly #isText: boolean

  constructor(run: Run, options: { key: IdKey; pool: BufferPool; goOn: string }) {
    this.#run = run
    this.#key = options.key
    this.#goOn = options.goOn
    this.#pool = options.pool
    this.memory = options.pool.take(1 + GROUP_PAGES)
    this.#isText = run.facts.kind === TEXT
  }

  /** True at the start of a group that may be copied. */
  get isWhole(): boolean {
    return !this.#isText && this.#dataPage === 0 && this.#entry === 0
  }

  /** True when the text of the entry is not in memory. */
  get needsText(): boolean {
    if (!this.#isText) return false
    const { start, end } = this.#textRange()
    return start < this.#textPage || end >= this.#textPage + this.#textPages
  }

  /** All buffers, to be given back; the cursor may not be used afterwards. */
  buffers(): readonly Memory[] {
    return this.#texts === undefined ? [this.memory] : [this.memory, this.#texts]
  }

  isBefore(other: Cursor): boolean {
    return compareKeys(this.memory.words, this.at, other.memory.words, other.at) < 0
  }

  /** True when the whole group lies before the entry of another cursor. */
  isGroupBefore(other: Cursor): boolean {
    return compareKeys(this.memory.words, this.#lastAt(), other.memory.words, other.at) < 0
  }

  isSameAsLast(writer: RunWriter): boolean {
    return !this.#isText && writer.endsWith(this.memory.words, this.at)
  }

  append(writer: RunWriter): void {
    const { words } = this.memory
    const key = this.#key
    key.setWords(this.#run.facts.kind, words, this.at)
    if (this.#isText) this.#readText(key)
    writer.append(key, words[this.at + 4] as number, words[this.at + 5] as number)
  }

  /** Moves within the group; false at its end. */
  next(): boolean {
    this.#entry += 1
    if (this.#entry === countOf(this.memory.words, 1 + this.#dataPage)) {
      this.#entry = 0
      this.#dataPage += 1
      if (this.#dataPage === this.#dataPages) return false
    }
    this.#setAt()
    return true
  }

  /** Reads the next group; false at the end of the run. */
  async nextGroup(): Promise<boolean> {
    const { file } = this.#run
    for (;;) {
      if (this.#page >= file.pages) return false
      const pages = Math.min(1 + GROUP_PAGES, file.pages - this.#page)
      await readPages(file, this.#page, pages, this.memory.bytes, 0, this.#goOn)
      this.#check(0, this.#page)
      if (typeOf(this.memory.words, 0) === GROUP) break
      if (typeOf(this.memory.words, 0) !== FENCE) throw this.#fault('a page has an unknown type')
      this.#page += 1
    }
    this.#dataPages = countOf(this.memory.words, 0)
    if (this.#dataPages < 1 || this.#dataPages > GROUP_PAGES) throw this.#fault('a group is empty')
    for (let index = 1; index <= this.#dataPages; index++) {
      this.#check(index, this.#page + index)
      const count = countOf(this.memory.words, index)
      if (typeOf(this.memory.words, index) !== DATA || count < 1 || count > DATA_ENTRIES) {
        throw this.#fault('a group holds another page')
      }
    }
    this.#page += 1 + this.#dataPages
    this.#dataPage = 0
    this.#entry = 0
    this.#setAt()
    return true
  }

  handOver(writer: RunWriter): Promise<void> {
    return writer.takeGroup(this.memory, 0, this.#dataPages, this.#lastAt())
  }

  async loadText(): Promise<void> {
    const file = this.#run.texts as PagedFile
    const { start } = this.#textRange()
    this.#texts ??= this.#pool.take(TEXT_PAGES)
    const pages = Math.min(TEXT_PAGES, file.pages - start)
    if (pages <= 0) throw damaged(file, start, 'a text is named that is not there', this.#goOn)
    await readPages(file, start, pages, this.#texts.bytes, 0, this.#goOn)
    for (let slot = 0; slot < pages; slot++) {
      const fault = faultOfPage(this.#texts, slot, { page: start + slot, run: file.run })
      if (fault !== undefined) throw damaged(file, start + slot, fault, this.#goOn)
    }
    this.#textPage = start
    this.#textPages = pages
    if (this.needsText) throw damaged(file, start, 'a text is cut off', this.#goOn)
  }

  #setAt(): void {
    this.at = (1 + this.#dataPage) * PAGE_WORDS + HEAD_WORDS + this.#entry * ENTRY_WORDS
  }

  #lastAt(): number {
    const count = countOf(this.memory.words, this.#dataPages)
    return this.#dataPages * PAGE_WORDS + HEAD_WORDS + (count - 1) * ENTRY_WORDS
  }

  /** The first and last page of the entry's text. */
  #textRange(): { start: number; end: number } {
    const position = this.#textPosition()
    const bytes = textBytesOf(this.memory.words[this.at + 3] as number)
    const last = Math.max(position, position + bytes - 1)
    return {
      start: Math.floor(position / CONTENT_BYTES),
      end: Math.floor(last / CONTENT_BYTES),
    }
  }

  #textPosition(): number {
    const { words } = this.memory
    const low = (words[this.at + 2] as number) >>> 0
    return ((words[this.at + 3] as number) & 0xffff) * 2 ** 32 + low
  }

  #readText(key: IdKey): void {
    const word = this.memory.words[this.at + 3] as number
    const position = this.#textPosition()
    const source = (this.#texts as Memory).bytes
    key.textBytes = textBytesOf(word)
    key.isWide = isWideOf(word)
    for (let byte = 0; byte < key.textBytes; byte++) {
      const page = Math.floor((position + byte) / CONTENT_BYTES)
      const inPage = position + byte - page * CONTENT_BYTES
      const slot = page - this.#textPage
      key.text[byte] = source[slot * PAGE_BYTES + HEAD_WORDS * 4 + inPage] as number
    }
  }

  #check(slot: number, page: number): void {
    const { file } = this.#run
    const fault = faultOfPage(this.memory, slot, { page, run: file.run })
    if (fault !== undefined) throw damaged(file, page, fault, this.#goOn)
  }

  #fault(reason: string): Error {
    return damaged(this.#run.file, this.#page, reason, this.#goOn)
  }
}
