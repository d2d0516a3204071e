/** Checks of prepared columns: steps that values cannot take, and what was learnt for other steps. */
import type { Refuse } from './definition-checks.ts'
import type { FeatureKind } from './feature-builder.ts'
import { kindOfColumn, type AnyFeatureService } from './feature.ts'
import {
  fittedFingerprint,
  kindAfter,
  preparedColumns,
  stepsText,
  type FittedState,
  type PreparedFeature,
  type PrepareStep,
} from './prepare.ts'

/** The format of what was learnt that this build reads. */
export const FITTED_FORMAT = 1

const OF_TEXTS: ReadonlySet<string> = new Set(['oneHot', 'ordinal', 'hash'])
const OF_ALL: ReadonlySet<string> = new Set(['impute', 'isMissing'])
const COUNTS = { oneHot: 1_000, ordinal: 100_000, hash: 2 ** 24 } as const

/** Checks the steps of a column, at its place. */
export function checkPrepared(column: PreparedFeature, path: string, refuse: Refuse): void {
  let kind: FeatureKind | undefined = kindOfColumn(column.input)
  for (const [index, step] of column.steps.entries()) {
    const at = `${path}.${step.kind}`
    if (kind !== 'number' && kind !== 'text') {
      refuse(at, `nothing follows a step that gives ${kind ?? 'no value'}`)
    }
    const isOfTexts = OF_TEXTS.has(step.kind)
    if (!OF_ALL.has(step.kind) && isOfTexts !== (kind === 'text')) {
      refuse(at, `the values are ${kind}s, and it takes ${isOfTexts ? 'texts' : 'numbers'}`)
    }
    if (OF_ALL.has(step.kind) && index > 0) refuse(at, 'it looks at what was served: make it the first step') // prettier-ignore
    if (step.kind === 'isMissing' && column.steps.length > 1) refuse(at, 'it is the only step; give it a column of its own') // prettier-ignore
    checkStep(step, kind, at, refuse)
    kind = kindAfter(step, kind)
  }
  const { by } = column
  if (by !== undefined && kindOfColumn(by) !== 'text') {
    refuse(`${path}.impute.by`, `${column.byName} is ${kindOfColumn(by)}, and groups are texts`)
  }
}

function checkStep(step: PrepareStep, of: 'number' | 'text', at: string, refuse: Refuse): void {
  if (step.kind === 'impute') {
    if (step.with === 'constant') {
      const { value } = step
      const isFit = of === 'number' ? Number.isFinite(value) : typeof value === 'string'
      if (!isFit) refuse(at, `${String(value)} is no ${of}`)
    } else if (of === 'text' && step.with !== 'frequent') {
      refuse(at, `texts have no ${step.with}; use frequent`)
    }
  }
  if (step.kind === 'clip') {
    const isRange = Number.isFinite(step.min) && Number.isFinite(step.max) && step.min <= step.max
    if (!isRange) refuse(at, `${step.min} to ${step.max} is no range`)
  }
  if (step.kind === 'winsorize' && !(step.low >= 0 && step.high <= 1 && step.low < step.high)) {
    refuse(at, 'use two shares from 0 to 1, the lower one first')
  }
  if (step.kind === 'oneHot' || step.kind === 'ordinal' || step.kind === 'hash') {
    const count = step.kind === 'hash' ? step.buckets : step.max
    const most = COUNTS[step.kind]
    if (!Number.isSafeInteger(count) || count < 1 || count > most) {
      refuse(at, `use a whole number from 1 to ${most}`)
    }
  }
}

/** Refuses what was learnt for other columns or other steps, or was changed since. */
export function checkFitted(
  service: AnyFeatureService & { readonly fitted?: FittedState | undefined },
  path: string,
  refuse: Refuse,
): void {
  const { fitted } = service
  if (fitted === undefined) return
  const remedy = 'make the training set again, and take what it writes'
  if ((fitted as { format?: unknown }).format !== FITTED_FORMAT) {
    refuse(path, `it is not what a training set of this version writes; ${remedy}`)
  }
  if (fittedFingerprint(fitted.columns) !== fitted.fingerprint) {
    refuse(path, `it is not as it was written; ${remedy}`)
  }
  for (const [name, column] of preparedColumns(service)) {
    if (column.fitted === undefined) refuse(`${path}.${name}`, `nothing was learnt for it; ${remedy}`) // prettier-ignore
    if (column.fitted?.steps !== stepsText(column)) refuse(`${path}.${name}`, `it was learnt for other steps; ${remedy}`) // prettier-ignore
  }
}
