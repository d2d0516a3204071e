/** The features module: rows of feature services, and what is declared and known of features. */
import type { App } from '@millrace/core'
import type { Streams } from '@millrace/streams'
import {
  compileFeatures,
  createFeatureReader,
  featureFoldName,
  featuresErrors,
  type CompiledFeatures,
  type FeatureReader,
  type FeatureShard,
} from '@millrace/features'
import { defineModule, type MetricDefinition, type ProductModule } from '../module.ts'
import { explainRoutes } from './explain-routes.ts'
import { parityRoutes } from './parity-routes.ts'
import { Parity } from './parity.ts'
import { featureRoutes } from './routes.ts'
import { servedStream } from './served-writer.ts'

/** What other modules and the host process may call. */
export interface Features extends FeatureReader {
  readonly compiled: CompiledFeatures
  /** Proof of what is served. */
  readonly parity: Parity
}

/** The features module. */
export function createFeatures(): ProductModule<Features> {
  return defineModule<Features>({
    name: 'features',
    errors: featuresErrors,
    streams: app => (hasServices(app) ? [servedStream] : []),
    open(context) {
      const { app, streams, leads = () => true } = context
      const compiled = compileFeatures(app)
      const reader = createFeatureReader(streams, compiled)
      const parity = new Parity({
        ...context,
        definition: app.fingerprint,
        compiled,
        reader,
        leads: () => hasServices(app) && leads('features.parity'),
      })
      const api: Features = { ...reader, compiled, parity }
      return {
        api,
        routes: [
          ...featureRoutes(api, context),
          ...explainRoutes({ ...context, compiled }),
          ...parityRoutes(parity),
        ],
        metrics: [...metricsOf(api, streams), ...parityMetrics(parity)],
        warnings: () => warningsOf(api, streams),
        close: () => parity.close(),
      }
    },
  })
}

/** Served values that the log gives otherwise, and features whose code failed. */
function warningsOf({ compiled, parity, failures }: Features, streams: Streams): readonly string[] {
  const mismatches = [...parity.mismatches].map(([feature, count]) => `${count} served values of ${feature} are not those of the log: millrace features check`) // prettier-ignore
  const failed = [...compiled.plans.keys()].flatMap(view => {
    const shards = streams.fold<FeatureShard>(featureFoldName(view)).shards()
    const keys = shards.reduce((sum, shard) => sum + shard.failedKeys, 0)
    return keys === 0 ? [] : [`a feature of ${view} failed for ${keys} entities, which are served its default`] // prettier-ignore
  })
  const derived = [...failures].map(([feature, count]) => `${feature} failed in ${count} rows, which were served its default`) // prettier-ignore
  return [...mismatches, ...failed, ...derived]
}

function hasServices(app: App): boolean {
  return Object.values(app.options.features ?? {}).some(({ kind }) => kind === 'feature-service')
}

function parityMetrics(parity: Parity): readonly MetricDefinition[] {
  return [
    {
      name: 'millrace_features_mismatches_total',
      help: 'Served values that the log gives otherwise, by feature, of the requests that were checked since the process started: to be 0.',
      type: 'counter',
      collect: () => [...parity.mismatches].map(([feature, value]) => ({ labels: { feature }, value })), // prettier-ignore
    },
    {
      name: 'millrace_features_checked_values_total',
      help: 'Served values that were computed again and compared, since the process started.',
      type: 'counter',
      collect: () => [{ value: parity.compared }],
    },
    {
      name: 'millrace_features_served_dropped_total',
      help: 'Requests whose rows were not kept for a check, because the log took no more.',
      type: 'counter',
      collect: () => [{ value: parity.writer.counters.dropped }],
    },
  ]
}

function metricsOf(
  { compiled, failures }: Features,
  streams: Streams,
): readonly MetricDefinition[] {
  const plans = [...compiled.plans.values()]
  const shardsOf = (view: string): readonly FeatureShard[] =>
    streams.fold<FeatureShard>(featureFoldName(view)).shards()
  return [
    {
      name: 'millrace_features_failures_total',
      help: 'Events and rows for which the code of a feature threw or gave no value, since the process started.',
      type: 'counter',
      collect: () => [
        ...plans.flatMap(({ name, features }) =>
          features.map(({ fullName: feature, index }) => {
            const counts = shardsOf(name).map(shard => shard.failures[index] as number)
            return { labels: { feature }, value: counts.reduce((sum, count) => sum + count, 0) }
          }),
        ),
        ...[...failures].map(([feature, value]) => ({ labels: { feature }, value })),
      ],
    },
    {
      name: 'millrace_features_failed_keys_count',
      help: 'Entities of which a feature has failed and its default is served, by view: above 0, its code is to be corrected.',
      type: 'gauge',
      collect: () =>
        plans.map(({ name: view }) => ({
          labels: { view },
          value: shardsOf(view).reduce((sum, shard) => sum + shard.failedKeys, 0),
        })),
    },
    {
      name: 'millrace_features_tiles_bytes',
      help: 'Memory of the tiles of a feature view.',
      type: 'gauge',
      collect: () =>
        plans.map(({ name: view }) => ({
          labels: { view },
          value: shardsOf(view).reduce((sum, shard) => sum + shard.bytes, 0),
        })),
    },
  ]
}
