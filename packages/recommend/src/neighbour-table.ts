/**
 * For each row, the most related items with forward-decayed weights: at most `rowMax` a row, in slabs.
 *
 * A weight is kept relative to its row's landmark: an addition of weight `w` at time `t` adds
 * `w * 2^((t - landmark) / half-life)`, so that nothing has to be scaled when time passes. When the
 * factor would grow beyond 2^24 the row is scaled down and its landmark moves, which is a function
 * of the row's own additions and happens at the same place in every rebuild.
 *
 * Entries of a row form a heap, the heaviest first, so that what is added to often is found at once.
 * A full row gives up the lightest of sixteen neighbouring leaves for a new entry; which leaves
 * follows from the time of the addition. So an addition costs one pass over the ids at most. This is
 * lossy counting (Manku, Motwani 2002) by sampling and without error terms: an item that comes
 * rarely, and not twice before it is displaced, stays out. Order of additions therefore matters.
 */
import { SlabPool } from './slab-pool.ts'

const FIRST_CAPACITY = 4
const SHIFT_MAX = 24
const EVICT_WINDOW = 16

/** The slot to give up in a full row: the lightest of a window of leaves. */
function evicted(weights: Float32Array, begin: number, length: number, timeMs: number): number {
  const leaves = begin + (length >> 1)
  const windows = Math.max(1, begin + length - leaves - EVICT_WINDOW + 1)
  // Multiplicative hashing: times are often multiples of a second or a minute.
  const turn = Math.imul(Math.floor(timeMs / 1_000) | 0, 0x9e3779b1) >>> 0
  const first = leaves + (turn % windows)
  const end = Math.min(first + EVICT_WINDOW, begin + length)
  let lightest = first
  for (let slot = first + 1; slot < end; slot++) {
    if ((weights[slot] as number) < (weights[lightest] as number)) lightest = slot
  }
  return lightest
}

/** The content of a row in the order of its slots, as snapshots keep it. */
export interface NeighbourRow {
  readonly landmarkMs: number
  readonly newestMs: number
  readonly total: number
  readonly ids: readonly number[]
  readonly weights: readonly number[]
}

/** Bounded neighbour lists by row number. Rows are whole numbers from 0, best dense. */
export class NeighbourTable {
  readonly #rowMax: number
  readonly #halfLifeMs: number
  readonly pool = new SlabPool({ hasWeights: true, hasTimes: false })
  #offsets = new Int32Array(256)
  #capacities = new Uint16Array(256)
  #lengths = new Uint16Array(256)
  #landmarks = new Float64Array(256)
  #newest = new Float64Array(256)
  #totals = new Float64Array(256)

  constructor(options: { rowMax: number; halfLifeMs: number }) {
    this.#rowMax = options.rowMax
    this.#halfLifeMs = options.halfLifeMs
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
    this.#addEntry(row, length, id, amount, timeMs)
  }

  #addEntry(row: number, length: number, id: number, amount: number, timeMs: number): void {
    const { ids, weights } = this.pool
    const begin = this.#offsets[row] as number
    const end = begin + length
    for (let slot = begin; slot < end; slot++) {
      if (ids[slot] !== id) continue
      weights[slot] = (weights[slot] as number) + amount
      this.#lift(begin, slot - begin)
      return
    }
    const place =
      length < this.#rowMax ? this.#append(row, length) : evicted(weights, begin, length, timeMs)
    this.pool.ids[place] = id
    this.pool.weights[place] = amount
    const first = this.#offsets[row] as number
    this.#lift(first, place - first)
  }

  /** Moves an entry up while it is heavier than its parent. */
  #lift(begin: number, place: number): void {
    const { ids, weights } = this.pool
    let at = place
    while (at > 0) {
      const parent = (at - 1) >> 1
      const weight = weights[begin + at] as number
      const parentWeight = weights[begin + parent] as number
      if (!(weight > parentWeight)) return
      const id = ids[begin + at] as number
      ids[begin + at] = ids[begin + parent] as number
      weights[begin + at] = parentWeight
      ids[begin + parent] = id
      weights[begin + parent] = weight
      at = parent
    }
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

  #moveLandmark(row: number, timeMs: number): void {
    const shift = (timeMs - (this.#landmarks[row] as number)) / this.#halfLifeMs
    const factor = Math.exp(-Math.LN2 * shift)
    const { weights } = this.pool
    const begin = this.#offsets[row] as number
    const end = begin + (this.#lengths[row] as number)
    for (let slot = begin; slot < end; slot++) weights[slot] = (weights[slot] as number) * factor
    this.#totals[row] = (this.#totals[row] as number) * factor
    this.#landmarks[row] = timeMs
  }

  /** Where the row's entries begin in the pool. */
  begin(row: number): number {
    return row < this.#offsets.length ? (this.#offsets[row] as number) : 0
  }

  /** How many entries the row has. */
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
    const end = begin + this.length(row)
    return {
      landmarkMs: this.#landmarks[row] as number,
      newestMs: this.#newest[row] as number,
      total: this.#totals[row] as number,
      ids: [...this.pool.ids.subarray(begin, end)],
      weights: [...this.pool.weights.subarray(begin, end)],
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
