/** The features module: rows of feature services, and what is declared and known of features. */
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
import { featureRoutes } from './routes.ts'

/** What other modules and the host process may call. */
export interface Features extends FeatureReader {
  readonly compiled: CompiledFeatures
}

/** The features module. */
export function createFeatures(): ProductModule<Features> {
  return defineModule<Features>({
    name: 'features',
    errors: featuresErrors,
    open({ app, streams, clock }) {
      const compiled = compileFeatures(app)
      const api: Features = { ...createFeatureReader(streams, compiled), compiled }
      return {
        api,
        routes: featureRoutes(api, { streams, clock }),
        metrics: metricsOf(api, streams),
      }
    },
  })
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
