/**
 * Features: what a model reads about an entity, declared once. A feature view folds the events of an
 * entity into tiles of time, from which the value at any admissible moment is read; a feature
 * service names, in order, the features that a model reads. The features package computes both, in
 * the stream, in a request and in a training set, by the same code (docs/adr/0024-features.md).
 */
import type { EventDefinition, ItemDefinition, PersonDefinition } from './definition.ts'
import { durationMs, type Duration } from './duration.ts'
import type { Field, Fields, Infer } from './schema.ts'
import type { CommonKey, FoldEvent, JoinedTables } from './view.ts'

/**
 * What of time a feature looks at: the last so much of it (`'7d'`, in steps of a 24th), the
 * calendar-aligned span that the moment is in (`{ tumbling: '1d' }`), or all of it.
 */
export type FeatureWindow =
  'lifetime' | Duration | { sliding: Duration; step?: Duration } | { tumbling: Duration }

/** A window as tiles: `count` tiles of `stepMs` up to that of the moment; one tile that never ends for `lifetime`. */
export interface TiledWindow {
  readonly stepMs: number
  readonly count: number
}

/** Tiles of the default step: those of a window of seven days are seven hours long. */
const TILES = 24

/** Tiles of a window; throws DURATION_INVALID. */
export function tiledWindow(window: FeatureWindow): TiledWindow {
  if (window === 'lifetime') return { stepMs: Infinity, count: 1 }
  if (typeof window !== 'object') return tiledWindow({ sliding: window })
  if ('tumbling' in window) return { stepMs: durationMs(window.tumbling), count: 1 }
  const sizeMs = durationMs(window.sliding)
  const stepMs = window.step === undefined ? Math.ceil(sizeMs / TILES) : durationMs(window.step)
  return { stepMs, count: Math.ceil(sizeMs / stepMs) }
}

/** What a feature's value can be. */
export type FeatureValue = number | string | readonly number[] | readonly string[]

/** How the events of a window become a value. */
export type FeatureAggregation =
  | {
      readonly kind:
        'count' | 'sum' | 'ratio' | 'mean' | 'variance' | 'min' | 'max' | 'first' | 'last'
    }
  | { readonly kind: 'histogram'; readonly bounds: readonly number[] }
  /** With `per`, a rate: events in so much time. */
  | { readonly kind: 'decayed'; readonly halfLife: Duration; readonly per: Duration | undefined }

/** Joined tables of any view, as of the event's time. */
export type AnyTables = Readonly<Record<string, (id: string) => unknown>>

/** A field that events have, or what is computed of an event. Undefined: the event does not count. */
export type EventValue =
  string | { compute(event: FoldEvent<EventDefinition>, tables: AnyTables): unknown }['compute']

/** A feature of a view. */
export interface FeatureDefinition<V extends FeatureValue = FeatureValue> {
  readonly aggregation: FeatureAggregation
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

type NumberOptions<E extends EventDefinition, J extends Tables> = FeatureOptions<E, J, number> & {
  of: ValueOf<E, J, number>
}

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
  /** How many numbers there were below the first bound, from each bound to the next, and from the last on: a list. `bounds` ascend. Default: as many zeros. */
  histogram(
    options: FeatureOptions<E, J, readonly number[]> & {
      of: ValueOf<E, J, number>
      bounds: readonly number[]
    },
  ): FeatureDefinition<readonly number[]>
  /** The events of all time, or the numbers of them, each worth half as much after every `halfLife`. Default 0. */
  decayedCount(options: DecayedOptions<E, J>): FeatureDefinition<number>
  /** The same as a rate: what happens in so much time (`per`) of late. Default 0. */
  decayedRate(options: DecayedOptions<E, J> & { per: Duration }): FeatureDefinition<number>
  /** The sum of `of`, where true is 1, divided by that of `over` (default: the number of events). Default 0, also when it is divided by 0. */
  ratio(
    options: FeatureOptions<E, J, number> & {
      of: ValueOf<E, J, number | boolean>
      over?: ValueOf<E, J, number>
    },
  ): FeatureDefinition<number>
}

