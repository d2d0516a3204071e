/**
 * Reads the JSON that XGBoost saves a model as (`Booster.save_model('model.json')`), version 1.6 and up.
 *
 * Source: doc/model.schema of XGBoost, and src/predictor. Values, thresholds and sums are 32-bit
 * floats; a value goes left when it is below the threshold; a category of the stored set goes right, one
 * that no set holds goes left.
 */
import { recommendErrors } from '../errors.ts'
import { ForestBuilder, type Forest, type ForestLink, type ForestNode } from './forest.ts'
import { exponential, hinge, identity, logistic, softmax } from './links.ts'

const CATEGORIES_MAX = 1 << 24

/** What the objectives make of the sum, and the sum at which a base score stands. */
const OBJECTIVES: readonly (readonly [RegExp, ForestLink, (base: number) => number])[] = [
  [/^(reg|binary):logistic$/, logistic(), base => -Math.log(1 / base - 1)],
  [/^binary:logitraw$/, identity, base => -Math.log(1 / base - 1)],
  [/^binary:hinge$/, hinge, base => base],
  [/^(count:poisson|reg:(gamma|tweedie)|survival:(cox|aft))$/, exponential, Math.log],
  [/^multi:soft(prob|max)$/, softmax, base => base],
  [/^rank:|^reg:(squarederror|squaredlogerror|absoluteerror|pseudohubererror|quantileerror)$/, identity, base => base], // prettier-ignore
]

/**
 * The forest in a JSON model of XGBoost. It answers as `Booster.predict` does, but of `multi:softmax`
 * the chances of the classes. Throws FOREST_DAMAGED with the field's path, and FOREST_UNSUPPORTED for
 * linear boosters, leaves of vectors and unknown objectives.
 */
export function readXgboost(text: string): Forest {
  const learner = new Field('model', parse(text)).get('learner')
  const parameters = learner.get('learner_model_param')
  const booster = learner.get('gradient_booster')
  const kind = booster.get('name').text()
  if (kind !== 'gbtree' && kind !== 'dart') throw unsupported(`the booster ${kind}`)
  const objective = learner.get('objective').get('name').text()
  const found = OBJECTIVES.find(([name]) => name.test(objective))
  if (found === undefined) throw unsupported(`the objective ${objective}`)
  const [, link, startOf] = found
  const outputs = Math.max(parameters.get('num_class').count(), 1)
  const model = (kind === 'dart' ? booster.get('gbtree') : booster).get('model')
  const scores = parameters.get('base_score')
  // One number, or a list of them, as text.
  const given = scores
    .text()
    .replace(/^\[|\]$/g, '')
    .split(',')
    .map(Number)
  if ((given.length !== 1 && given.length !== outputs) || given.some(Number.isNaN)) {
    throw scores.damaged('it has no number for each class')
  }
  const base = Array.from({ length: outputs }, (_, at) =>
    Math.fround(startOf(Math.fround(given[given.length === 1 ? 0 : at] as number))),
  )
  const columns = parameters.get('num_feature').count()
  const names =
    learner
      .find('feature_names')
      ?.list()
      .map(name => String(name.value)) ?? []
  const features = names.length === columns ? names : Array.from({ length: columns }, (_, at) => `f${at}`) // prettier-ignore
  const trees = model.get('trees').list()
  const classes = model.get('tree_info').numbers()
  const weights = kind === 'dart' ? booster.get('weight_drop').numbers() : undefined
  const builder = new ForestBuilder({ features, base, link, isSingle: true })
  for (const [at, tree] of trees.entries()) {
    builder.add(tree.path, classes[at] ?? NaN, 0, readTree(tree, weights?.[at] ?? 1))
  }
  return builder.finish()
}

