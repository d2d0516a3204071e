/**
 * The tiles of one step, of all entities of a shard: rows of numbers in slabs of one typed array,
 * sorted by tile within an entity. Costs a row for each tile that has events, at most half of the
 * rows unused, and no object but those of partials that are no numbers, which stand beside their
 * row. The first number of a row is its tile.
 */

import type { TileGroup } from './plan.ts'

const CLASSES = 31
const START_ROWS = 256
const NONE = -1
/** Of an entity in a group: where its rows begin, how many there are, and the class of its slab. */
const HEAD = 3

/** Where the tiles of each entity are, for all steps: those of one entity lie together in memory. */
export class TileHeads {
  readonly stride: number
  /** Read it anew after `reach`, which may replace it. */
  cells: Int32Array

  constructor(groups: number) {
    this.stride = groups * HEAD
    this.cells = this.#blank(START_ROWS)
  }

  /** Makes sure that an entity has a place. */
  reach(entity: number): void {
    const end = (entity + 1) * this.stride
    if (end <= this.cells.length) return
    const wider = this.#blank(
      Math.max(entity + 1, Math.ceil((this.cells.length / this.stride) * 1.5)),
    )
    wider.set(this.cells)
    this.cells = wider
  }

  #blank(entities: number): Int32Array {
    const cells = new Int32Array(entities * this.stride)
    for (let at = 0; at < cells.length; at += HEAD) cells[at] = NONE
    return cells
  }
}

/** See the head of the file. */
export class TileRows {
  /** Numbers of a row, the tile included. */
  readonly stride: number
  /** All rows. Read it anew after `row`, which may replace it. */
  cells: Float64Array
  /** Objects of a row. */
  readonly slots: number
  /** Those of all rows: the ones of the row at `at` begin at `slotAt(at)`. */
  readonly objects: unknown[] = []
  #used = 0
  readonly #free: number[][] = Array.from({ length: CLASSES }, () => [])
  readonly #heads: TileHeads
  readonly #offset: number

  /** `group`: which of those that share the heads. */
  constructor(
    { cells, slots }: Pick<TileGroup, 'cells' | 'slots'>,
    heads: TileHeads,
    group: number,
  ) {
    this.#heads = heads
    this.#offset = group * HEAD
    this.stride = cells + 1
    this.slots = slots
    this.cells = new Float64Array(START_ROWS * this.stride)
  }

  /** Where the objects of a row begin; `at` is where the row does. */
  slotAt(at: number): number {
    return (at / this.stride) * this.slots
  }

  /** Tiles of an entity. */
  lengthOf(entity: number): number {
    return this.#heads.cells[this.#head(entity) + 1] ?? 0
  }

  /** Where the row of an entity's `index`-th tile begins. */
  at(entity: number, index: number): number {
    return ((this.#heads.cells[this.#head(entity)] as number) + index) * this.stride
  }

  /** Index of an entity's first tile at or after `tile`. Looks from the newest on, where most are looked for. */
  indexOf(entity: number, tile: number): number {
    let index = this.lengthOf(entity)
    while (index > 0 && (this.cells[this.at(entity, index - 1)] as number) >= tile) index -= 1
    return index
  }

  /** Where the row of a tile begins; NONE (-1) when the entity has none. */
  find(entity: number, tile: number): number {
    const index = this.indexOf(entity, tile)
    if (index === this.lengthOf(entity)) return NONE
    const at = this.at(entity, index)
    return this.cells[at] === tile ? at : NONE
  }

  /** The same; a tile that is not there is made, all zero. Where that takes room, tiles up to `limit` are forgotten first. */
  row(entity: number, tile: number, limit: number): number {
    let length = this.lengthOf(entity)
    let index = this.indexOf(entity, tile)
    if (index < length) {
      const at = this.at(entity, index)
      if (this.cells[at] === tile) return at
    }
    if (this.#isFull(entity, length)) {
      const forgotten = this.dropUpTo(entity, limit)
      length -= forgotten
      index -= forgotten
    }
    this.#makeRoom(entity, length)
    const at = this.at(entity, index)
    const end = this.at(entity, length)
    this.#move(at + this.stride, at, end)
    this.cells.fill(0, at, at + this.stride)
    this.#letGo(at, at + this.stride)
    this.cells[at] = tile
    this.#heads.cells[this.#head(entity) + 1] = length + 1
    return at
  }

  /** Forgets an entity's tiles up to `limit`, and gives how many they were: a glance at the first one, where there are none. */
  dropUpTo(entity: number, limit: number): number {
    const length = this.lengthOf(entity)
    let count = 0
    while (count < length && (this.cells[this.at(entity, count)] as number) <= limit) count += 1
    this.drop(entity, count)
    return count
  }

  /** Forgets an entity's first `count` tiles. */
  drop(entity: number, count: number): void {
    if (count === 0) return
    const head = this.#head(entity)
    const heads = this.#heads.cells
    const length = (heads[head + 1] as number) - count
    heads[head + 1] = length
    const at = this.at(entity, 0)
    const from = at + count * this.stride
    this.#move(at, from, from + length * this.stride)
    this.#letGo(at + length * this.stride, from + length * this.stride)
    if (length > 0) return
    ;(this.#free[heads[head + 2] as number] as number[]).push(heads[head] as number)
    heads[head] = NONE
  }

  /** Forgets one tile of an entity. */
  remove(entity: number, tile: number): void {
    const index = this.indexOf(entity, tile)
    this.#move(this.at(entity, 1), this.at(entity, 0), this.at(entity, index))
    this.drop(entity, 1)
  }

  /** Bytes held, without the heads. */
  get bytes(): number {
    return this.cells.byteLength
  }

  #head(entity: number): number {
    return entity * this.#heads.stride + this.#offset
  }

  #isFull(entity: number, length: number): boolean {
    return length > 0 && length === 1 << (this.#heads.cells[this.#head(entity) + 2] as number)
  }

  #move(to: number, from: number, end: number): void {
    this.cells.copyWithin(to, from, end)
    if (this.slots > 0) this.objects.copyWithin(this.slotAt(to), this.slotAt(from), this.slotAt(end)) // prettier-ignore
  }

  /** Objects of rows that are no more. */
  #letGo(at: number, end: number): void {
    if (this.slots > 0) this.objects.fill(undefined, this.slotAt(at), this.slotAt(end))
  }

  #makeRoom(entity: number, length: number): void {
    this.#heads.reach(entity)
    const heads = this.#heads.cells
    const head = this.#head(entity)
    const first = heads[head] as number
    if (first === NONE) {
      heads[head] = this.#allocate(0)
      heads[head + 2] = 0
      return
    }
    if (!this.#isFull(entity, length)) return
    const size = heads[head + 2] as number
    const wider = this.#allocate(size + 1)
    const { stride } = this
    this.#move(wider * stride, first * stride, (first + length) * stride)
    this.#letGo(first * stride, (first + length) * stride)
    ;(this.#free[size] as number[]).push(first)
    heads[head] = wider
    heads[head + 2] = size + 1
  }

  #allocate(size: number): number {
    const reused = (this.#free[size] as number[]).pop()
    if (reused !== undefined) return reused
    const first = this.#used
    this.#used += 1 << size
    this.objects.length = this.#used * this.slots
    const needed = this.#used * this.stride
    if (needed > this.cells.length) {
      // Growing by half: doubling would hold three times the content while it copies.
      const cells = new Float64Array(Math.max(needed, Math.ceil(this.cells.length * 1.5)))
      cells.set(this.cells)
      this.cells = cells
    }
    return first
  }
}
