/**
 * What the steps of a column learn from the rows of a training set, one step after the other: a step
 * learns from what the steps before it made. The rows are taken in their order, so the same rows
 * teach the same to the bit. Quantiles are exact, between two values by their distance (as NumPy does).
 *
 * Where there is nothing to learn from - no rows, all of them missing - 0 or the empty text stands in;
 * a column of one value has the scale 1.
 */
import type { PrepareStep, StepFit } from '@millrace/core'
import { applyStep, type Prepared } from './apply.ts'

/** Learns the steps of a column. `values` are replaced by what the steps make of them; missing ones are undefined. */
export function fitSteps(
  steps: readonly PrepareStep[],
  kind: 'number' | 'text',
  values: Prepared[],
  groups: readonly (string | undefined)[] | undefined,
): readonly StepFit[] {
  return steps.map(step => {
    const fit = fitStep(step, kind, values, groups)
    for (let row = 0; row < values.length; row++) {
      values[row] = applyStep(step, fit, values[row], groups?.[row])
    }
    return fit
  })
}

function fitStep(
  step: PrepareStep,
  kind: 'number' | 'text',
  values: readonly Prepared[],
  groups: readonly (string | undefined)[] | undefined,
): StepFit {
  switch (step.kind) {
    case 'impute': {
      if (step.with === 'constant') return null
      const typical = TYPICAL[step.with]
      const there = values.filter(isThere)
      const value = there.length === 0 && kind === 'text' ? '' : typical(there)
      if (groups === undefined) return { value }
      const byGroup = new Map<string, (number | string)[]>()
      values.forEach((each, row) => {
        const group = groups[row]
        if (group === undefined || !isThere(each)) return
        const known = byGroup.get(group)
        if (known === undefined) byGroup.set(group, [each])
        else known.push(each)
      })
      const sorted = [...byGroup].sort(([a], [b]) => (a < b ? -1 : 1))
      return { value, byGroup: Object.fromEntries(sorted.map(([group, own]) => [group, typical(own)])) } // prettier-ignore
    }
    case 'winsorize': {
      const sorted = sortedOf(values)
      return { min: quantileOf(sorted, step.low), max: quantileOf(sorted, step.high) }
    }
    case 'standard': {
      const { mean, deviation } = momentsOf(values.filter(isNumber))
      return scaled(mean, deviation)
    }
    case 'minMax': {
      const sorted = sortedOf(values)
      const [least = 0] = sorted
      return scaled(least, (sorted.at(-1) ?? 0) - least)
    }
    case 'robust': {
      const sorted = sortedOf(values)
      return scaled(quantileOf(sorted, 0.5), quantileOf(sorted, 0.75) - quantileOf(sorted, 0.25))
    }
    case 'oneHot':
    case 'ordinal':
      return { categories: byFrequency(values.filter(isText)).slice(0, step.max) }
    default:
      return null
  }
}

type Plain = number | string

const TYPICAL: Readonly<
  Record<'mean' | 'median' | 'frequent', (values: readonly Plain[]) => Plain>
> = {
  // prettier-ignore
  mean: values => momentsOf(values as readonly number[]).mean,
  median: values => quantileOf(Float64Array.from(values as readonly number[]).sort(), 0.5),
  frequent: values => byFrequency(values)[0] ?? 0,
}

function isThere(value: Prepared): value is Plain {
  return isNumber(value) || isText(value)
}

function isNumber(value: Prepared): value is number {
  return typeof value === 'number'
}

function isText(value: Prepared): value is string {
  return typeof value === 'string'
}

function sortedOf(values: readonly Prepared[]): Float64Array {
  return Float64Array.from(values.filter(isNumber)).sort()
}

/** The value at a share of sorted numbers; 0 of none. */
function quantileOf(sorted: ArrayLike<number>, share: number): number {
  const { length } = sorted
  if (length === 0) return 0
  const at = (length - 1) * share
  const low = Math.floor(at)
  const below = sorted[low] as number
  const above = sorted[Math.min(length - 1, low + 1)] as number
  return below === above ? below : below * (1 - (at - low)) + above * (at - low)
}

/** Mean and deviation, kept near the values so that sums do not overflow. */
function momentsOf(values: readonly number[]): {
  readonly mean: number
  readonly deviation: number
} {
  let mean = 0
  let squares = 0
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as number
    const before = mean
    mean += value / (index + 1) - mean / (index + 1)
    squares += (value - before) * (value - mean)
  }
  return { mean, deviation: Math.sqrt(squares / Math.max(1, values.length)) }
}

function scaled(shift: number, scale: number): StepFit {
  return { shift, scale: scale > 0 && Number.isFinite(scale) ? scale : 1 }
}

/** Values by how often they are there, the most frequent first; of equally many the least. */
function byFrequency<T extends Plain>(values: readonly T[]): T[] {
  const counts = new Map<T, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([value]) => value)
}
