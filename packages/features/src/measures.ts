/** What each feature of a view takes of one event. */
import type { AnyTables } from '@millrace/core'
import type { AggregationInput } from './aggregations/aggregation.ts'
import { invalidValue } from './errors.ts'
import type { AnyEvent, FeaturePlan, PlannedFeature } from './plan.ts'

const NO_PAIRS: readonly string[] = ['']

const UNKNOWN = 0
const TAKEN = 1
const LEFT = 2
/** Places whose outcomes fit into one number. */
const PLACES_MAX = 31

/** The measures of the event that was looked at last. Features of the same functions share them: mostly windows of one number. */
export class Measures {
  readonly #plan: FeaturePlan
  readonly #tables: AnyTables
  /** Place of the measures of each feature. */
  readonly #places: Int32Array
  /** By place: whether the event counts. */
  readonly #outcomes: Uint8Array
  readonly #values: Float64Array
  readonly #overs: Float64Array
  /** What is aggregated where it is no number. */
  readonly #others: unknown[]
  /** Features of which none measures like one before, in the order of their places. */
  readonly #distinct: readonly PlannedFeature[]
  readonly #input: AggregationInput = { value: 0, other: undefined, over: 0, atMs: 0 }

  constructor(plan: FeaturePlan, tables: AnyTables) {
    this.#plan = plan
    this.#tables = tables
    const { features } = plan
    const isFirst = (feature: PlannedFeature): boolean =>
      features.find(other => isSameMeasure(other, feature)) === feature
    const distinct = features.filter(isFirst)
    this.#distinct = distinct
    this.#places = Int32Array.from(features, feature =>
      distinct.findIndex(other => isSameMeasure(other, feature)),
    )
    this.#outcomes = new Uint8Array(distinct.length)
    this.#values = new Float64Array(distinct.length)
    this.#others = Array.from<unknown>({ length: distinct.length })
    this.#overs = new Float64Array(distinct.length)
  }

  /** Goes to another event, which happened at `atMs`. */
  begin(atMs: number): void {
    this.#input.atMs = atMs
    this.#outcomes.fill(UNKNOWN)
  }

  /** Numbers of what `save` keeps of an event; undefined where that is not all. */
  get width(): number | undefined {
    const isAll = this.#distinct.length <= PLACES_MAX && this.#distinct.every(feature => takesOf(feature) === 'number') // prettier-ignore
    return isAll ? 1 + 2 * this.#distinct.length : undefined
  }

  /** Keeps what was measured: which places count, then the numbers of each. */
  save(into: Float64Array, at: number): void {
    let taken = 0
    const places = this.#outcomes.length
    for (let place = 0; place < places; place++) {
      if (this.#outcomes[place] === TAKEN) taken |= 1 << place
      into[at + 1 + place] = this.#values[place] as number
      into[at + 1 + places + place] = this.#overs[place] as number
    }
    into[at] = taken
  }

  /** Goes back to an event that was kept. */
  restore(from: Float64Array, at: number, atMs: number): void {
    this.#input.atMs = atMs
    const taken = from[at] as number
    const places = this.#outcomes.length
    for (let place = 0; place < places; place++) {
      this.#outcomes[place] = (taken & (1 << place)) === 0 ? LEFT : TAKEN
      this.#values[place] = from[at + 1 + place] as number
      this.#overs[place] = from[at + 1 + places + place] as number
    }
  }

  /** True when the event counts for a feature, as far as it was measured. */
  isTaken({ index }: PlannedFeature): boolean {
    return this.#outcomes[this.#places[index] as number] === TAKEN
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
    const place = this.#places[feature.index] as number
    let outcome = this.#outcomes[place] as number
    if (outcome === UNKNOWN) {
      outcome = this.#measure(feature, event, place) ? TAKEN : LEFT
      this.#outcomes[place] = outcome
    }
    return outcome === TAKEN
  }

  #measure(feature: PlannedFeature, event: AnyEvent, place: number): boolean {
    const { where, of, over, aggregation } = feature
    if (where !== undefined && where(event, this.#tables) !== true) return false
    if (of !== undefined && aggregation.takes !== undefined && aggregation.takes !== 'number') {
      const other = OTHERS[aggregation.takes](of(event, this.#tables), feature)
      this.#others[place] = other
      return other !== undefined
    }
    const value = of === undefined ? 1 : numberOf(of(event, this.#tables), feature)
    const by = over === undefined ? 1 : numberOf(over(event, this.#tables), feature)
    if (value === undefined || by === undefined) return false
    this.#values[place] = value
    this.#overs[place] = by
    return true
  }

  /** What a feature took, as aggregations take it: one object for all. */
  inputOf({ index }: PlannedFeature): AggregationInput {
    const input = this.#input
    const place = this.#places[index] as number
    input.value = this.#values[place] as number
    input.other = this.#others[place]
    input.over = this.#overs[place] as number
    return input
  }
}

/** True where both measure an event alike. */
function isSameMeasure(a: PlannedFeature, b: PlannedFeature): boolean {
  const { where, of, over } = a.definition
  const other = b.definition
  const isSameRead = where === other.where && of === other.of && over === other.over
  return isSameRead && takesOf(a) === takesOf(b)
}

function takesOf({ aggregation }: PlannedFeature): string {
  return aggregation.takes ?? 'number'
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
