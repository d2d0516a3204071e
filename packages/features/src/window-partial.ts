/** The partial of a window: that of its only tile, or those of its tiles merged from the oldest on. */
import type { PlannedFeature } from './plan.ts'
import type { TileRows } from './tile-rows.ts'

/** See the head of the file. One object for all reads of a shard. */
export class WindowPartial {
  /** Where the partial is, after `find`. */
  cells: Float64Array
  at = 0
  readonly #merged: Float64Array

  /** `cellsMax`: cells of the longest partial. */
  constructor(cellsMax: number) {
    this.#merged = new Float64Array(cellsMax)
    this.cells = this.#merged
  }

  /** Finds the partial of the tiles up to `newest` that are in the feature's window; false without events. */
  find(rows: TileRows, entity: number, feature: PlannedFeature, newest: number): boolean {
    const { aggregation, offset, tiles } = feature
    const { cells, stride } = rows
    const end = rows.indexOf(entity, newest + 1)
    let index = end
    while (index > 0 && (cells[rows.at(entity, index - 1)] as number) > newest - tiles) index -= 1
    if (index === end) return false
    let count = 0
    let at = rows.at(entity, index) + offset
    for (; index < end; index++, at += stride) {
      if (cells[at] === 0) continue
      count += 1
      if (count === 1) {
        this.cells = cells
        this.at = at
        continue
      }
      if (count === 2) this.#copy(aggregation.cells)
      aggregation.merge(this.#merged, 0, cells, at)
    }
    return count > 0
  }

  #copy(length: number): void {
    const { cells, at } = this
    for (let cell = 0; cell < length; cell++) this.#merged[cell] = cells[at + cell] as number
    this.cells = this.#merged
    this.at = 0
  }
}
