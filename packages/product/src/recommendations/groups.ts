/**
 * What surface limits count: the values of a field as numbers, by item. Kept until the catalogue
 * changes; an item's groups are looked up when it is first considered.
 */
import type { ItemIndex } from '../catalogue/index.ts'

const UNKNOWN = -3
const MANY = -2
const NONE = -1

/** Groups of one field. */
export class FieldGroups {
  readonly #field: string
  readonly #index: ItemIndex
  readonly #values = new Map<unknown, number>()
  readonly #many = new Map<number, readonly number[]>()
  #single = new Int32Array(0)
  #counts = new Int32Array(64)
  #touched: number[] = []
  #revision = -1

  constructor(field: string, index: ItemIndex) {
    this.#field = field
    this.#index = index
  }

  /** Starts the counts of a new slate. */
  begin(): void {
    for (const group of this.#touched) this.#counts[group] = 0
    this.#touched.length = 0
    if (this.#revision !== this.#index.revision) {
      this.#revision = this.#index.revision
      this.#values.clear()
      this.#many.clear()
      this.#single.fill(UNKNOWN)
    }
    const { size } = this.#index.space
    if (size > this.#single.length) {
      const wider = new Int32Array(Math.max(size, Math.ceil(this.#single.length * 1.5)))
      wider.fill(UNKNOWN)
      wider.set(this.#single)
      this.#single = wider
    }
  }

  /** True when the slate holds `max` items of a group of the item. */
  isFull(item: number, max: number): boolean {
    const group = this.#groupOf(item)
    if (group >= 0) return (this.#counts[group] as number) >= max
    if (group === NONE) return false
    return (this.#many.get(item) ?? []).some(one => (this.#counts[one] as number) >= max)
  }

  /** The slate took the item. */
  take(item: number): void {
    const group = this.#groupOf(item)
    const groups = group >= 0 ? [group] : (this.#many.get(item) ?? [])
    for (const one of groups) {
      this.#counts[one] = (this.#counts[one] as number) + 1
      this.#touched.push(one)
    }
  }

  #groupOf(item: number): number {
    const known = this.#single[item] as number
    return known === UNKNOWN ? this.#read(item) : known
  }

  #read(item: number): number {
    const value = this.#index.attributesOf(item)?.[this.#field]
    let group = NONE
    if (Array.isArray(value)) {
      this.#many.set(item, [...new Set(value.map(entry => this.#intern(entry)))])
      group = value.length === 0 ? NONE : MANY
    } else if (value !== undefined) group = this.#intern(value)
    this.#single[item] = group
    return group
  }

  #intern(value: unknown): number {
    const known = this.#values.get(value)
    if (known !== undefined) return known
    const group = this.#values.size
    this.#values.set(value, group)
    if (group >= this.#counts.length) {
      const wider = new Int32Array(group * 2)
      wider.set(this.#counts)
      this.#counts = wider
    }
    return group
  }
}