function readTree(tree: Field, weight: number): (at: number) => ForestNode | undefined {
  if (Number(tree.find('tree_param')?.find('size_leaf_vector')?.value ?? 1) > 1) {
    throw unsupported('a tree whose leaves are vectors')
  }
  const numbers = (name: string): readonly number[] => tree.get(name).numbers()
  const left = numbers('left_children')
  const right = numbers('right_children')
  const conditions = numbers('split_conditions')
  const features = numbers('split_indices')
  const defaults = numbers('default_left')
  const covers = numbers('sum_hessian')
  const types = tree.find('split_type')?.numbers() ?? []
  const sets = types.includes(1) ? setsOf(tree) : new Map<number, Uint32Array>()
  return at => {
    const condition = conditions[at]
    const leftAt = left[at]
    const rightAt = right[at]
    if (condition === undefined || leftAt === undefined || rightAt === undefined) return undefined
    const cover = covers[at] ?? NaN
    if (leftAt < 0) {
      return { leaf: Math.fround(Math.fround(condition) * Math.fround(weight)), cover }
    }
    const isMissingLeft = defaults[at] === 1
    const split = { feature: features[at] ?? -1, isZeroMissing: false, cover }
    if (types[at] !== 1) {
      const atMost = floatBelow(Math.fround(condition))
      return { ...split, left: { atMost }, leftAt, rightAt, isMissingLeft }
    }
    const set = sets.get(at)
    if (set === undefined) throw tree.damaged(`node ${at} has no set of categories`)
    // The stored set goes right: the children change places.
    return { ...split, left: { in: set }, leftAt: rightAt, rightAt: leftAt, isMissingLeft: !isMissingLeft } // prettier-ignore
  }
}

/** The categories of each split by a set, as bits. */
function setsOf(tree: Field): Map<number, Uint32Array> {
  const categories = tree.get('categories').numbers()
  const starts = tree.get('categories_segments').numbers()
  const sizes = tree.get('categories_sizes').numbers()
  const nodes = tree.get('categories_nodes').numbers()
  return new Map(
    nodes.map((node, at) => {
      const start = starts[at] ?? NaN
      const set = categories.slice(start, start + (sizes[at] ?? NaN))
      const isFit = set.every(it => Number.isInteger(it) && it >= 0 && it < CATEGORIES_MAX)
      if (set.length === 0 || !isFit) throw tree.damaged(`the categories of node ${node}`)
      const bits = new Uint32Array((Math.max(...set) >>> 5) + 1)
      for (const category of set) bits[category >>> 5] = (bits[category >>> 5] as number) | (1 << (category & 31)) // prettier-ignore
      return [node, bits]
    }),
  )
}

const bytes = new DataView(new ArrayBuffer(4))

/** The largest 32-bit float below one, so that "below" is "at most" of this. */
function floatBelow(value: number): number {
  if (value === 0) return -(2 ** -149)
  bytes.setFloat32(0, value)
  bytes.setInt32(0, bytes.getInt32(0) + (value > 0 ? -1 : 1))
  return value === Number.NEGATIVE_INFINITY ? value : bytes.getFloat32(0)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw recommendErrors.create('FOREST_DAMAGED', { place: 'model', reason: 'it is not JSON' }, error) // prettier-ignore
  }
}

/** A value of the model with its path, for refusals. */
class Field {
  readonly path: string
  readonly value: unknown

  constructor(path: string, value: unknown) {
    this.path = path
    this.value = value
  }

  find(name: string): Field | undefined {
    const { value } = this
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    return new Field(`${this.path}.${name}`, (value as Record<string, unknown>)[name])
  }

  get(name: string): Field {
    const field = this.find(name)
    if (field === undefined) throw this.damaged(`${name} is not there`)
    return field
  }

  text(): string {
    if (typeof this.value !== 'string') throw this.damaged('it is no text')
    return this.value
  }

  /** A whole number, which the format writes as text. */
  count(): number {
    const count = Number(this.text())
    if (!Number.isSafeInteger(count) || count < 0) throw this.damaged('it is no whole number')
    return count
  }

  list(): Field[] {
    if (!Array.isArray(this.value)) throw this.damaged('it is no list')
    return this.value.map((value, at) => new Field(`${this.path}[${at}]`, value))
  }

  numbers(): number[] {
    const { value } = this
    const isFit = Array.isArray(value) && value.every(it => typeof it === 'number' || typeof it === 'boolean') // prettier-ignore
    if (!isFit) throw this.damaged('it is no list of numbers')
    return value.map(Number)
  }

  damaged(reason: string): Error {
    return recommendErrors.create('FOREST_DAMAGED', { place: this.path, reason })
  }
}

function unsupported(what: string): Error {
  return recommendErrors.create('FOREST_UNSUPPORTED', { what })
}
