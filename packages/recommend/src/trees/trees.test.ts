import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { isError } from '@millrace/core'
import fc from 'fast-check'
import type { Forest } from './forest.ts'
import { readLightGbm } from './light-gbm.ts'
import { readXgboost } from './xgboost.ts'

/** What `fixtures/make.py` writes: a model, rows, and what Python answers for them. */
interface Fixture {
  readonly columns: number
  readonly rows: readonly (readonly (number | string)[])[]
  readonly margins: readonly number[]
  readonly answers: readonly number[]
  /** Of the first rows: what each column adds, and the mean. */
  readonly contributions: readonly number[]
  readonly model: string
}

const FIXTURES = join(import.meta.dirname, 'fixtures')
const NAMES = readdirSync(FIXTURES).filter(name => name.endsWith('.json'))
const TOLERANCE = 1e-6
/** XGBoost counts shares in 32 bits. */
const SHARE_TOLERANCE = 1e-5

const fixtureOf = (name: string): Fixture =>
  JSON.parse(readFileSync(join(FIXTURES, name), 'utf8')) as Fixture

const read = (name: string, model: string): Forest =>
  name.startsWith('lightgbm') ? readLightGbm(model) : readXgboost(model)

const rowsOf = ({ rows }: Fixture): Float64Array =>
  Float64Array.from(rows.flat(), value => Number(String(value).replace(/inf$/, 'Infinity')))

function assertClose(
  found: Float64Array,
  wanted: readonly number[],
  what: string,
  tolerance = TOLERANCE,
): void {
  assert.equal(found.length, wanted.length, what)
  for (const [at, value] of wanted.entries()) {
    const off = Math.abs((found[at] as number) - value)
    assert.ok(
      off <= tolerance * Math.max(1, Math.abs(value)),
      `${what} ${at}: ${found[at]}, ${value}`,
    )
  }
}

describe('a forest that Python trained', () => {
  for (const name of NAMES) {
    it(`answers as there: ${name.replace('.json', '')}`, () => {
      const fixture = fixtureOf(name)
      const forest = read(name, fixture.model)
      assert.equal(forest.features.length, fixture.columns)
      assertClose(forest.sums(rowsOf(fixture)), fixture.margins, 'sum')
      let answers = forest.predict(rowsOf(fixture))
      // There it names the class; here it gives the chances of all.
      if (name === 'xgboost-classes.json') {
        const { outputs } = forest
        answers = Float64Array.from(fixture.answers, (_, row) => {
          const chances = answers.subarray(row * outputs, (row + 1) * outputs)
          return chances.indexOf(Math.max(...chances))
        })
      }
      assertClose(answers, fixture.answers, 'answer')
    })
  }
})

const codes = ['FOREST_DAMAGED', 'FOREST_UNSUPPORTED']

/** Refuses by name, or answers with numbers: nothing else, whatever the text is. */
function assertReadOrRefused(name: string, model: string, rows: Float64Array): void {
  let forest: Forest
  try {
    forest = read(name, model)
  } catch (error) {
    if (!isError(error)) throw error
    assert.ok(codes.includes(error.code), error.code)
    return
  }
  const whole = rows.slice(
    0,
    Math.floor(rows.length / forest.features.length) * forest.features.length,
  )
  forest.predict(whole)
}

describe('what columns add', () => {
  for (const name of NAMES) {
    it(`is what Python says: ${name.replace('.json', '')}`, () => {
      const fixture = fixtureOf(name)
      const forest = read(name, fixture.model)
      const { length } = forest.features
      const shares = length + 1
      const count = fixture.contributions.length / shares / forest.outputs
      const rows = rowsOf(fixture).slice(0, count * length)
      const found = forest.contributions(rows)
      assertClose(found, fixture.contributions, 'share', SHARE_TOLERANCE)
      const sums = forest.sums(rows)
      for (const [at, sum] of sums.entries()) {
        const total = found.subarray(at * shares, (at + 1) * shares).reduce((a, b) => a + b, 0)
        assert.ok(Math.abs(total - sum) <= SHARE_TOLERANCE * Math.max(1, Math.abs(sum)))
      }
    })
  }
})

