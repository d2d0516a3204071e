/** What every retrieval model is once it was fitted: a function from histories to scores. */
import type { Floats, Ints } from '../kernels/workspace.ts'
import type { Events } from './events.ts'

/** The families of models. */
export type Family = 'popularity' | 'neighbours' | 'transitions' | 'spectral' | 'ease' | 'sequence' | 'als' // prettier-ignore

/** Settings by name, as reports show them. */
export type Settings = Readonly<Record<string, number>>

/** The learned arrays of a model by name: with family, settings and number of items all that it is. */
export type Parts = Readonly<Record<string, Floats | Ints>>

/** A fitted model. It knows no person: what it answers depends on the history that it is given. */
export interface Model {
  readonly family: Family
  readonly settings: Settings
  readonly parts: Parts
  /** Factors by which the scores of `score` are multiplied, by item. */
  readonly itemScale?: Floats
  /** Scores of all items for each row of `histories`, `items` numbers a row. */
  score(histories: Events, out: Floats): Promise<void>
  /** Gives its arrays back. */
  release(): void
}
