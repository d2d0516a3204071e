/** The cells of a service's row, by where they come from: read of the state of a fold, or made from other cells. */
import {
  deriveId,
  stepsText,
  type AnyFeatureService,
  type FeatureKind,
  type FeatureValue,
  type PreparedFeature,
} from '@millrace/core'
import type { FeaturePlan } from '../plan.ts'
import type { MadeNode, ServicePlan } from '../row-plan.ts'

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
  /** Name of the column; `#<cell>` where steps prepare it and it is none itself. */
  readonly name: string
  readonly cell: number
  /** Steps prepare it. */
  readonly isInput: boolean
  readonly values: FeatureKind
  /** `context`, `derived`, `crossed` or `prepared`. */
  readonly of: string
  /** `<service>.<column>`. */
  readonly fullName: string
  readonly fingerprint: string
}

/** A column that steps make of another one. */
export interface PreparedColumn extends MadeColumn {
  readonly feature: PreparedFeature
  /** The column that it is made of. */
  readonly input: Pick<TrainingColumn, 'name' | 'fingerprint'>
  /** Name of the column whose values are the groups of an imputation. */
  readonly by: string | undefined
}

/** See the head of the file. */
export interface TrainingColumns {
  readonly plan: ServicePlan
  readonly answered: readonly TrainingColumn[]
  readonly made: readonly MadeColumn[]
  readonly prepared: readonly PreparedColumn[]
}

/** The cells of a service. */
export function columnsOf(
  service: AnyFeatureService,
  services: ReadonlyMap<string, ServicePlan>,
): TrainingColumns {
  const plan = [...services.values()].find(known => known.service === service) as ServicePlan
  const { views, attributes, context, made, columns } = plan
  const inputs = new Set(made.flatMap(inputsOf))
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
    if (node.made !== 'crossed') return []
    const { cell, plan: view, feature: index } = node
    const { fullName, fingerprint } = view.features[index] as FeaturePlan['features'][number]
    return [{ name: `#${cell}:pairs`, cell, isInput: true, values: 'text', of: view.name, entity: view.entity, pair: undefined, read: { pairsOf: index }, fullName, fingerprint }] // prettier-ignore
  })
  const told = context.map(({ cell, values, name, default: fallback }) => ({ cell, values, of: 'context', content: [name, fallback] })) // prettier-ignore
  const computed = made.flatMap(node => {
    if (node.made === 'prepared') return []
    const content = node.made === 'derived' ? [String(node.compute), node.inputs, node.default] : [node.reduce, node.plan.version, node.feature, node.over] // prettier-ignore
    return [{ cell: node.cell, values: node.values, of: node.made, content }]
  })
  const prepared = made.filter(node => node.made === 'prepared')
  const learnt = new Set(prepared.flatMap(inputsOf))
  const isKept = (cell: number): boolean => cell < columns.length || learnt.has(cell)
  const madeColumns = [...told, ...computed]
    .filter(({ cell }) => isKept(cell))
    .map(({ cell, values, of, content }): MadeColumn => {
      const { name } = placeOf(cell)
      const fingerprint = fingerprintOf([of, content, plan.fingerprint])
      return { name, cell, isInput: learnt.has(cell), values, of, fullName: `${plan.name}.${name}`, fingerprint } // prettier-ignore
    })
  const answered = [...ofViews, ...ofTables, ...ofPairs]
  // A crossed cell is that of the pairs that it is made of, too; what is made of them counts.
  const byCell = new Map([...answered, ...madeColumns].map(column => [column.cell, column]))
  return {
    plan,
    answered,
    made: madeColumns,
    prepared: prepared.map(({ cell, values, input: from, by }): PreparedColumn => {
      const name = columns[cell] as string
      const feature = service.columns[name] as PreparedFeature
      const input = byCell.get(from) as MadeColumn | TrainingColumn
      const fingerprint = fingerprintOf(['prepared', stepsText(feature), input.fingerprint])
      return { name, cell, isInput: false, values, of: 'prepared', fullName: `${plan.name}.${name}`, fingerprint, feature, input, by: by === undefined ? undefined : placeOf(by).name } // prettier-ignore
    }),
  }
}

/** The cells that a cell is made from. */
function inputsOf(node: MadeNode): readonly number[] {
  if (node.made === 'derived') return node.inputs.map(([, cell]) => cell)
  if (node.made === 'crossed') return [node.over]
  return [node.input, ...(node.by === undefined ? [] : [node.by])]
}

function fingerprintOf(content: unknown): string {
  return deriveId(0, JSON.stringify(content)).slice(-12)
}
