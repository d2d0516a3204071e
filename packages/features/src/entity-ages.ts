/** How old what is known of the entities of a view is, for views with a freshness target or a time-to-live. */
import { durationMs, type AnyFeatureView } from '@millrace/core'

const NEVER = Number.NEGATIVE_INFINITY
const START_ENTITIES = 256

/** See the head of the file. */
export class EntityAges {
  /** False where no value depends on an age: then nothing is noted, and all ages are 0. */
  readonly isKept: boolean
  readonly freshMs: number
  readonly ttlMs: number
  /** Time of the newest event, by entity. */
  #newestMs: Float64Array

  constructor({ freshness, ttl }: Pick<AnyFeatureView, 'freshness' | 'ttl'>) {
    this.freshMs = freshness === undefined ? Infinity : durationMs(freshness)
    this.ttlMs = ttl === undefined ? Infinity : durationMs(ttl)
    this.isKept = freshness !== undefined || ttl !== undefined
    this.#newestMs = new Float64Array(this.isKept ? START_ENTITIES : 0).fill(NEVER)
  }

  note(entity: number, atMs: number): void {
    if (!this.isKept) return
    if (entity >= this.#newestMs.length) {
      const wider = new Float64Array(Math.ceil(entity * 1.5) + 1).fill(NEVER)
      wider.set(this.#newestMs)
      this.#newestMs = wider
    }
    if (atMs > (this.#newestMs[entity] as number)) this.#newestMs[entity] = atMs
  }

  forget(entity: number): void {
    if (entity < this.#newestMs.length) this.#newestMs[entity] = NEVER
  }

  /** Time of the newest event of an entity. */
  newestMs(entity: number): number {
    return this.#newestMs[entity] as number
  }

  ageMs(entity: number, tMs: number): number {
    return this.isKept ? tMs - this.newestMs(entity) : 0
  }

  get bytes(): number {
    return this.#newestMs.byteLength
  }
}
