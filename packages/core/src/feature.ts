/**
 * Features: what a model reads about an entity, declared once. A feature view folds the events of an
 * entity into tiles of time, from which the value at any admissible moment is read; a feature
 * service names, in order, the features that a model reads. The features package computes both, in
 * the stream, in a request and in a training set, by the same code (docs/adr/0024-features.md).
 */
import type { EventDefinition, ItemDefinition, PersonDefinition } from './definition.ts'
import type { Duration } from './duration.ts'
import {
  featureBuilder,
  kindOfValue,
  type AnyTables,
  type FeatureBuilder,
  type FeatureDefinition,
  type FeatureKind,
  type FeatureValue,
} from './feature-builder.ts'
import type { Field, Fields, Infer, JsonSchema } from './schema.ts'
import type { CommonKey, FoldEvent, JoinedTables } from './view.ts'

type Tables = Readonly<Record<string, ItemDefinition>>

/**
 * A column of a row. `V`: its value; `Needs`: the entities that it is about, by kind, and
 * `context.<name>` for what the request tells.
 */
export interface RowFeature<V = unknown, Needs extends string = string> {
  readonly source: 'view' | 'attribute' | 'context' | 'derived' | 'crossed' | 'prepared'
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
  const definitions = options.features(featureBuilder as unknown as FeatureBuilder<E, J>)
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
  /** Served where the function throws or gives what is no such value. */
  readonly default: FeatureValue
  /** What its values are; undefined where an empty default does not tell. */
  readonly values: FeatureKind | undefined
  compute(values: never, context: { readonly atMs: number }): V
}

/** Derives a feature from others: a pure function of their values and of the moment. `list` says what an empty default is a list of. */
export function derive<const C extends Columns, V extends FeatureValue>(
  inputs: C,
  compute: (
    values: { readonly [N in keyof C]: ColumnValue<C[N]> },
    context: { readonly atMs: number },
  ) => V,
  options: { default: NoInfer<V>; list?: 'numbers' | 'texts' },
): DerivedFeature<V, ColumnNeeds<C[keyof C]>> {
  const values = kindOfValue(options.default) ?? options.list
  return { source: 'derived', inputs, default: options.default, values, compute }
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

/** A column that steps make from another one (`preparedService`). */
export interface StepsFeature<V = unknown, Needs extends string = string> extends RowFeature<
  V,
  Needs
> {
  readonly source: 'prepared'
  /** What its values are; undefined where the steps do not fit. */
  readonly values: FeatureKind | undefined
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

/** What the values of a column are; undefined where the definition does not tell, which `defineApp` refuses. */
export function kindOfColumn(column: RowFeature): FeatureKind | undefined {
  switch (column.source) {
    case 'view': {
      const { view, name } = column as ViewFeature
      return view.definitions[name]?.values
    }
    case 'attribute': {
      const { of, field } = column as AttributeFeature
      return kindOfSchema(of.fields[field]?.schema)
    }
    case 'context':
      return kindOfSchema((column as ContextFeature).field.schema)
    case 'derived':
      return (column as DerivedFeature).values
    case 'crossed':
      return 'number'
    case 'prepared':
      return (column as StepsFeature).values
  }
}

const KINDS: Readonly<Record<string, FeatureKind>> = {
  integer: 'number',
  number: 'number',
  boolean: 'number',
  string: 'text',
}

/** What the values of a field are; truths are numbers. Undefined for what is no feature. */
export function kindOfSchema(schema: JsonSchema | undefined): FeatureKind | undefined {
  const { type, items } = (schema ?? {}) as { type?: string; items?: { type?: string } }
  if (type !== 'array') return KINDS[type ?? '']
  if (items?.type === 'string') return 'texts'
  return items?.type === 'integer' || items?.type === 'number' ? 'numbers' : undefined
}
