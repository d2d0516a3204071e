/** What models make of the sums of their leaves; all work in place on the outputs of one row. */
import type { ForestLink } from './forest.ts'

const each =
  (link: (sum: number) => number): ForestLink =>
  (sums, from, outputs) => {
    for (let at = from; at < from + outputs; at++) sums[at] = link(sums[at] as number)
  }

/** The sum itself. */
export const identity: ForestLink = () => undefined

/** The chance of logistic regression, of a sum that is scaled first. */
export const logistic = (scale = 1): ForestLink => each(sum => 1 / (1 + Math.exp(-scale * sum)))

/** Of models of counts and amounts, whose logarithm is the sum. */
export const exponential: ForestLink = each(Math.exp)

/** Of a model that was trained on square roots. */
export const signedSquare: ForestLink = each(sum => Math.sign(sum) * sum * sum)

/** log(1 + e^sum): LightGBM's `cross_entropy_lambda`. */
export const softplus: ForestLink = each(sum => Math.log1p(Math.exp(sum)))

/** 1 for a sum above zero: XGBoost's `binary:hinge`. */
export const hinge: ForestLink = each(sum => (sum > 0 ? 1 : 0))

/** Chances of classes that exclude each other. */
export const softmax: ForestLink = (sums, from, outputs) => {
  let most = Number.NEGATIVE_INFINITY
  for (let at = from; at < from + outputs; at++) most = Math.max(most, sums[at] as number)
  let total = 0
  for (let at = from; at < from + outputs; at++) {
    total += sums[at] = Math.exp((sums[at] as number) - most)
  }
  for (let at = from; at < from + outputs; at++) sums[at] = (sums[at] as number) / total
}
