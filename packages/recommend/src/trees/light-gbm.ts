/**
 * Reads the text that LightGBM saves a model as (`Booster.save_model`), version 3 and 4.
 *
 * Source: `GBDT::SaveModelToString` and `Tree` of LightGBM, src/boosting/gbdt_model_text.cpp and
 * include/LightGBM/tree.h. A value goes left when it is at most the threshold; a category that is
 * missing, negative or in no set goes right.
 */
import { recommendErrors } from '../errors.ts'
import { ForestBuilder, type Forest, type ForestLink, type ForestNode } from './forest.ts'
import { exponential, identity, logistic, signedSquare, softmax, softplus } from './links.ts'

const CATEGORICAL = 1
const DEFAULT_LEFT = 2
const MISSING_ZERO = 4
const MISSING_NAN = 8
const TREES_MAX = 1_000_000

/** Objectives whose answer is the sum; one that a team wrote by itself has no name. */
const PLAIN = /^(regression(_l1)?|huber|fair|quantile|mape|lambdarank|rank_xendcg|custom|)$/

/**
 * The forest in a text model of LightGBM. It answers as `Booster.predict` does. Throws FOREST_DAMAGED
 * with the line's name, and FOREST_UNSUPPORTED for linear trees and unknown objectives.
 */
export function readLightGbm(text: string): Forest {
  const [head = '', ...blocks] = text.split(/^Tree=\d+\r?$/m, TREES_MAX)
  const header = fieldsOf(head)
  if (!/^tree\r?$/m.test(head)) throw damaged('the head', 'it does not begin with "tree"')
  const features = (header.get('feature_names') ?? '').split(' ').filter(name => name !== '')
  if (features.length !== integerOf(header, 'max_feature_idx', 'the head') + 1) {
    throw damaged('feature_names', 'there are not as many as max_feature_idx says')
  }
  const outputs = integerOf(header, 'num_tree_per_iteration', 'the head')
  if (outputs < 1 || blocks.length % outputs !== 0) {
    throw damaged('num_tree_per_iteration', `it does not divide ${blocks.length} trees`)
  }
  // A head that promises more trees than there are was cut short.
  const promised = (header.get('tree_sizes') ?? '').split(' ').filter(size => size !== '').length
  if (promised !== blocks.length || !/^end of trees\r?$/m.test(text)) {
    throw damaged('tree_sizes', `${promised} trees are promised, and ${blocks.length} are there`)
  }
  const isMean = header.has('average_output')
  const builder = new ForestBuilder({
    features,
    base: Array.from({ length: outputs }, () => 0),
    link: linkOf(header.get('objective') ?? ''),
    divisor: isMean ? Math.max(blocks.length / outputs, 1) : 1,
    isSingle: false,
  })
  for (const [tree, block] of blocks.entries()) {
    const place = `tree ${tree}`
    const { root, nodeAt } = readTree(place, fieldsOf(block.split(/^end of trees/m)[0] as string))
    builder.add(place, tree % outputs, root, nodeAt)
  }
  return builder.finish()
}

function linkOf(objective: string): ForestLink {
  const [name = '', ...settings] = objective.trim().split(' ')
  const sigmoid = /^sigmoid:(.+)$/.exec(
    settings.find(setting => setting.startsWith('sigmoid:')) ?? '',
  )
  if (name === 'regression' && settings.includes('sqrt')) return signedSquare
  if (PLAIN.test(name)) return identity
  if (name === 'binary' || name === 'multiclassova') return logistic(Number(sigmoid?.[1] ?? 1))
  if (name === 'cross_entropy') return logistic()
  if (name === 'cross_entropy_lambda') return softplus
  if (name === 'multiclass') return softmax
  if (/^(poisson|gamma|tweedie)$/.test(name)) return exponential
  throw recommendErrors.create('FOREST_UNSUPPORTED', { what: `the objective ${name}` })
}

type Fields = ReadonlyMap<string, string>

