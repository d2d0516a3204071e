/**
 * Sorts the entries of a table by key without moving them: least significant digit first, 16 bits
 * at a time, or 8 where entries are few. Digits that all entries share cost one pass over them. 2^19 entries take about 50 ms in
 * all, in pieces of 2^14 entries, between which the event loop turns.
 */
import { ENTRY_WORDS } from './memory-table.ts'
import { compareKeys } from './id-key.ts'

const PIECE = 1 << 14
/** Below, walking all digits of 16 bits takes longer than twice as many passes. */
const FEW = 1 << 14
/** Entries with equal first halves that are put in order by insertion; more are sorted by all digits. */
const TIES_MAX = 64

/** Sorts tables, with memory that it keeps: it would otherwise be garbage of megabytes for each table. */
export class Sorter {
  /** Where the caller puts the numbers of the entries to sort. */
  numbers = new Int32Array(0)
  #spare = new Int32Array(0)
  readonly #starts = new Int32Array(1 << 16)

  get memoryBytes(): number {
    return this.numbers.byteLength + this.#spare.byteLength + this.#starts.byteLength
  }

  /** Makes room for a number of entries; `numbers` loses what it held. */
  reserve(count: number): void {
    if (this.numbers.length >= count) return
    this.numbers = new Int32Array(count)
    this.#spare = new Int32Array(count)
  }

  /** The first `count` of `numbers` in the order of their keys, valid until the next use; `breathe` lets others run. */
  async sort(
    entries: Int32Array,
    count: number,
    breathe: () => Promise<void>,
  ): Promise<Int32Array> {
    const numbers = this.numbers.subarray(0, count)
    const spare = this.#spare.subarray(0, count)
    let order = await this.#sortByWords(entries, numbers, spare, [1, 0], breathe)
    if (!(await settleTies(entries, order, breathe))) {
      const other = order === numbers ? spare : numbers
      order = await this.#sortByWords(entries, order, other, [3, 2, 1, 0], breathe)
    }
    return order
  }

  async #sortByWords(
    entries: Int32Array,
    numbers: Int32Array,
    spare: Int32Array,
    wordsFromLast: readonly number[],
    breathe: () => Promise<void>,
  ): Promise<Int32Array> {
    const digits = numbers.length < FEW ? 1 << 8 : 1 << 16
    const starts = this.#starts.subarray(0, digits)
    let from = numbers
    let to = spare
    for (const word of wordsFromLast) {
      for (let shift = 0; shift < 32; shift += Math.log2(digits)) {
        starts.fill(0)
        for (let at = 0; at < from.length; at += PIECE) {
          const end = Math.min(from.length, at + PIECE)
          countDigits(entries, from, at, end, word, shift, starts)
          await breathe()
        }
        if (isShared(entries, from, word, shift, starts)) continue
        sumUp(starts)
        for (let at = 0; at < from.length; at += PIECE) {
          const end = Math.min(from.length, at + PIECE)
          placeByDigit(entries, from, to, at, end, word, shift, starts)
          await breathe()
        }
        const other = from
        from = to
        to = other
      }
    }
    return from
  }
}

/** `starts` has a place for each digit. */
function digitOf(
  entries: Int32Array,
  number: number,
  word: number,
  shift: number,
  starts: Int32Array,
): number {
  return ((entries[number * ENTRY_WORDS + word] as number) >>> shift) & (starts.length - 1)
}

function countDigits(
  entries: Int32Array,
  from: Int32Array,
  at: number,
  end: number,
  word: number,
  shift: number,
  counts: Int32Array,
): void {
  for (let index = at; index < end; index++) {
    const digit = digitOf(entries, from[index] as number, word, shift, counts)
    counts[digit] = (counts[digit] as number) + 1
  }
}

function isShared(
  entries: Int32Array,
  from: Int32Array,
  word: number,
  shift: number,
  counts: Int32Array,
): boolean {
  if (from.length === 0) return true
  return counts[digitOf(entries, from[0] as number, word, shift, counts)] === from.length
}

function sumUp(counts: Int32Array): void {
  let sum = 0
  for (let digit = 0; digit < counts.length; digit++) {
    const count = counts[digit] as number
    counts[digit] = sum
    sum += count
  }
}

function placeByDigit(
  entries: Int32Array,
  from: Int32Array,
  to: Int32Array,
  at: number,
  end: number,
  word: number,
  shift: number,
  starts: Int32Array,
): void {
  for (let index = at; index < end; index++) {
    const number = from[index] as number
    const digit = digitOf(entries, number, word, shift, starts)
    const target = starts[digit] as number
    to[target] = number
    starts[digit] = target + 1
  }
}

/** Orders entries whose first two words are equal by the other two; false when there are too many of them. */
async function settleTies(
  entries: Int32Array,
  order: Int32Array,
  breathe: () => Promise<void>,
): Promise<boolean> {
  for (let index = 1, start = 0; index < order.length; index++) {
    if (index % PIECE === 0) await breathe()
    const number = order[index] as number
    if (!hasEqualHalf(entries, number, order[start] as number)) {
      start = index
      continue
    }
    if (index - start >= TIES_MAX) return false
    let hole = index
    for (; hole > start; hole--) {
      const before = order[hole - 1] as number
      if (compareKeys(entries, before * ENTRY_WORDS, entries, number * ENTRY_WORDS) <= 0) break
      order[hole] = before
    }
    order[hole] = number
  }
  return true
}

function hasEqualHalf(entries: Int32Array, a: number, b: number): boolean {
  const at = a * ENTRY_WORDS
  const bt = b * ENTRY_WORDS
  return entries[at] === entries[bt] && entries[at + 1] === entries[bt + 1]
}
