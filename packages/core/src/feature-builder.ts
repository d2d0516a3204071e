/** What makes the features of a view: how events become a value (docs/features.md has sizes and errors). */
import type { EventDefinition, ItemDefinition } from './definition.ts'
import type { Duration } from './duration.ts'
import type { FeatureWindow } from './feature-window.ts'
import type { FoldEvent, JoinedTables, Json } from './view.ts'

/** What a feature's value can be. */
export type FeatureValue = number | string | readonly number[] | readonly string[]

/** The same by name. */
export type FeatureKind = 'number' | 'text' | 'numbers' | 'texts'

/** What kind a value is; undefined for an empty list, and for what is no value of a feature. */
export function kindOfValue(value: unknown): FeatureKind | undefined {
  if (typeof value === 'number') return 'number'
  if (typeof value === 'string') return 'text'
  if (!Array.isArray(value) || value.length === 0) return undefined
  if (value.every(each => typeof each === 'number')) return 'numbers'
  return value.every(each => typeof each === 'string') ? 'texts' : undefined
}

/** True when a value is of a kind, and its numbers are finite. */
export function isOfKind(value: unknown, kind: FeatureKind): boolean {
  if (kind === 'number') return Number.isFinite(value)
  if (kind === 'text') return typeof value === 'string'
  const isElement = kind === 'numbers' ? Number.isFinite : (each: unknown) => typeof each === 'string' // prettier-ignore
  return Array.isArray(value) && value.every(isElement)
}

/** An aggregation of a team's own. `S`: its state, which is JSON; `T`: what it takes of an event. All functions are pure. */
export interface CustomAggregation<S = Json, T = unknown, V extends FeatureValue = FeatureValue> {
  /** The state before the first event. */
  init(this: void): S
  /** The state with one more event, which `of` gave `value` of; events of a tile come in the order of the log. */
  add(this: void, state: S, value: T, event: { readonly atMs: number }): S
  /** The state of a span of time and of a later one as that of both. */
  merge(this: void, earlier: S, later: S): S
  /** The value at a moment; undefined: the default. */
  read(this: void, state: S, moment: { readonly atMs: number }): V | undefined
}

/** How the events of a window become a value. */
export type FeatureAggregation =
  | {
      readonly kind:
        | 'count'
        | 'sum'
        | 'ratio'
        | 'mean'
        | 'variance'
        | 'min'
        | 'max'
        | 'first'
        | 'last'
        | 'firstText'
        | 'lastText'
        | 'span'
    }
  | { readonly kind: 'lastNumbers' | 'lastTexts'; readonly n: number }
  | { readonly kind: 'histogram'; readonly bounds: readonly number[] }
  /** With `per`, a rate: events in so much time. */
  | { readonly kind: 'decayed'; readonly halfLife: Duration; readonly per: Duration | undefined }
  /** `error`: the standard error, relative. */
  | { readonly kind: 'distinct'; readonly error: number }
  /** `error`: the greatest error, relative. */
  | { readonly kind: 'quantile'; readonly q: number; readonly error: number }
  | { readonly kind: 'quantiles'; readonly q: readonly number[]; readonly error: number }
  /** `capacity`: texts that are counted at once. */
  | { readonly kind: 'topTexts'; readonly k: number; readonly capacity: number }
  | { readonly kind: 'sessions'; readonly gap: Duration }
  | ({ readonly kind: 'custom' } & CustomAggregation)

/** Joined tables of any view, as of the event's time. */
export type AnyTables = Readonly<Record<string, (id: string) => unknown>>

/** A field that events have, or what is computed of an event. Undefined: the event does not count. */
export type EventValue =
  string | { compute(event: FoldEvent<EventDefinition>, tables: AnyTables): unknown }['compute']

/** A feature of a view. */
export interface FeatureDefinition<V extends FeatureValue = FeatureValue> {
  readonly aggregation: FeatureAggregation
  /** What its values are; undefined where an empty default does not tell. */
  readonly values: FeatureKind | undefined
  readonly window: FeatureWindow
  /** What is aggregated; undefined where events are counted. */
  readonly of: EventValue | undefined
  /** Of a ratio: what it is divided by; undefined: the number of events. */
  readonly over: EventValue | undefined
  // A method, not a function field: a feature of any events is then assignable.
  where?(event: FoldEvent<EventDefinition>, tables: AnyTables): unknown
  /** Served where there is no event in the window, and where the value is expired or failed. */
  readonly default: V
  readonly description: string | undefined
}

type Tables = Readonly<Record<string, ItemDefinition>>
type FieldOf<E extends EventDefinition, T> =
  E extends EventDefinition<string, infer F>
    ? {
        [K in keyof F & string]: Exclude<F[K]['valueType'], undefined> extends T ? K : never
      }[keyof F & string]
    : never

