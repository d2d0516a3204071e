import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { createSeededRandom, isError, type Random } from '@millrace/core'
import {
  estimateOffPolicy,
  type Interval,
  type LoggedChoices,
  type OffPolicyEstimator,
} from './off-policy.ts'
import { studentQuantile } from './student.ts'

const ESTIMATORS = ['inversePropensity', 'selfNormalised', 'doublyRobust'] as const
const CONTEXTS = 6
const ACTIONS = 10
const covers = ({ low, high }: Interval, truth: number): boolean => low <= truth && truth <= high

test('quantiles of Student are those of the tables', () => {
  // Abramowitz and Stegun, table 26.10, two-sided 5 % and 1 %; the last column of it is the normal.
  for (const [freedom, five, one] of [
    [1, 12.706, 63.657],
    [2, 4.303, 9.925],
    [3, 3.182, 5.841],
    [4, 2.776, 4.604],
    [10, 2.228, 3.169],
    [30, 2.042, 2.75],
    [120, 1.98, 2.617],
    [1e7, 1.96, 2.576],
  ] as const) {
    assert.ok(Math.abs(studentQuantile(0.975, freedom) / five - 1) < 3e-4, `5 % at ${freedom}`)
    assert.ok(Math.abs(studentQuantile(0.995, freedom) / one - 1) < 3e-4, `1 % at ${freedom}`)
  }
  assert.ok(Math.abs(studentQuantile(0.75, 1e7) - 0.67449) < 1e-4)
})

type Table = readonly (readonly number[])[]

function softmax(scores: readonly number[]): readonly number[] {
  const powers = scores.map(Math.exp)
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers.map(power => power / sum)
}

const table = (entry: () => number): Table =>
  Array.from({ length: CONTEXTS }, () => Array.from({ length: ACTIONS }, entry))

const valueOf = (policy: Table, means: Table): number =>
  policy.reduce((sum, row, c) => sum + row.reduce((s, p, a) => s + p * at(means, c, a), 0), 0) /
  CONTEXTS

const at = (of: Table, row: number, column: number): number => of[row]?.[column] as number

function draw(chances: readonly number[], random: Random): number {
  let left = random.next()
  for (let place = 0; place < chances.length - 1; place++) {
    left -= chances[place] as number
    if (left < 0) return place
  }
  return chances.length - 1
}

interface World {
  readonly choices: LoggedChoices
  readonly truth: number
  readonly logged: number
}

/** A logging policy, another one, and what people did; each cluster shares a taste when there are any. */
function simulate(random: Random, rows: number, rowsPerCluster: number): World {
  const means = table(() => 0.05 + 0.5 * random.next() ** 2)
  const scores = table(() => 2 * random.next())
  const logging = scores.map(softmax)
  const away = 1.5 * random.next()
  const target = scores.map(row => softmax(row.map(s => s + away * (random.next() * 2 - 1))))
  const column = (): Float64Array => new Float64Array(rows)
  const [rewards, propensities, targets, predicted, expected] = [
    column(),
    column(),
    column(),
    column(),
    column(),
  ]
  const clusters = new Int32Array(rows)
  // A model that knows the actions and not the contexts: wrong, as models are.
  const model = Array.from(
    { length: ACTIONS },
    (_, a) => means.reduce((sum, row) => sum + (row[a] as number), 0) / CONTEXTS,
  )
  let taste = 0
  let context = 0
  for (let row = 0; row < rows; row++) {
    if (row % rowsPerCluster === 0) {
      taste = rowsPerCluster === 1 ? 0 : random.next() < 0.5 ? -0.04 : 0.04
      context = Math.floor(random.next() * CONTEXTS)
    }
    const action = draw(logging[context] as readonly number[], random)
    rewards[row] = random.next() < at(means, context, action) + taste ? 1 : 0
    propensities[row] = at(logging, context, action)
    targets[row] = at(target, context, action)
    predicted[row] = model[action] as number
    expected[row] = (target[context] as readonly number[]).reduce(
      (s, p, a) => s + p * (model[a] as number),
      0,
    )
    clusters[row] = Math.floor(row / rowsPerCluster)
  }
  const choices = {
    rewards,
    propensities,
    targets,
    predicted,
    expected,
    ...(rowsPerCluster === 1 ? {} : { clusters }),
  }
  return { choices, truth: valueOf(target, means), logged: valueOf(logging, means) }
}

