/** Gathers how the values of one fold differ. */
import { canonicalText } from '../views/canonical.ts'
import type { CompareRequest, FieldDifference, FoldDifferences } from './contract.ts'
import { differentFields } from './fields.ts'

/** See the head of the file. */
export class Differences {
  readonly #fold: string
  readonly #samplesMax: number
  readonly #onDifference: CompareRequest['onDifference']
  readonly #counts = { keys: 0, changed: 0, added: 0, removed: 0 }
  readonly #fields = new Map<string, number>()
  readonly #samples: FieldDifference[] = []

  constructor(fold: string, samplesMax: number, onDifference: CompareRequest['onDifference']) {
    this.#fold = fold
    this.#samplesMax = samplesMax
    this.#onDifference = onDifference
  }

  /** A key was looked at. */
  async add(key: string, before: unknown, after: unknown): Promise<void> {
    this.#counts.keys += 1
    if (canonicalText([before]) === canonicalText([after])) return
    this.#counts[before === undefined ? 'added' : after === undefined ? 'removed' : 'changed'] += 1
    const different = differentFields(before, after)
    for (const name of new Set(different.map(({ field }) => field.replace(/\[\d+\]/g, '[]')))) {
      this.#fields.set(name, (this.#fields.get(name) ?? 0) + 1)
    }
    for (const field of different) {
      const difference = { fold: this.#fold, key, ...field }
      if (this.#samples.length < this.#samplesMax) this.#samples.push(difference)
      await this.#onDifference?.(difference)
    }
  }

  told(): FoldDifferences {
    const fields = Object.fromEntries([...this.#fields].sort())
    return { fold: this.#fold, ...this.#counts, fields, samples: this.#samples }
  }
}
