/** Similarity of two items: what people do together, and what the items say about themselves. */
import { SCORING_DEFAULTS } from './defaults.ts'

/** Normalises a co-occurrence weight by how common both items are: the cosine, shrunk. */
export function similarity(weight: number, countA: number, countB: number): number {
  const { similarShrink } = SCORING_DEFAULTS
  return weight / Math.sqrt((countA + similarShrink) * (countB + similarShrink))
}

/**
 * Content affinity of two sorted lists of trait numbers: the sum of the shared traits' weights over
 * the geometric mean of both sums, in [0, 1]. Weights are usually log(items / items with the trait),
 * so that sharing a rare topic says more than sharing a common one. `sums` is the product of the
 * lists' sums (`traitSum`), which the caller can keep.
 */
export function contentAffinity(
  a: Int32Array,
  b: Int32Array,
  sums: number,
  weightOfTrait: (trait: number) => number,
): number {
  let shared = 0
  let at = 0
  for (let index = 0; index < a.length && at < b.length; index++) {
    const trait = a[index] as number
    while (at < b.length && (b[at] as number) < trait) at += 1
    if (at < b.length && b[at] === trait) shared += weightOfTrait(trait)
  }
  return shared === 0 ? 0 : shared / Math.sqrt(sums)
}

/** The sum of the weights of some traits. */
export function traitSum(traits: Int32Array, weightOfTrait: (trait: number) => number): number {
  let sum = 0
  for (let index = 0; index < traits.length; index++) sum += weightOfTrait(traits[index] as number)
  return sum
}
