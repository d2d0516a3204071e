/** The columns of a service that views give. */
import type { AnyFeatureService, FeatureKind, RowFeature, ViewFeature } from '@millrace/core'
import { featuresErrors } from '../errors.ts'
import type { FeaturePlan } from '../plan.ts'

/** A column that is a feature of a view. */
export interface ViewColumn {
  readonly name: string
  readonly view: string
  /** Index in its view. */
  readonly feature: number
  readonly values: FeatureKind
}

/** The columns of a service in order. Throws TRAINING_SET_UNSUPPORTED. */
export function columnsOf(
  { columns }: AnyFeatureService,
  plans: ReadonlyMap<string, FeaturePlan>,
): readonly ViewColumn[] {
  return Object.entries(columns).map(([name, column]) => viewColumn(name, column, plans))
}

function viewColumn(
  name: string,
  column: RowFeature,
  plans: ReadonlyMap<string, FeaturePlan>,
): ViewColumn {
  if (column.source !== 'view') {
    throw featuresErrors.create('TRAINING_SET_UNSUPPORTED', { column: name, source: column.source })
  }
  const { view, name: feature } = column as ViewFeature
  for (const plan of plans.values()) {
    const found = plan.features.find(planned => plan.view === view && planned.name === feature)
    if (found === undefined) continue
    const values = found.definition.values as FeatureKind
    return { name, view: plan.name, feature: found.index, values }
  }
  throw featuresErrors.create('TRAINING_SET_UNSUPPORTED', { column: name, source: 'replaced view' })
}
