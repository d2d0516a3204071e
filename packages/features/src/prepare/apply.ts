/** Steps applied to one value: the only code that does, for training rows and for served ones. */
import type { PrepareStep, StepFit } from '@millrace/core'
import { CELL_STATUS } from '../cell-row.ts'
import { hashText, type Lanes } from '@millrace/streams'

/** A value on its way through steps; undefined: it is missing. */
export type Prepared = number | string | readonly number[] | undefined

/** What the steps of a column are given of a cell: undefined where they tell that it is missing; others take the default of the feature. */
export function givenValue(
  [first]: readonly PrepareStep[],
  value: number | string,
  status: number,
): number | string | undefined {
  const tellsMissing = first?.kind === 'impute' || first?.kind === 'isMissing'
  return tellsMissing ? ifServed(value, status) : value
}

/** The value, undefined where the default stands in for it: what a group is read by. */
export function ifServed<T>(value: T, status: number): T | undefined {
  return status === CELL_STATUS.value || status === CELL_STATUS.stale ? value : undefined
}

/** Applies a column's steps. `fits` has what each of them learnt. */
export function applySteps(
  steps: readonly PrepareStep[],
  fits: readonly StepFit[],
  value: number | string | undefined,
  group: string | undefined,
): Prepared {
  let now: Prepared = value
  for (let index = 0; index < steps.length; index++) {
    now = applyStep(steps[index] as PrepareStep, fits[index] as StepFit, now, group)
  }
  return now
}

/** Applies one step. */
export function applyStep(
  step: PrepareStep,
  fit: StepFit,
  value: Prepared,
  group: string | undefined,
): Prepared {
  switch (step.kind) {
    case 'impute': {
      if (value !== undefined) return value
      if (step.with === 'constant') return step.value
      const { value: all, byGroup = {} } = fit as { value: number | string; byGroup?: Readonly<Record<string, number | string>> } // prettier-ignore
      return group !== undefined && Object.hasOwn(byGroup, group) ? byGroup[group] : all
    }
    case 'isMissing':
      return value === undefined ? 1 : 0
    case 'log1p': {
      const number = value as number
      return Math.sign(number) * Math.log1p(Math.abs(number))
    }
    case 'clip':
      return between(value as number, step)
    case 'winsorize':
      return between(value as number, fit as { min: number; max: number })
    case 'standard':
    case 'minMax':
    case 'robust': {
      const { shift, scale } = fit as { shift: number; scale: number }
      return between(((value as number) - shift) / scale, FINITE)
    }
    case 'oneHot': {
      const { categories } = fit as { categories: readonly string[] }
      const list = Array.from({ length: categories.length + 1 }, () => 0)
      const at = placeOf(categories, value as string)
      list[at < 0 ? categories.length : at] = 1
      return list
    }
    case 'ordinal':
      return placeOf((fit as { categories: readonly string[] }).categories, value as string) + 1
    case 'hash':
      return hashOf(value as string) % step.buckets
  }
}

const FINITE = { min: -Number.MAX_VALUE, max: Number.MAX_VALUE }

function between(
  value: number,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  return Math.min(max, Math.max(min, value))
}

const places = new WeakMap<readonly string[], ReadonlyMap<string, number>>()

/** The place of a category; -1 for one that is none. */
function placeOf(categories: readonly string[], value: string): number {
  let known = places.get(categories)
  if (known === undefined) {
    places.set(categories, (known = new Map(categories.map((category, at) => [category, at]))))
  }
  return known.get(value) ?? -1
}

const SEED: Lanes = new Int32Array(4)
const lanes: Lanes = new Int32Array(4)

function hashOf(text: string): number {
  hashText(lanes, SEED, text)
  return (lanes[0] as number) >>> 0
}
