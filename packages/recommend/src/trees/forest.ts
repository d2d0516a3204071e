/**
 * Ensembles of decision trees, laid flat, and what they answer for rows of features.
 *
 * A node sends a row left when its value is at most the threshold, or stands in the set of categories
 * of the node. The libraries that trees are read from differ in what they do with a missing value, with
 * zero, and in their precision; readers say it per node and per forest, so that one loop serves all.
 * A row costs one step per level of each tree, and no memory.
 */
import { checkArgument, recommendErrors } from '../errors.ts'
import { addShapValues, meanOf, type ShapTree } from './tree-shap.ts'

/** A node as a reader gives it: a leaf, or a split with the places of its children in the same tree. */
export type ForestNode = ForestLeaf | ForestSplit

/** See `ForestNode`. */
export interface ForestLeaf {
  readonly leaf: number
  /** How many rows, or how much of their weight, came here in training. */
  readonly cover: number
}

/** See `ForestNode`. */
export interface ForestSplit {
  /** Column of the row. */
  readonly feature: number
  /** Left when the value is at most this; or when the set holds it, which has a bit for each whole number from 0. */
  readonly left: { readonly atMost: number } | { readonly in: Uint32Array }
  readonly leftAt: number
  readonly rightAt: number
  /** Where a row goes whose value is NaN. */
  readonly isMissingLeft: boolean
  /** Zero counts as missing. */
  readonly isZeroMissing: boolean
  /** As of a leaf. */
  readonly cover: number
}

/** What makes an answer of the sums of leaves of one row, which stand from `from` on, in place. */
export type ForestLink = (sums: Float64Array, from: number, outputs: number) => void

/** What holds for all trees of a forest. */
export interface ForestOptions {
  /** Names of the columns of a row, in their order. */
  readonly features: readonly string[]
  /** Sums of leaves start here: one for each output, such as each class. */
  readonly base: readonly number[]
  readonly link: ForestLink
  /** The link is given sums that are divided by it: how many trees an output has, where their mean answers. Default 1. */
  readonly divisor?: number
  /** Values and sums have 24 bits of precision, as in XGBoost. */
  readonly isSingle: boolean
}

const STRIDE_BITS = 2
const STRIDE = 1 << STRIDE_BITS
/** Kinds of nodes. */
const PLAIN = 0
const CATEGORIES = 1
const ZERO_MISSING = 2
/** What LightGBM takes for zero, `kZeroThreshold`. */
const ZERO_MAX = Math.fround(1e-35)
/** Rows that go through a tree before the next tree, so that it stays in the cache. */
const BLOCK_ROWS = 64

/** Trees that a model is made of, and its answers. Made by a `ForestBuilder`. */
export class Forest {
  readonly #options: ForestOptions
  readonly #trees: readonly Tree[]
  /**
   * Per node: column, 1 where a missing value goes right, the left and the right child as places in
   * here. A leaf has itself for both, so that rows of different depths walk in step.
   */
  readonly #nodes: Int32Array
  /** Per node: the threshold, or where its set begins; of a leaf its value. */
  readonly #thresholds: Float64Array
  readonly #kinds: Uint8Array
  /** Per node: rows of the training that came there, or their weight. */
  readonly #covers: Float64Array
  /** Sets of categories: how many words, then the words. */
  readonly #sets: Uint32Array

  constructor(options: ForestOptions, parts: ForestParts) {
    this.#options = options
    this.#trees = parts.trees
    this.#nodes = Int32Array.from(parts.nodes)
    this.#thresholds = Float64Array.from(parts.thresholds)
    this.#kinds = Uint8Array.from(parts.kinds)
    this.#covers = Float64Array.from(parts.covers)
    this.#sets = Uint32Array.from(parts.sets)
  }

  /** Names of the columns that a row has, in their order. */
  get features(): readonly string[] {
    return this.#options.features
  }

  /** Numbers that an answer has: 1, or one for each class. */
  get outputs(): number {
    return this.#options.base.length
  }

  /** How many trees there are. */
  get trees(): number {
    return this.#trees.length
  }

