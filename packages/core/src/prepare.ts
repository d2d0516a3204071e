/**
 * Preprocessing: columns of a feature service made fit for a model by declared steps. What a step has
 * to know of the data - a median, a scale, the categories - is fitted on the rows of a training set and
 * on nothing else, kept with it and with the model, and given back to the definition as `fitted`; one
 * function applies the steps to training rows and to served ones (docs/preprocessing.md).
 */
import {
  featureService,
  kindOfColumn,
  type AnyFeatureService,
  type FeatureServiceDefinition,
  type RowFeature,
  type StepsFeature,
} from './feature.ts'
import type { FeatureKind, FeatureValue } from './feature-builder.ts'
import { deriveId } from './ids.ts'

/** What stands for a value that is missing: the default of the feature was served, since there was none. */
export type ImputeBy = 'mean' | 'median' | 'frequent'

/** One step. What it learns is in the `StepFit` at its place. */
export type PrepareStep =
  | { readonly kind: 'impute'; readonly with: ImputeBy }
  | { readonly kind: 'impute'; readonly with: 'constant'; readonly value: number | string }
  | { readonly kind: 'isMissing' | 'log1p' | 'standard' | 'minMax' | 'robust' }
  | { readonly kind: 'clip'; readonly min: number; readonly max: number }
  | { readonly kind: 'winsorize'; readonly low: number; readonly high: number }
  | { readonly kind: 'oneHot' | 'ordinal'; readonly max: number }
  | { readonly kind: 'hash'; readonly buckets: number }

/** What a step has learnt; null for one that learns nothing. */
export type StepFit =
  | null
  | {
      readonly value: number | string
      /** By the text of the group; one that is not here has `value`. */
      readonly byGroup?: Readonly<Record<string, number | string>>
    }
  | { readonly min: number; readonly max: number }
  | { readonly shift: number; readonly scale: number }
  /** The most frequent first. */
  | { readonly categories: readonly string[] }

/** What the steps of a column have learnt. */
export interface FittedColumn {
  /** The steps that learnt it, as a text. */
  readonly steps: string
  /** Fingerprint of the feature that the column is made from, where it has one. */
  readonly input: string
  readonly fits: readonly StepFit[]
}

/** What the steps of a service have learnt on a training set: JSON, to be kept beside the model and given to `preparedService`. */
export interface FittedState {
  readonly format: number
  readonly trainingSet: string
  /** Rows that it was learnt from. */
  readonly rows: number
  /** Of all that is learnt: a model pins it. */
  readonly fingerprint: string
  readonly columns: Readonly<Record<string, FittedColumn>>
}

/** A column that is made by steps from another one. */
export interface PreparedFeature<V = unknown, Needs extends string = string> extends StepsFeature<
  V,
  Needs
> {
  readonly input: RowFeature
  /** Name of the input in the service that is prepared. */
  readonly inputName: string
  /** Whose values are the groups of an imputation, and its name. */
  readonly by: RowFeature | undefined
  readonly byName: string | undefined
  readonly steps: readonly PrepareStep[]
  /** Undefined: only training sets can be made of it. */
  readonly fitted: FittedColumn | undefined
}

type Needed<R> = R extends RowFeature<unknown, infer Needs> ? Needs : never

/** Steps of a column of numbers. Each gives the column with one step more. */
export interface NumberSteps<Needs extends string = string> extends PreparedFeature<number, Needs> {
  /** Fills in what is missing by what is learnt, of the group of another column where one is given; the first step. */
  impute<B extends string = never>(
    by: ImputeBy,
    options?: { by?: PreparedFeature<string, B> },
  ): NumberSteps<Needs | B>
  /** Fills in what is missing by a number. */
  imputeConstant(value: number): NumberSteps<Needs>
  /** 1 where the value is missing, 0 where it is there; the only step. */
  isMissing(): NumberSteps<Needs>
  /** The logarithm of 1 + x; of a number below 0 that of its magnitude, below 0. */
  log1p(): NumberSteps<Needs>
  /** No less than `min`, no more than `max`. */
  clip(bounds: { min: number; max: number }): NumberSteps<Needs>
  /** The same by learnt quantiles, such as 0.01 and 0.99. */
  winsorize(shares: { low: number; high: number }): NumberSteps<Needs>
  /** Less the mean, in standard deviations. */
  standard(): NumberSteps<Needs>
  /** From 0 at the least to 1 at the greatest that was learnt. */
  minMax(): NumberSteps<Needs>
  /** Less the median, in distances of the quartiles. */
  robust(): NumberSteps<Needs>
}

/** Steps of a column of texts. */
export interface TextSteps<Needs extends string = string> extends PreparedFeature<string, Needs> {
  /** Fills in what is missing by the most frequent text, of the group of another column where one is given; the first step. */
  impute<B extends string = never>(
    by: 'frequent',
    options?: { by?: PreparedFeature<string, B> },
  ): TextSteps<Needs | B>
  /** Fills in what is missing by a text. */
  imputeConstant(value: string): TextSteps<Needs>
  /** 1 where the value is missing, 0 where it is there; the only step. */
  isMissing(): PreparedFeature<number, Needs>
  /** A list of 0 and 1: a place for each of the `max` (default 100) most frequent categories, then one for all others. */
  oneHot(options?: { max?: number }): PreparedFeature<readonly number[], Needs>
  /** The place of the category among the `max` (default 1,000) most frequent, from 1; 0 for all others. */
  ordinal(options?: { max?: number }): PreparedFeature<number, Needs>
  /** One of so many numbers, from 0, by a hash: learns nothing, and knows every category. */
  hash(buckets: number): PreparedFeature<number, Needs>
}

