/**
 * Measured events that are folded when their entity is read: lists by entity in one typed array. A
 * pass that reads few entities at a moment folds the events of one of them together, while its tiles
 * are at hand, in place of fetching the tiles of another entity from memory for each event. Memory:
 * what its user lets it hold; places are used again.
 */

const NONE = -1
const START_EVENTS = 1_024
const START_ENTITIES = 1_024
/** Of an event: the one before it, its time, then what was measured. */
const HEAD = 2

/** See the head of the file. */
export class PendingEvents {
  /** Events that wait. */
  size = 0
  /** All events; one begins where `take` says. Read it anew after `add`, which may replace it. */
  cells: Float64Array
  readonly #stride: number
  /** Where the newest event of each entity is. */
  #newest = new Int32Array(START_ENTITIES).fill(NONE)
  /** The first place that is free, and that behind all of them. */
  #free = NONE
  #end = 0
  readonly #taken: number[] = []

  /** `width`: numbers of a measured event. */
  constructor(width: number) {
    this.#stride = HEAD + width
    this.cells = new Float64Array(START_EVENTS * this.#stride)
  }

  /** Keeps an event; gives where in `cells` its measures are to be put. */
  add(entity: number, atMs: number): number {
    if (entity >= this.#newest.length) this.#widen(entity)
    const at = this.#place()
    this.cells[at] = this.#newest[entity] as number
    this.cells[at + 1] = atMs
    this.#newest[entity] = at
    this.size += 1
    return at + HEAD
  }

  /** True when events of the entity wait. */
  has(entity: number): boolean {
    return entity >= 0 && entity < this.#newest.length && this.#newest[entity] !== NONE
  }

  /** Takes the events of an entity: where the measures of each are, the oldest first. Good until the next call. */
  take(entity: number): readonly number[] {
    const taken = this.#taken
    taken.length = 0
    if (!this.has(entity)) return taken
    const { cells } = this
    const newest = this.#newest[entity] as number
    let oldest = newest
    for (let at = newest; at !== NONE; at = cells[at] as number) {
      taken.push(at + HEAD)
      oldest = at
    }
    // All of the list is free now: nothing is added before its user is done with it.
    cells[oldest] = this.#free
    this.#free = newest
    this.#newest[entity] = NONE
    this.size -= taken.length
    return taken.reverse()
  }

  /** Time of the event whose measures are at `at`. */
  atMs(at: number): number {
    return this.cells[at - 1] as number
  }

  /** Entities of which events wait. */
  *entities(): Iterable<number> {
    for (let entity = 0; entity < this.#newest.length; entity++) if (this.has(entity)) yield entity
  }

  #place(): number {
    const free = this.#free
    if (free !== NONE) {
      this.#free = this.cells[free] as number
      return free
    }
    const at = this.#end
    this.#end += this.#stride
    if (this.#end > this.cells.length) {
      const cells = new Float64Array(Math.ceil(this.cells.length * 1.5) + this.#stride)
      cells.set(this.cells)
      this.cells = cells
    }
    return at
  }

  #widen(entity: number): void {
    const newest = new Int32Array(Math.ceil(entity * 1.5) + 1).fill(NONE)
    newest.set(this.#newest)
    this.#newest = newest
  }
}
