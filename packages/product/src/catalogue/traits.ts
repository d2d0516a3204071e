/**
 * Traits: what an item says about itself in fields whose values items share - lists of text, ids of
 * other entities, choices. An item without any history is related to others by them.
 */
import type { Field } from '@millrace/core'
import { contentAffinity, SlabPool, traitSum, type SparseScores } from '@millrace/recommend'

/** Traits of one item that count; more are left out. */
const TRAITS_PER_ITEM_MAX = 32
/** Items remembered per trait for look-ups by trait; a trait with more is too common to say much. */
const POSTINGS_MAX = 5_000
/** Longer values are texts, not labels. */
const VALUE_LENGTH_MAX = 100

/** Weights are multiples of this, so that sums of them are exact and do not depend on the order in which traits were met. */
const WEIGHT_UNIT = 2 ** -24

const NO_TRAITS = new Int32Array(0)
const NOT_PUT = -1

/** True for fields whose values are traits: ids, choices, lists of ids or text. */
export function isTraitField(field: Field<unknown>): boolean {
  if (field.isPersonal) return false
  if (field.ref !== undefined) return true
  const {
    type,
    enum: choices,
    items,
  } = field.schema as {
    type?: unknown
    enum?: unknown
    items?: { type?: unknown }
  }
  return choices !== undefined || (type === 'array' && items?.type === 'string')
}

/** The traits of items, and the items of traits. */
export class TraitIndex {
  readonly #numbers = new Map<string, number>()
  readonly #labels: string[] = []
  readonly #frequencies: number[] = []
  readonly #postings: number[][] = []
  /** Traits of all items, one list behind the other: following them must not touch an object an item. */
  readonly #pool = new SlabPool({ hasWeights: false, hasTimes: false })
  #begins = new Int32Array(256)
  /** By item: how many traits; NOT_PUT without attributes. */
  #lengths = new Int8Array(256).fill(NOT_PUT)
  #items = 0
  /** Weights by trait, each as of the change of that number. */
  readonly #weights: number[] = []
  readonly #weighedAt: number[] = []
  /** Sums of the traits' weights by item, all as of one change. */
  #sums = new Float64Array(0)
  #summedAt = -1
  #changes = 0
  /** Weights of the traits of one item, by trait; zeros between calls. */
  #marks = new Float64Array(0)

