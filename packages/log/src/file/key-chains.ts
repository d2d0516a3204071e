/**
 * Which records of a run of one partition carry a key: a hash table of chains in one typed array.
 * Adding costs a few nanoseconds and no object; a candidate found by its 32-bit hash is compared
 * with the real key by the caller, so that a collision costs time and never an answer.
 */
const STRIDE = 3
const ENTRIES_FIRST = 16

/** See the head of the file. */
export class KeyChains {
  /** Per entry: hash, record, entry before it in its chain (or -1). */
  #entries = new Int32Array(ENTRIES_FIRST * STRIDE)
  #heads = new Int32Array(ENTRIES_FIRST).fill(-1)
  #count = 0

  get count(): number {
    return this.#count
  }

  add(hash: number, record: number): void {
    if (this.#count === this.#heads.length) this.#grow()
    const entry = this.#count++
    const bucket = hash & (this.#heads.length - 1)
    const at = entry * STRIDE
    this.#entries[at] = hash
    this.#entries[at + 1] = record
    this.#entries[at + 2] = this.#heads[bucket] as number
    this.#heads[bucket] = entry
  }

  /** Records whose key has this hash, newest first. */
  find(hash: number): number[] {
    const wanted = hash | 0
    const found: number[] = []
    let entry = this.#heads[hash & (this.#heads.length - 1)] as number
    while (entry !== -1) {
      if (this.#entries[entry * STRIDE] === wanted) {
        found.push(this.#entries[entry * STRIDE + 1] as number)
      }
      entry = this.#entries[entry * STRIDE + 2] as number
    }
    return found
  }

  /** Every hash with its record, in the order in which they were added. */
  forEach(visit: (hash: number, record: number) => void): void {
    for (let entry = 0; entry < this.#count; entry++) {
      const at = entry * STRIDE
      visit((this.#entries[at] as number) >>> 0, this.#entries[at + 1] as number)
    }
  }

  #grow(): void {
    const entries = new Int32Array(this.#entries.length * 2)
    entries.set(this.#entries)
    const heads = new Int32Array(this.#heads.length * 2).fill(-1)
    for (let entry = 0; entry < this.#count; entry++) {
      const bucket = (entries[entry * STRIDE] as number) & (heads.length - 1)
      entries[entry * STRIDE + 2] = heads[bucket] as number
      heads[bucket] = entry
    }
    this.#entries = entries
    this.#heads = heads
  }
}

/** The hash of a key of a tenant (FNV-1a, finished as in MurmurHash3). Stored in split files: stable for ever. */
export function hashOfKey(tenant: number, key: string): number {
  let hash = 0x811c9dc5 ^ Math.imul(tenant + 1, 0x9e3779b1)
  for (let index = 0; index < key.length; index++) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39)
  return (hash ^ (hash >>> 15)) >>> 0
}
