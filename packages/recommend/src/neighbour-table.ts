/**
 * For each row, the most related items with forward-decayed weights: at most `rowMax` a row, in slabs.
 *
 * A weight is kept relative to its row's landmark: an addition of weight `w` at time `t` adds
 * `w * 2^((t - landmark) / half-life)`, so that nothing has to be scaled when time passes. When the
 * factor would grow beyond 2^24 the row is scaled down and its landmark moves, which is a function
 * of the row's own additions and happens at the same place in every rebuild.
 *
 * A longer row is a table of buckets of sixteen entries; the hash of an id, which is the same in
 * every process, names its bucket. So an addition looks at one bucket, whatever the length of the row.
 * A row whose bucket is full gets twice the buckets, and in one of the greatest length a new entry
 * takes the place of the lightest of its bucket. This is lossy counting (Manku, Motwani 2002) by
 * bucket and without error terms: an item that comes rarely, and not twice before it is displaced,
 * stays out. Order of additions therefore matters.
 */
import { checkArgument } from './errors.ts'
import { SlabPool } from './slab-pool.ts'

const FIRST_CAPACITY = 4
const SHIFT_MAX = 24
const BUCKET_BITS = 4
/** Entries of a bucket; a row of one bucket is a plain list. */
const BUCKET = 1 << BUCKET_BITS
/** The smallest weight of 32 bits: scaling keeps an entry, since a weight of 0 is no entry. */
const LIGHTEST = 2 ** -149

/** The content of a row in the order of its slots, as snapshots keep it. */
export interface NeighbourRow {
  readonly landmarkMs: number
  readonly newestMs: number
  readonly total: number
  /** Slots: as long as a bucket or longer, a power of two. */
  readonly capacity: number
  readonly ids: readonly number[]
  readonly weights: readonly number[]
}

/** Multiplicative: for ids that are the same in every process. */
function hashOfId(id: number): number {
  return Math.imul(id, 0x9e3779b1)
}

/** Bounded neighbour lists by row number. Rows are whole numbers from 0, best dense. */
export class NeighbourTable {
  readonly #rowMax: number
  readonly #halfLifeMs: number
  readonly #hashOf: (id: number) => number
  readonly pool = new SlabPool({ hasWeights: true, hasTimes: false })
  #offsets = new Int32Array(256)
  #capacities = new Uint16Array(256)
  #lengths = new Uint16Array(256)
  #landmarks = new Float64Array(256)
  #newest = new Float64Array(256)
  #totals = new Float64Array(256)

  /** `rowMax` is at most 16, or a power of two. `hashOf` gives 32 bits for an id, the same in every process: by default for ids that are. */
  constructor(options: { rowMax: number; halfLifeMs: number; hashOf?: (id: number) => number }) {
    const { rowMax, halfLifeMs, hashOf = hashOfId } = options
    const isFit = rowMax <= BUCKET || (rowMax & (rowMax - 1)) === 0
    checkArgument(isFit, 'rowMax', rowMax, 'it is above 16 and no power of two')
    this.#rowMax = rowMax
    this.#halfLifeMs = halfLifeMs
    this.#hashOf = hashOf
  }

