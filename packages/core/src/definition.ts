/**
 * The app definition: what a team declares once. Everything else - streams, validation, HTTP
 * schemas, the client's types, views, surfaces - follows from it.
 */
import type { CheckDefinition } from './check.ts'
import type { Duration } from './duration.ts'
import type { AnyFeatureService, AnyFeatureView } from './feature.ts'
import type { RankerDefinition } from './ranker.ts'
import type { Fields, IdFields, Infer } from './schema.ts'
import type { TrainingSetDefinition } from './training-set.ts'
import type { CompatibilityLevel, Upcaster, Upcasters } from './upcast.ts'
import type { AnyView } from './view.ts'

/** An event type: fields, and the id field by which its records are ordered. */
export interface EventDefinition<
  Name extends string = string,
  F extends Fields = Fields,
  Key extends string = string,
> {
  readonly kind: 'event'
  readonly name: Name
  readonly fields: F
  /** The field that gives the partition key. */
  readonly key: Key
  /** The stream: the entity kind of the key. Event types with the same key entity share it, so that their order is one. */
  readonly stream: string
  readonly description: string | undefined
  /** How far its changes must keep earlier events readable; undefined: that of the app. */
  readonly compatibility?: CompatibilityLevel | undefined
  /** How events of earlier shapes are read, oldest first. */
  readonly upcasters?: readonly Upcaster[]
}

/** Declares an event type. `key` names a required id field; its entity kind names the stream. */
export function event<
  const Name extends string,
  const F extends Fields,
  const Key extends IdFields<F>,
>(
  name: Name,
  fields: F,
  options: {
    key: Key
    description?: string
    /** Default: that of the app. */
    compatibility?: CompatibilityLevel
    /** Made by `upcastFrom`: how events of earlier shapes are read as of this one. */
    upcast?: Upcasters<NoInfer<Infer<F>>>
  },
): EventDefinition<Name, F, Key> {
  return {
    kind: 'event',
    name,
    fields,
    key: options.key,
    stream: fields[options.key]?.ref ?? '',
    description: options.description,
    compatibility: options.compatibility,
    upcasters: options.upcast?.steps ?? [],
  }
}

/** A kind of item: what surfaces show. Kept as a versioned table, changed by `<name>.put` and `<name>.removed` events. */
export interface ItemDefinition<Name extends string = string, F extends Fields = Fields> {
  readonly kind: 'item'
  readonly name: Name
  readonly fields: F
  readonly description: string | undefined
  /** How attributes of earlier shapes are read, oldest first. */
  readonly upcasters?: readonly Upcaster[]
}

/** Declares a kind of item. An item's id is not one of its fields. */
export function item<const Name extends string, const F extends Fields>(
  name: Name,
  fields: F,
  options: { description?: string; upcast?: Upcasters<NoInfer<Infer<F>>> } = {},
): ItemDefinition<Name, F> {
  const upcasters = options.upcast?.steps ?? []
  return { kind: 'item', name, fields, description: options.description, upcasters }
}

/** What is kept about people beside what they do; the entity kind `person`. */
export interface PersonDefinition<F extends Fields = Fields> {
  readonly kind: 'person'
  readonly name: 'person'
  readonly fields: F
  readonly description: string | undefined
  /** How attributes of earlier shapes are read, oldest first. */
  readonly upcasters?: readonly Upcaster[]
}

/** Declares the attributes of people. */
export function person<const F extends Fields>(
  fields: F,
  options: { description?: string; upcast?: Upcasters<NoInfer<Infer<F>>> } = {},
): PersonDefinition<F> {
  const upcasters = options.upcast?.steps ?? []
  return { kind: 'person', name: 'person', fields, description: options.description, upcasters }
}

/** What an event says about a person's interest in an item. */
export interface SignalDefinition<E extends EventDefinition = EventDefinition> {
  readonly event: E
  /** Field with the person's id. */
  readonly person: string
  /** Field with the item's id. */
  readonly item: string
  /** The item kind that the field names. */
  readonly itemKind: string
  /** Strength: 1 is an ordinary interaction; 0 or less tells that the person does not want it. */
  readonly weight: (data: never) => number
}

/**
 * Declares that an event is a signal of interest. `weight` is a pure function of the event's data
 * (default 1).
 */
export function signal<
  const E extends EventDefinition,
  const Item extends IdFields<E['fields']>,
  const Person extends IdFields<E['fields'], 'person'> = E['key'] & IdFields<E['fields'], 'person'>,
>(
  event: E,
  options: {
    item: Item
    person?: Person
    weight?: number | ((data: Infer<E['fields']>) => number)
  },
): SignalDefinition<E> {
  const weight = options.weight ?? 1
  return {
    event,
    person: options.person ?? event.key,
    item: options.item,
    itemKind: event.fields[options.item]?.ref ?? '',
    weight: typeof weight === 'number' ? () => weight : weight,
  }
}