  /** Replaces the traits of an item; undefined attributes take it out. */
  set(
    item: number,
    kind: { readonly traitFields: readonly string[] },
    attributes: Readonly<Record<string, unknown>> | undefined,
  ): void {
    this.#changes += 1
    const isPut = item < this.#lengths.length && this.#lengths[item] !== NOT_PUT
    const before = this.of(item).slice()
    if (isPut) {
      for (const trait of before) (this.#frequencies[trait] as number) -= 1
      if (before.length > 0) this.#pool.release(this.#begins[item] as number, slabOf(before.length))
      this.#lengths[item] = NOT_PUT
      this.#items -= 1
    }
    if (attributes === undefined) return
    const traits = this.#read(kind.traitFields, attributes)
    this.#keep(item, traits)
    this.#items += 1
    for (const trait of traits) {
      ;(this.#frequencies[trait] as number) += 1
      const postings = this.#postings[trait] as number[]
      const isNew = !before.includes(trait)
      if (isNew && postings.length < POSTINGS_MAX) postings.push(item)
    }
  }

  #keep(item: number, traits: Int32Array): void {
    if (item >= this.#lengths.length) {
      const length = Math.ceil(item * 1.5)
      const lengths = new Int8Array(length).fill(NOT_PUT)
      lengths.set(this.#lengths)
      this.#lengths = lengths
      const begins = new Int32Array(length)
      begins.set(this.#begins)
      this.#begins = begins
    }
    this.#lengths[item] = traits.length
    if (traits.length === 0) return
    const begin = this.#pool.allocate(slabOf(traits.length))
    this.#pool.ids.set(traits, begin)
    this.#begins[item] = begin
  }

  #read(fields: readonly string[], attributes: Readonly<Record<string, unknown>>): Int32Array {
    const found = new Set<number>()
    for (const field of fields) {
      const value = attributes[field]
      for (const entry of Array.isArray(value) ? value : [value]) {
        if (typeof entry !== 'string' || entry === '' || entry.length > VALUE_LENGTH_MAX) continue
        if (found.size < TRAITS_PER_ITEM_MAX) found.add(this.#intern(field, entry))
      }
    }
    return found.size === 0 ? NO_TRAITS : Int32Array.from(found).sort()
  }

  #intern(field: string, value: string): number {
    const name = `${field}=${value}`
    const known = this.#numbers.get(name)
    if (known !== undefined) return known
    const number = this.#labels.length
    this.#numbers.set(name, number)
    this.#labels.push(value)
    this.#frequencies.push(0)
    this.#postings.push([])
    this.#weights.push(0)
    this.#weighedAt.push(-1)
    return number
  }

  /** Traits of an item, ascending numbers. Valid until the next `set`. */
  of(item: number): Int32Array {
    const length = this.#lengths[item] ?? NOT_PUT
    if (length <= 0) return NO_TRAITS
    const begin = this.#begins[item] as number
    return this.#pool.ids.subarray(begin, begin + length)
  }

  /** How much sharing the trait says: log(1 + items / items with it). */
  readonly weightOf = (trait: number): number => {
    if (this.#weighedAt[trait] !== this.#changes) {
      const frequency = Math.max(this.#frequencies[trait] as number, 1)
      const weight = Math.log1p(this.#items / frequency)
      this.#weights[trait] = Math.round(weight / WEIGHT_UNIT) * WEIGHT_UNIT
      this.#weighedAt[trait] = this.#changes
    }
    return this.#weights[trait] as number
  }

  /** How much two items have in common, from 0 to 1 (`contentAffinity`). */
  affinity(a: number, b: number): number {
    const own = this.of(a)
    const other = this.of(b)
    if (own.length === 0 || other.length === 0) return 0
    return contentAffinity(own, other, this.#sumOf(a) * this.#sumOf(b), this.weightOf)
  }

  /** Adds `share` times the affinity of an item (`affinity`) to the scores of all items that have one. */
  addAffinities(seed: number, { items, values, size }: SparseScores, share: number): void {
    const own = this.of(seed)
    if (own.length === 0) return
    if (this.size > this.#marks.length) this.#marks = new Float64Array(this.size * 2)
    const marks = this.#marks
    for (let at = 0; at < own.length; at++) {
      const trait = own[at] as number
      marks[trait] = this.weightOf(trait)
    }
    const ownSum = this.#sumOf(seed)
    const { ids } = this.#pool
    const begins = this.#begins
    const lengths = this.#lengths
    for (let at = 0; at < size; at++) {
      const item = items[at] as number
      if (item >= lengths.length) continue
      const begin = begins[item] as number
      const end = begin + (lengths[item] as number)
      let shared = 0
      for (let place = begin; place < end; place++) {
        shared += marks[ids[place] as number] as number
      }
      if (shared === 0) continue
      const affinity = shared / Math.sqrt(ownSum * this.#sumOf(item))
      values[item] = (values[item] as number) + share * affinity
    }
    for (let at = 0; at < own.length; at++) marks[own[at] as number] = 0
  }

  #sumOf(item: number): number {
    if (this.#summedAt !== this.#changes || item >= this.#sums.length) {
      this.#sums = new Float64Array(this.#lengths.length)
      this.#summedAt = this.#changes
    }
    const known = this.#sums[item] as number
    if (known > 0) return known
    const sum = traitSum(this.of(item), this.weightOf)
    this.#sums[item] = sum
    return sum
  }

  /** The value of a trait, as text. */
  labelOf(trait: number): string {
    return this.#labels[trait] as string
  }

  /** Traits are numbered below this. */
  get size(): number {
    return this.#labels.length
  }

  /** Items that have, or once had, a trait; at most 5,000, the earliest. Check `of` before use. */
  itemsWith(trait: number): readonly number[] {
    return this.#postings[trait] ?? []
  }
}

/** Entries of the slab that holds so many traits, 1 or more. */
function slabOf(traits: number): number {
  return 1 << (32 - Math.clz32(traits - 1))
}
