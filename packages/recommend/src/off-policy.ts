/**
 * What another policy would have earned, judged from what this one logged: each reward counts as
 * often as the other policy would have made the same choice (Horvitz, Thompson 1952; Li, Chu,
 * Langford, Wang 2011).
 *
 *   inversePropensity   mean of w r, w = target / propensity. Unbiased; noisy where w varies.
 *   selfNormalised      sum of w r / sum of w (Swaminathan, Joachims 2015): steadier, biased by O(1/n).
 *   doublyRobust        mean of q(target) + w (r - q(shown)) (Dudik, Langford, Li 2011): unbiased
 *                       whatever the model q is, and the less noisy the better q is.
 *
 * Intervals come from the influence of each choice on the estimate (for the ratio: the delta method),
 * summed by cluster, because the choices of one person are not independent (Liang, Zeger 1986), with
 * Student's t at the degrees of freedom that the kurtosis of the sums leaves (Satterthwaite 1946): a
 * few heavy weights widen them. They hold where the logging policy gives every choice of the target
 * a chance; where it does not, the mean weight is below 1, which is why it is told.
 */
import { checkArgument } from './errors.ts'
import { studentQuantile } from './student.ts'

/** Logged choices, in columns of one length. */
export interface LoggedChoices {
  readonly rewards: Float64Array
  /** Chance that the logging policy gave to what was shown, in (0, 1]. */
  readonly propensities: Float64Array
  /** Chance that the target policy gives to the same, in [0, 1]. */
  readonly targets: Float64Array
  /** Whose choice it was: those of one cluster depend on each other. Absent: all are independent. */
  readonly clusters?: Int32Array
  /** The reward that a model expects of what was shown; with `expected`, for `doublyRobust`. */
  readonly predicted?: Float64Array
  /** The mean reward that the model expects of the target policy there. */
  readonly expected?: Float64Array
}

export type OffPolicyEstimator = 'inversePropensity' | 'selfNormalised' | 'doublyRobust'

/** A figure with its interval. */
export interface Interval {
  readonly value: number
  readonly standardError: number
  readonly low: number
  readonly high: number
}

/** What is known of a target policy. */
export interface OffPolicyEstimate {
  /** Mean reward of a choice under the target policy. */
  readonly target: Interval
  /** That less the mean reward that was logged: the interval is narrower than the two apart would make it. */
  readonly change: Interval
  readonly choices: number
  readonly clusters: number
  readonly weights: WeightFigures
}

/** Whether the log can say much about the target policy. */
export interface WeightFigures {
  /** (sum w)^2 / sum w^2 (Kish 1965): so many choices of the target itself would tell as much. */
  readonly effectiveSampleSize: number
  /** 1 where the log has a chance of all that the target does; far below, it says nothing of the rest. */
  readonly mean: number
  /** The greatest, before clipping. */
  readonly max: number
  /** Share of choices whose weight was cut to `clipAt`; the estimate is biased by what was cut. */
  readonly clippedShare: number
}

/** Estimates the mean reward of the target policy. Throws RECOMMEND_ARGUMENT_INVALID. */
export function estimateOffPolicy(
  choices: LoggedChoices,
  options: {
    readonly estimator: OffPolicyEstimator
    /** Weights above count as this. Default: none is cut. */
    readonly clipAt?: number
    /** Default 0.95. */
    readonly confidence?: number
  },
): OffPolicyEstimate {
  const { estimator, clipAt = Infinity, confidence = 0.95 } = options
  checkChoices(choices, estimator)
  const { rewards, clusters } = choices
  const { weights, figures } = weigh(choices, clipAt)
  const scores = scoresOf(choices, estimator, weights)
  const value = scores.value
  const logged = meanOf(rewards)
  const changes = scores.influence.map((own, at) => own - ((rewards[at] as number) - logged))
  const target = intervalOf(value, scores.influence, { clusters, confidence })
  const change = intervalOf(value - logged, changes, { clusters, confidence })
  const count = clusters === undefined ? rewards.length : new Set(clusters).size
  return { target, change, choices: rewards.length, clusters: count, weights: figures }
}

