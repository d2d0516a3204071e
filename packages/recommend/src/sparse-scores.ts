/** Scores of a few of very many items: a dense array, and the list of the items that have one. */
export class SparseScores {
  /** Score by item; 0 for items without one. */
  values = new Float64Array(0)
  /** The items that have a score, in the order in which they got it: the first `size`. */
  items = new Int32Array(0)
  size = 0

  /** Makes room for items below `capacity`; keeps what is there. */
  reserve(capacity: number): void {
    if (capacity <= this.values.length) return
    const length = Math.max(capacity, Math.ceil(this.values.length * 1.5), 256)
    const values = new Float64Array(length)
    values.set(this.values)
    this.values = values
    const items = new Int32Array(length)
    items.set(this.items)
    this.items = items
  }

  /** Adds to the score of an item. `amount` is greater than 0. */
  add(item: number, amount: number): void {
    const value = this.values[item] as number
    if (value === 0) this.items[this.size++] = item
    this.values[item] = value + amount
  }

  /** Forgets all scores; costs as much as there are. */
  clear(): void {
    const { values, items, size } = this
    for (let index = 0; index < size; index++) values[items[index] as number] = 0
    this.size = 0
  }
}
