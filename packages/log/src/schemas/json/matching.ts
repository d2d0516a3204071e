/**
 * Maximum matching in a bipartite graph by augmenting paths. O(left x edges); the sides are the
 * parts of one combination, a handful.
 */

/** The greatest set of pairs in which nobody stands twice. `choices[left]`: the rights it may take. Gives left -> right. */
export function maximumMatching(choices: readonly (readonly number[])[]): Map<number, number> {
  const leftOf = new Map<number, number>()
  const place = (left: number, tried: Set<number>): boolean =>
    (choices[left] ?? []).some(right => {
      if (tried.has(right)) return false
      tried.add(right)
      const holder = leftOf.get(right)
      if (holder !== undefined && !place(holder, tried)) return false
      leftOf.set(right, left)
      return true
    })
  for (const left of choices.keys()) place(left, new Set())
  return new Map([...leftOf].map(([right, left]) => [left, right]))
}
