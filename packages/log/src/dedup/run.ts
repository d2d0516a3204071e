/**
 * A run: a sorted file of ids that never changes, and how an id is looked for in it.
 *
 *   file    GROUP DATA.. GROUP DATA.. ... FENCE GROUP DATA.. ... FENCE FENCE FOOTER
 *
 * Up to 12 data pages follow the group page that describes them; a fence page follows the pages
 * that it points at, so that a run is written in one pass; the last fence page is the root. Texts
 * lie in a second file of HEAP pages, in the order of their entries.
 *
 * Cost of a question: one page per level of fences (416 thousand entries with one level, 84
 * million with two), the group page, and in two of a thousand cases a data page; nothing when the
 * id lies outside the range of the run.
 */
import { RANDOM, TEXT, type IdKey } from './id-key.ts'
import { ENTRY_WORDS, isWideOf, textBytesOf } from './memory-table.ts'
import { damaged, type PageCache, type PagedFile } from './page-cache.ts'
import {
  CONTENT_BYTES,
  countOf,
  FENCE,
  FENCE_WORDS,
  FILTER_AT,
  FILTER_BLOCKS,
  GROUP,
  HEAD_WORDS,
  PAGE_BYTES,
  PAGE_WORDS,
  typeOf,
} from './pages.ts'
import { mayHold } from './filter.ts'

/** What is known of a run without reading it; kept in the manifest and in the footer of its file. */
export interface RunFacts {
  readonly number: number
  readonly kind: number
  readonly count: number
  /** Pages of the file, the footer left out; the last of them is the root of the fences. */
  readonly pages: number
  /** Levels of fences, at least 1. */
  readonly levels: number
  /** Pages of the file of texts; 0 when there is none. */
  readonly textPages: number
  /** Least and greatest key: 8 words. */
  readonly range: readonly number[]
}

/** An open run. */
export interface Run {
  readonly facts: RunFacts
  readonly range: Int32Array
  readonly file: PagedFile
  readonly texts: PagedFile | undefined
}

/** Levels of fences that a run can have: more than its greatest number of pages takes. */
export const FENCE_LEVELS_MAX = 5

/** Answers of a search. */
export const NONE = 0
export const FOUND = 1
export const UNSURE = 2

/** Looks for keys in runs, as far as the cache reaches. One object serves one index. */
export class RunSearch {
  /** The place that was found. */
  low = 0
  high = 0
  /** The page that was missing. */
  missingFile: PagedFile | undefined
  missingPage = 0
  readonly #cache: PageCache
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  readonly #goOn: string

  constructor(cache: PageCache, goOn: string) {
    this.#cache = cache
    this.#words = cache.memory.words
    this.#bytes = cache.memory.bytes
    this.#goOn = goOn
  }

  /** NONE, FOUND (then `low` and `high`) or UNSURE (then `missingFile` and `missingPage`). */
  find(run: Run, key: IdKey): number {
    if (!isInRange(run, key)) return NONE
    let page = run.file.pages - 1
    for (let level = run.facts.levels; level > 0; level--) {
      const slot = this.#page(run.file, page, FENCE)
      if (slot < 0) return UNSURE
      const start = slot * PAGE_WORDS + HEAD_WORDS
      const at = lastBefore(this.#words, start, FENCE_WORDS, countOf(this.#words, slot), key)
      page = (this.#words[start + at * FENCE_WORDS + 4] as number) >>> 0
    }
    for (;;) {
      const answer = this.#findInGroup(run, page, key)
      if (answer !== PAST_END) return answer
      page = this.#nextGroup(run, page)
      if (page < 0) return UNSURE
      if (page >= run.file.pages) return NONE
    }
  }

  #findInGroup(run: Run, page: number, key: IdKey): number {
    const group = this.#page(run.file, page, GROUP)
    if (group < 0) return UNSURE
    const words = this.#words
    const start = group * PAGE_WORDS + HEAD_WORDS
    const dataPages = countOf(words, group)
    const isHeld = mayHold(words, group * PAGE_WORDS + FILTER_AT, FILTER_BLOCKS, key.hash)
    // Texts with one hash may go on in the next group, so that only its own filter can rule it out.
    if (!isHeld && key.kind !== TEXT) return NONE
    if (!isHeld) return isAfterGroup(words, start, dataPages, key) ? PAST_END : NONE
    for (let index = lastBefore(words, start, 4, dataPages, key); index < dataPages; index++) {
      const answer = this.#findInData(run, page + 1 + index, key)
      if (answer !== PAST_END) return answer
    }
    return PAST_END
  }

  #findInData(run: Run, page: number, key: IdKey): number {
    const slot = this.#page(run.file, page, 0)
    if (slot < 0) return UNSURE
    const words = this.#words
    const start = slot * PAGE_WORDS + HEAD_WORDS
    const count = countOf(words, slot)
    let index = firstFrom(words, start, count, key)
    for (; index < count; index++) {
      const at = start + index * ENTRY_WORDS
      if (words[at] !== key.w0 || words[at + 1] !== key.w1) return NONE
      const answer = this.#compare(run, at, key)
      if (answer === NONE && key.kind !== TEXT) return NONE
      if (answer === UNSURE) return UNSURE
      if (answer === FOUND) {
        this.low = words[at + 4] as number
        this.high = words[at + 5] as number
        return FOUND
      }
    }
    return key.kind === TEXT ? PAST_END : NONE
  }