/** A field of such values that some of the events have, or a pure function of the event and the tables as of its time. */
export type ValueOf<E extends EventDefinition, J extends Tables, T> =
  FieldOf<E, T> | ((event: FoldEvent<E>, tables: JoinedTables<J>) => T | undefined)

interface FeatureOptions<E extends EventDefinition, J extends Tables, V> {
  window: FeatureWindow
  /** Which events count; a pure function. Default: all. */
  where?: (event: FoldEvent<E>, tables: JoinedTables<J>) => boolean
  default?: V
  description?: string
}

type OfOptions<E extends EventDefinition, J extends Tables, T, V> = FeatureOptions<E, J, V> & {
  of: ValueOf<E, J, T>
}
type NumberOptions<E extends EventDefinition, J extends Tables> = OfOptions<E, J, number, number>

type DecayedOptions<E extends EventDefinition, J extends Tables> = Omit<
  FeatureOptions<E, J, number>,
  'window'
> & { halfLife: Duration; of?: ValueOf<E, J, number> }

/** Makes the features of a view; `E`: its events, `J`: the tables that it joins. */
export interface FeatureBuilder<E extends EventDefinition, J extends Tables> {
  /** How many events there were. Default 0. */
  count(options: FeatureOptions<E, J, number>): FeatureDefinition<number>
  /** The sum of numbers. Default 0. */
  sum(options: NumberOptions<E, J>): FeatureDefinition<number>
  /** The mean of numbers. Default 0. */
  mean(options: NumberOptions<E, J>): FeatureDefinition<number>
  /** The variance of all numbers, not of a sample of them. Default 0. */
  variance(options: NumberOptions<E, J>): FeatureDefinition<number>
  /** The least number. Default 0. */
  min(options: NumberOptions<E, J>): FeatureDefinition<number>
  /** The greatest number. Default 0. */
  max(options: NumberOptions<E, J>): FeatureDefinition<number>
  /** The number of the first event by its time. Default 0. */
  first(options: NumberOptions<E, J>): FeatureDefinition<number>
  /** The number of the last event by its time. Default 0. */
  last(options: NumberOptions<E, J>): FeatureDefinition<number>
  /** The text of the first event by its time: an id, a device. Default ''. */
  firstText(options: OfOptions<E, J, string, string>): FeatureDefinition<string>
  /** The text of the last event by its time. Default ''. */
  lastText(options: OfOptions<E, J, string, string>): FeatureDefinition<string>
  /** The numbers of the last `n` events (at most 1,000) by their time, the oldest first. Default: none. */
  lastNumbers(
    options: OfOptions<E, J, number, readonly number[]> & { n: number },
  ): FeatureDefinition<readonly number[]>
  /** The texts of the last `n` events (at most 1,000) by their time, the oldest first: ids, a sequence. Default: none. */
  lastTexts(
    options: OfOptions<E, J, string, readonly string[]> & { n: number },
  ): FeatureDefinition<readonly string[]>
  /** How many numbers there were below the first bound, from each bound to the next, and from the last on: a list. `bounds` ascend. Default: as many zeros. */
  histogram(
    options: OfOptions<E, J, number, readonly number[]> & { bounds: readonly number[] },
  ): FeatureDefinition<readonly number[]>
  /** The events of all time, or the numbers of them, each worth half as much after every `halfLife`. Default 0. */
  decayedCount(options: DecayedOptions<E, J>): FeatureDefinition<number>
  /** The same as a rate: what happens in so much time (`per`) of late. Default 0. */
  decayedRate(options: DecayedOptions<E, J> & { per: Duration }): FeatureDefinition<number>
  /** The sum of `of`, where true is 1, divided by that of `over` (default: the number of events). Default 0, also when it is divided by 0. */
  ratio(
    options: OfOptions<E, J, number | boolean, number> & { over?: ValueOf<E, J, number> },
  ): FeatureDefinition<number>
  /** How many different values there were, with a relative standard error of `error`, 0.008 to 0.26 (default 0.025); few are counted exactly. Default 0. */
  distinct(
    options: OfOptions<E, J, string | number | boolean, number> & { error?: number },
  ): FeatureDefinition<number>
  /** The number that a share `q` (0 to 1) of all numbers is not above, within `error` of it, 0.001 to 0.2 (default 0.01). Magnitudes are 1e-9 to 1e15. Default 0. */
  quantile(options: NumberOptions<E, J> & { q: number; error?: number }): FeatureDefinition<number>
  /** The same of several shares: a list. Default: as many zeros. */
  quantiles(
    options: OfOptions<E, J, number, readonly number[]> & { q: readonly number[]; error?: number },
  ): FeatureDefinition<readonly number[]>
  /** The `k` most frequent texts, at most 100, the most frequent first. A text is undercounted by less than events / `capacity` (default 10 `k`), and not at all while there are no more different ones. Default: none. */
  topTexts(
    options: OfOptions<E, J, string, readonly string[]> & { k: number; capacity?: number },
  ): FeatureDefinition<readonly string[]>
  /** Milliseconds from the first event to the last one: in a window of a session, its length so far. Default 0. */
  span(options: FeatureOptions<E, J, number>): FeatureDefinition<number>
  /** How many sessions there were: events none of which is further than `gap` from the one before. Default 0. */
  sessions(options: FeatureOptions<E, J, number> & { gap: Duration }): FeatureDefinition<number>
  /**
   * An aggregation of your own: a state that is JSON, and four pure functions. `list` says what an
   * empty default is a list of. One that throws marks the feature of that key as failed.
   */
  custom<S, T, V extends FeatureValue>(
    options: Omit<OfOptions<E, J, T, NoInfer<V>>, 'of' | 'default'> &
      CustomAggregation<S, T, V> & {
        of: (event: FoldEvent<E>, tables: JoinedTables<J>) => T | undefined
        default: NoInfer<V>
        list?: 'numbers' | 'texts'
      },
  ): FeatureDefinition<V>
}