const POLICIES = 500
/** 92 to 98 % of the intervals hold: three deviations of a coverage of 95 % to each side, so no seed is lucky. */
const isRight = (held: number): boolean => held >= 0.92 * POLICIES && held <= 0.98 * POLICIES

test('500 simulated policies: the 95 % intervals of each estimator hold, and signs are right', t => {
  const random = createSeededRandom(5)
  const found = ESTIMATORS.map(estimator => ({ estimator, target: 0, change: 0, right: 0 }))
  let large = 0
  for (let policy = 0; policy < POLICIES; policy++) {
    const { choices, truth, logged } = simulate(random, 2_000, 1)
    const isLarge = Math.abs(truth - logged) > 0.02 * logged
    if (isLarge) large += 1
    for (const counts of found) {
      const { target, change } = estimateOffPolicy(choices, counts)
      if (covers(target, truth)) counts.target += 1
      if (covers(change, truth - logged)) counts.change += 1
      if (isLarge && Math.sign(change.value) === Math.sign(truth - logged)) counts.right += 1
    }
  }
  assert.ok(large > 0.4 * POLICIES)
  for (const counts of found) {
    const told = JSON.stringify({ ...counts, large })
    t.diagnostic(told)
    assert.ok(isRight(counts.target), told)
    assert.ok(isRight(counts.change), told)
    assert.ok(counts.right >= 0.9 * large, told)
  }
})

test('where people differ, intervals by person hold, and those by choice do not', () => {
  const random = createSeededRandom(8)
  const found = ESTIMATORS.map(estimator => ({ estimator, byPerson: 0, byChoice: 0 }))
  for (let policy = 0; policy < 60; policy++) {
    const { choices, truth } = simulate(random, 4_000, 40)
    const { clusters: _, ...alone } = choices
    for (const counts of found) {
      if (covers(estimateOffPolicy(choices, counts).target, truth)) counts.byPerson += 1
      if (covers(estimateOffPolicy(alone, counts).target, truth)) counts.byChoice += 1
    }
  }
  for (const counts of found) {
    const told = JSON.stringify(counts)
    assert.ok(counts.byPerson >= 52, told)
    assert.ok(counts.byChoice < counts.byPerson - 5, told)
  }
})

const few = (change: Partial<LoggedChoices> = {}): LoggedChoices => ({
  rewards: Float64Array.of(1, 0, 1, 0),
  propensities: Float64Array.of(0.5, 0.5, 0.1, 0.9),
  targets: Float64Array.of(0.5, 0.5, 0.9, 0.1),
  ...change,
})

test('figures of the weights are those of their definitions, and clipping is told', () => {
  const { weights, target } = estimateOffPolicy(few(), { estimator: 'inversePropensity' })
  assert.ok(Math.abs(target.value - 2.5) < 1e-12)
  assert.ok(Math.abs(weights.max - 9) < 1e-12)
  const all = [1, 1, 9, 1 / 9]
  const sum = all.reduce((a, b) => a + b, 0)
  const squares = all.reduce((a, b) => a + b * b, 0)
  assert.ok(Math.abs(weights.mean - sum / 4) < 1e-12)
  assert.ok(Math.abs(weights.effectiveSampleSize - sum ** 2 / squares) < 1e-12)
  assert.equal(weights.clippedShare, 0)
  const cut = estimateOffPolicy(few(), { estimator: 'inversePropensity', clipAt: 3 })
  assert.equal(cut.target.value, 1)
  assert.equal(cut.weights.clippedShare, 0.25)
  assert.ok(Math.abs(cut.weights.max - 9) < 1e-12)
})

test('the policy that logged is estimated as what was logged, its change as 0 without doubt', () => {
  const { propensities } = few()
  const same = few({ targets: propensities })
  for (const estimator of ['inversePropensity', 'selfNormalised'] as const) {
    const { target, change } = estimateOffPolicy(same, { estimator })
    assert.equal(target.value, 0.5)
    assert.deepEqual([change.value, change.low, change.high], [0, 0, 0])
  }
})

test('a log that knows nothing of the target says so', () => {
  const nothing = few({ targets: new Float64Array(4) })
  const { target, weights } = estimateOffPolicy(nothing, { estimator: 'selfNormalised' })
  assert.ok(Number.isNaN(target.value) && Number.isNaN(target.low))
  assert.deepEqual([weights.effectiveSampleSize, weights.mean], [0, 0])
})

