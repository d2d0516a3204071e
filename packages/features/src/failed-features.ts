/** Features whose code threw, by key: a part of the state until the definition or the event changes. */

const NONE: ReadonlySet<number> = new Set()

/** See the head of the file. */
export class FailedFeatures {
  /** How often the code of each feature threw, or gave what is no value. */
  readonly counts: Uint32Array
  readonly #byKey = new Map<string, Set<number>>()

  constructor(features: number) {
    this.counts = new Uint32Array(features)
  }

  /** Keys of which some feature failed. */
  get size(): number {
    return this.#byKey.size
  }

  keys(): MapIterator<string> {
    return this.#byKey.keys()
  }

  has(key: string): boolean {
    return this.#byKey.size > 0 && this.#byKey.has(key)
  }

  /** Indices of the features of a key that failed. */
  of(key: string): ReadonlySet<number> {
    return this.#byKey.size === 0 ? NONE : (this.#byKey.get(key) ?? NONE)
  }

  /** The code of a feature threw. */
  fail(key: string, feature: number): void {
    this.counts[feature]! += 1
    this.mark(key, feature)
  }

  /** The feature is known to have failed. */
  mark(key: string, feature: number): void {
    const failed = this.#byKey.get(key)
    if (failed === undefined) this.#byKey.set(key, new Set([feature]))
    else failed.add(feature)
  }

  forget(key: string): void {
    this.#byKey.delete(key)
  }
}
