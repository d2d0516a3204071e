import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PrepareStep, StepFit } from '@millrace/core'
import fc from 'fast-check'
import { applySteps, type Prepared } from './apply.ts'
import { fitSteps } from './fit.ts'

const numbers = fc.option(
  fc.oneof(
    fc.integer({ min: -5, max: 5 }),
    fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }),
    fc.constant(Number.MAX_VALUE),
  ),
  { nil: undefined },
)
const texts = fc.option(fc.constantFrom('', 'a', 'b', 'c', '__proto__'), { nil: undefined })
const column = fc.array(fc.tuple(numbers, texts), { maxLength: 30 })

/** Learns one step, and says what it makes of the rows. */
function learn(
  steps: readonly PrepareStep[],
  kind: 'number' | 'text',
  given: readonly Prepared[],
  groups?: readonly (string | undefined)[],
): { fits: readonly StepFit[]; made: readonly Prepared[] } {
  const made = [...given]
  const fits = fitSteps(steps, kind, made, groups)
  return { fits, made }
}

/** Quantiles as NumPy gives them, by hand. */
function quantile(given: readonly number[], share: number): number {
  const sorted = [...given].sort((a, b) => a - b)
  if (sorted.length === 0) return 0
  const at = share * (sorted.length - 1)
  const [low, high] = [sorted[Math.floor(at)] as number, sorted[Math.ceil(at)] as number]
  return low === high ? low : low * (1 - (at % 1)) + high * (at % 1)
}

function frequent<T extends number | string>(given: readonly T[]): T | undefined {
  const countOf = (value: T): number => given.filter(other => other === value).length
  return [...new Set(given)].sort((a, b) => countOf(b) - countOf(a) || (a < b ? -1 : 1))[0]
}

function mean(given: readonly number[]): number {
  return given.reduce((sum, value) => sum + value / given.length, 0)
}

function near(actual: unknown, expected: number, about: string): void {
  const off = Math.abs(Number(actual) - expected)
  assert.ok(off <= 1e-9 * Math.max(1, Math.abs(expected)), `${about}: ${String(actual)} is not ${expected}`) // prettier-ignore
}

const there = (given: readonly Prepared[]): number[] =>
  given.filter(value => typeof value === 'number')

test('what a step learns is what looking at all rows gives', () => {
  fc.assert(
    fc.property(column, rows => {
      const given = rows.map(([value]) => value)
      const groups = rows.map(([, group]) => group)
      const known = there(given)
      const fitOf = (step: PrepareStep): Record<string, unknown> =>
        learn([step], 'number', step.kind === 'impute' ? given : known, step.kind === 'impute' ? groups : undefined).fits[0] as never // prettier-ignore
      const median = fitOf({ kind: 'impute', with: 'median' })
      assert.equal(median['value'], quantile(known, 0.5))
      const byGroup = median['byGroup'] as Record<string, number>
      for (const group of new Set(groups)) {
        const own = there(given.filter((_, row) => groups[row] === group))
        if (group === undefined || own.length === 0) continue
        assert.ok(Object.hasOwn(byGroup, group))
        assert.equal(byGroup[group], quantile(own, 0.5))
      }
      assert.equal(fitOf({ kind: 'impute', with: 'frequent' })['value'], frequent(known) ?? 0)
      assert.deepEqual(fitOf({ kind: 'winsorize', low: 0.1, high: 0.9 }), { min: quantile(known, 0.1), max: quantile(known, 0.9) }) // prettier-ignore
      const small = known.filter(value => value < 1e100)
      near((learn([{ kind: 'impute', with: 'mean' }], 'number', small).fits[0] as { value: number }).value, small.length === 0 ? 0 : mean(small), 'mean') // prettier-ignore
      const standard = learn([{ kind: 'standard' }], 'number', small).fits[0] as { shift: number; scale: number } // prettier-ignore
      const deviation = Math.sqrt(mean(small.map(value => (value - mean(small)) ** 2)))
      if (deviation > 1e-6) near(standard.scale, deviation, 'deviation')
      const minMax = learn([{ kind: 'minMax' }], 'number', small).fits[0]
      const [least, greatest] = [Math.min(...small), Math.max(...small)]
      if (small.length > 0) assert.deepEqual(minMax, { shift: least, scale: greatest > least ? greatest - least : 1 }) // prettier-ignore
      const robust = learn([{ kind: 'robust' }], 'number', small).fits[0] as { shift: number; scale: number } // prettier-ignore
      const range = quantile(small, 0.75) - quantile(small, 0.25)
      assert.deepEqual(robust, { shift: quantile(small, 0.5), scale: range > 0 ? range : 1 })
    }),
  )
})

