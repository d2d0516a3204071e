/** Values that were read, by entity, until an event of the entity or the end of the shortest step. */
import type { TileGroup } from './plan.ts'

/** Entities whose values are kept at most; all are let go of when there are more. */
const ENTITIES_MAX = 20_000

/** Values of one entity in one step of time. */
export interface KeptValues {
  readonly fromMs: number
  readonly untilMs: number
  /** By feature; NaN without events. */
  readonly values: Float64Array
  /** 1 where `values` has it. */
  readonly isKnown: Uint8Array
}

/** See the head of the file. */
export class ValueCache {
  readonly #entities = new Map<number, KeptValues>()
  readonly #features: number
  readonly #stepsMs: readonly number[]

  constructor(features: number, groups: readonly TileGroup[]) {
    this.#features = features
    this.#stepsMs = groups.map(({ stepMs }) => stepMs).filter(stepMs => stepMs !== Infinity)
  }

  /** The values of an entity that hold at `tMs`; nothing is known in them at first. */
  at(entity: number, tMs: number): KeptValues {
    const known = this.#entities.get(entity)
    if (known !== undefined && known.fromMs <= tMs && tMs < known.untilMs) return known
    if (this.#entities.size >= ENTITIES_MAX) this.#entities.clear()
    let fromMs = -Infinity
    let untilMs = Infinity
    for (const stepMs of this.#stepsMs) {
      const startMs = Math.floor(tMs / stepMs) * stepMs
      fromMs = Math.max(fromMs, startMs)
      untilMs = Math.min(untilMs, startMs + stepMs)
    }
    const values = new Float64Array(this.#features)
    const kept = { fromMs, untilMs, values, isKnown: new Uint8Array(this.#features) }
    this.#entities.set(entity, kept)
    return kept
  }

  /** The entity has changed. */
  drop(entity: number): void {
    if (this.#entities.size > 0) this.#entities.delete(entity)
  }
}
