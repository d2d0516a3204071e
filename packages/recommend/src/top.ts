/**
 * The best few of many by score, in order: a bounded heap, O(n + k log k) for the usual case that
 * most are rejected by one comparison. Equal scores are ordered by `isBefore`, so that the result
 * depends on the items and not on the order in which they came.
 */

/** Selects into arrays that it keeps between calls: no allocation per call once they are large enough. */
export class TopSelector {
  /** The result: items, best first. */
  items = new Int32Array(64)
  #scores = new Float64Array(64)

  /**
   * Puts the best `limit` of `pool[0..size)` into `items`, best first, and returns how many there
   * are. `scores` is indexed by item. Items with a score of NaN must not be in the pool.
   */
  select(
    pool: Int32Array,
    size: number,
    scores: Float64Array,
    limit: number,
    isBefore: (a: number, b: number) => boolean,
  ): number {
    if (limit <= 0) return 0
    if (limit > this.items.length) {
      this.items = new Int32Array(limit * 2)
      this.#scores = new Float64Array(limit * 2)
    }
    const { items } = this
    const heap = this.#scores
    let count = 0
    for (let index = 0; index < size; index++) {
      const item = pool[index] as number
      const score = scores[item] as number
      if (count < limit) {
        this.#up(count, item, score, isBefore)
        count += 1
        continue
      }
      const worst = heap[0] as number
      if (score < worst) continue
      if (score === worst && !isBefore(item, items[0] as number)) continue
      this.#down(0, count, item, score, isBefore)
    }
    for (let end = count - 1; end > 0; end--) {
      const item = items[end] as number
      const score = heap[end] as number
      items[end] = items[0] as number
      heap[end] = heap[0] as number
      this.#down(0, end, item, score, isBefore)
    }
    return count
  }

  /** Sifts a new entry up from `at`; the worst is at the root. */
  #up(at: number, item: number, score: number, isBefore: (a: number, b: number) => boolean): void {
    const { items } = this
    const heap = this.#scores
    while (at > 0) {
      const parent = (at - 1) >> 1
      const parentScore = heap[parent] as number
      const isWorse =
        score < parentScore || (score === parentScore && isBefore(items[parent] as number, item))
      if (!isWorse) break
      heap[at] = parentScore
      items[at] = items[parent] as number
      at = parent
    }
    heap[at] = score
    items[at] = item
  }

  /** Puts an entry in the place of the one at `at` and sifts it down. */
  #down(
    at: number,
    count: number,
    item: number,
    score: number,
    isBefore: (a: number, b: number) => boolean,
  ): void {
    const { items } = this
    const heap = this.#scores
    for (;;) {
      let child = at * 2 + 1
      if (child >= count) break
      const right = child + 1
      if (right < count) {
        const difference = (heap[right] as number) - (heap[child] as number)
        const isRightWorse =
          difference < 0 ||
          (difference === 0 && isBefore(items[child] as number, items[right] as number))
        if (isRightWorse) child = right
      }
      const childScore = heap[child] as number
      const isDone =
        childScore > score || (childScore === score && isBefore(items[child] as number, item))
      if (isDone) break
      heap[at] = childScore
      items[at] = items[child] as number
      at = child
    }
    heap[at] = score
    items[at] = item
  }
}