interface AnyOptions extends FeatureOptions<never, {}, FeatureValue> {
  of?: unknown
  over?: unknown
}

function feature(
  aggregation: FeatureAggregation,
  options: AnyOptions,
  fallback: FeatureValue,
): never {
  const { window, of, over, where, description } = options
  return {
    aggregation,
    window,
    of: of as EventValue | undefined,
    over: over as EventValue | undefined,
    ...(where === undefined ? {} : { where }),
    default: options.default ?? fallback,
    description,
  } satisfies FeatureDefinition as never
}

const builder: FeatureBuilder<never, {}> = {
  count: options => feature({ kind: 'count' }, options, 0),
  sum: options => feature({ kind: 'sum' }, options, 0),
  ratio: options => feature({ kind: 'ratio' }, options, 0),
  mean: options => feature({ kind: 'mean' }, options, 0),
  variance: options => feature({ kind: 'variance' }, options, 0),
  min: options => feature({ kind: 'min' }, options, 0),
  max: options => feature({ kind: 'max' }, options, 0),
  first: options => feature({ kind: 'first' }, options, 0),
  last: options => feature({ kind: 'last' }, options, 0),
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
}

/**
 * A column of a row. `V`: its value; `Needs`: the entities that it is about, by kind, and
 * `context.<name>` for what the request tells.
 */
export interface RowFeature<V = unknown, Needs extends string = string> {
  readonly source: 'view' | 'attribute' | 'context' | 'derived' | 'crossed'
  /** Only in the type system. */
  readonly valueType?: V
  /** Only in the type system. */
  readonly needsType?: Needs
}

/** A feature of a view, as services and derived features name it. `Kind`: its entity; `Pair`: what its entity is paired with. */
export interface ViewFeature<
  V = unknown,
  Kind extends string = string,
  Pair extends string = string,
> extends RowFeature<V, Kind | Pair> {
  readonly source: 'view'
  /** Only in the type system. */
  readonly pairType?: readonly [Kind, Pair]
  readonly view: AnyFeatureView
  readonly name: string
}

/** Texts under which a view keeps what it knows about its entity apart: the topics of a person's clips. */
export interface PairDefinition {
  /** What the texts are: `topic`. */
  readonly name: string
  /** At most so many for an entity; the least recently active goes first. */
  readonly max: number
  of(event: FoldEvent<EventDefinition>, tables: AnyTables): unknown
}

/** A declared feature view. `F`: its features by name; `Kind`: its entity; `Pair`: what that is paired with. */
export interface FeatureViewDefinition<
  F extends Readonly<Record<string, FeatureDefinition>> = Readonly<
    Record<string, FeatureDefinition>
  >,
  Kind extends string = string,
  Pair extends string = string,
> {
  readonly kind: 'feature-view'
  readonly from: readonly EventDefinition[]
  /** Field of every source event that gives the key. Another field than the event's own key re-keys the stream. */
  readonly key: string
  readonly join: Readonly<Record<string, ItemDefinition>>
  readonly pair: PairDefinition | undefined
  readonly definitions: F
  /** The features, to be named by services. */
  readonly features: {
    readonly [N in keyof F]: ViewFeature<
      F[N] extends FeatureDefinition<infer V> ? V : never,
      Kind,
      Pair
    >
  }
  /** Values whose newest event is older are marked as stale. */
  readonly freshness: Duration | undefined
  /** Values whose newest event is older are not served. */
  readonly ttl: Duration | undefined
  readonly owner: string | undefined
  readonly description: string | undefined
  readonly isPersonal: boolean
  /** Explicit version; a changed one is built anew. Default: a hash of the functions' source text. */
  readonly version: string | undefined
  /** The version before, which is served until a rebuild of this one is switched to. */
  readonly replaces: AnyFeatureView | undefined
}