test('texts: categories by frequency, unknown ones apart, groups and what is missing', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(texts, texts), { maxLength: 30 }), rows => {
      const given = rows.map(([value]) => value)
      const known = given.filter(value => value !== undefined)
      const { fits, made } = learn([{ kind: 'impute', with: 'frequent' }, { kind: 'ordinal', max: 2 }], 'text', given) // prettier-ignore
      const filled = given.map(value => value ?? frequent(known) ?? '')
      const countOf = (value: string): number => filled.filter(other => other === value).length
      const categories = [...new Set(filled)].sort((a, b) => countOf(b) - countOf(a) || (a < b ? -1 : 1)).slice(0, 2) // prettier-ignore
      assert.deepEqual(fits[1], { categories })
      assert.deepEqual(
        made,
        filled.map(value => categories.indexOf(value) + 1),
      )
      const oneHot = applySteps([{ kind: 'oneHot', max: 2 }], [{ categories }], 'never seen', undefined) // prettier-ignore
      assert.deepEqual(oneHot, [...categories.map(() => 0), 1])
      const missing = learn([{ kind: 'isMissing' }], 'text', given).made
      assert.deepEqual(
        missing,
        given.map(value => (value === undefined ? 1 : 0)),
      )
    }),
  )
})

const chains: readonly (readonly PrepareStep[])[] = [
  [{ kind: 'impute', with: 'median' }, { kind: 'log1p' }, { kind: 'winsorize', low: 0.05, high: 0.95 }, { kind: 'standard' }], // prettier-ignore
  [{ kind: 'impute', with: 'mean' }, { kind: 'robust' }, { kind: 'clip', min: -3, max: 3 }, { kind: 'minMax' }], // prettier-ignore
  [{ kind: 'impute', with: 'constant', value: -1 }, { kind: 'standard' }],
]

test('a row that is served becomes what it became in training, and is finite', () => {
  fc.assert(
    fc.property(column, fc.constantFrom(...chains), (rows, steps) => {
      const given = rows.map(([value]) => value)
      const groups = rows.map(([, group]) => group)
      const { fits, made } = learn(steps, 'number', given, groups)
      // As it is kept, and read again.
      const kept = JSON.parse(JSON.stringify(fits)) as readonly StepFit[]
      given.forEach((value, row) => {
        const served = applySteps(steps, kept, value, groups[row])
        assert.ok(Number.isFinite(served))
        assert.ok(Object.is(served, made[row]) || (served === 0 && made[row] === 0))
      })
    }),
  )
})

test('no rows, one row, one value, all missing', () => {
  const standard: readonly PrepareStep[] = [{ kind: 'impute', with: 'mean' }, { kind: 'standard' }]
  assert.deepEqual(learn(standard, 'number', []).fits, [{ value: 0 }, { shift: 0, scale: 1 }])
  assert.deepEqual(learn(standard, 'number', [7]).made, [0])
  assert.deepEqual(learn(standard, 'number', [7, 7, 7]).made, [0, 0, 0])
  assert.deepEqual(learn(standard, 'number', [undefined, undefined]).made, [0, 0])
  assert.deepEqual(learn([{ kind: 'impute', with: 'frequent' }], 'text', [undefined]).made, [''])
  assert.deepEqual(learn([{ kind: 'hash', buckets: 8 }], 'text', ['a', 'a']).made.length, 2)
  const [hashed, again] = learn([{ kind: 'hash', buckets: 8 }], 'text', ['a', 'a']).made
  assert.ok(hashed === again && Number(hashed) >= 0 && Number(hashed) < 8)
})
