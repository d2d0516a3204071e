/** The partial of a window: that of its only tile, or those of its tiles merged from the oldest on. */
import type { FeatureValue } from '@millrace/core'
import type { CellAggregation, ObjectAggregation } from './aggregations/aggregation.ts'
import type { PlannedFeature, TileGroup } from './plan.ts'
import type { TileRows } from './tile-rows.ts'

const UNKNOWN = -1

/** A span of time, both ends included, milliseconds since the epoch. */
export type TimeSpan = readonly [fromMs: number, toMs: number]

/** See the head of the file. One object for all reads of a shard. */
export class WindowPartial {
  readonly #groups: readonly TileGroup[]
  readonly #rows: readonly TileRows[]
  readonly #merged: Float64Array
  /** Where the partial is, after `#mergeCells`. */
  #cells: Float64Array
  #at = 0
  /** Where the first row of the window is, and behind the last one, after `#find`. */
  #from = 0
  #behind = 0
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
    this.#cells = this.#merged
  }

  /** Goes to an entity and a moment; to be called anew after rows were changed. */
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

  /** The value of a feature; NaN without events, and where they give none. Throws what a custom aggregation throws. */
  read(feature: PlannedFeature): FeatureValue {
    if (!this.#find(feature)) return NaN
    const { aggregation } = feature
    if (aggregation.isObject !== undefined) {
      return aggregation.read(this.#merge(feature, aggregation), this.#tMs) ?? NaN
    }
    this.#mergeCells(feature, aggregation)
    return (
      aggregation.readList?.(this.#cells, this.#at) ??
      aggregation.read(this.#cells, this.#at, this.#tMs)
    )
  }

  /** From when to when (both included) events count; undefined where none does. */
  span(feature: PlannedFeature): TimeSpan | undefined {
    if (!this.#find(feature)) return undefined
    const { moments, stepMs, group } = feature
    if (stepMs === Infinity) return [-Infinity, Infinity]
    const { cells, stride } = this.#rows[group] as TileRows
    const last = this.#behind - stride
    if (moments !== undefined) {
      return [cells[this.#from + moments] as number, cells[last + moments + 1] as number]
    }
    return [(cells[this.#from] as number) * stepMs, ((cells[last] as number) + 1) * stepMs - 1]
  }

  /** Finds the rows of the window, the first of which has events of the feature; false when there are none. */
  #find(feature: PlannedFeature): boolean {
    const { group, offset, tiles } = feature
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
    this.#from = from
    this.#behind = behind
    return feature.moments === undefined ? from < behind : this.#findSession(feature, cells, stride)
  }

  /** Goes back from the moment, from event to event, as long as none is further than the gap, which is the step. */
  #findSession(
    { offset, stepMs, moments = 0 }: PlannedFeature,
    cells: Float64Array,
    stride: number,
  ): boolean {
    const oldest = this.#from
    let behind = this.#behind
    while (behind > oldest && cells[behind - stride + offset] === 0) behind -= stride
    let from = behind
    let nextMs = this.#tMs
    for (let at = behind - stride; at >= oldest; at -= stride) {
      if (cells[at + offset] === 0) continue
      if (nextMs - (cells[at + moments + 1] as number) > stepMs) break
      nextMs = cells[at + moments] as number
      from = at
    }
    this.#from = from
    this.#behind = behind
    return from < behind
  }

  #mergeCells({ group, offset }: PlannedFeature, aggregation: CellAggregation): void {
    const { cells, stride } = this.#rows[group] as TileRows
    const behind = this.#behind
    this.#cells = cells
    this.#at = this.#from + offset
    const { merge } = aggregation
    const second = this.#at + stride
    if (second >= behind) return
    const merged = this.#merged
    for (let cell = 0; cell < aggregation.cells; cell++) {
      let value = cells[this.#at + cell] as number
      if (merge === 'add') for (let at = second; at < behind; at += stride) value += cells[at + cell] as number // prettier-ignore
      merged[cell] = value
    }
    if (merge !== 'add') {
      for (let at = second; at < behind; at += stride) if (cells[at] !== 0) merge(merged, 0, cells, at) // prettier-ignore
    }
    this.#cells = merged
    this.#at = 0
  }

  #merge({ group, offset, slot }: PlannedFeature, aggregation: ObjectAggregation): unknown {
    const rows = this.#rows[group] as TileRows
    const { cells, stride, objects } = rows
    let merged = objects[rows.slotAt(this.#from) + slot]
    let isOwn = false
    for (let at = this.#from + stride; at < this.#behind; at += stride) {
      if (cells[at + offset] === 0) continue
      if (!isOwn) merged = aggregation.copy(merged)
      isOwn = true
      merged = aggregation.merge(merged, objects[rows.slotAt(at) + slot])
    }
    return merged
  }
}
