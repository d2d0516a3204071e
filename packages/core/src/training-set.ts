/**
 * Training sets: which moments are rows, what was to be predicted at each, and the feature service
 * whose row a model reads. Labels are events, facts of the log like any other: they may come late,
 * disagree, or be taken back (docs/training-sets.md).
 */
import type { EventDefinition } from './definition.ts'
import { durationMs, type Duration } from './duration.ts'
import {
  kindOfSchema,
  type AnyFeatureService,
  type ContextFeature,
  type CrossedFeature,
  type DerivedFeature,
  type FeatureServiceDefinition,
  type RowFeature,
} from './feature.ts'
import type { PreparedFeature } from './prepare.ts'
import type { Refuse } from './definition-checks.ts'
import type { Field, Infer, Fields } from './schema.ts'

/** Which of several label events within the window holds: any of them makes it 1, or their values are taken. */
export type LabelPolicy = 'any' | 'sum' | 'first' | 'last'

/** What was to be predicted of an observation. */
export interface LabelDefinition {
  /** The event that happens, or not; it names the entities by `entities`. */
  readonly event: EventDefinition
  /** Field of the event with the id of each kind of entity that must be the same. */
  readonly entities: Readonly<Record<string, string>>
  /** It counts when it happens at or after the observation, and less than this after it. */
  readonly withinMs: number
  readonly policy: LabelPolicy
  /** The value of an event; undefined: it does not count. */
  value(data: unknown): unknown
  /** The label without any such event. */
  readonly default: number
}

/** A declared training set. */
export interface TrainingSetDefinition {
  readonly kind: 'training-set'
  readonly service: AnyFeatureService
  /** Each such event is a row, at its time. */
  readonly observe: EventDefinition
  /** Field of the event with the id of each kind of entity of the service. */
  readonly entities: Readonly<Record<string, string>>
  /** Undefined: rows have no labels. */
  readonly label: LabelDefinition | undefined
  /** Fields of the event by the names of the service's context features: what the request told. */
  readonly context: Readonly<Record<string, string>>
  /** The weight of a row. */
  weight(data: unknown): number
  readonly description: string | undefined
}

type IdFieldsOf<E extends EventDefinition, Kind extends string> =
  E extends EventDefinition<string, infer F extends Fields>
    ? {
        [K in keyof F & string]: F[K] extends Field<unknown, boolean, Kind> ? K : never
      }[keyof F & string]
    : never
type DataOf<E extends EventDefinition> =
  E extends EventDefinition<string, infer F extends Fields> ? Infer<F> : never

/**
 * Declares a training set: a row for each event `observe`, with the features of `service` as they were
 * known just before it, and what came of it within a window.
 */
export function trainingSet<
  const C extends AnyFeatureService['columns'],
  const E extends EventDefinition,
  const L extends EventDefinition = never,
>(options: {
  service: FeatureServiceDefinition<C>
  observe: E
  /** Field of `observe` with the id of each kind of entity of the service. */
  entities: Readonly<Record<string, IdFieldsOf<E, string>>>
  label?: {
    event: L
    /** Field of the event with the id of each kind of entity that must be the same. */
    entities: Readonly<Record<string, IdFieldsOf<L, string>>>
    within: Duration
    /** Default: any. */
    policy?: LabelPolicy
    /** The value of an event, undefined for one that does not count; a pure function. Default: 1. */
    value?: (data: DataOf<L>) => number | boolean | undefined
    /** The label without any such event. Default: 0. */
    default?: number
  }
  /** What the request told, by the names of the service's context features: fields of `observe`. What is not named was not told. */
  context?: Readonly<Record<string, keyof DataOf<E> & string>>
  /** The weight of a row; a pure function. Default: 1. */
  weight?: (data: DataOf<E>) => number
  description?: string
}): TrainingSetDefinition {
  const { service, observe, entities, label, context, weight, description } = options
  return {
    kind: 'training-set',
    service,
    observe,
    entities,
    label:
      label === undefined
        ? undefined
        : {
            event: label.event,
            entities: label.entities,
            withinMs: durationMs(label.within),
            policy: label.policy ?? 'any',
            value: label.value ?? (() => 1),
            default: label.default ?? 0,
          },
    context: context ?? {},
    weight: weight ?? (() => 1),
    description,
  }
}

