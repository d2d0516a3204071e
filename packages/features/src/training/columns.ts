/** The columns of a service that views and tables give. */
import {
  deriveId,
  kindOfColumn,
  type AnyFeatureService,
  type AttributeFeature,
  type FeatureKind,
  type FeatureValue,
  type RowFeature,
  type ViewFeature,
} from '@millrace/core'
import { featuresErrors } from '../errors.ts'
import type { FeaturePlan } from '../plan.ts'

/** An attribute of items or people. */
export interface AnsweredAttribute {
  readonly field: string
  /** Where the entity has no such attribute, or is not known. */
  readonly default: FeatureValue
}

/** A column that is read from the state of one fold. */
export interface TrainingColumn {
  readonly name: string
  readonly values: FeatureKind
  /** The view, or the kind of the table. */
  readonly of: string
  /** Kind of the entity, and what it is paired with. */
  readonly entity: string
  readonly pair: string | undefined
  /** Index in its view, or what is read of a row of the table. */
  readonly read: number | AnsweredAttribute
  /** `<view>.<feature>` or `<kind>.<attribute>`. */
  readonly fullName: string
  readonly fingerprint: string
}

/** The columns of a service in order. Throws TRAINING_SET_UNSUPPORTED. */
export function columnsOf(
  { columns }: AnyFeatureService,
  plans: ReadonlyMap<string, FeaturePlan>,
): readonly TrainingColumn[] {
  return Object.entries(columns).map(([name, column]) => {
    const values = kindOfColumn(column) as FeatureKind
    if (column.source === 'attribute') {
      return { name, values, ...attributeColumn(column as AttributeFeature) }
    }
    return { name, values, ...viewColumn(name, column, plans) }
  })
}

type Source = Omit<TrainingColumn, 'name' | 'values'>

function attributeColumn({ of: { name: of }, field, default: fallback }: AttributeFeature): Source {
  const fingerprint = deriveId(0, JSON.stringify(['attribute', of, field, fallback])).slice(-12)
  const read = { field, default: fallback }
  return { of, entity: of, pair: undefined, read, fullName: `${of}.${field}`, fingerprint }
}

function viewColumn(
  name: string,
  column: RowFeature,
  plans: ReadonlyMap<string, FeaturePlan>,
): Source {
  if (column.source !== 'view') {
    throw featuresErrors.create('TRAINING_SET_UNSUPPORTED', { column: name, source: column.source })
  }
  const { view, name: feature } = column as ViewFeature
  for (const plan of plans.values()) {
    const found = plan.features.find(planned => plan.view === view && planned.name === feature)
    if (found === undefined) continue
    const { entity, name: of } = plan
    const { index: read, fullName, fingerprint } = found
    return { of, entity, pair: view.pair?.name, read, fullName, fingerprint }
  }
  throw featuresErrors.create('TRAINING_SET_UNSUPPORTED', { column: name, source: 'replaced view' })
}
