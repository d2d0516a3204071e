/**
 * Storage for very many short lists of ids, with weights and times where wanted, in typed arrays. A
 * list owns one slab whose capacity is a power of two; growing moves it into the next size, and the
 * old slab goes to a free list. Costs 4 to 16 bytes an entry, at most half of them unused, and no
 * object per list.
 */
import { checkArgument } from './errors.ts'

const CLASSES = 24
const START_ENTRIES = 1024

/** Slabs of entries. Read the columns anew after every `allocate`: it may replace them. */
export class SlabPool {
  ids = new Int32Array(START_ENTRIES)
  /** Empty when the pool was made without weights. */
  weights: Float32Array
  /** Empty when the pool was made without times. */
  times: Float64Array
  #used = 0
  readonly #free: number[][] = Array.from({ length: CLASSES }, () => [])

  constructor(columns: { hasWeights: boolean; hasTimes: boolean }) {
    this.weights = new Float32Array(columns.hasWeights ? START_ENTRIES : 0)
    this.times = new Float64Array(columns.hasTimes ? START_ENTRIES : 0)
  }

  /** Moves `length` entries from `from` to `to`; the ranges may overlap. */
  move(to: number, from: number, length: number): void {
    this.ids.copyWithin(to, from, from + length)
    if (this.weights.length > 0) this.weights.copyWithin(to, from, from + length)
    if (this.times.length > 0) this.times.copyWithin(to, from, from + length)
  }

  /** Where a slab of `capacity` entries begins. `capacity` is a power of two. The content is arbitrary. */
  allocate(capacity: number): number {
    const size = sizeClass(capacity)
    const reused = (this.#free[size] as number[]).pop()
    if (reused !== undefined) return reused
    const offset = this.#used
    this.#used += capacity
    if (this.#used > this.ids.length) this.#grow()
    return offset
  }

  /** Gives a slab back. */
  release(offset: number, capacity: number): void {
    const free = this.#free[sizeClass(capacity)] as number[]
    free.push(offset)
  }

  /** Bytes held. */
  get bytes(): number {
    return this.ids.byteLength + this.weights.byteLength + this.times.byteLength
  }

  #grow(): void {
    let length = this.ids.length
    // Large pools grow by half: doubling would hold three times the content while it copies.
    while (length < this.#used) length += Math.max(length >> 1, START_ENTRIES)
    const ids = new Int32Array(length)
    ids.set(this.ids)
    this.ids = ids
    if (this.weights.length > 0) {
      const weights = new Float32Array(length)
      weights.set(this.weights)
      this.weights = weights
    }
    if (this.times.length > 0) {
      const times = new Float64Array(length)
      times.set(this.times)
      this.times = times
    }
  }
}

function sizeClass(capacity: number): number {
  const size = 31 - Math.clz32(capacity)
  checkArgument(
    capacity === 1 << size && size < CLASSES,
    'capacity',
    capacity,
    'it is no power of two',
  )
  return size
}