describe('a model that was changed', () => {
  for (const name of [
    'lightgbm-binary.json',
    'lightgbm-multiclass.json',
    'xgboost-dart.json',
    'xgboost-logistic.json',
  ]) {
    const fixture = fixtureOf(name)
    const rows = rowsOf(fixture).slice(0, fixture.columns * 4)
    it(`is refused, or answers: ${name.replace('.json', '')}`, () => {
      const { model } = fixture
      const piece = fc.constantFrom(
        '',
        '-',
        '0',
        '1e999',
        '99',
        'nan',
        ' ',
        '\n',
        '[',
        '{}',
        'null',
        '"x"',
        'Tree=1\n',
      )
      fc.assert(
        fc.property(fc.nat(model.length), fc.nat(12), piece, (at, length, text) => {
          assertReadOrRefused(name, model.slice(0, at) + text + model.slice(at + length), rows)
        }),
        { numRuns: Number(process.env['MILLRACE_PROP_RUNS'] ?? 300) },
      )
    })
    it(`is refused when it was cut short: ${name.replace('.json', '')}`, () => {
      const { model } = fixture
      const end = name.startsWith('lightgbm') ? model.indexOf('end of trees') : model.length - 1
      for (let cut = 0; cut < end; cut += 97) {
        assert.throws(
          () => read(name, model.slice(0, cut)),
          error => isError(error, 'FOREST_DAMAGED'),
          `${cut}`,
        )
      }
    })
  }

  it('is refused with what is at fault', () => {
    const { model } = fixtureOf('lightgbm-binary.json')
    const refusals: readonly (readonly [string, string, RegExp])[] = [
      ['is_linear=0', 'is_linear=1', /linear leaves/],
      ['objective=binary', 'objective=own_thing', /objective own_thing/],
      ['left_child=1 ', 'left_child=0 ', /tree 0: node 0 has two parents/],
      ['left_child=1 ', 'left_child=7 ', /tree 0: there is no node 7/],
      ['split_feature=0 4', 'split_feature=9 4', /tree 0: node 0 reads column 9/],
      ['cat_boundaries=0 2', 'cat_boundaries=0', /node 1 has no set of categories/],
      ['leaf_value=-', 'leaf_value=x', /leaf_value holds "x0/],
      ['num_leaves=8', 'num_leaves=9', /num_leaves/],
      ['max_feature_idx=4', 'max_feature_idx=5', /max_feature_idx/],
      ['num_tree_per_iteration=1', 'num_tree_per_iteration=3', /does not divide 8 trees/],
    ]
    for (const [from, to, why] of refusals) {
      assert.ok(model.includes(from), from)
      assert.throws(() => readLightGbm(model.replace(from, to)), why)
    }
    const other = fixtureOf('xgboost-logistic.json').model
    const others: readonly (readonly [string, string, RegExp])[] = [
      ['"name":"gbtree"', '"name":"gblinear"', /booster gblinear/],
      ['binary:logistic', 'own:thing', /objective own:thing/],
      [
        '"num_feature":"5","num_target"',
        '"num_feature":"many","num_target"',
        /learner_model_param.num_feature/,
      ],
      ['"size_leaf_vector":"1"', '"size_leaf_vector":"3"', /vectors/],
      ['"categories_nodes":[1', '"categories_nodes":[0', /node 1 has no set/],
      ['"base_score":"[', '"base_score":"[1,', /base_score/],
      ['"base_score":"[', '"base_score":"[x', /base_score/],
      ['"tree_info":[0', '"tree_info":[4', /no output 4/],
    ]
    for (const [from, to, why] of others) {
      assert.ok(other.includes(from), from)
      assert.throws(() => readXgboost(other.replace(from, to)), why)
    }
  })

  it('refuses rows that are not whole', () => {
    const { model } = fixtureOf('lightgbm-binary.json')
    assert.throws(
      () => readLightGbm(model).sums(new Float64Array(7)),
      error => isError(error, 'RECOMMEND_ARGUMENT_INVALID'),
    )
  })
})
