/**
 * Ids of emissions: version 8 UUIDs of the event's time and a 128-bit hash of (fold, generation,
 * cause, key, ordinal, salt). Stable for ever: folding again has to name the same emissions.
 *
 * The hash is MurmurHash3 x86 128 (Austin Appleby, public domain) over UTF-16 units, low byte first,
 * with all four lanes as the seed, so that one part goes on where another ended: the part of the fold
 * is hashed once per lane and the part of the cause once per record. It resists chance, not intent.
 * That is enough here: who could choose event ids such that two emissions got one id would gain two
 * records of one id in a stream that nobody looks up by id, and no record is ever taken for another.
 */

/** The four lanes of a hash. */
export type Lanes = Int32Array

const C1 = 0x239b961b
const C2 = 0xab0e9789 | 0
const C3 = 0x38b34ae5
const C4 = 0xa1e38b93 | 0
const TIME_MAX_MS = 2 ** 48 - 1
const HEX = Buffer.from('0123456789abcdef', 'latin1')
const ID_LENGTH = 36

function finish(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}

/** Two UTF-16 units from `at` on, as 32 bits; units beyond the end are 0. */
function word(text: string, at: number): number {
  const { length } = text
  if (at + 1 < length) return text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16)
  return at < length ? text.charCodeAt(at) : 0
}

/** Hashes `text` with `seed` into `lanes`, which may be the same array. */
export function hashText(lanes: Lanes, seed: Lanes, text: string): void {
  let h1 = seed[0] as number
  let h2 = seed[1] as number
  let h3 = seed[2] as number
  let h4 = seed[3] as number
  const { length } = text
  const blocksEnd = length & ~7
  for (let at = 0; at < blocksEnd; at += 8) {
    h1 ^= Math.imul(rotate(Math.imul(word(text, at), C1), 15), C2)
    h1 = (Math.imul(rotate(h1, 19) + h2, 5) + 0x561ccd1b) | 0
    h2 ^= Math.imul(rotate(Math.imul(word(text, at + 2), C2), 16), C3)
    h2 = (Math.imul(rotate(h2, 17) + h3, 5) + 0x0bcaa747) | 0
    h3 ^= Math.imul(rotate(Math.imul(word(text, at + 4), C3), 17), C4)
    h3 = (Math.imul(rotate(h3, 15) + h4, 5) + 0x96cd1c35) | 0
    h4 ^= Math.imul(rotate(Math.imul(word(text, at + 6), C4), 18), C1)
    h4 = (Math.imul(rotate(h4, 13) + h1, 5) + 0x32ac3b17) | 0
  }
  // A word of zeros changes nothing, so the tail needs no cases.
  h4 ^= Math.imul(rotate(Math.imul(word(text, blocksEnd + 6), C4), 18), C1)
  h3 ^= Math.imul(rotate(Math.imul(word(text, blocksEnd + 4), C3), 17), C4)
  h2 ^= Math.imul(rotate(Math.imul(word(text, blocksEnd + 2), C2), 16), C3)
  h1 ^= Math.imul(rotate(Math.imul(word(text, blocksEnd), C1), 15), C2)
  settle(lanes, h1, h2, h3, h4, length * 2)
}

/** Mixes a whole number into lanes that `hashText` gave. */
function mixNumber(lanes: Lanes, value: number): void {
  const h1 = (lanes[0] as number) ^ Math.imul(rotate(Math.imul(value, C1), 15), C2)
  settle(lanes, h1, lanes[1] as number, lanes[2] as number, lanes[3] as number, 4)
}

function settle(
  lanes: Lanes,
  a: number,
  b: number,
  c: number,
  d: number,
  lengthBytes: number,
): void {
  let h2 = b ^ lengthBytes
  let h3 = c ^ lengthBytes
  let h4 = d ^ lengthBytes
  let h1 = ((a ^ lengthBytes) + h2 + h3 + h4) | 0
  h2 = finish(h2 + h1)
  h3 = finish(h3 + h1)
  h4 = finish(h4 + h1)
  h1 = finish(h1)
  h1 = (h1 + h2 + h3 + h4) | 0
  lanes[0] = h1
  lanes[1] = h2 + h1
  lanes[2] = h3 + h1
  lanes[3] = h4 + h1
}

/** Makes the ids of what one fold of one generation emits. */
export class EmissionIds {
  readonly #fold: Lanes = new Int32Array(4)
  readonly #cause: Lanes = new Int32Array(4)
  readonly #lanes: Lanes = new Int32Array(4)
  readonly #text = Buffer.alloc(ID_LENGTH, '-', 'latin1')
  #causeId: string | undefined

  constructor(fold: string, generation: number) {
    hashText(this.#fold, new Int32Array(4), fold)
    mixNumber(this.#fold, generation)
  }

  /**
   * The id of an emission. `ordinal` counts the emissions of one cause; `salt` tells the emissions of
   * a retry from those that other keys made because of the same record.
   */
  idOf(
    timeMs: number,
    causeId: string,
    emission: { key: string; ordinal: number; salt: string },
  ): string {
    if (causeId !== this.#causeId) {
      hashText(this.#cause, this.#fold, causeId)
      this.#causeId = causeId
    }
    const lanes = this.#lanes
    hashText(lanes, this.#cause, emission.key)
    mixNumber(lanes, emission.ordinal)
    if (emission.salt !== '') hashText(lanes, lanes, emission.salt)
    return this.#format(timeMs)
  }

  /** 48 bits of time, then 74 bits of the hash around version and variant. */
  #format(timeMs: number): string {
    const time = Math.min(Math.max(Math.floor(timeMs), 0), TIME_MAX_MS)
    const lanes = this.#lanes
    const h1 = lanes[0] as number
    this.#hex(0, Math.floor(time / 0x10000), 8)
    this.#hex(9, time & 0xffff, 4)
    this.#hex(14, 0x8000 | (h1 & 0x0fff), 4)
    this.#hex(19, 0x8000 | ((h1 >>> 16) & 0x3fff), 4)
    this.#hex(24, lanes[1] as number, 8)
    this.#hex(32, lanes[2] as number, 4)
    return this.#text.toString('latin1')
  }

  #hex(start: number, value: number, digits: number): void {
    let rest = value
    for (let at = start + digits - 1; at >= start; at--) {
      this.#text[at] = HEX[rest & 15] as number
      rest >>>= 4
    }
  }
}