test('what cannot be estimated is refused by name', () => {
  const refused = (choices: LoggedChoices, estimator: OffPolicyEstimator, name: string): void => {
    assert.throws(
      () => estimateOffPolicy(choices, { estimator }),
      error => isError(error, 'RECOMMEND_ARGUMENT_INVALID') && error.message.startsWith(name),
    )
  }
  refused(few({ rewards: Float64Array.of(1) }), 'inversePropensity', 'rewards')
  refused(few({ targets: Float64Array.of(1) }), 'inversePropensity', 'targets')
  refused(few({ propensities: new Float64Array(4) }), 'inversePropensity', 'propensity')
  refused(few({ targets: Float64Array.of(1, 1, 2, 1) }), 'inversePropensity', 'target')
  refused(few(), 'doublyRobust', 'estimator')
})

const DATA = new URL('../../../../shared/data/open-bandit/', import.meta.url)
const skip = existsSync(DATA) ? false : 'data set ../shared/data/open-bandit is absent'

interface Impression {
  readonly action: string
  readonly position: string
  readonly click: number
  readonly propensity: number
}

function impressions(policy: string): readonly Impression[] {
  const text = gunzipSync(readFileSync(new URL(`${policy}/men.csv.gz`, DATA))).toString('utf8')
  const [head = '', ...lines] = text.trimEnd().split('\n')
  const names = head.split(',')
  const place = (name: string): number => names.indexOf(name)
  const [item, position, click, score] = [
    place('item_id'),
    place('position'),
    place('click'),
    place('propensity_score'),
  ]
  return lines.map(line => {
    const cells = line.split(',')
    return {
      action: cells[item] as string,
      position: cells[position] as string,
      click: Number(cells[click]),
      propensity: Number(cells[score]),
    }
  })
}

test(
  'each log of the Open Bandit data estimates the mean click of the other policy',
  { skip },
  t => {
    const logs = { random: impressions('random'), bts: impressions('bts') }
    const placeOf = ({ action, position }: Impression): string => `${action} at ${position}`
    // Thompson sampling without a context: what it did in its own log is its policy.
    const counts = new Map<string, number>()
    const totals = new Map<string, number>()
    for (const row of logs.bts) {
      counts.set(placeOf(row), (counts.get(placeOf(row)) ?? 0) + 1)
      totals.set(row.position, (totals.get(row.position) ?? 0) + 1)
    }
    const chance = {
      random: () => 1 / 34,
      bts: (row: Impression) =>
        (counts.get(placeOf(row)) ?? 0) / (totals.get(row.position) as number),
    }
    for (const [from, to] of [
      ['random', 'bts'],
      ['bts', 'random'],
    ] as const) {
      const rows = logs[from]
      assert.equal(rows.length, 10_000)
      const truth = logs[to].reduce((sum, { click }) => sum + click, 0) / logs[to].length
      const rates = new Map<string, { clicks: number; shown: number }>()
      for (const row of rows) {
        const rate = rates.get(row.action) ?? { clicks: 0, shown: 0 }
        rates.set(row.action, { clicks: rate.clicks + row.click, shown: rate.shown + 1 })
      }
      const model = (action: string): number => {
        const { clicks = 0, shown = 0 } = rates.get(action) ?? {}
        return (clicks + 1) / (shown + 200)
      }
      const expectedAt = new Map<string, number>()
      for (const position of totals.keys()) {
        const all = [...rates.keys()].map(action => ({ action, position, click: 0, propensity: 1 }))
        expectedAt.set(
          position,
          all.reduce((sum, row) => sum + chance[to](row) * model(row.action), 0),
        )
      }
      const choices = {
        rewards: Float64Array.from(rows, row => row.click),
        propensities: Float64Array.from(rows, row => row.propensity),
        targets: Float64Array.from(rows, row => chance[to](row)),
        predicted: Float64Array.from(rows, row => model(row.action)),
        expected: Float64Array.from(rows, row => expectedAt.get(row.position) as number),
      }
      for (const estimator of ESTIMATORS) {
        const { target, weights } = estimateOffPolicy(choices, { estimator })
        const told = `${estimator} of ${to} from ${from}: ${target.value.toFixed(5)} [${target.low.toFixed(5)}, ${target.high.toFixed(5)}], its own log ${truth.toFixed(5)}; ${weights.effectiveSampleSize.toFixed(0)} effective choices, greatest weight ${weights.max.toFixed(1)}`
        t.diagnostic(told)
        assert.ok(covers(target, truth), told)
        assert.ok(target.high - target.low < 0.02, told)
      }
    }
  },
)