/** Sources that every installation has. */
export type SourceName = 'forYou' | 'because' | 'trending' | 'popular' | 'fresh'
/** Filters that every installation has: `seen` leaves out what the person acted on, `disliked` what they turned down. */
export type FilterName = 'seen' | 'disliked'

/** A stage that a module or a team adds; made by `defineSource`, `defineFilter`... of the recommendations module. */
export interface StageReference {
  readonly stage: 'source' | 'filter' | 'scorer' | 'reranker' | 'effect'
  readonly name: string
  /** The source text of its function: tells two versions apart. */
  readonly code?: string
}

type ItemFieldName<I extends ItemDefinition> = I extends ItemDefinition
  ? keyof I['fields'] & string
  : never

/** A surface: a place where recommendations are shown, as named stages. */
export interface SurfaceDefinition<I extends ItemDefinition = ItemDefinition> {
  readonly kind: 'surface'
  readonly items: readonly I[]
  readonly sources: readonly (SourceName | StageReference)[]
  readonly filters: readonly (FilterName | StageReference)[]
  readonly scorers: readonly StageReference[]
  /** What scores the candidates in place of the sources, which then only propose them. */
  readonly ranker: RankerDefinition | undefined
  readonly rerankers: readonly StageReference[]
  readonly effects: readonly StageReference[]
  /** At most `max` items of one slate may share a value of `field`. */
  readonly limits: readonly { readonly field: string; readonly max: number }[]
  /** The chance, per slot, that the runtime puts an item from outside the best there. In [0, 1]. */
  readonly explore: number
  readonly size: { readonly default: number; readonly max: number }
  readonly description: string | undefined
}

/** Declares a surface. Without `sources` all built-in ones are used; without a `ranker` their weighted scores rank. */
export function surface<const I extends ItemDefinition>(options: {
  items: I | readonly I[]
  sources?: readonly (SourceName | StageReference)[]
  filters?: readonly (FilterName | StageReference)[]
  scorers?: readonly StageReference[]
  ranker?: RankerDefinition
  rerankers?: readonly StageReference[]
  effects?: readonly StageReference[]
  limits?: readonly { field: ItemFieldName<I>; max: number }[]
  explore?: number
  size?: { default?: number; max?: number }
  description?: string
}): SurfaceDefinition<I> {
  const items = Array.isArray(options.items) ? options.items : [options.items]
  return {
    kind: 'surface',
    items: items as readonly I[],
    sources: options.sources ?? ['forYou', 'because', 'trending', 'popular', 'fresh'],
    filters: options.filters ?? ['seen', 'disliked'],
    scorers: options.scorers ?? [],
    ranker: options.ranker,
    rerankers: options.rerankers ?? [],
    effects: options.effects ?? [],
    limits: options.limits ?? [],
    explore: options.explore ?? 0,
    size: { default: options.size?.default ?? 20, max: options.size?.max ?? 100 },
    description: options.description,
  }
}

/** A module that extends the product; its full contract is `defineModule` of the product package. */
export interface ModuleReference {
  readonly name: string
  readonly events?: readonly EventDefinition[]
}

/** When a changeset needs the approval of others before it is applied. */
export interface ApprovalRule {
  /** Changesets of this kind alone, such as `catalogue`. Default: all. */
  readonly kind?: string
  /** Those that change more values than this. */
  readonly above: number
  /** By so many others than who planned it. Default 1. */
  readonly approvals?: number
}

/** What a team writes. */
export interface AppOptions {
  /** Name of the product: `[a-z][a-z0-9-]*`. */
  readonly name: string
  readonly events: readonly EventDefinition[]
  readonly items?: readonly ItemDefinition[]
  readonly people?: PersonDefinition
  readonly signals?: readonly SignalDefinition[]
  readonly surfaces?: Readonly<Record<string, SurfaceDefinition>>
  readonly views?: Readonly<Record<string, AnyView>>
  /** Feature views and feature services, by name. */
  readonly features?: Readonly<Record<string, AnyFeatureView | AnyFeatureService>>
  /** What models are trained on, by name. */
  readonly trainingSets?: Readonly<Record<string, TrainingSetDefinition>>
  /** What is expected of events, by name. */
  readonly checks?: Readonly<Record<string, CheckDefinition>>
  readonly modules?: readonly ModuleReference[]
  /** Who approves what changes many things at once. Default: nobody has to. A part of the fingerprint. */
  readonly approvals?: readonly ApprovalRule[]
  /**
   * What of an event that names a person is sealed with that person's key, and unreadable once the
   * person is erased: fields marked as personal (`personal`, the default), or all that are no ids
   * (`payload`). Holds for what is appended from now on.
   */
  readonly seals?: 'personal' | 'payload'
  /** Partitions of every stream. Default 4; fixed once a data directory exists. */
  readonly partitions?: number
  /** How far changed definitions must keep earlier events readable. Default BACKWARD_TRANSITIVE: every event, of every earlier version. */
  readonly compatibility?: CompatibilityLevel
  /** How late events may be, against the newest of their partition, before windows count them as late. Default 0. */
  readonly lateness?: Duration
}