function checkChoices(choices: LoggedChoices, estimator: OffPolicyEstimator): void {
  const { rewards, propensities, targets, clusters, predicted, expected } = choices
  const count = rewards.length
  checkArgument(count > 1, 'rewards', count, 'two choices are the least')
  for (const [name, column] of Object.entries({
    propensities,
    targets,
    clusters,
    predicted,
    expected,
  })) {
    const isFit = column === undefined || column.length === count
    checkArgument(isFit, name, column?.length, `the columns have ${count} entries`)
  }
  const hasModel = predicted !== undefined && expected !== undefined
  checkArgument(
    estimator !== 'doublyRobust' || hasModel,
    'estimator',
    estimator,
    'it needs a model',
  )
  for (let at = 0; at < count; at++) {
    const propensity = propensities[at] as number
    checkArgument(propensity > 0 && propensity <= 1, 'propensity', propensity, 'it is in (0, 1]')
    const target = targets[at] as number
    checkArgument(target >= 0 && target <= 1, 'target', target, 'it is in [0, 1]')
  }
}

function weigh(
  { targets, propensities }: LoggedChoices,
  clipAt: number,
): { readonly weights: Float64Array; readonly figures: WeightFigures } {
  let max = 0
  let clipped = 0
  let sum = 0
  let squares = 0
  const weights = targets.map((target, at) => {
    const full = target / (propensities[at] as number)
    const weight = Math.min(full, clipAt)
    max = Math.max(max, full)
    clipped += full > clipAt ? 1 : 0
    sum += weight
    squares += weight * weight
    return weight
  })
  const { length } = weights
  return {
    weights,
    figures: {
      effectiveSampleSize: squares === 0 ? 0 : (sum * sum) / squares,
      mean: sum / length,
      max,
      clippedShare: clipped / length,
    },
  }
}

/** The estimate, and how much each choice moves it from its value (their mean is 0). */
function scoresOf(
  { rewards, predicted, expected }: LoggedChoices,
  estimator: OffPolicyEstimator,
  weights: Float64Array,
): { readonly value: number; readonly influence: Float64Array } {
  if (estimator === 'selfNormalised') {
    const weightMean = meanOf(weights)
    if (weightMean === 0) return { value: Number.NaN, influence: weights.map(() => Number.NaN) }
    const value = meanOf(weights.map((w, at) => w * (rewards[at] as number))) / weightMean
    const influence = weights.map((w, at) => (w * ((rewards[at] as number) - value)) / weightMean)
    return { value, influence }
  }
  const terms =
    estimator === 'inversePropensity'
      ? weights.map((w, at) => w * (rewards[at] as number))
      : weights.map((w, at) => {
          const residual = (rewards[at] as number) - (predicted?.[at] as number)
          return (expected?.[at] as number) + w * residual
        })
  const value = meanOf(terms)
  return { value, influence: terms.map(term => term - value) }
}

function intervalOf(
  value: number,
  influence: Float64Array,
  { clusters, confidence }: { clusters: Int32Array | undefined; confidence: number },
): Interval {
  const sums = clusters === undefined ? influence : sumsBy(clusters, influence)
  const groups = sums.length
  let second = 0
  let fourth = 0
  for (const sum of sums) {
    second += sum * sum
    fourth += sum ** 4
  }
  const standardError = Math.sqrt((second * groups) / (groups - 1)) / influence.length
  const kurtosis = second === 0 ? 3 : (groups * fourth) / (second * second)
  const freedom = Math.max(1, Math.min(groups - 1, (2 * groups) / Math.max(kurtosis - 1, 1e-9)))
  const half = standardError * studentQuantile((1 + confidence) / 2, freedom)
  return { value, standardError, low: value - half, high: value + half }
}

function sumsBy(clusters: Int32Array, values: Float64Array): Float64Array {
  const sums = new Map<number, number>()
  clusters.forEach((cluster, at) => {
    sums.set(cluster, (sums.get(cluster) ?? 0) + (values[at] as number))
  })
  return Float64Array.from(sums.values())
}

function meanOf(values: Float64Array): number {
  let sum = 0
  for (const value of values) sum += value
  return sum / values.length
}
