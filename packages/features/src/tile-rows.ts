/**
 * The tiles of one step, of all entities of a shard: rows of numbers in slabs of one typed array,
 * sorted by tile within an entity. Costs a row for each tile that has events, at most half of the
 * rows unused, and no object but those of partials that are no numbers, which stand beside their
 * row. The first number of a row is its tile.
 */

const CLASSES = 31
const START_ROWS = 256
const NONE = -1

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
  #first = new Int32Array(START_ROWS).fill(NONE)
  #length = new Int32Array(START_ROWS)
  #sizes = new Int8Array(START_ROWS)

  constructor(cells: number, slots: number) {
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
    return entity < this.#length.length ? (this.#length[entity] as number) : 0
  }

  /** Where the row of an entity's `index`-th tile begins. */
  at(entity: number, index: number): number {
    return ((this.#first[entity] as number) + index) * this.stride
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

  /** The same; a tile that is not there is made, all zero. */
  row(entity: number, tile: number): number {
    const length = this.lengthOf(entity)
    const index = this.indexOf(entity, tile)
    if (index < length) {
      const at = this.at(entity, index)
      if (this.cells[at] === tile) return at
    }
    this.#makeRoom(entity, length)
    const at = this.at(entity, index)
    const end = this.at(entity, length)
    this.#move(at + this.stride, at, end)
    this.cells.fill(0, at, at + this.stride)
    this.#letGo(at, at + this.stride)
    this.cells[at] = tile
    this.#length[entity] = length + 1
    return at
  }

  /** Forgets an entity's first `count` tiles. */
  drop(entity: number, count: number): void {
    if (count === 0) return
    const length = this.lengthOf(entity) - count
    this.#length[entity] = length
    const at = this.at(entity, 0)
    const from = at + count * this.stride
    this.#move(at, from, from + length * this.stride)
    this.#letGo(at + length * this.stride, from + length * this.stride)
    if (length > 0) return
    ;(this.#free[this.#sizes[entity] as number] as number[]).push(this.#first[entity] as number)
    this.#first[entity] = NONE
  }

  /** Forgets one tile of an entity. */
  remove(entity: number, tile: number): void {
    const index = this.indexOf(entity, tile)
    this.#move(this.at(entity, 1), this.at(entity, 0), this.at(entity, index))
    this.drop(entity, 1)
  }

  /** Bytes held. */
  get bytes(): number {
    return this.cells.byteLength + this.#first.length * 9
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
    if (entity >= this.#first.length) this.#widen(entity)
    const first = this.#first[entity] as number
    if (first === NONE) {
      this.#first[entity] = this.#allocate(0)
      this.#sizes[entity] = 0
      return
    }
    const size = this.#sizes[entity] as number
    if (length < 1 << size) return
    const wider = this.#allocate(size + 1)
    const { stride } = this
    this.#move(wider * stride, first * stride, (first + length) * stride)
    this.#letGo(first * stride, (first + length) * stride)
    ;(this.#free[size] as number[]).push(first)
    this.#first[entity] = wider
    this.#sizes[entity] = size + 1
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

  #widen(entity: number): void {
    const length = Math.max(entity + 1, Math.ceil(this.#first.length * 1.5))
    const first = new Int32Array(length).fill(NONE)
    first.set(this.#first)
    this.#first = first
    const lengths = new Int32Array(length)
    lengths.set(this.#length)
    this.#length = lengths
    const sizes = new Int8Array(length)
    sizes.set(this.#sizes)
    this.#sizes = sizes
  }
}
