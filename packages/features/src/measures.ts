/** What each feature of a view takes of one event. */
import type { AnyTables } from '@millrace/core'
import type { AggregationInput } from './aggregations/aggregation.ts'
import { invalidValue } from './errors.ts'
import type { AnyEvent, FeaturePlan, PlannedFeature } from './plan.ts'

const NO_PAIRS: readonly string[] = ['']

/** The measures of the event that was looked at last. */
export class Measures {
  readonly #plan: FeaturePlan
  readonly #tables: AnyTables
  readonly #values: Float64Array
  readonly #overs: Float64Array
  /** What is aggregated where it is no number. */
  readonly #others: unknown[]
  readonly #input: AggregationInput = { value: 0, other: undefined, over: 0, atMs: 0 }

  constructor(plan: FeaturePlan, tables: AnyTables) {
    this.#plan = plan
    this.#tables = tables
    this.#values = new Float64Array(plan.features.length)
    this.#others = Array.from<unknown>({ length: plan.features.length })
    this.#overs = new Float64Array(plan.features.length)
  }

  /** The sub-keys under which an event counts. Throws what the view's function throws. */
  subKeysOf(event: AnyEvent): readonly string[] {
    const { pair } = this.#plan.view
    if (pair === undefined) return NO_PAIRS
    const found = pair.of(event, this.#tables)
    if (found === undefined || found === null) return []
    const subKeys: readonly unknown[] = Array.isArray(found) ? [...new Set(found)] : [found]
    for (const subKey of subKeys) {
      if (typeof subKey !== 'string') throw invalidValue(`${this.#plan.name}.${pair.name}`, subKey)
    }
    return subKeys as readonly string[]
  }

  /** Measures an event; false when it does not count for the feature. Throws what the feature's functions throw. */
  take(feature: PlannedFeature, event: AnyEvent): boolean {
    const { where, of, over, index, aggregation } = feature
    this.#input.atMs = event.atMs
    if (where !== undefined && where(event, this.#tables) !== true) return false
    if (of !== undefined && aggregation.takes !== undefined && aggregation.takes !== 'number') {
      const other = OTHERS[aggregation.takes](of(event, this.#tables), feature)
      this.#others[index] = other
      return other !== undefined
    }
    const value = of === undefined ? 1 : numberOf(of(event, this.#tables), feature)
    const by = over === undefined ? 1 : numberOf(over(event, this.#tables), feature)
    if (value === undefined || by === undefined) return false
    this.#values[index] = value
    this.#overs[index] = by
    return true
  }

  /** What a feature took, as aggregations take it: one object for all. */
  inputOf({ index }: PlannedFeature): AggregationInput {
    const input = this.#input
    input.value = this.#values[index] as number
    input.other = this.#others[index]
    input.over = this.#overs[index] as number
    return input
  }
}

const OTHERS = { text: textOf, key: keyOf, json: (value: unknown) => value } as const

function textOf(value: unknown, { fullName }: PlannedFeature): string | undefined {
  // Halves of pairs have no bytes: what is read back would be another text than what arrived.
  if (typeof value === 'string') return value.toWellFormed()
  if (value === undefined || value === null) return undefined
  throw invalidValue(fullName, value)
}

/** Values that are told apart by their text. */
function keyOf(value: unknown, feature: PlannedFeature): string | undefined {
  if (typeof value === 'string') return value.toWellFormed()
  const number = numberOf(value, feature)
  return number === undefined ? undefined : String(number)
}

function numberOf(value: unknown, { fullName }: PlannedFeature): number | undefined {
  // JSON has no negative zero: what is read back would be another number than what arrived.
  if (typeof value === 'number' && Number.isFinite(value)) return value + 0
  if (typeof value === 'boolean') return value ? 1 : 0
  if (value === undefined || value === null) return undefined
  throw invalidValue(fullName, value)
}
