/** Values as they are compared: fields, sums over keys, and what a difference is made of. */
import { differentFields, type DifferentField } from '../branches/fields.ts'
import type { Cause, CauseEffect, ChangedField, ChangedKey, ChangedRate, Rate } from './contract.ts'

const KEYS_TOLD = 10

/** A value with its windows by their beginning, so that the same window is compared with itself. */
export function comparable(value: unknown): unknown {
  if (!Array.isArray(value)) return value
  const windows = value as readonly { readonly startMs?: unknown; readonly value?: unknown }[]
  if (!windows.every(each => typeof each?.startMs === 'number')) return value
  const named = windows.map(each => [new Date(each.startMs as number).toISOString(), each.value])
  return Object.fromEntries(named) as unknown
}

/** The numbers of a value, by field; those in arrays have no names. */
export function* numbersIn(value: unknown, field = ''): Generator<readonly [string, number]> {
  if (typeof value === 'number') yield [field, value]
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return
  for (const [name, part] of Object.entries(value)) {
    yield* numbersIn(part, field === '' ? name : `${field}.${name}`)
  }
}

/** Sums over keys, as one value. */
export class Sums {
  readonly #byField = new Map<string, number>()

  add(value: unknown): void {
    for (const [field, number] of numbersIn(value)) {
      this.#byField.set(field, (this.#byField.get(field) ?? 0) + number)
    }
  }

  of(field: string): number {
    return this.#byField.get(field) ?? 0
  }

  /** The value; with a quotient, when it is wanted and there is one. */
  value(rate: Rate | undefined): unknown {
    const all = Object.fromEntries(this.#byField)
    if (rate === undefined || this.of(rate.per) === 0) return all
    return { ...all, [rateName(rate)]: this.of(rate.of) / this.of(rate.per) }
  }
}

/** The field that a quotient has among the sums. */
export function rateName({ of, per }: Rate): string {
  return `${of} / ${per}`
}

/** Where two values differ; a number that is not there is 0, and so are those of a value that is not. */
export function differing(before: unknown, after: unknown): readonly DifferentField[] {
  const isFields = (value: unknown): boolean =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
  const or = (value: unknown, other: unknown): unknown =>
    value === undefined && isFields(other) ? {} : value
  return differentFields(or(before, after), or(after, before)).filter(
    each => amountOf(each.before, each.after) !== 0,
  )
}

/** What a cause makes otherwise. */
export function effectsOf(without: unknown, present: unknown): readonly CauseEffect[] {
  return differing(without, present).map(({ field, before, after }) => {
    const amount = amountOf(before, after)
    return {
      field,
      ...(before === undefined ? {} : { without: before }),
      ...(after === undefined ? {} : { with: after }),
      ...(amount === undefined ? {} : { amount }),
    }
  })
}

function amountOf(before: unknown, after: unknown): number | undefined {
  const numbers = [before, after].map(value => value ?? 0)
  if (before === undefined && after === undefined) return undefined
  return numbers.every(value => typeof value === 'number')
    ? (numbers[1] as number) - (numbers[0] as number)
    : undefined
}

/** The fields that differ, or that causes moved; of each number the rest that no single cause explains. */
export function changedFields(
  before: unknown,
  after: unknown,
  causes: readonly Cause[],
): readonly ChangedField[] {
  const explained = new Map<string, number>()
  for (const { field, amount } of causes.flatMap(({ effects }) => effects)) {
    if (amount !== undefined) explained.set(field, (explained.get(field) ?? 0) + amount)
  }
  const fields = differing(before, after).map((each): ChangedField => {
    const difference = amountOf(each.before, each.after)
    if (difference === undefined) return each
    const together = difference - (explained.get(each.field) ?? 0)
    explained.delete(each.field)
    return { ...each, difference, together }
  })
  const back = [...explained].flatMap(([field, amount]) =>
    amount === 0 ? [] : [{ field, difference: 0, together: -amount }],
  )
  return [...fields, ...back].sort((a, b) => (a.field < b.field ? -1 : 1))
}

/** The causes that made a difference, by their share in all that causes moved. */
export function ranked(causes: readonly Cause[]): readonly Cause[] {
  const moved = new Map<string, number>()
  const weightOf = ({ amount }: CauseEffect): number =>
    amount === undefined ? 1 : Math.abs(amount)
  for (const effect of causes.flatMap(({ effects }) => effects)) {
    moved.set(effect.field, (moved.get(effect.field) ?? 0) + weightOf(effect))
  }
  const share = ({ effects }: Cause): number =>
    effects.reduce((sum, each) => sum + weightOf(each) / (moved.get(each.field) as number), 0)
  return causes.filter(({ effects }) => effects.length > 0).sort((a, b) => share(b) - share(a))
}

/** Numbers of each key at both moments. */
export class KeyNumbers {
  readonly #rate: Rate | undefined
  readonly #byKey = new Map<string, [readonly (readonly [string, number])[], readonly (readonly [string, number])[]]>() // prettier-ignore

  constructor(rate: Rate | undefined) {
    this.#rate = rate
  }

  /** Takes the values of a key; of one that did not change only what a quotient needs. */
  add(key: string, before: unknown, after: unknown): void {
    const numbers = [before, after].map(value => [...numbersIn(value)])
    if (this.#rate === undefined && differing(before, after).length === 0) return
    this.#byKey.set(key, numbers as never)
  }

  /** The keys that changed most in a field. */
  largest(field: string): readonly ChangedKey[] {
    return [...this.#byKey]
      .map(([key, [before, after]]) => {
        return { key, before: numberOf(before, field), after: numberOf(after, field) }
      })
      .filter(({ before, after }) => before !== after)
      .sort((a, b) => Math.abs(b.after - b.before) - Math.abs(a.after - a.before))
      .slice(0, KEYS_TOLD)
  }

  /** The quotient at both moments, and what its change is made of. */
  changedRate(rate: Rate, before: Sums, after: Sums): ChangedRate {
    const was = quotient(before.of(rate.of), before.of(rate.per))
    const is = quotient(after.of(rate.of), after.of(rate.per))
    const told = { ...rate, before: was ?? null, after: is ?? null }
    if (was === undefined || is === undefined) return { ...told, mix: 0, rate: 0 }
    let mix = 0
    for (const [first, second] of this.#byKey.values()) {
      const [a, b] = [first, second].map(numbers => {
        const per = numberOf(numbers, rate.per)
        return { per, own: quotient(numberOf(numbers, rate.of), per) }
      }) as [Part, Part]
      const shares = b.per / after.of(rate.per) - a.per / before.of(rate.per)
      // A key that was not there, or is not any more, changes the mix alone.
      mix += (shares * ((a.own ?? b.own ?? 0) + (b.own ?? a.own ?? 0))) / 2
    }
    return { ...told, mix, rate: is - was - mix }
  }
}

interface Part {
  readonly per: number
  readonly own: number | undefined
}

function quotient(of: number, per: number): number | undefined {
  return per === 0 ? undefined : of / per
}

function numberOf(numbers: readonly (readonly [string, number])[], field: string): number {
  return numbers.find(([name]) => name === field)?.[1] ?? 0
}
