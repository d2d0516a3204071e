/** Similarity of two items: what people do together, and what the items say about themselves. */
import { SCORING_DEFAULTS } from './defaults.ts'

/** Normalises a co-occurrence weight by how common both items are (0.5 as exponent gives the cosine). */
export function similarity(weight: number, countA: number, countB: number): number {
  const { similarExponent, similarShrink } = SCORING_DEFAULTS
  const scale = Math.log((countA + similarShrink) * (countB + similarShrink))
  return weight * Math.exp(-similarExponent * scale)
}

/**
 * Content affinity of two sorted lists of trait numbers: the sum of the shared traits' weights over
 * the geometric mean of both sums, in [0, 1]. Weights are usually log(items / items with the trait),
 * so that sharing a rare topic says more than sharing a common one.
 */
export function contentAffinity(
  a: Int32Array,
  b: Int32Array,
  weightOfTrait: (trait: number) => number,
): number {
  let shared = 0
  let sumA = 0
  let sumB = 0
  let at = 0
  for (let index = 0; index < a.length; index++) {
    const trait = a[index] as number
    const weight = weightOfTrait(trait)
    sumA += weight
    while (at < b.length && (b[at] as number) < trait) at += 1
    if (at < b.length && b[at] === trait) shared += weight
  }
  for (let index = 0; index < b.length; index++) sumB += weightOfTrait(b[index] as number)
  return shared === 0 ? 0 : shared / Math.sqrt(sumA * sumB)
}