/** What training sets are declared on. */
interface TrainingGround {
  readonly events: ReadonlyMap<string, { readonly definition: EventDefinition }>
  /** Services by name. */
  readonly features: Readonly<Record<string, unknown>>
  readonly refuse: Refuse
}

/** Checks the training sets of a definition. */
export function checkTrainingSets(
  sets: Readonly<Record<string, TrainingSetDefinition>>,
  { events, features, refuse }: TrainingGround,
): void {
  const isEvent = (event: EventDefinition): boolean => events.get(event.name)?.definition === event
  for (const [name, set] of Object.entries(sets)) {
    const path = `trainingSets.${name}`
    if (!/^[a-z][a-zA-Z0-9_-]{0,63}$/.test(name)) refuse(path, 'a training set is named [a-z][a-zA-Z0-9_-]*') // prettier-ignore
    if (!Object.values(features).includes(set.service)) refuse(`${path}.service`, 'the service is not among the features of the app') // prettier-ignore
    if (!isEvent(set.observe)) refuse(`${path}.observe`, `event ${set.observe.name} is not among the events`) // prettier-ignore
    for (const kind of set.service.entities) {
      const field = set.entities[kind]
      if (field === undefined) refuse(`${path}.entities`, `no field of ${set.observe.name} gives the id of ${kind}`) // prettier-ignore
      checkId(set.observe, field as string, kind, `${path}.entities.${kind}`, refuse)
    }
    checkContext(set, path, refuse)
    const { label } = set
    if (label === undefined) continue
    if (!isEvent(label.event)) refuse(`${path}.label.event`, `event ${label.event.name} is not among the events`) // prettier-ignore
    if (Object.keys(label.entities).length === 0) refuse(`${path}.label.entities`, 'nothing tells whose label it is') // prettier-ignore
    for (const [kind, field] of Object.entries(label.entities)) {
      if (set.entities[kind] === undefined) refuse(`${path}.label.entities.${kind}`, 'an observation has no such entity') // prettier-ignore
      checkId(label.event, field, kind, `${path}.label.entities.${kind}`, refuse)
    }
    if (!Number.isFinite(label.default))
      refuse(`${path}.label.default`, 'it is not a finite number')
  }
}

/** What a row of a service is told by requests, by name: of its columns, and of what they are made from. */
function contextOf(features: readonly RowFeature[]): ReadonlyMap<string, ContextFeature> {
  const told = new Map<string, ContextFeature>()
  const look = (feature: RowFeature): void => {
    if (feature.source === 'context') told.set((feature as ContextFeature).name, feature as ContextFeature) // prettier-ignore
    if (feature.source === 'derived')
      Object.values((feature as DerivedFeature).inputs).forEach(look)
    if (feature.source === 'crossed') look((feature as CrossedFeature).over)
    if (feature.source === 'prepared') {
      const { input, by } = feature as PreparedFeature
      look(input)
      if (by !== undefined) look(by)
    }
  }
  features.forEach(look)
  return told
}

function checkContext(
  { service, observe, context }: TrainingSetDefinition,
  path: string,
  refuse: Refuse,
): void {
  const told = contextOf(Object.values(service.columns))
  for (const [name, field] of Object.entries(context)) {
    const feature = told.get(name)
    const at = `${path}.context.${name}`
    if (feature === undefined) refuse(at, 'the service has no such context feature')
    const kind = kindOfSchema(observe.fields[field]?.schema)
    const needed = kindOfSchema(feature.field.schema)
    if (kind !== needed) refuse(at, `${field} of ${observe.name} is ${kind ?? 'no feature'}, and ${needed} is needed`) // prettier-ignore
  }
}

function checkId(
  event: EventDefinition,
  field: string,
  kind: string,
  path: string,
  refuse: Refuse,
): void {
  if (event.fields[field]?.ref === kind) return
  refuse(path, `${field} of ${event.name} is no id of ${kind}`)
}
