import { streamsErrors } from '../errors.ts'

/** Counts what one question to a branch folds. */
export class Work {
  readonly #recordsMax: number
  #records = 0

  constructor(recordsMax: number) {
    this.#recordsMax = recordsMax
  }

  /** A record is folded. Throws BRANCH_TOO_LARGE behind the limit. */
  note(): void {
    this.#records += 1
    if (this.#records <= this.#recordsMax) return
    throw streamsErrors.create('BRANCH_TOO_LARGE', {
      cost: `it has folded ${this.#records - 1} records and is not done`,
      limit: `${this.#recordsMax} records`,
    })
  }
}
