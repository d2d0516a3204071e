/**
 * The newest ids: a hash table with open addressing over typed arrays.
 *
 *   entry   6 words: the key (4), the place (2); in the order of insertion
 *   slot    1 word:  0, or some bits of the hash and the entry's number plus one
 *
 * Cost: a new id costs about one cache miss for its slot and one for its entry; a full table of
 * 2^19 entries takes 16 MiB. A wrong match is impossible: the whole key is compared, and the text
 * of a text id too.
 */
import { invariant } from '@millrace/core'
import { TEXT, type IdKey } from './id-key.ts'
import { kindOf } from './place.ts'

/** Words of an entry, in tables and in files. */
export const ENTRY_WORDS = 6

/** A bounded table of ids; grows beyond its bound only when it is not emptied in time. */
export class MemoryTable {
  entries: Int32Array
  /** The bytes of text ids, one after the other; entries say where. */
  heap = new Uint8Array(0)
  count = 0
  heapBytes = 0
  #slots: Int32Array
  #indexBits: number
  /** Where the last key that was not found belongs. */
  #free = 0

  readonly #scratch: IdKey

  /** `capacity` is a power of two; `scratch` is a key that nobody else uses. */
  constructor(capacity: number, scratch: IdKey) {
    this.#scratch = scratch
    this.entries = new Int32Array(capacity * ENTRY_WORDS)
    this.#slots = new Int32Array(capacity * 2)
    this.#indexBits = bitsFor(capacity)
  }

  get capacity(): number {
    return this.#slots.length / 2
  }

  get memoryBytes(): number {
    return this.entries.byteLength + this.#slots.byteLength + this.heap.byteLength
  }

  /** The first word of the entry of a key, or -1. */
  find(key: IdKey): number {
    const slots = this.#slots
    const mask = slots.length - 1
    const indexBits = this.#indexBits
    const indexMask = (1 << indexBits) - 1
    const tag = (key.hash ^ Math.imul(key.hash, 0x2c1b3c6d)) >>> indexBits
    for (let slot = key.hash & mask; ; slot = (slot + 1) & mask) {
      const value = slots[slot] as number
      if (value === 0) {
        this.#free = slot
        return -1
      }
      if (value >>> indexBits !== tag) continue
      const at = ((value & indexMask) - 1) * ENTRY_WORDS
      if (this.#isAt(key, at)) return at
    }
  }

  /** Remembers a key; a key that is there gets the new place. */
  insert(key: IdKey, low: number, high: number): void {
    const known = this.find(key)
    if (known >= 0) {
      this.entries[known + 4] = low
      this.entries[known + 5] = high
      return
    }
    if (this.count === this.capacity) {
      this.#grow()
      this.find(key)
    }
    const at = this.count * ENTRY_WORDS
    const { entries } = this
    entries[at] = key.w0
    entries[at + 1] = key.w1
    if (key.kind === TEXT) {
      entries[at + 2] = this.heapBytes
      entries[at + 3] = textWord(0, key.textBytes, key.isWide)
      this.#keepText(key.text, key.textBytes)
    } else {
      entries[at + 2] = key.w2
      entries[at + 3] = key.w3
    }
    entries[at + 4] = low
    entries[at + 5] = high
    this.#slots[this.#free] = this.#slotOf(this.count, key.hash)
    this.count += 1
  }

  /** Forgets all, keeping the memory for the next round unless the table had to grow beyond `capacity`. */
  clear(capacity: number): void {
    if (this.capacity > capacity) {
      this.entries = new Int32Array(capacity * ENTRY_WORDS)
      this.#slots = new Int32Array(capacity * 2)
      this.#indexBits = bitsFor(capacity)
      this.heap = new Uint8Array(0)
    } else {
      this.#slots.fill(0)
    }
    this.count = 0
    this.heapBytes = 0
  }

  /** Inserts the entries of another table from number `from` on. */
  insertFrom(other: MemoryTable, from: number, key: IdKey): void {
    for (let index = from; index < other.count; index++) {
      const at = index * ENTRY_WORDS
      other.readKey(at, key)
      this.insert(key, other.entries[at + 4] as number, other.entries[at + 5] as number)
    }
  }

  /** Makes `key` the key of the entry at a word. */
  readKey(at: number, key: IdKey): void {
    const { entries } = this
    const kind = kindOf(entries[at + 5] as number)
    key.setWords(kind, entries, at)
    if (kind !== TEXT) return
    const start = entries[at + 2] as number
    const word = entries[at + 3] as number
    key.setTextBytes(this.heap, start, textBytesOf(word), isWideOf(word))
  }

  #isAt(key: IdKey, at: number): boolean {
    const { entries } = this
    if (entries[at] !== key.w0 || entries[at + 1] !== key.w1) return false
    if (kindOf(entries[at + 5] as number) !== key.kind) return false
    if (key.kind !== TEXT) return entries[at + 2] === key.w2 && entries[at + 3] === key.w3
    const word = entries[at + 3] as number
    if (textBytesOf(word) !== key.textBytes || isWideOf(word) !== key.isWide) return false
    const start = entries[at + 2] as number
    for (let byte = 0; byte < key.textBytes; byte++) {
      if (this.heap[start + byte] !== key.text[byte]) return false
    }
    return true
  }

  #keepText(text: Uint8Array, length: number): void {
    if (this.heapBytes + length > this.heap.length) {
      const larger = new Uint8Array(Math.max(4096, this.heap.length * 2))
      larger.set(this.heap)
      this.heap = larger
    }
    for (let byte = 0; byte < length; byte++)
      this.heap[this.heapBytes + byte] = text[byte] as number
    this.heapBytes += length
  }

  #place(index: number, hash: number): void {
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = hash & mask
    while (slots[slot] !== 0) slot = (slot + 1) & mask
    slots[slot] = this.#slotOf(index, hash)
  }

  #slotOf(index: number, hash: number): number {
    const tag = (hash ^ Math.imul(hash, 0x2c1b3c6d)) >>> this.#indexBits
    return (tag << this.#indexBits) | (index + 1)
  }

  #grow(): void {
    const capacity = this.capacity * 2
    invariant(capacity <= 2 ** 26, 'the table of new ids was not written out in time')
    const entries = new Int32Array(capacity * ENTRY_WORDS)
    entries.set(this.entries)
    this.entries = entries
    this.#slots = new Int32Array(capacity * 2)
    this.#indexBits = bitsFor(capacity)
    // Hashes are not kept with the entries: they are made again.
    const key = this.#scratch
    for (let index = 0; index < this.count; index++) {
      const at = index * ENTRY_WORDS
      key.setWords(kindOf(entries[at + 5] as number), entries, at)
      this.#place(index, key.hash)
    }
  }
}

/** The fourth word of a text's entry: bits 32 to 47 of where its bytes are, their number, and their encoding. */
export function textWord(high: number, bytes: number, isWide: number): number {
  return (bytes << 17) | (isWide << 16) | high
}

/** The number of bytes in a fourth word. */
export function textBytesOf(word: number): number {
  return word >>> 17
}

/** The encoding in a fourth word: 1 for UTF-16. */
export function isWideOf(word: number): number {
  return (word >>> 16) & 1
}

function bitsFor(capacity: number): number {
  return 32 - Math.clz32(capacity)
}
