/** What is declared of features, as routes and commands tell it. */
import { kindOfColumn, type FeatureKind, type FeatureWindow } from '@millrace/core'
import type { CompiledFeatures } from '@millrace/features'

/** A feature of a view. */
export interface ListedFeature {
  readonly name: string
  readonly aggregation: string
  readonly window: string
  readonly values: FeatureKind
  readonly default: unknown
  readonly fingerprint: string
  readonly description?: string
}

/** A view. */
export interface ListedView {
  readonly name: string
  /** The kind of its entity. */
  readonly entity: string
  /** What that is paired with. */
  readonly pair?: string
  readonly events: readonly string[]
  readonly version: string
  readonly isPersonal: boolean
  readonly freshness?: string
  readonly ttl?: string
  readonly owner?: string
  readonly description?: string
  readonly features: readonly ListedFeature[]
}

/** A service. */
export interface ListedService {
  readonly name: string
  readonly entities: readonly string[]
  readonly columns: readonly string[]
  /** What the values of each column are. */
  readonly values: readonly FeatureKind[]
  readonly fingerprint: string
  readonly owner?: string
  readonly description?: string
}

/** All that is declared. */
export interface ListedFeatures {
  readonly views: readonly ListedView[]
  readonly services: readonly ListedService[]
}

/** Tells all that is declared. */
export function listFeatures({ plans, services }: CompiledFeatures): ListedFeatures {
  return {
    views: [...plans.values()].map(({ name, entity, version, view, features }) => ({
      name,
      entity,
      ...(view.pair === undefined ? {} : { pair: view.pair.name }),
      events: view.from.map(event => event.name),
      version,
      isPersonal: view.isPersonal,
      ...told({ freshness: view.freshness, ttl: view.ttl }),
      ...told({ owner: view.owner, description: view.description }),
      features: features.map(({ name: feature, definition, fingerprint }) => ({
        name: feature,
        aggregation: definition.aggregation.kind,
        window: windowText(definition.window),
        values: definition.values as FeatureKind,
        default: definition.default,
        fingerprint,
        ...told({ description: definition.description }),
      })),
    })),
    services: [...services.values()].map(({ name, service, columns, fingerprint }) => ({
      name,
      entities: service.entities,
      columns,
      values: Object.values(service.columns).map(column => kindOfColumn(column) as FeatureKind),
      fingerprint,
      ...told({ owner: service.owner, description: service.description }),
    })),
  }
}

function told(
  members: Readonly<Record<string, string | number | undefined>>,
): Record<string, string> {
  const known = Object.entries(members).filter(([, value]) => value !== undefined)
  return Object.fromEntries(known.map(([name, value]) => [name, String(value)]))
}

function windowText(window: FeatureWindow): string {
  if (typeof window !== 'object') return String(window)
  if ('tumbling' in window) return `tumbling ${window.tumbling}`
  if ('session' in window) return `session ${window.session}`
  return window.step === undefined ? String(window.sliding) : `${window.sliding} by ${window.step}`
}