/** Any declared feature view. */
export type AnyFeatureView = FeatureViewDefinition

type EntityOf<E extends EventDefinition, K extends string> =
  E extends EventDefinition<string, infer F>
    ? F[K] extends Field<unknown, boolean, infer Ref>
      ? Ref
      : never
    : never

/** Sub-keys that an entity has at most when a view does not say. */
const PAIRS_MAX = 100

/**
 * Declares a feature view: features of one entity over events of one stream. `features` is handed
 * what makes them. Functions must be pure; one that throws, or gives a number that is not finite,
 * marks its feature of that key as failed, and the others go on.
 */
export function featureView<
  const E extends EventDefinition,
  const K extends CommonKey<E>,
  const F extends Readonly<Record<string, FeatureDefinition>>,
  const J extends Tables = {},
  const P extends string = never,
>(options: {
  from: readonly E[]
  key: K
  /** Items whose attributes, as of the event's time, the functions may read. */
  join?: J
  /** Keeps the features of the entity apart by texts: person and topic. At most `max` (default 100) for an entity. */
  pair?: {
    name: P
    of: (event: FoldEvent<E>, tables: JoinedTables<J>) => string | readonly string[] | undefined
    max?: number
  }
  features: (make: FeatureBuilder<E, J>) => F
  freshness?: Duration
  ttl?: Duration
  owner?: string
  description?: string
  /** Default: true for features of people. */
  isPersonal?: boolean
  version?: string
  /** The version before: it is served until `millrace rebuild` switches to this one. Same key, same stream. */
  replaces?: AnyFeatureView
}): FeatureViewDefinition<F, EntityOf<E, K>, P> {
  const definitions = options.features(builder as unknown as FeatureBuilder<E, J>)
  const features: Record<string, ViewFeature> = {}
  const entity = options.from[0]?.fields[options.key]?.ref
  const { pair } = options
  const view = {
    kind: 'feature-view' as const,
    from: options.from,
    key: options.key,
    join: options.join ?? {},
    pair:
      pair === undefined ? undefined : { name: pair.name, max: pair.max ?? PAIRS_MAX, of: pair.of },
    definitions,
    features: features as never,
    freshness: options.freshness,
    ttl: options.ttl,
    owner: options.owner,
    description: options.description,
    isPersonal: options.isPersonal ?? entity === 'person',
    version: options.version,
    replaces: options.replaces,
  }
  for (const name of Object.keys(definitions)) features[name] = { source: 'view', view, name }
  return view
}

/** An attribute of the entity as of the position that the row reflects. */
export interface AttributeFeature<V = unknown, Needs extends string = string> extends RowFeature<
  V,
  Needs
> {
  readonly source: 'attribute'
  readonly of: ItemDefinition | PersonDefinition
  readonly field: string
  /** Served where the entity has no such attribute. */
  readonly default: FeatureValue
}

type AttributeValue<T> = [T] extends [boolean] ? number : [T] extends [FeatureValue] ? T : never

/** An attribute of items or people as a feature: numbers, texts, lists of them (embeddings); true is 1 and false is 0. */
export function attributeOf<
  const Name extends string,
  const F extends Fields,
  const K extends keyof F & string,
>(
  of: { readonly kind: 'item' | 'person'; readonly name: Name; readonly fields: F },
  field: K,
  options: { default?: AttributeValue<Exclude<Infer<F>[K & keyof Infer<F>], undefined>> } = {},
): AttributeFeature<AttributeValue<Exclude<Infer<F>[K & keyof Infer<F>], undefined>>, Name> {
  const fallback = options.default ?? defaultOf(of.fields[field])
  return {
    source: 'attribute',
    of: of as unknown as ItemDefinition,
    field,
    default: fallback,
  }
}