type StepsOf<R> =
  R extends RowFeature<infer V, infer Needs>
    ? [V] extends [number]
      ? NumberSteps<Needs>
      : [V] extends [string]
        ? TextSteps<Needs>
        : R
    : never

type Columns = Readonly<Record<string, RowFeature>>

const ONE_HOT_MAX = 100
const ORDINAL_MAX = 1_000

/**
 * Declares a service of prepared columns. `features` is handed the columns of `from`, each with the
 * steps that its values can take; lists pass as they are. Without `fitted` training sets can be made
 * of it, and that writes what is to be given here.
 */
export function preparedService<
  const S extends AnyFeatureService,
  const C extends Readonly<Record<string, RowFeature<FeatureValue, Needed<S['columns'][keyof S['columns']]>>>>, // prettier-ignore
>(options: {
  from: S
  features: (columns: { readonly [N in keyof S['columns']]: StepsOf<S['columns'][N]> }) => C
  fitted?: FittedState
  owner?: string
  description?: string
}): FeatureServiceDefinition<C> & { readonly fitted: FittedState | undefined } {
  const { from, features, fitted, owner, description } = options
  const given = Object.entries(from.columns).map(([name, column]) => {
    const kind = kindOfColumn(column)
    const isPlain = kind === 'number' || kind === 'text'
    return [name, isPlain ? stepsOf({ input: column, inputName: name, by: undefined, byName: undefined, steps: [], values: kind }) : column] // prettier-ignore
  })
  const made = features(Object.fromEntries(given) as never)
  const columns = Object.entries(made).map(([name, column]) => [
    name,
    column.source === 'prepared' ? { ...column, fitted: fitted?.columns[name] } : column,
  ])
  const service = featureService({
    entities: from.entities,
    features: Object.fromEntries(columns) as never,
    ...(owner === undefined ? {} : { owner }),
    ...(description === undefined ? {} : { description }),
  })
  return { ...service, fitted }
}

type Made = Omit<PreparedFeature, 'source' | 'fitted' | 'valueType' | 'needsType'>

function stepsOf(made: Made): unknown {
  const then = (step: PrepareStep, more: Partial<Made> = {}): unknown =>
    stepsOf({
      ...made,
      ...more,
      steps: [...made.steps, step],
      values: kindAfter(step, made.values),
    })
  const plain = (kind: 'isMissing' | 'log1p' | 'standard' | 'minMax' | 'robust') => () => then({ kind }) // prettier-ignore
  return {
    ...made,
    source: 'prepared',
    fitted: undefined,
    impute: (by: ImputeBy, { by: group }: { by?: PreparedFeature } = {}) =>
      then({ kind: 'impute', with: by }, { by: group?.input, byName: group?.inputName }),
    imputeConstant: (value: number | string) => then({ kind: 'impute', with: 'constant', value }),
    isMissing: plain('isMissing'),
    log1p: plain('log1p'),
    clip: ({ min, max }: { min: number; max: number }) => then({ kind: 'clip', min, max }),
    winsorize: ({ low, high }: { low: number; high: number }) => then({ kind: 'winsorize', low, high }), // prettier-ignore
    standard: plain('standard'),
    minMax: plain('minMax'),
    robust: plain('robust'),
    oneHot: ({ max = ONE_HOT_MAX }: { max?: number } = {}) => then({ kind: 'oneHot', max }),
    ordinal: ({ max = ORDINAL_MAX }: { max?: number } = {}) => then({ kind: 'ordinal', max }),
    hash: (buckets: number) => then({ kind: 'hash', buckets }),
  }
}

/** What a step gives. */
export function kindAfter(
  { kind }: PrepareStep,
  before: FeatureKind | undefined,
): FeatureKind | undefined {
  if (kind === 'oneHot') return 'numbers'
  return kind === 'impute' ? before : 'number'
}

/** The columns of a service that are made by steps, by name. */
export function preparedColumns({
  columns,
}: AnyFeatureService): ReadonlyMap<string, PreparedFeature> {
  // prettier-ignore
  return new Map(
    Object.entries(columns as Columns).flatMap(([name, column]) =>
      column.source === 'prepared' ? [[name, column as PreparedFeature] as const] : [],
    ),
  )
}

/** True for a service whose rows cannot be served yet: its steps have learnt nothing. */
export function isUnfitted(service: AnyFeatureService): boolean {
  return [...preparedColumns(service).values()].some(({ fitted }) => fitted === undefined)
}

/** The steps of a column as a text: what was learnt holds for these alone. */
export function stepsText({ steps, byName, inputName }: PreparedFeature): string {
  return JSON.stringify([inputName, steps, byName ?? null])
}

/** Fingerprint of what was learnt. */
export function fittedFingerprint(columns: FittedState['columns']): string {
  return deriveId(0, JSON.stringify(columns)).slice(-12)
}
