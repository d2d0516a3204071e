/**
 * Shapley values of the columns of a row, for one tree, in time `leaves × depth²` and memory `depth²`.
 *
 * They share out what a tree says of a row, less what it says on average, so that the shares sum to the
 * difference; a column that is not known counts with the parts of the training rows that went each way.
 * Source: S. M. Lundberg, G. G. Erion, S.-I. Lee, Consistent Individualized Feature Attribution for Tree
 * Ensembles (2018), algorithm 2; names are those of the paper.
 */

/** One tree, and how one row goes through it. Nodes are numbers. */
export interface ShapTree {
  readonly root: number
  isLeaf(node: number): boolean
  /** Of a leaf. */
  valueOf(node: number): number
  /** Column that a split looks at. */
  columnOf(node: number): number
  /** Where the row goes, and where it does not. */
  childrenOf(node: number): readonly [taken: number, other: number]
  /** How many training rows, or how much of their weight, came to a node. */
  coverOf(node: number): number
}

/** Adds the shares of one row to `shares`, which has one for each column from `from` on. */
export function addShapValues(tree: ShapTree, shares: Float64Array, from: number): void {
  visit({ tree, shares, from }, tree.root, [], { column: -1, zero: 1, one: 1 })
}

/** What a tree says on average, which the shares come on top of; no row changes it. */
export function meanOf(tree: ShapTree, node: number = tree.root): number {
  if (tree.isLeaf(node)) return tree.valueOf(node)
  const cover = tree.coverOf(node)
  return tree
    .childrenOf(node)
    .reduce((sum, child) => sum + (tree.coverOf(child) / cover) * meanOf(tree, child), 0)
}

/** A step of the path: the share of rows that go on when its column is not known, and when it is. */
interface Step {
  readonly column: number
  readonly zero: number
  readonly one: number
}

/** A step with its weight: of sets of known columns so large, among the permutations. */
type Weighted = Step & { weight: number }

interface Walk {
  readonly tree: ShapTree
  readonly shares: Float64Array
  readonly from: number
}

function visit(walk: Walk, node: number, before: readonly Weighted[], step: Step): void {
  const { tree, shares, from } = walk
  const path = extended(before, step)
  if (tree.isLeaf(node)) {
    for (let at = 1; at < path.length; at++) {
      const { column, zero, one } = path[at] as Weighted
      const share = unwoundSum(path, at) * (one - zero) * tree.valueOf(node)
      shares[from + column] = (shares[from + column] as number) + share
    }
    return
  }
  const column = tree.columnOf(node)
  const [taken, other] = tree.childrenOf(node)
  const known = path.findIndex((it, at) => at > 0 && it.column === column)
  // A column that was asked before counts once, for both questions.
  const { zero, one } = known < 0 ? { zero: 1, one: 1 } : (path[known] as Weighted)
  const rest = known < 0 ? path : unwound(path, known)
  const cover = tree.coverOf(node)
  const shareOf = (child: number): number => (tree.coverOf(child) / cover) * zero
  visit(walk, taken, rest, { column, zero: shareOf(taken), one })
  visit(walk, other, rest, { column, zero: shareOf(other), one: 0 })
}

/** The path with one more step: EXTEND of the paper. */
function extended(before: readonly Weighted[], step: Step): Weighted[] {
  const depth = before.length
  const path: Weighted[] = before.map(it => ({ ...it }))
  path.push({ ...step, weight: depth === 0 ? 1 : 0 })
  for (let at = depth - 1; at >= 0; at--) {
    const [here, behind] = [path[at] as Weighted, path[at + 1] as Weighted]
    behind.weight += (step.one * here.weight * (at + 1)) / (depth + 1)
    here.weight = (step.zero * here.weight * (depth - at)) / (depth + 1)
  }
  return path
}

/** The path without one step, as if it had never been there: UNWIND of the paper. */
function unwound(path: readonly Weighted[], index: number): Weighted[] {
  const depth = path.length - 1
  const weights = unwoundWeights(path, index)
  return path
    .filter((_, at) => at !== index)
    .map((it, at) => ({ ...it, weight: weights[at] as number }))
    .slice(0, depth)
}

function unwoundWeights(path: readonly Weighted[], index: number): number[] {
  const depth = path.length - 1
  const { zero, one } = path[index] as Weighted
  const weights = Array.from({ length: depth }, () => 0)
  let next = (path[depth] as Weighted).weight
  for (let at = depth - 1; at >= 0; at--) {
    const { weight } = path[at] as Weighted
    if (one === 0) {
      weights[at] = zero === 0 ? 0 : (weight * (depth + 1)) / (zero * (depth - at))
    } else {
      weights[at] = (next * (depth + 1)) / ((at + 1) * one)
      next = weight - ((weights[at] as number) * zero * (depth - at)) / (depth + 1)
    }
  }
  return weights
}

/** The sum of the weights that the path would have without one step. */
function unwoundSum(path: readonly Weighted[], index: number): number {
  return unwoundWeights(path, index).reduce((sum, weight) => sum + weight, 0)
}
