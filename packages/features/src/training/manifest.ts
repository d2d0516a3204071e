import type { FittedState } from '@millrace/core'

/** What a training set was made of: written beside its file, last. */
export interface Manifest {
  readonly format: number
  readonly trainingSet: string
  readonly app: string
  /** Fingerprint of the definition. */
  readonly definition: string
  readonly madeMs: number
  readonly rows: number
  readonly observations: {
    /** Events or rows of the file that could be observations. */
    readonly found: number
    readonly rows: number
    /** Left out: an entity has no id. */
    readonly withoutEntity: number
    /** Left out: the window of the label has not ended. */
    readonly immature: number
  }
  /** Ends of the log by `stream/partition`: nothing behind them is in the set. */
  readonly positions: Readonly<Record<string, number>>
  /** By column. */
  readonly features: Readonly<
    Record<
      string,
      {
        /** The view, or the kind of items or people. */
        readonly view: string
        /** `<view>.<feature>` or `<kind>.<attribute>`. */
        readonly feature: string
        readonly fingerprint: string
        /** How many rows were served what: a value, the default... */
        readonly served: Readonly<Record<string, number>>
      }
    >
  >
  /** By column; numbers for columns of numbers alone. */
  readonly columns: Readonly<
    Record<
      string,
      {
        readonly type: string
        readonly min: number | null
        readonly max: number | null
        readonly mean: number | null
        readonly missing: number
        /** Approximate (HyperLogLog). */
        readonly distinct: number
      }
    >
  >
  /** What the steps of the service have learnt; absent where it has none. */
  readonly fitted?: FittedState
  /** Records that were folded. */
  readonly folded: number
  /** Keys that were folded again, since the log has their records out of order or corrected. */
  readonly refolded: number
}