  /** Adds `weight`, as of `timeMs`, to the relation of `row` to `id`. */
  add(row: number, id: number, weight: number, timeMs: number): void {
    if (row >= this.#offsets.length) this.#growRows(row)
    const length = this.#lengths[row] as number
    if (length === 0 && this.#totals[row] === 0) {
      this.#landmarks[row] = timeMs
      this.#newest[row] = timeMs
    } else if (timeMs > (this.#newest[row] as number)) this.#newest[row] = timeMs
    const shift = (timeMs - (this.#landmarks[row] as number)) / this.#halfLifeMs
    if (shift > SHIFT_MAX) this.#moveLandmark(row, timeMs)
    const amount = weight * (shift > SHIFT_MAX ? 1 : Math.exp(Math.LN2 * shift))
    if (!(amount > 0)) return
    ;(this.#totals[row] as number) += amount
    // Too light for 32 bits: it counts in the total only.
    const kept = Math.fround(amount)
    if (kept > 0) this.#addEntry(row, id, kept)
  }

  #addEntry(row: number, id: number, amount: number): void {
    if ((this.#capacities[row] as number) <= BUCKET) {
      if (this.#addToList(row, id, amount)) return
      this.#widen(row)
    }
    while (!this.#addToBucket(row, id, amount)) this.#widen(row)
  }

  /** False when the list is full and the row may have more. */
  #addToList(row: number, id: number, amount: number): boolean {
    const { ids, weights } = this.pool
    const begin = this.#offsets[row] as number
    const length = this.#lengths[row] as number
    let lightest = begin
    for (let slot = begin; slot < begin + length; slot++) {
      if (ids[slot] === id) {
        weights[slot] = (weights[slot] as number) + amount
        return true
      }
      if ((weights[slot] as number) < (weights[lightest] as number)) lightest = slot
    }
    if (length === BUCKET && this.#rowMax > BUCKET) return false
    const slot = length < this.#rowMax ? this.#append(row, length) : lightest
    this.pool.ids[slot] = id
    this.pool.weights[slot] = amount
    return true
  }

  /** False when the bucket is full and the row may have more. */
  #addToBucket(row: number, id: number, amount: number): boolean {
    const { ids, weights } = this.pool
    const capacity = this.#capacities[row] as number
    const begin = this.#bucketOf(row, capacity, id)
    let lightest = begin
    for (let slot = begin; slot < begin + BUCKET; slot++) {
      if (ids[slot] === id) {
        weights[slot] = (weights[slot] as number) + amount
        return true
      }
      if ((weights[slot] as number) < (weights[lightest] as number)) lightest = slot
    }
    // Entries stand before the empty slots, whose weight is 0.
    if ((weights[lightest] as number) > 0 && capacity < this.#rowMax) return false
    ids[lightest] = id
    weights[lightest] = amount
    return true
  }

  /** Where the bucket of an id begins. More buckets tell by more bits from the left, so that the order of entries stays. */
  #bucketOf(row: number, capacity: number, id: number): number {
    const bits = 31 - BUCKET_BITS - Math.clz32(capacity)
    const bucket = bits === 0 ? 0 : this.#hashOf(id) >>> (32 - bits)
    return (this.#offsets[row] as number) + (bucket << BUCKET_BITS)
  }

  #append(row: number, length: number): number {
    const capacity = this.#capacities[row] as number
    if (length === capacity) {
      const wider = capacity === 0 ? FIRST_CAPACITY : capacity * 2
      const offset = this.pool.allocate(wider)
      if (capacity > 0) {
        const old = this.#offsets[row] as number
        this.pool.move(offset, old, length)
        this.pool.release(old, capacity)
      }
      this.#offsets[row] = offset
      this.#capacities[row] = wider
    }
    this.#lengths[row] = length + 1
    return (this.#offsets[row] as number) + length
  }

  /** Twice the buckets. */
  #widen(row: number): void {
    const old = this.#offsets[row] as number
    const capacity = this.#capacities[row] as number
    this.#makeBuckets(row, capacity * 2)
    const { ids, weights } = this.pool
    for (let slot = old; slot < old + capacity; slot++) {
      const weight = weights[slot] as number
      if (weight > 0) this.#place(row, ids[slot] as number, weight)
    }
    this.pool.release(old, capacity)
  }

  #makeBuckets(row: number, capacity: number): void {
    const offset = this.pool.allocate(capacity)
    this.pool.ids.fill(0, offset, offset + capacity)
    this.pool.weights.fill(0, offset, offset + capacity)
    this.#offsets[row] = offset
    this.#capacities[row] = capacity
    this.#lengths[row] = capacity
  }

  /** Puts an entry into the first empty slot of its bucket. */
  #place(row: number, id: number, weight: number): void {
    const { ids, weights } = this.pool
    let slot = this.#bucketOf(row, this.#capacities[row] as number, id)
    while ((weights[slot] as number) > 0) slot += 1
    ids[slot] = id
    weights[slot] = weight
  }

  #moveLandmark(row: number, timeMs: number): void {
    const shift = (timeMs - (this.#landmarks[row] as number)) / this.#halfLifeMs
    const factor = Math.exp(-Math.LN2 * shift)
    const { weights } = this.pool
    const begin = this.#offsets[row] as number
    const end = begin + (this.#lengths[row] as number)
    for (let slot = begin; slot < end; slot++) {
      const weight = weights[slot] as number
      if (weight > 0) weights[slot] = Math.max(weight * factor, LIGHTEST)
    }
    this.#totals[row] = (this.#totals[row] as number) * factor
    this.#landmarks[row] = timeMs
  }

  /** Where the row's entries begin in the pool. */
  begin(row: number): number {
    return row < this.#offsets.length ? (this.#offsets[row] as number) : 0
  }

  /** How many slots the row has in use. Those of weight 0 are empty, whatever their id. */
  length(row: number): number {
    return row < this.#lengths.length ? (this.#lengths[row] as number) : 0
  }

  /** What an entry's weight is multiplied with to stand as of the row's newest addition. */
  scale(row: number): number {
    if (row >= this.#landmarks.length) return 1
    const shift = (this.#newest[row] as number) - (this.#landmarks[row] as number)
    return shift === 0 ? 1 : Math.exp((-Math.LN2 * shift) / this.#halfLifeMs)
  }

  /** Sum of all that was ever added to the row, evicted entries included, as of its newest addition. */
  total(row: number): number {
    return row < this.#totals.length ? (this.#totals[row] as number) * this.scale(row) : 0
  }

  /** The row as plain data; undefined when nothing was added. */
  row(row: number): NeighbourRow | undefined {
    if (row >= this.#totals.length || this.#totals[row] === 0) return undefined
    const begin = this.begin(row)
    const ids: number[] = []
    const weights: number[] = []
    for (let slot = begin; slot < begin + this.length(row); slot++) {
      const weight = this.pool.weights[slot] as number
      if (weight === 0) continue
      ids.push(this.pool.ids[slot] as number)
      weights.push(weight)
    }
    return {
      landmarkMs: this.#landmarks[row] as number,
      newestMs: this.#newest[row] as number,
      total: this.#totals[row] as number,
      capacity: Math.max(this.#capacities[row] as number, BUCKET),
      ids,
      weights,
    }
  }

  /** Replaces a row by what `row` gave, or forgets it. */
  setRow(row: number, content: NeighbourRow | undefined): void {
    if (row >= this.#offsets.length) this.#growRows(row)
    const capacity = this.#capacities[row] as number
    if (capacity > 0) this.pool.release(this.#offsets[row] as number, capacity)
    this.#capacities[row] = 0
    this.#lengths[row] = 0
    this.#totals[row] = content?.total ?? 0
    this.#landmarks[row] = content?.landmarkMs ?? 0
    this.#newest[row] = content?.newestMs ?? 0
    if (content === undefined) return
    if (content.capacity > BUCKET) {
      this.#makeBuckets(row, content.capacity)
      for (let index = 0; index < content.ids.length; index++) {
        this.#place(row, content.ids[index] as number, content.weights[index] as number)
      }
      return
    }
    for (let index = 0; index < content.ids.length; index++) {
      const slot = this.#append(row, index)
      this.pool.ids[slot] = content.ids[index] as number
      this.pool.weights[slot] = content.weights[index] as number
    }
  }

  #growRows(row: number): void {
    let length = this.#offsets.length
    while (length <= row) length += Math.max(length >> 1, 256)
    const grow = <A extends Int32Array | Uint16Array | Float64Array>(old: A, wider: A): A => {
      wider.set(old)
      return wider
    }
    this.#offsets = grow(this.#offsets, new Int32Array(length))
    this.#capacities = grow(this.#capacities, new Uint16Array(length))
    this.#lengths = grow(this.#lengths, new Uint16Array(length))
    this.#landmarks = grow(this.#landmarks, new Float64Array(length))
    this.#newest = grow(this.#newest, new Float64Array(length))
    this.#totals = grow(this.#totals, new Float64Array(length))
  }

  /** Bytes held. */
  get bytes(): number {
    return this.pool.bytes + this.#offsets.length * (4 + 2 + 2 + 24)
  }
}
