/** Compiles the feature views of an app to folds. */
import type { AnyFeatureView, App, EventDefinition } from '@millrace/core'
import { keysIn, personFields, type FoldDefinition } from '@millrace/streams'
import { FeatureShard } from './feature-shard.ts'
import { createCellRow } from './cell-row.ts'
import { planView, type FeaturePlan } from './plan.ts'
import { planService, type ServicePlan } from './row-plan.ts'

/** The feature views of an app, ready to fold. */
export interface CompiledFeatures {
  readonly folds: readonly FoldDefinition<FeatureShard>[]
  /** By the name of the view. */
  readonly plans: ReadonlyMap<string, FeaturePlan>
  /** By the name of the service. */
  readonly services: ReadonlyMap<string, ServicePlan>
  /** Events that are read under another key than their own, for `compileViews`. */
  readonly rekeyed: readonly { readonly from: readonly EventDefinition[]; readonly key: string }[]
}

/** Name of the fold of a feature view. */
export function featureFoldName(view: string): string {
  return `feature.${view}`
}

/** Compiles the feature views of an app. */
export function compileFeatures(app: App): CompiledFeatures {
  const views = Object.entries(app.options.features ?? {}).filter(
    (entry): entry is [string, AnyFeatureView] => entry[1].kind === 'feature-view',
  )
  const plans = new Map(views.map(([name, view]) => [name, planView(name, view)]))
  const folds = [...plans.values()].map(plan => {
    const fold = foldOf(plan)
    const { replaces } = plan.view
    return replaces === undefined
      ? fold
      : { ...fold, replaces: foldOf(planView(plan.name, replaces)) }
  })
  const read = views.flatMap(([, view]) => [view, ...(view.replaces === undefined ? [] : [view.replaces])]) // prettier-ignore
  const rekeyed = read.filter(({ from, key }) => from.some(event => event.key !== key))
  const services = new Map(
    Object.entries(app.options.features ?? {}).flatMap(([name, made]) =>
      made.kind === 'feature-service' ? [[name, planService(name, made, plans)] as const] : [],
    ),
  )
  return { folds, plans, services, rekeyed }
}

function foldOf(plan: FeaturePlan): FoldDefinition<FeatureShard> {
  const { view, source, isRekeyed, version } = plan
  const joined = [...new Set(Object.values(view.join).map(item => item.name))].sort()
  return {
    name: featureFoldName(plan.name),
    version,
    source,
    types: view.from.map(event => event.name),
    people: personFields(view.from),
    ...(joined.length === 0 ? { hasLongHistories: true as const } : { tables: joined }),
    ...(isRekeyed ? { keysOf: record => keysIn(plan, record) } : {}),
    onFailure: 'park',
    createShard: context => new FeatureShard(plan, context),
    readKey: (shard, key) => readAll(plan, shard as FeatureShard, key),
  }
}

/** All values of a key at the watermark, by sub-key and name. */
function readAll({ features }: FeaturePlan, shard: FeatureShard, key: string): unknown {
  const tMs = Math.max(0, shard.watermarkMs)
  const row = createCellRow(features.length)
  const indices = features.map(({ index }) => index)
  const values = shard.subKeys(key).map(subKey => {
    shard.read({ key, subKey, features: indices, tMs }, row, indices)
    return [
      subKey,
      Object.fromEntries(features.map(({ name, index }) => [name, row.values[index]])),
    ]
  })
  return values.length === 0 ? undefined : Object.fromEntries(values)
}
