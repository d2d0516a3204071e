/**
 * Cells that were read, until an event of the entity or the end of the shortest step: in typed
 * columns, an entity in the one slot that its number names, so that a hit is a copy, a miss makes no
 * garbage, and memory is bounded. It keeps values, never another order of additions.
 */
import type { CellRow } from './cell-row.ts'
import type { PlannedFeature, TileGroup } from './plan.ts'

/** Entities whose values are kept at most, a power of two. */
const SLOTS_MAX = 4_096
const NONE = -1
const UNKNOWN = 255

/** See the head of the file. */
export class ValueCache {
  /** The slot of the entity at hand, as the index of its first feature. */
  #at = 0
  readonly #width: number
  readonly #stepsMs: readonly number[]
  /** 1 for features that are kept: numbers that change from tile to tile alone. */
  readonly #isSteady: Uint8Array
  readonly #values: Float64Array
  /** UNKNOWN where the cell is not kept. */
  readonly #statuses: Uint8Array
  readonly #slots: number
  readonly #entities: Int32Array
  readonly #fromMs: Float64Array
  readonly #untilMs: Float64Array

  /** `entities`: how many there may be; no more slots are made than these need. */
  constructor(features: readonly PlannedFeature[], groups: readonly TileGroup[], entities: number) {
    this.#slots = slotsFor(entities)
    this.#entities = new Int32Array(this.#slots).fill(NONE)
    this.#fromMs = new Float64Array(this.#slots)
    this.#untilMs = new Float64Array(this.#slots)
    this.#width = features.length
    this.#stepsMs = groups.map(({ stepMs }) => stepMs).filter(stepMs => stepMs !== Infinity)
    // Texts and lists are not kept: `keep` sees to that.
    this.#isSteady = Uint8Array.from(features, ({ isContinuous }) => Number(!isContinuous))
    this.#values = new Float64Array(this.#slots * this.#width)
    this.#statuses = new Uint8Array(this.#slots * this.#width)
  }

  /** True when more slots would hold more of so many entities. */
  isShortOf(entities: number): boolean {
    return entities > this.#slots && this.#slots < SLOTS_MAX
  }

  /** Goes to an entity and a moment: nothing is known in its slot where that is of others. */
  move(entity: number, tMs: number): void {
    const slot = entity & (this.#slots - 1)
    const at = slot * this.#width
    this.#at = at
    if (
      this.#entities[slot] === entity &&
      tMs >= (this.#fromMs[slot] as number) &&
      tMs < (this.#untilMs[slot] as number)
    ) {
      return
    }
    let fromMs = -Infinity
    let untilMs = Infinity
    for (const stepMs of this.#stepsMs) {
      const startMs = Math.floor(tMs / stepMs) * stepMs
      fromMs = Math.max(fromMs, startMs)
      untilMs = Math.min(untilMs, startMs + stepMs)
    }
    this.#entities[slot] = entity
    this.#fromMs[slot] = fromMs
    this.#untilMs[slot] = untilMs
    this.#statuses.fill(UNKNOWN, at, at + this.#width)
  }

  /** Puts the kept cell of a feature into a row; false when it is not kept. */
  copy(feature: number, row: CellRow, cell: number): boolean {
    const at = this.#at + feature
    const status = this.#statuses[at] as number
    if (status === UNKNOWN) return false
    row.values[cell] = this.#values[at] as number
    row.statuses[cell] = status
    if (row.others[cell] !== undefined) row.others[cell] = undefined
    return true
  }

  /** Keeps a cell that was read, where it is a number that lasts. */
  keep(feature: number, row: CellRow, cell: number): void {
    if (this.#isSteady[feature] === 0 || row.others[cell] !== undefined) return
    this.#values[this.#at + feature] = row.values[cell] as number
    this.#statuses[this.#at + feature] = row.statuses[cell] as number
  }

  /** The entity has changed. */
  drop(entity: number): void {
    const slot = entity & (this.#slots - 1)
    if (this.#entities[slot] === entity) this.#entities[slot] = NONE
  }
}

function slotsFor(entities: number): number {
  return Math.min(SLOTS_MAX, 2 ** Math.ceil(Math.log2(Math.max(1, entities))))
}
