import { durationMs, type FeatureDefinition, type FeatureKind } from '@millrace/core'
import type { Aggregation } from './aggregation.ts'
import { count } from './count.ts'
import { custom } from './custom.ts'
import { decayed } from './decayed.ts'
import { distinct } from './distinct.ts'
import { first, firstText, last, lastText } from './edge.ts'
import { max, min } from './extreme.ts'
import { histogram } from './histogram.ts'
import { mean } from './mean.ts'
import { quantiles } from './quantiles.ts'
import { ratio } from './ratio.ts'
import { lastNumbers, lastTexts } from './recent.ts'
import { sessions } from './sessions.ts'
import { span } from './span.ts'
import { sum } from './sum.ts'
import { topTexts } from './top-texts.ts'
import { variance } from './variance.ts'

const PLAIN = { count, sum, ratio, mean, variance, min, max, first, last, firstText, lastText, span } as const // prettier-ignore

/** The aggregation that the definition of a feature names. */
export function aggregationOf(
  { aggregation, values }: FeatureDefinition,
  feature: string,
): Aggregation {
  switch (aggregation.kind) {
    case 'histogram':
      return histogram(aggregation.bounds)
    case 'decayed': {
      const halfLifeMs = durationMs(aggregation.halfLife)
      const { per } = aggregation
      // A steady stream of one event per unit adds up to half-life / ln 2 units.
      return decayed(halfLifeMs, per === undefined ? 1 : (Math.LN2 * durationMs(per)) / halfLifeMs)
    }
    case 'lastNumbers':
      return lastNumbers(aggregation.n)
    case 'lastTexts':
      return lastTexts(aggregation.n)
    case 'distinct':
      return distinct(aggregation.error)
    case 'quantile':
      return quantiles([aggregation.q], aggregation.error, ([value]) => value as number)
    case 'quantiles':
      return quantiles(aggregation.q, aggregation.error, values => values)
    case 'topTexts':
      return topTexts(aggregation.k, aggregation.capacity)
    case 'sessions':
      return sessions(durationMs(aggregation.gap))
    case 'custom':
      return custom(aggregation, { values: values as FeatureKind, feature })
    default:
      return PLAIN[aggregation.kind]
  }
}
