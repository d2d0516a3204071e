/**
 * Which records of a run of one partition carry a key: hashes in the order in which they came, and a
 * hash table of chains over them, which is brought up to date when somebody asks. Adding costs two
 * numbers at the end of an array, so a log that nobody asks for keys pays for no table; a candidate
 * found by its 32-bit hash is compared with the real key by the caller, so that a collision costs
 * time and never an answer.
 */
const ENTRIES_FIRST = 16

/** See the head of the file. */
export class KeyChains {
  /** Per entry: hash, record. */
  #entries = new Uint32Array(ENTRIES_FIRST * 2)
  #count = 0
  /** Per bucket the newest entry of its chain, or -1; per entry the one before it. Empty until the first question. */
  #heads = new Int32Array(0)
  #before = new Int32Array(0)
  /** Entries that are in the chains. */
  #linked = 0

  add(hash: number, record: number): void {
    const at = this.#count * 2
    if (at === this.#entries.length) {
      const grown = new Uint32Array(at * 2)
      grown.set(this.#entries)
      this.#entries = grown
    }
    this.#entries[at] = hash
    this.#entries[at + 1] = record
    this.#count += 1
  }

  /** Records whose key has this hash, newest first. */
  find(hash: number): number[] {
    const found: number[] = []
    if (this.#count === 0) return found
    this.#link()
    const wanted = hash >>> 0
    let entry = this.#heads[wanted & (this.#heads.length - 1)] as number
    while (entry !== -1) {
      if (this.#entries[entry * 2] === wanted) found.push(this.#entries[entry * 2 + 1] as number)
      entry = this.#before[entry] as number
    }
    return found
  }

  /** Puts the entries that came since the last question into the chains; all of them when there are more than buckets. */
  #link(): void {
    if (this.#count > this.#heads.length) {
      let buckets = ENTRIES_FIRST
      while (buckets < this.#count) buckets *= 2
      this.#heads = new Int32Array(buckets).fill(-1)
      this.#before = new Int32Array(buckets)
      this.#linked = 0
    }
    const mask = this.#heads.length - 1
    for (; this.#linked < this.#count; this.#linked++) {
      const bucket = (this.#entries[this.#linked * 2] as number) & mask
      this.#before[this.#linked] = this.#heads[bucket] as number
      this.#heads[bucket] = this.#linked
    }
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
