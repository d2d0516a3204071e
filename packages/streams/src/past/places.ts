import { streamsErrors } from '../errors.ts'

/**
 * At most so many pieces of work at a time; the others wait in their order, and at most so many of
 * them. Each folds in slices, so what is under way together bounds how long other work waits.
 */
export class Places {
  readonly #places: number
  readonly #waitingMax: number
  readonly #waiting: (() => void)[] = []
  #taken = 0

  constructor({ places, waitingMax }: { places: number; waitingMax: number }) {
    this.#places = places
    this.#waitingMax = waitingMax
  }

  /** Does `work` when there is a place. Throws PAST_BUSY when too many wait. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#taken < this.#places) this.#taken += 1
    else await this.#place()
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#taken -= 1
      else next()
    }
  }

  async #place(): Promise<void> {
    if (this.#waiting.length >= this.#waitingMax) {
      throw streamsErrors.create('PAST_BUSY', { waiting: this.#waiting.length })
    }
    await new Promise<void>(resolve => this.#waiting.push(resolve))
  }
}
