/** What features are made of, and what they go into: from events to the columns of services, and back. */
import type {
  AttributeFeature,
  ContextFeature,
  CrossedFeature,
  DerivedFeature,
  PreparedFeature,
  RowFeature,
  ViewFeature,
} from '@millrace/core'
import type { CompiledFeatures, FeaturePlan } from '@millrace/features'

/** What a column of a service is made of. */
export interface ColumnLineage {
  readonly column: string
  /** `<view>.<feature>`. */
  readonly features: readonly string[]
  /** `<kind>.<field>` of items and people. */
  readonly attributes: readonly string[]
  /** What the request tells. */
  readonly context: readonly string[]
  /** Event types that it depends on, those that change tables (`<kind>.put`) included. */
  readonly events: readonly string[]
}

/** A service with the lineage of its columns. */
export interface ServiceLineage {
  readonly service: string
  readonly columns: readonly ColumnLineage[]
}

/** What an event type goes into. */
export interface EventLineage {
  readonly event: string
  readonly features: readonly string[]
  /** `<service>.<column>`. */
  readonly columns: readonly string[]
}

/** Both ways. */
export interface Lineage {
  readonly services: readonly ServiceLineage[]
  readonly events: readonly EventLineage[]
}

/** Tells the lineage of all that is declared. */
export function lineageOf({ plans, services }: CompiledFeatures): Lineage {
  const byView = new Map([...plans.values()].map(plan => [plan.view, plan] as const))
  const columns = [...services.values()].map(({ name: service, service: { columns: made } }) => ({
    service,
    columns: Object.entries(made).map(([column, feature]) => {
      const sources = new Sources(byView)
      sources.add(feature)
      return { column, ...sources.told() }
    }),
  }))
  const events = new Map<string, { features: Set<string>; columns: Set<string> }>()
  const of = (event: string): { features: Set<string>; columns: Set<string> } => {
    const known = events.get(event) ?? { features: new Set<string>(), columns: new Set<string>() }
    events.set(event, known)
    return known
  }
  for (const plan of plans.values()) {
    for (const event of eventsOf(plan)) {
      for (const { fullName } of plan.features) of(event).features.add(fullName)
    }
  }
  for (const { service, columns: own } of columns) {
    for (const { column, events: from } of own) {
      for (const event of from) of(event).columns.add(`${service}.${column}`)
    }
  }
  return {
    services: columns,
    events: [...events].sort(byName).map(([event, { features, columns: into }]) => ({
      event,
      features: [...features],
      columns: [...into],
    })),
  }
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1
}

/** Event types that the features of a view depend on. */
function eventsOf({ view }: FeaturePlan): readonly string[] {
  return [
    ...view.from.map(({ name }) => name),
    ...Object.values(view.join).map(({ name }) => `${name}.put`),
  ]
}

class Sources {
  readonly #plans: ReadonlyMap<FeaturePlan['view'], FeaturePlan>
  readonly #features = new Set<string>()
  readonly #attributes = new Set<string>()
  readonly #context = new Set<string>()
  readonly #events = new Set<string>()

  constructor(plans: ReadonlyMap<FeaturePlan['view'], FeaturePlan>) {
    this.#plans = plans
  }

  add(feature: RowFeature): void {
    switch (feature.source) {
      case 'view': {
        const { view, name } = feature as ViewFeature
        const plan = this.#plans.get(view) as FeaturePlan
        this.#features.add(`${plan.name}.${name}`)
        for (const event of eventsOf(plan)) this.#events.add(event)
        return
      }
      case 'attribute': {
        const { of, field } = feature as AttributeFeature
        this.#attributes.add(`${of.name}.${field}`)
        this.#events.add(`${of.name}.put`)
        return
      }
      case 'context':
        this.#context.add((feature as ContextFeature).name)
        return
      case 'derived':
        for (const input of Object.values((feature as DerivedFeature).inputs)) this.add(input)
        return
      case 'crossed': {
        const { feature: crossed, over } = feature as CrossedFeature
        this.add(crossed)
        this.add(over)
        return
      }
      case 'prepared': {
        const { input, by } = feature as PreparedFeature
        this.add(input)
        if (by !== undefined) this.add(by)
      }
    }
  }

  told(): Omit<ColumnLineage, 'column'> {
    return {
      features: [...this.#features],
      attributes: [...this.#attributes],
      context: [...this.#context],
      events: [...this.#events].sort(),
    }
  }
}
