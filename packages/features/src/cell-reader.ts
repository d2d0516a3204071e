/** Reads the cells of an entity: the values of its windows at a moment, how old they are, and what failed. */
import type { FeatureValue } from '@millrace/core'
import { CELL_STATUS, putCell, type CellRow } from './cell-row.ts'
import type { EntityAges } from './entity-ages.ts'
import { NONE, type EntityBook } from './entity-book.ts'
import type { FailedFeatures } from './failed-features.ts'
import { cellsOf, type FeaturePlan, type FeatureReading, type PlannedFeature } from './plan.ts'
import type { TileRows } from './tile-rows.ts'
import { ValueCache } from './value-cache.ts'
import { WindowPartial, type TimeSpan } from './window-partial.ts'

/** The state that is read. */
export interface CellState {
  /** By group. */
  readonly rows: readonly TileRows[]
  readonly book: Pick<EntityBook, 'end'>
  readonly ages: EntityAges
  readonly failed: FailedFeatures
}

/** See the head of the file. */
export class CellReader {
  readonly #plan: FeaturePlan
  readonly #state: CellState
  readonly #partial: WindowPartial
  /** From the first read on. */
  #cache: ValueCache | undefined

  constructor(plan: FeaturePlan, state: CellState) {
    this.#plan = plan
    this.#state = state
    const { groups, features } = plan
    const cellsMax = Math.max(...features.map(({ aggregation }) => cellsOf(aggregation)))
    this.#partial = new WindowPartial(groups, state.rows, cellsMax)
  }

  /** The entity has changed. */
  drop(entity: number): void {
    this.#cache?.drop(entity)
  }

  /** Reads values of an entity, NONE for one without events, into the cells `cells[i]` of `row`. */
  read(
    entity: number,
    { plan = this.#plan, key, features, tMs }: FeatureReading,
    row: CellRow,
    cells: readonly number[],
  ): void {
    const { ages, failed: allFailed } = this.#state
    const isOwn = plan.version === this.#plan.version
    const own = this.#plan.features
    const failed = allFailed.of(key)
    const ageMs = entity === NONE ? 0 : ages.ageMs(entity, tMs)
    if (entity !== NONE) {
      this.#partial.move(entity, tMs)
      this.#cacheNow().move(entity, tMs)
    }
    for (let index = 0; index < features.length; index++) {
      const asked = plan.features[features[index] as number] as PlannedFeature
      const feature = isOwn ? own[asked.index] : own.find(({ name }) => name === asked.name)
      const cell = cells[index] as number
      if (feature === undefined) putCell(row, cell, asked.default, CELL_STATUS.default)
      else if (failed.has(feature.index)) putCell(row, cell, feature.default, CELL_STATUS.failed)
      else if (entity === NONE) putCell(row, cell, feature.default, CELL_STATUS.default)
      else {
        this.#readCell(feature, ageMs, row, cell)
        const isOther = !isOwn && feature.fingerprint !== asked.fingerprint
        if (isOther && row.statuses[cell] === CELL_STATUS.value) row.statuses[cell] = CELL_STATUS.stale // prettier-ignore
      }
    }
  }

  /** From when to when (both included) events count for a feature at `tMs`; undefined where none does. */
  span(entity: number, name: string, tMs: number): TimeSpan | undefined {
    const feature = this.#plan.features.find(own => own.name === name)
    if (entity === NONE || feature === undefined) return undefined
    this.#partial.move(entity, tMs)
    return this.#partial.span(feature)
  }

  /** What is kept of reads; made larger with the number of entities. */
  #cacheNow(): ValueCache {
    const { features, groups } = this.#plan
    const { end } = this.#state.book
    if (this.#cache === undefined || this.#cache.isShortOf(end)) {
      this.#cache = new ValueCache(features, groups, end)
    }
    return this.#cache
  }

  /** Reads the cell of the entity that cache and partial were moved to. */
  #readCell(feature: PlannedFeature, ageMs: number, row: CellRow, cell: number): void {
    const { default: fallback, index } = feature
    const { freshMs, ttlMs } = this.#state.ages
    const cache = this.#cache as ValueCache
    if (!cache.copy(index, row, cell)) {
      const value = this.#valueOf(feature)
      if (typeof value !== 'number' || Number.isFinite(value)) putCell(row, cell, value, CELL_STATUS.value) // prettier-ignore
      // Nothing to divide by is no fault of the feature; a sum beyond all numbers is.
      else putCell(row, cell, fallback, Number.isNaN(value) ? CELL_STATUS.default : CELL_STATUS.failed) // prettier-ignore
      cache.keep(index, row, cell)
    }
    if (ageMs <= freshMs && ageMs <= ttlMs) return
    if (row.statuses[cell] !== CELL_STATUS.value) return
    if (ageMs > ttlMs) putCell(row, cell, fallback, CELL_STATUS.expired)
    else row.statuses[cell] = CELL_STATUS.stale
  }

  /** The value of a window; NaN without events, infinite where the code of a custom aggregation throws. */
  #valueOf(feature: PlannedFeature): FeatureValue {
    try {
      return this.#partial.read(feature)
    } catch {
      this.#state.failed.counts[feature.index]! += 1
      return Infinity
    }
  }
}