function readTree(
  place: string,
  fields: Fields,
): { readonly root: number; readonly nodeAt: (at: number) => ForestNode | undefined } {
  if (fields.get('is_linear') === '1') {
    throw recommendErrors.create('FOREST_UNSUPPORTED', { what: 'a tree with linear leaves' })
  }
  const leaves = numbersOf(fields, 'leaf_value', place)
  if (leaves.length !== integerOf(fields, 'num_leaves', place)) {
    throw damaged(place, 'leaf_value has not as many values as num_leaves says')
  }
  const names = ['split_feature', 'threshold', 'left_child', 'right_child', 'decision_type']
  const splits = names.map(name => numbersOf(fields, name, place))
  for (const [at, split] of splits.entries()) {
    if (split.length !== leaves.length - 1) throw damaged(place, `${names[at]} has ${split.length} values`) // prettier-ignore
  }
  const [feature, threshold, left, right, kind] = splits as [number[], number[], number[], number[], number[]] // prettier-ignore
  const counts = [
    numbersOf(fields, 'internal_count', place),
    numbersOf(fields, 'leaf_count', place),
  ]
  const [coverOf, leafCoverOf] = counts as [number[], number[]]
  const bounds = numbersOf(fields, 'cat_boundaries', place)
  const words = Uint32Array.from(numbersOf(fields, 'cat_threshold', place))
  // Leaves have the complements of their numbers.
  const nodeAt = (at: number): ForestNode | undefined => {
    if (at < 0) {
      // A tree that is one leaf writes no count.
      const cover = leaves.length === 1 ? 1 : (leafCoverOf[~at] ?? NaN)
      return ~at < leaves.length ? { leaf: leaves[~at] as number, cover } : undefined
    }
    if (!(at < feature.length)) return undefined
    const bits = kind[at] as number
    const limit = threshold[at] as number
    const split = { feature: feature[at] as number, leftAt: left[at] as number, rightAt: right[at] as number, cover: coverOf[at] ?? NaN } // prettier-ignore
    if ((bits & CATEGORICAL) !== 0) {
      const [from, to] = [bounds[limit], bounds[limit + 1]]
      if (from === undefined || to === undefined || to > words.length) {
        throw damaged(place, `node ${at} has no set of categories`)
      }
      return { ...split, left: { in: words.subarray(from, to) }, isMissingLeft: false, isZeroMissing: false } // prettier-ignore
    }
    const isDefaultLeft = (bits & DEFAULT_LEFT) !== 0
    const isZeroMissing = (bits & MISSING_ZERO) !== 0
    // Where nothing is missing, what is not there is zero.
    const isMissingLeft = (bits & (MISSING_NAN | MISSING_ZERO)) === 0 ? limit >= 0 : isDefaultLeft
    return { ...split, left: { atMost: limit }, isMissingLeft, isZeroMissing }
  }
  return { root: leaves.length === 1 ? -1 : 0, nodeAt }
}

function fieldsOf(block: string): Fields {
  return new Map(
    block.split(/\r?\n/).map(line => {
      const equals = line.indexOf('=')
      return equals < 0 ? [line, ''] : [line.slice(0, equals), line.slice(equals + 1)]
    }),
  )
}

function numbersOf(fields: Fields, name: string, place: string): number[] {
  const texts = (fields.get(name) ?? '').split(' ').filter(text => text !== '')
  return texts.map(text => {
    const value = Number(text.replace(/inf$/, 'Infinity'))
    if (Number.isNaN(value))
      throw damaged(place, `${name} holds ${JSON.stringify(text.slice(0, 40))}`)
    return value
  })
}

function integerOf(fields: Fields, name: string, place: string): number {
  const value = Number(fields.get(name) ?? NaN)
  if (!Number.isSafeInteger(value) || value < 0) throw damaged(place, `${name} is no whole number`)
  return value
}

function damaged(place: string, reason: string): Error {
  return recommendErrors.create('FOREST_DAMAGED', { place, reason })
}
