import { durationMs, type FeatureAggregation } from '@millrace/core'
import type { Aggregation } from './aggregation.ts'
import { count } from './count.ts'
import { decayed } from './decayed.ts'
import { first, last } from './edge.ts'
import { max, min } from './extreme.ts'
import { histogram } from './histogram.ts'
import { mean } from './mean.ts'
import { ratio } from './ratio.ts'
import { sum } from './sum.ts'
import { variance } from './variance.ts'

const PLAIN = { count, sum, ratio, mean, variance, min, max, first, last } as const

/** The aggregation that a definition names. */
export function aggregationOf(aggregation: FeatureAggregation): Aggregation {
  switch (aggregation.kind) {
    case 'histogram':
      return histogram(aggregation.bounds)
    case 'decayed': {
      const halfLifeMs = durationMs(aggregation.halfLife)
      const { per } = aggregation
      // A steady stream of one event per unit adds up to half-life / ln 2 units.
      return decayed(halfLifeMs, per === undefined ? 1 : (Math.LN2 * durationMs(per)) / halfLifeMs)
    }
    default:
      return PLAIN[aggregation.kind]
  }
}
