import type { FeatureAggregation } from '@millrace/core'
import type { Aggregation } from './aggregation.ts'
import { count } from './count.ts'
import { ratio } from './ratio.ts'
import { sum } from './sum.ts'

/** The aggregation that a definition names. */
export function aggregationOf({ kind }: FeatureAggregation): Aggregation {
  switch (kind) {
    case 'count':
      return count
    case 'sum':
      return sum
    case 'ratio':
      return ratio
  }
}