  /**
   * The sums of leaves of each row, `rows × outputs`, before the link: what its library calls raw
   * score or margin. Rows are one after the other, a missing value is NaN. Throws
   * RECOMMEND_ARGUMENT_INVALID for rows that are not whole.
   */
  sums(rows: Float64Array): Float64Array {
    const { features, base } = this.#options
    const columns = features.length
    const values = this.#valuesOf(rows)
    const count = rows.length / columns
    const sums = new Float64Array(count * base.length)
    for (let at = 0; at < sums.length; at += base.length) sums.set(base, at)
    for (let from = 0; from < count; from += BLOCK_ROWS) {
      const to = Math.min(from + BLOCK_ROWS, count)
      for (const tree of this.#trees) this.#addTree(tree, values, sums, from, to)
    }
    return sums
  }

  /** What the model answers for each row, `rows × outputs`: chances where it was trained on classes. Throws as `sums`. */
  predict(rows: Float64Array): Float64Array {
    const { base, link, isSingle, divisor = 1 } = this.#options
    const answers = this.sums(rows)
    for (let at = 0; at < answers.length; at++) answers[at] = (answers[at] as number) / divisor
    for (let at = 0; at < answers.length; at += base.length) link(answers, at, base.length)
    return isSingle ? Float64Array.from(Float32Array.from(answers)) : answers
  }

  /**
   * What each column adds to the sums of each row: `rows × outputs × (columns + 1)`, Shapley values of the
   * columns and the mean behind them, which add up to what `sums` gives. Throws as `sums`. Source: tree-shap.ts.
   */
  contributions(rows: Float64Array): Float64Array {
    const { features, base } = this.#options
    const columns = features.length
    const values = this.#valuesOf(rows)
    const shares = new Float64Array((rows.length / columns) * base.length * (columns + 1))
    const means: number[] = []
    for (let row = 0; row < values.length; row += columns) {
      const from = (row / columns) * base.length * (columns + 1)
      for (const [output, start] of base.entries()) {
        shares[from + output * (columns + 1) + columns] = start
      }
      for (const [at, tree] of this.#trees.entries()) {
        const place = from + tree.output * (columns + 1)
        const shap = this.#shapTree(tree, values, row)
        // What a tree says on average is the same for every row.
        const mean = (means[at] ??= meanOf(shap))
        shares[place + columns] = (shares[place + columns] as number) + mean
        addShapValues(shap, shares, place)
      }
    }
    return shares
  }

  /** The rows in the precision of the model, when they are whole. */
  #valuesOf(rows: Float64Array): Float64Array {
    const { features, isSingle } = this.#options
    const columns = features.length
    checkArgument(rows.length % columns === 0, 'rows', rows.length, `a row has ${columns} columns`)
    return isSingle ? Float64Array.from(Float32Array.from(rows)) : rows
  }

  #shapTree({ root, leaves }: Tree, values: Float64Array, row: number): ShapTree {
    return {
      root,
      isLeaf: node => node >= leaves,
      valueOf: node => this.#thresholds[node >> STRIDE_BITS] as number,
      columnOf: node => this.#nodes[node] as number,
      coverOf: node => this.#covers[node >> STRIDE_BITS] as number,
      childrenOf: node => {
        const [left, right] = [this.#nodes[node + 2] as number, this.#nodes[node + 3] as number]
        return this.#childOf(node, values, row) === left ? [left, right] : [right, left]
      },
    }
  }

