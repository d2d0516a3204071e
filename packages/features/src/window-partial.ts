/** The partial of a window: that of its only tile, or those of its tiles merged from the oldest on. */
import type { PlannedFeature, TileGroup } from './plan.ts'
import type { TileRows } from './tile-rows.ts'

const UNKNOWN = -1

/** See the head of the file. One object for all reads of a shard. */
export class WindowPartial {
  /** Where the partial is, after `find`. */
  cells: Float64Array
  at = 0
  readonly #groups: readonly TileGroup[]
  readonly #rows: readonly TileRows[]
  readonly #merged: Float64Array
  /** The newest tile at the moment, by group, and the index behind it in the rows of the entity. */
  readonly #newest: Float64Array
  readonly #ends: Int32Array
  #entity = 0
  #tMs = NaN

  /** `cellsMax`: cells of the longest partial. */
  constructor(groups: readonly TileGroup[], rows: readonly TileRows[], cellsMax: number) {
    this.#groups = groups
    this.#rows = rows
    this.#merged = new Float64Array(cellsMax)
    this.#newest = new Float64Array(groups.length)
    this.#ends = new Int32Array(groups.length)
    this.cells = this.#merged
  }

  /** Goes to an entity and a moment, for `find`; to be called anew after rows were changed. */
  move(entity: number, tMs: number): void {
    if (tMs !== this.#tMs) {
      this.#tMs = tMs
      for (let group = 0; group < this.#groups.length; group++) {
        this.#newest[group] = Math.floor(tMs / (this.#groups[group] as TileGroup).stepMs)
      }
    }
    this.#entity = entity
    this.#ends.fill(UNKNOWN)
  }

  /** Finds the partial of the tiles in the feature's window; false without events. */
  find({ aggregation, group, offset, tiles }: PlannedFeature): boolean {
    const rows = this.#rows[group] as TileRows
    const { cells, stride } = rows
    const entity = this.#entity
    const newest = this.#newest[group] as number
    let end = this.#ends[group] as number
    if (end === UNKNOWN) this.#ends[group] = end = rows.indexOf(entity, newest + 1)
    if (end === 0) return false
    const behind = rows.at(entity, end)
    const oldest = newest - tiles
    let from = behind
    for (let left = end; left > 0 && (cells[from - stride] as number) > oldest; left--) from -= stride // prettier-ignore
    // Tiles in which other features of the group have events.
    while (from < behind && cells[from + offset] === 0) from += stride
    if (from === behind) return false
    this.cells = cells
    this.at = from + offset
    const { merge } = aggregation
    const second = this.at + stride
    if (second >= behind) return true
    const merged = this.#merged
    for (let cell = 0; cell < aggregation.cells; cell++) {
      let value = cells[this.at + cell] as number
      if (merge === 'add') for (let at = second; at < behind; at += stride) value += cells[at + cell] as number // prettier-ignore
      merged[cell] = value
    }
    if (merge !== 'add') {
      for (let at = second; at < behind; at += stride) if (cells[at] !== 0) merge(merged, 0, cells, at) // prettier-ignore
    }
    this.cells = merged
    this.at = 0
    return true
  }
}
