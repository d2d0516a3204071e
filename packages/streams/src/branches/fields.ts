/** Where two JSON values differ. */
import { canonicalText } from '../views/canonical.ts'

/** A part of a value that is not the same in the other one. */
export interface DifferentField {
  /** Names joined by dots, numbers in brackets; empty for the value itself. */
  readonly field: string
  readonly before?: unknown
  readonly after?: unknown
}

/** A value that differs in more fields than this is told as a whole. */
const FIELDS_MAX = 100

/** The least parts of two values that differ. */
export function differentFields(before: unknown, after: unknown): readonly DifferentField[] {
  const found: DifferentField[] = []
  for (const field of walk('', before, after)) {
    found.push(field)
    if (found.length > FIELDS_MAX) return [difference('', before, after)]
  }
  return found
}

function* walk(field: string, before: unknown, after: unknown): Generator<DifferentField> {
  if (isRecord(before) && isRecord(after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)])
    for (const name of [...names].sort()) {
      yield* walk(field === '' ? name : `${field}.${name}`, before[name], after[name])
    }
  } else if (Array.isArray(before) && Array.isArray(after)) {
    const [a, b] = [before, after] as [unknown[], unknown[]]
    for (let at = 0; at < Math.max(a.length, b.length); at++) {
      yield* walk(`${field}[${at}]`, a[at], b[at])
    }
  } else if (textOf(before) !== textOf(after)) {
    yield difference(field, before, after)
  }
}

function difference(field: string, before: unknown, after: unknown): DifferentField {
  return {
    field,
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(value: unknown): string | undefined {
  return value === undefined ? undefined : canonicalText(value)
}