  #addTree(tree: Tree, values: Float64Array, sums: Float64Array, from: number, to: number): void {
    const columns = this.#options.features.length
    let row = from
    if (tree.isPlain) {
      for (; row + 4 <= to; row += 4) this.#addFour(tree, values, sums, row)
    }
    for (; row < to; row++)
      this.#addLeaf(tree, sums, row, this.#leafOf(tree, values, row * columns))
  }

  /** Four rows at a time, without a branch: their loads overlap, and nothing is guessed wrong. */
  #addFour(tree: Tree, values: Float64Array, sums: Float64Array, row: number): void {
    const nodes = this.#nodes
    const thresholds = this.#thresholds
    const columns = this.#options.features.length
    const { root, leaves } = tree
    const [row0, row1, row2, row3] = [row * columns, (row + 1) * columns, (row + 2) * columns, (row + 3) * columns] // prettier-ignore
    let at0 = root
    let at1 = root
    let at2 = root
    let at3 = root
    while (((at0 - leaves) | (at1 - leaves) | (at2 - leaves) | (at3 - leaves)) < 0) {
      at0 = next(nodes, thresholds, values, at0, row0)
      at1 = next(nodes, thresholds, values, at1, row1)
      at2 = next(nodes, thresholds, values, at2, row2)
      at3 = next(nodes, thresholds, values, at3, row3)
    }
    this.#addLeaf(tree, sums, row, at0)
    this.#addLeaf(tree, sums, row + 1, at1)
    this.#addLeaf(tree, sums, row + 2, at2)
    this.#addLeaf(tree, sums, row + 3, at3)
  }

  #addLeaf({ output }: Tree, sums: Float64Array, row: number, leaf: number): void {
    const { base, isSingle } = this.#options
    const place = row * base.length + output
    const sum = (sums[place] as number) + (this.#thresholds[leaf >> STRIDE_BITS] as number)
    sums[place] = isSingle ? Math.fround(sum) : sum
  }

  #leafOf({ root, leaves }: Tree, values: Float64Array, row: number): number {
    let at = root
    while (at < leaves) at = this.#childOf(at, values, row)
    return at
  }

  #childOf(at: number, values: Float64Array, row: number): number {
    const kind = this.#kinds[at >> STRIDE_BITS] as number
    const value = values[row + (this.#nodes[at] as number)] as number
    if (kind === PLAIN || Number.isNaN(value)) {
      return next(this.#nodes, this.#thresholds, values, at, row)
    }
    return this.#nodes[at + (this.#isRight(kind, at, value) ? 3 : 2)] as number
  }

  /** Of the nodes that are no plain comparison, for a value that is not NaN. */
  #isRight(kind: number, at: number, value: number): boolean {
    const threshold = this.#thresholds[at >> STRIDE_BITS] as number
    if (kind === ZERO_MISSING) {
      return Math.abs(value) <= ZERO_MAX ? this.#nodes[at + 1] === 1 : value > threshold
    }
    const category = Math.trunc(value)
    if (!(category >= 0 && category < (this.#sets[threshold] as number) * 32)) return true
    const word = this.#sets[threshold + 1 + (category >>> 5)] as number
    return ((word >>> (category & 31)) & 1) === 0
  }
}

/** The child to which a value goes, by comparison alone. */
function next(
  nodes: Int32Array,
  thresholds: Float64Array,
  values: Float64Array,
  at: number,
  row: number,
): number {
  const value = values[row + (nodes[at] as number)] as number
  const isAbove = Number(value > (thresholds[at >> STRIDE_BITS] as number))
  const isMissing = Number(Number.isNaN(value)) & (nodes[at + 1] as number)
  return nodes[at + 2 + (isAbove | isMissing)] as number
}

interface Tree {
  readonly output: number
  /** Places of the first node, and of the first leaf, behind which leaves alone are. */
  readonly root: number
  readonly leaves: number
  /** All its nodes are comparisons. */
  readonly isPlain: boolean
}

interface ForestParts {
  readonly trees: Tree[]
  readonly nodes: number[]
  readonly thresholds: number[]
  readonly kinds: number[]
  readonly covers: number[]
  readonly sets: number[]
}

/** Collects trees for a forest. */
export class ForestBuilder {
  readonly #options: ForestOptions
  readonly #parts: ForestParts = { trees: [], nodes: [], thresholds: [], kinds: [], covers: [], sets: [] } // prettier-ignore

  constructor(options: ForestOptions) {
    this.#options = options
  }

  /**
   * Adds a tree to the sum of `output`. Throws FOREST_DAMAGED, with `place` in it, for a tree that
   * loops, has no such node, reads no such column, or ends in no number.
   */
  add(
    place: string,
    output: number,
    root: number,
    nodeAt: (at: number) => ForestNode | undefined,
  ): void {
    const damaged = (reason: string): never => {
      throw recommendErrors.create('FOREST_DAMAGED', { place, reason })
    }
    const { base, features } = this.#options
    if (!(output >= 0 && output < base.length)) damaged(`there is no output ${output}`)
    const splits: ForestSplit[] = []
    const leaves: ForestLeaf[] = []
    /** By its number in the source: how many splits, or leaves, were met before. */
    const met = new Map<number, { readonly isLeaf: boolean; readonly rank: number }>()
    const todo = [root]
    for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
      if (met.has(at)) damaged(`node ${at} has two parents`)
      const node = nodeAt(at) ?? damaged(`there is no node ${at}`)
      if (!(node.cover >= 0)) damaged(`node ${at} has no count of rows`)
      if ('leaf' in node) {
        if (!Number.isFinite(node.leaf)) damaged(`leaf ${at} is no number`)
        met.set(at, { isLeaf: true, rank: leaves.length })
        leaves.push(node)
        continue
      }
      const { feature, leftAt, rightAt } = node
      if (!(feature >= 0 && feature < features.length))
        damaged(`node ${at} reads column ${feature}`)
      met.set(at, { isLeaf: false, rank: splits.length })
      splits.push(node)
      todo.push(rightAt, leftAt)
    }
    this.#lay(output, splits, leaves, at => met.get(at) as { isLeaf: boolean; rank: number })
  }

  /** The forest of all trees that were added. */
  finish(): Forest {
    return new Forest(this.#options, this.#parts)
  }

  #lay(
    output: number,
    splits: readonly ForestSplit[],
    leaves: readonly ForestLeaf[],
    rankOf: (at: number) => { readonly isLeaf: boolean; readonly rank: number },
  ): void {
    const { trees, nodes, thresholds, kinds, covers, sets } = this.#parts
    const root = nodes.length
    const firstLeaf = root + splits.length * STRIDE
    const placeOf = (at: number): number => {
      const { isLeaf, rank } = rankOf(at)
      return (isLeaf ? firstLeaf : root) + rank * STRIDE
    }
    let isPlain = true
    for (const { feature, left, leftAt, rightAt, isMissingLeft, isZeroMissing, cover } of splits) {
      // prettier-ignore
      const isSet = 'in' in left
      nodes.push(feature, isMissingLeft ? 0 : 1, placeOf(leftAt), placeOf(rightAt))
      const kind = isSet ? CATEGORIES : isZeroMissing ? ZERO_MISSING : PLAIN
      kinds.push(kind)
      covers.push(cover)
      isPlain &&= kind === PLAIN
      thresholds.push(isSet ? sets.length : left.atMost)
      if (!isSet) continue
      sets.push(left.in.length)
      for (const word of left.in) sets.push(word)
    }
    for (const { leaf, cover } of leaves) {
      const place = nodes.length
      nodes.push(0, 0, place, place)
      kinds.push(PLAIN)
      covers.push(cover)
      thresholds.push(leaf)
    }
    trees.push({ output, root, leaves: firstLeaf, isPlain })
  }
}
