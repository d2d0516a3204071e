/**
 * Repeatable randomness with independent branches. The generator is sfc32 (Chris Doty-Humphrey,
 * PractRand): 128 bits of state, so that branches of one seed do not overlap in practice, and about
 * 5 ns a number. Not secret.
 */
import type { Random } from '@millrace/core'

/** A repeatable source of randomness with the draws that simulations need. */
export interface SimRandom extends Random {
  /** A branch that depends only on the seed and the label, not on how many numbers were drawn. */
  fork(label: string): SimRandom
  /** A whole number in [0, `below`). */
  integer(below: number): number
  /** A number in [`from`, `to`). */
  between(from: number, to: number): number
  /** True with this probability. */
  chance(probability: number): boolean
  /** One of the items; the list must not be empty. */
  pick<T>(items: readonly T[]): T
  /** A draw of the standard normal distribution (Box and Muller). */
  normal(): number
  /** A draw of the exponential distribution with this mean. */
  exponential(mean: number): number
  /** Puts the items in a random order, in place (Fisher and Yates), and returns them. */
  shuffle<T>(items: T[]): T[]
}

/** Creates the randomness of a simulation from a number or a text; equal seeds give equal sequences. */
export function createSimRandom(seed: number | string): SimRandom {
  return new SeededRandom(String(seed))
}

class SeededRandom implements SimRandom {
  readonly #seed: string
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: string) {
    this.#seed = seed
    this.#a = hash(seed, 0x9e3779b9)
    this.#b = hash(seed, 0x243f6a88)
    this.#c = hash(seed, 0xb7e15162)
    for (let round = 0; round < 12; round++) this.#next32()
  }

  #next32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  next(): number {
    return (this.#next32() * 2 ** 21 + (this.#next32() >>> 11)) / 2 ** 53
  }

  fill(target: Uint8Array): Uint8Array {
    for (let index = 0; index < target.length; index++) target[index] = this.#next32() & 0xff
    return target
  }

  fork(label: string): SimRandom {
    return new SeededRandom(`${this.#seed}/${label}`)
  }

  integer(below: number): number {
    return Math.floor((this.#next32() / 2 ** 32) * below)
  }

  between(from: number, to: number): number {
    return from + (this.#next32() / 2 ** 32) * (to - from)
  }

  chance(probability: number): boolean {
    return this.#next32() < probability * 2 ** 32
  }

  pick<T>(items: readonly T[]): T {
    return items[this.integer(items.length)] as T
  }

  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()))
    return radius * Math.cos((this.#next32() / 2 ** 32) * 2 * Math.PI)
  }

  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next())
  }

  shuffle<T>(items: T[]): T[] {
    for (let last = items.length - 1; last > 0; last--) {
      const other = this.integer(last + 1)
      const kept = items[last] as T
      items[last] = items[other] as T
      items[other] = kept
    }
    return items
  }
}

/** FNV-1a with a start value, finished as in MurmurHash3. */
function hash(text: string, start: number): number {
  let value = start ^ 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return (value ^ (value >>> 16)) | 0
}