interface AnyOptions extends FeatureOptions<never, {}, FeatureValue> {
  of?: unknown
  over?: unknown
}

function feature(
  aggregation: FeatureAggregation,
  options: AnyOptions,
  fallback: FeatureValue,
  values: FeatureKind | undefined = kindOfValue(fallback),
): never {
  const { window, of, over, where, description } = options
  return {
    aggregation,
    values,
    window,
    of: of as EventValue | undefined,
    over: over as EventValue | undefined,
    ...(where === undefined ? {} : { where }),
    default: options.default ?? fallback,
    description,
  } satisfies FeatureDefinition as never
}

const DISTINCT_ERROR = 0.025
const QUANTILE_ERROR = 0.01
const COUNTED_TEXTS = 10

/** The only builder: what features are of is in the types alone. */
export const featureBuilder: FeatureBuilder<never, {}> = {
  count: options => feature({ kind: 'count' }, options, 0),
  sum: options => feature({ kind: 'sum' }, options, 0),
  ratio: options => feature({ kind: 'ratio' }, options, 0),
  mean: options => feature({ kind: 'mean' }, options, 0),
  variance: options => feature({ kind: 'variance' }, options, 0),
  min: options => feature({ kind: 'min' }, options, 0),
  max: options => feature({ kind: 'max' }, options, 0),
  first: options => feature({ kind: 'first' }, options, 0),
  last: options => feature({ kind: 'last' }, options, 0),
  firstText: options => feature({ kind: 'firstText' }, options, ''),
  lastText: options => feature({ kind: 'lastText' }, options, ''),
  lastNumbers: ({ n, ...options }) => feature({ kind: 'lastNumbers', n }, options, [], 'numbers'),
  lastTexts: ({ n, ...options }) => feature({ kind: 'lastTexts', n }, options, [], 'texts'),
  histogram: options =>
    feature(
      { kind: 'histogram', bounds: options.bounds },
      options,
      [...options.bounds, 0].map(() => 0),
    ),
  decayedCount: ({ halfLife, ...options }) =>
    feature({ kind: 'decayed', halfLife, per: undefined }, { ...options, window: 'lifetime' }, 0),
  decayedRate: ({ halfLife, per, ...options }) =>
    feature({ kind: 'decayed', halfLife, per }, { ...options, window: 'lifetime' }, 0),
  distinct: ({ error = DISTINCT_ERROR, ...options }) =>
    feature({ kind: 'distinct', error }, options, 0),
  quantile: ({ q, error = QUANTILE_ERROR, ...options }) =>
    feature({ kind: 'quantile', q, error }, options, 0),
  quantiles: ({ q, error = QUANTILE_ERROR, ...options }) =>
    feature({ kind: 'quantiles', q, error }, options, [...q].map(() => 0), 'numbers'), // prettier-ignore
  topTexts: ({ k, capacity = COUNTED_TEXTS * k, ...options }) =>
    feature({ kind: 'topTexts', k, capacity }, options, [], 'texts'),
  span: options => feature({ kind: 'span' }, options, 0),
  sessions: ({ gap, ...options }) => feature({ kind: 'sessions', gap }, options, 0),
  custom: ({ init, add, merge, read, list, ...options }) =>
    feature(
      { kind: 'custom', init, add, merge, read } as unknown as FeatureAggregation,
      options,
      options.default,
      kindOfValue(options.default) ?? list,
    ),
}