/** What the request itself tells: the hour, the device, the place in a session. */
export interface ContextFeature<V = unknown, Needs extends string = string> extends RowFeature<
  V,
  Needs
> {
  readonly source: 'context'
  readonly name: string
  readonly field: Field<unknown>
  /** Served where the request does not tell it. */
  readonly default: FeatureValue
}

/** A feature that the request tells under `name`. */
export function contextOf<const Name extends string, V extends FeatureValue | boolean>(
  name: Name,
  field: Field<V>,
  options: { default?: AttributeValue<V> } = {},
): ContextFeature<AttributeValue<V>, `context.${Name}`> {
  const fallback = options.default ?? defaultOf(field)
  return { source: 'context', name, field, default: fallback }
}

function defaultOf(field: Field<unknown> | undefined): FeatureValue {
  const type = field?.schema['type']
  if (type === 'string') return ''
  return type === 'array' ? [] : 0
}

type ColumnValue<R> = R extends RowFeature<infer V> ? V : never
type ColumnNeeds<R> = R extends RowFeature<unknown, infer Needs> ? Needs : never
type Columns = Readonly<Record<string, RowFeature>>

/** A pure function over other features. */
export interface DerivedFeature<V = unknown, Needs extends string = string> extends RowFeature<
  V,
  Needs
> {
  readonly source: 'derived'
  readonly inputs: Columns
  /** Served where the function throws or gives a number that is not finite. */
  readonly default: FeatureValue
  compute(values: never, context: { readonly atMs: number }): V
}

/** Derives a feature from others: a pure function of their values and of the moment. */
export function derive<const C extends Columns, V extends FeatureValue>(
  inputs: C,
  compute: (
    values: { readonly [N in keyof C]: ColumnValue<C[N]> },
    context: { readonly atMs: number },
  ) => V,
  options: { default: NoInfer<V> },
): DerivedFeature<V, ColumnNeeds<C[keyof C]>> {
  return { source: 'derived', inputs, default: options.default, compute }
}

/** A feature of a pair, read for each text that another feature gives. */
export interface CrossedFeature<V = unknown, Needs extends string = string> extends RowFeature<
  V,
  Needs
> {
  readonly source: 'crossed'
  readonly feature: ViewFeature
  readonly over: RowFeature
  readonly reduce: 'max' | 'sum' | 'mean'
}

/**
 * Reads a feature of pairs (person and topic) for each text that another one gives (the topics of
 * the clip): the greatest value, the sum, or the mean. Without texts, the default of the feature.
 */
export function crossed<Kind extends string, Pair extends string, Over extends string>(
  feature: ViewFeature<number, Kind, Pair>,
  over: RowFeature<string | readonly string[], Over>,
  reduce: 'max' | 'sum' | 'mean',
): CrossedFeature<number, Kind | Over> {
  return { source: 'crossed', feature, over, reduce }
}

/** A declared feature service. `C`: its columns in order. */
export interface FeatureServiceDefinition<C extends Columns = Columns> {
  readonly kind: 'feature-service'
  /** The kinds of the entities that a row is about. */
  readonly entities: readonly string[]
  readonly columns: C
  readonly owner: string | undefined
  readonly description: string | undefined
}

/** Any declared feature service. */
export type AnyFeatureService = FeatureServiceDefinition

/** Declares what a model reads: features in order, of one entity of each of `entities`. */
export function featureService<
  const Kind extends string,
  const C extends Readonly<Record<string, RowFeature<FeatureValue, Kind | `context.${string}`>>>,
>(options: {
  entities: readonly Kind[]
  features: C
  owner?: string
  description?: string
}): FeatureServiceDefinition<C> {
  const { entities, features: columns, owner, description } = options
  return { kind: 'feature-service', entities, columns, owner, description }
}

/** The row that a model receives from a service. */
export type FeatureRow<S extends AnyFeatureService> = {
  readonly [N in keyof S['columns']]: ColumnValue<S['columns'][N]>
}
