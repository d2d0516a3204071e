/**
 * Draws that can be repeated: everything that is drawn for an answer is a hash of its seed, the slot
 * and what is drawn from, so the id of an answer is all that must be kept of its randomness. The
 * rounds are those of MurmurHash3's finaliser (Appleby); not secret.
 */

/** 64 bits. */
export interface DrawSeed {
  readonly a: number
  readonly b: number
}

/** The seed that a text stands for: FNV-1a over its UTF-16 units, from two beginnings. */
export function drawSeedOf(text: string): DrawSeed {
  let a = 0x811c9dc5
  let b = 0x2f0b4c47
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    a = Math.imul(a ^ unit, 0x01000193)
    b = Math.imul(b ^ unit, 0x01000193)
  }
  return { a: mixed(a), b: mixed(b ^ mixed(a)) }
}

/** The draws of one slot. */
export class SlotDraw {
  #a = 0
  #b = 0
  /** Whether the slot is explored: in [0, 1), in steps of 2^-32. */
  coin = 0

  begin({ a, b }: DrawSeed, slot: number): void {
    this.#a = mixed(a + Math.imul(slot + 1, 0x9e3779b1))
    this.#b = mixed(b ^ this.#a)
    this.coin = (mixed(this.#b ^ 0x2545f491) >>> 0) / 2 ** 32
  }

  /** A number from 0 to 2^32 - 1 for what has these two hashes: of several things, each has the same chance to have the least. */
  of(first: number, second: number): number {
    return mixed(Math.imul(mixed(first ^ this.#a), 5) + (second ^ this.#b)) >>> 0
  }
}

/** A well mixed 32-bit number. */
function mixed(number: number): number {
  let value = Math.imul(number ^ (number >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return value ^ (value >>> 16)
}
