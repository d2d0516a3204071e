/** The columns of a feature service that a term looked at, with what each was made from. */
import type {
  AttributeFeature,
  CrossedFeature,
  DerivedFeature,
  PreparedFeature,
  RowFeature,
  ViewFeature,
} from '@millrace/core'
import { CELL_STATUSES, type CompiledFeatures, type FeaturePlan } from '@millrace/features'
import type { Attributes } from '../../catalogue/index.ts'
import {
  entitiesOf,
  type CompiledRanker,
  type FeatureTerms,
  type ReadRows,
} from '../feature-terms.ts'
import type { Feature } from './features.ts'

/** A value of a feature view that a column was made from. */
export interface ReadSource {
  /** `<view>.<feature>`. */
  readonly feature: string
  /** What the value depends on: another version has another one. */
  readonly fingerprint: string
  readonly entity: string
  /** What the entity is paired with. */
  readonly pair?: string
  /** Path of the events behind it, as of the answer. */
  readonly events: string
}

/** How rows were read. */
export interface ReadFrom {
  /** Position that the rows reflect, as a token. */
  readonly position: string
  /** The moment at which their windows end. */
  readonly atMs: number
  /** Attributes of the item, as of then. */
  readonly attributes: Attributes | undefined
}

/** The columns that each term of a ranker looked at for an item that it scored, by term. */
export function readFeatures(
  terms: FeatureTerms,
  ranker: CompiledRanker,
  item: number,
  { compiled, from }: { readonly compiled: CompiledFeatures; readonly from: ReadFrom },
): readonly (readonly Feature[])[] {
  const last = terms.last as ReadRows
  const { rows, items } = last
  const row = items.indexOf(item)
  const { columns } = rows
  const sources = new Sources(compiled, entitiesOf(last, row), from)
  return terms.columnsOf(ranker, item).map(noted =>
    [...noted].map((name): Feature => {
      const cell = row * columns.length + columns.indexOf(name)
      const made = sources.of(ranker.plan.service.columns[name] as RowFeature)
      return {
        name,
        value: (rows.others[cell] ?? rows.values[cell]) as Feature['value'],
        status: CELL_STATUSES[rows.statuses[cell] as number],
        ...(made.length === 0 ? {} : { from: made }),
      }
    }),
  )
}

class Sources {
  readonly #plans: ReadonlyMap<FeaturePlan['view'], FeaturePlan>
  readonly #entities: Readonly<Record<string, string>>
  readonly #from: ReadFrom

  constructor(
    { plans }: CompiledFeatures,
    entities: Readonly<Record<string, string>>,
    from: ReadFrom,
  ) {
    this.#plans = new Map([...plans.values()].map(plan => [plan.view, plan]))
    this.#entities = entities
    this.#from = from
  }

  of(column: RowFeature): readonly ReadSource[] {
    switch (column.source) {
      case 'view': {
        const { view } = column as ViewFeature
        const pair = view.pair === undefined ? undefined : this.#entities[view.pair.name]
        return [this.#source(column as ViewFeature, pair)]
      }
      case 'derived':
        return Object.values((column as DerivedFeature).inputs).flatMap(input => this.of(input))
      case 'crossed': {
        const { feature, over } = column as CrossedFeature
        const own = this.#textsOf(over).map(text => this.#source(feature, text))
        return [...own, ...this.of(over)]
      }
      case 'prepared': {
        const { input, by } = column as PreparedFeature
        return [...this.of(input), ...(by === undefined ? [] : this.of(by))]
      }
      default:
        return []
    }
  }

  /** The texts of an attribute; none where another feature tells them. */
  #textsOf(over: RowFeature): readonly string[] {
    if (over.source !== 'attribute') return []
    const told = this.#from.attributes?.[(over as AttributeFeature).field]
    return typeof told === 'string' ? [told] : ((told ?? []) as readonly string[])
  }

  #source({ view, name }: ViewFeature, pair: string | undefined): ReadSource {
    const plan = this.#plans.get(view) as FeaturePlan
    const entity = this.#entities[plan.entity] as string
    const { position, atMs } = this.#from
    const query = new URLSearchParams({ at: position, ends: String(atMs), ...(pair === undefined ? {} : { pair }) }) // prettier-ignore
    const path = [plan.name, entity, name].map(encodeURIComponent).join('/')
    return {
      feature: `${plan.name}.${name}`,
      fingerprint: plan.features.find(feature => feature.name === name)?.fingerprint ?? '',
      entity,
      ...(pair === undefined ? {} : { pair }),
      events: `/v1/features/${path}/events?${query.toString()}`,
    }
  }
}