  #compare(run: Run, at: number, key: IdKey): number {
    const words = this.#words
    if (key.kind !== TEXT) {
      return words[at + 2] === key.w2 && words[at + 3] === key.w3 ? FOUND : NONE
    }
    const word = words[at + 3] as number
    if (textBytesOf(word) !== key.textBytes || isWideOf(word) !== key.isWide) return NONE
    const texts = run.texts as PagedFile
    let position = (word & 0xffff) * 2 ** 32 + ((words[at + 2] as number) >>> 0)
    for (let byte = 0; byte < key.textBytes;) {
      const page = Math.floor(position / CONTENT_BYTES)
      const slot = this.#page(texts, page, 0)
      if (slot < 0) return UNSURE
      const from = position - page * CONTENT_BYTES
      const length = Math.min(key.textBytes - byte, CONTENT_BYTES - from)
      const source = slot * PAGE_BYTES + HEAD_WORDS * 4 + from
      for (let index = 0; index < length; index++) {
        if (this.#bytes[source + index] !== key.text[byte + index]) return NONE
      }
      byte += length
      position += length
    }
    return FOUND
  }

  /** The next group page, the number of pages at the end, or -1 when a page is missing. */
  #nextGroup(run: Run, page: number): number {
    const group = this.#cache.find(run.file, page)
    if (group < 0) return this.#miss(run.file, page)
    let next = page + 1 + countOf(this.#words, group)
    for (; next < run.file.pages; next++) {
      const slot = this.#page(run.file, next, 0)
      if (slot < 0) return -1
      if (typeOf(this.#words, slot) === GROUP) return next
    }
    return next
  }

  /** The slot of a page of a type (0: any), or -1 when it is missing. A wrong type or number is damage. */
  #page(file: PagedFile, page: number, type: number): number {
    if (page >= file.pages)
      throw damaged(file, page, 'a page is named that is not there', this.#goOn)
    const slot = this.#cache.find(file, page)
    if (slot < 0) return this.#miss(file, page)
    if (type !== 0 && typeOf(this.#words, slot) !== type) {
      throw damaged(file, page, 'a page has another type than expected', this.#goOn)
    }
    return slot
  }

  #miss(file: PagedFile, page: number): -1 {
    this.missingFile = file
    this.missingPage = page
    return -1
  }
}

/** The search reached the end of a page or a group without an answer. */
const PAST_END = 3

/** True when a key lies between the least and the greatest of a run. */
export function isInRange(run: Run, key: IdKey): boolean {
  return compareTo(run.range, 0, key) <= 0 && compareTo(run.range, 4, key) >= 0
}

/** Compares the key at a word with a key: negative, 0, positive. Texts by their hash alone. */
export function compareTo(words: Int32Array, at: number, key: IdKey): number {
  const a0 = (words[at] as number) >>> 0
  const b0 = key.w0 >>> 0
  if (a0 !== b0) return a0 < b0 ? -1 : 1
  const a1 = (words[at + 1] as number) >>> 0
  const b1 = key.w1 >>> 0
  if (a1 !== b1) return a1 < b1 ? -1 : 1
  if (key.kind > RANDOM) return 0
  const a2 = (words[at + 2] as number) >>> 0
  const b2 = key.w2 >>> 0
  if (a2 !== b2) return a2 < b2 ? -1 : 1
  const a3 = (words[at + 3] as number) >>> 0
  const b3 = key.w3 >>> 0
  return a3 === b3 ? 0 : a3 < b3 ? -1 : 1
}

/** The last of `count` sorted keys that starts a part in which the key may begin; 0 when none is before it. */
function lastBefore(
  words: Int32Array,
  start: number,
  stride: number,
  count: number,
  key: IdKey,
): number {
  // An equal UUID starts its part; texts with an equal hash may start in the part before.
  const limit = key.kind > RANDOM ? 0 : 1
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareTo(words, start + middle * stride, key) < limit) low = middle + 1
    else high = middle
  }
  return low === 0 ? 0 : low - 1
}

/** The first of `count` sorted entries that is not before the key. */
function firstFrom(words: Int32Array, start: number, count: number, key: IdKey): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareTo(words, start + middle * ENTRY_WORDS, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** True when a group that cannot hold a text might be followed by one that does. */
function isAfterGroup(words: Int32Array, start: number, dataPages: number, key: IdKey): boolean {
  return compareTo(words, start + (dataPages - 1) * 4, key) <= 0
}
