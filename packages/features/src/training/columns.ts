/** The cells of a service's row, by where they come from: read of the state of a fold, or made from other cells. */
import {
  deriveId,
  type AnyFeatureService,
  type FeatureKind,
  type FeatureValue,
} from '@millrace/core'
import type { FeaturePlan } from '../plan.ts'
import type { ServicePlan } from '../row-plan.ts'

/** An attribute of items or people. */
export interface AnsweredAttribute {
  readonly field: string
  /** Where the entity has no such attribute, or is not known. */
  readonly default: FeatureValue
}

/** A feature of pairs, of all sub-keys of the entity: the text of a JSON list of `[sub-key, value, status]`. */
export interface AnsweredPairs {
  readonly pairsOf: number
}

/** A cell that is read from the state of one fold. */
export interface TrainingColumn {
  /** Name of the column; `#<cell>` where others are made from it and it is none itself. */
  readonly name: string
  readonly cell: number
  /** Others are made from it. */
  readonly isInput: boolean
  readonly values: FeatureKind
  /** The view, or the kind of the table. */
  readonly of: string
  /** Kind of the entity, and what it is paired with. */
  readonly entity: string
  readonly pair: string | undefined
  /** Index in its view, or what is read of a row of the table, or of which pairs. */
  readonly read: number | AnsweredAttribute | AnsweredPairs
  /** `<view>.<feature>` or `<kind>.<attribute>`. */
  readonly fullName: string
  readonly fingerprint: string
}

/** A column that the request tells, or that is made from other cells. */
export interface MadeColumn {
  readonly name: string
  readonly cell: number
  readonly isInput: false
  readonly values: FeatureKind
  /** `context`, `derived` or `crossed`. */
  readonly of: string
  /** `<service>.<column>`. */
  readonly fullName: string
  readonly fingerprint: string
}

/** See the head of the file. */
export interface TrainingColumns {
  readonly plan: ServicePlan
  readonly answered: readonly TrainingColumn[]
  readonly made: readonly MadeColumn[]
}

/** The cells of a service. */
export function columnsOf(
  service: AnyFeatureService,
  services: ReadonlyMap<string, ServicePlan>,
): TrainingColumns {
  const plan = [...services.values()].find(known => known.service === service) as ServicePlan
  const { views, attributes, context, made, columns } = plan
  const inputs = new Set(made.flatMap(node => node.made === 'derived' ? node.inputs.map(([, cell]) => cell) : [node.over])) // prettier-ignore
  const placeOf = (cell: number): { name: string; cell: number; isInput: boolean } => ({
    name: columns[cell] ?? `#${cell}`,
    cell,
    isInput: inputs.has(cell),
  })
  const ofViews = views.flatMap(({ plan: view, features, cells, pair }) =>
    features.map((index, at): TrainingColumn => {
      const { definition, fullName, fingerprint } = view.features[index] as FeaturePlan['features'][number] // prettier-ignore
      const values = definition.values as FeatureKind
      return { ...placeOf(cells[at] as number), values, of: view.name, entity: view.entity, pair, read: index, fullName, fingerprint } // prettier-ignore
    }),
  )
  const ofTables = attributes.map(
    ({ cell, kind: of, field, default: fallback, values }): TrainingColumn => {
      const fingerprint = fingerprintOf(['attribute', of, field, fallback])
      const read = { field, default: fallback }
      return { ...placeOf(cell), values, of, entity: of, pair: undefined, read, fullName: `${of}.${field}`, fingerprint } // prettier-ignore
    },
  )
  const ofPairs = made.flatMap((node): TrainingColumn[] => {
    if (node.made === 'derived') return []
    const { cell, plan: view, feature: index } = node
    const { fullName, fingerprint } = view.features[index] as FeaturePlan['features'][number]
    return [{ name: `#${cell}`, cell, isInput: true, values: 'text', of: view.name, entity: view.entity, pair: undefined, read: { pairsOf: index }, fullName, fingerprint }] // prettier-ignore
  })
  const told = context.map(({ cell, values, name, default: fallback }) => ({ cell, values, of: 'context', content: [name, fallback] })) // prettier-ignore
  const computed = made.map(node => {
    const content = node.made === 'derived' ? [String(node.compute), node.inputs, node.default] : [node.reduce, node.plan.version, node.feature, node.over] // prettier-ignore
    return { cell: node.cell, values: node.values, of: node.made, content }
  })
  const shown = [...told, ...computed].filter(({ cell }) => cell < columns.length)
  return {
    plan,
    answered: [...ofViews, ...ofTables, ...ofPairs],
    made: shown.map(({ cell, values, of, content }) => {
      const name = columns[cell] as string
      const fingerprint = fingerprintOf([of, content, plan.fingerprint])
      return { name, cell, isInput: false, values, of, fullName: `${plan.name}.${name}`, fingerprint } // prettier-ignore
    }),
  }
}

function fingerprintOf(content: unknown): string {
  return deriveId(0, JSON.stringify(content)).slice(-12)
}
