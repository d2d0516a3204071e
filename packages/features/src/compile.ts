/** Compiles the feature views of an app to folds. */
import type { AnyFeatureView, App, EventDefinition, FeatureValue } from '@millrace/core'
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

/** What the read of a key of a feature view's fold gives: values by sub-key (`''` without pairs) and feature. */
export type KeyValues = Readonly<Record<string, Readonly<Record<string, FeatureValue>>>>

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
  const { latenessMs } = app
  const folds = [...plans.values()].map(plan => {
    const fold = foldOf(plan, latenessMs)
    const { replaces } = plan.view
    return replaces === undefined
      ? fold
      : { ...fold, replaces: foldOf(planView(plan.name, replaces), latenessMs) }
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

function foldOf(plan: FeaturePlan, latenessMs: number): FoldDefinition<FeatureShard> {
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
    // The newest event of the partition is so far ahead of the watermark.
    readKey: (shard, key) => valuesOf(plan, shard as FeatureShard, { key, aheadMs: latenessMs }),
  }
}

/** Values of all features of a key by sub-key (`''` without pairs) and name, at so long after the watermark. */
function valuesOf(
  plan: FeaturePlan,
  shard: FeatureShard,
  { key, aheadMs }: { readonly key: string; readonly aheadMs: number },
): KeyValues | undefined {
  const { features } = plan
  const tMs = Math.max(0, shard.watermarkMs + aheadMs)
  const row = createCellRow(features.length)
  const indices = features.map(({ index }) => index)
  const values = shard.subKeys(key).map(subKey => {
    shard.read({ plan, key, subKey, features: indices, tMs }, row, indices)
    const told = features.map(({ name, index }) => {
      return [name, (row.others[index] ?? row.values[index]) as FeatureValue] as const
    })
    return [subKey, Object.fromEntries(told)] as const
  })
  return values.length === 0 ? undefined : Object.fromEntries(values)
}
