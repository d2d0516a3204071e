/** Ids in order, for pages with cursors. Changes are collected and merged when a page is asked for. */
export class SortedIds {
  readonly #ids = new Set<string>()
  #sorted: string[] = []
  #added: string[] = []
  #hasRemoved = false

  add(id: string): void {
    if (this.#ids.has(id)) return
    this.#ids.add(id)
    this.#added.push(id)
  }

  remove(id: string): void {
    if (this.#ids.delete(id)) this.#hasRemoved = true
  }

  get size(): number {
    return this.#ids.size
  }

  /** All ids, in no particular order. */
  all(): Iterable<string> {
    return this.#ids
  }

  /** At most `limit` ids that start with `prefix` and come after `after`. */
  page(options: {
    after?: string | undefined
    prefix?: string | undefined
    limit: number
  }): readonly string[] {
    this.#merge()
    const { after, prefix = '', limit } = options
    const start = Math.max(
      lowerBound(this.#sorted, prefix),
      after === undefined ? 0 : upperBound(this.#sorted, after),
    )
    const page: string[] = []
    for (let index = start; index < this.#sorted.length && page.length < limit; index++) {
      const id = this.#sorted[index] as string
      if (!id.startsWith(prefix)) break
      page.push(id)
    }
    return page
  }

  #merge(): void {
    if (this.#hasRemoved) {
      this.#sorted = this.#sorted.filter(id => this.#ids.has(id))
      // An id that was removed and added again may be in both lists.
      const kept = new Set(this.#sorted)
      this.#added = [...new Set(this.#added)].filter(id => this.#ids.has(id) && !kept.has(id))
      this.#hasRemoved = false
    }
    if (this.#added.length === 0) return
    const added = this.#added.sort()
    this.#added = []
    const merged: string[] = []
    let next = 0
    for (const id of this.#sorted) {
      while (next < added.length && (added[next] as string) < id)
        merged.push(added[next++] as string)
      merged.push(id)
    }
    for (; next < added.length; next++) merged.push(added[next] as string)
    this.#sorted = merged
  }
}

/** The first place whose id is at or after `id`. */
function lowerBound(ids: readonly string[], id: string): number {
  let low = 0
  let high = ids.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ids[middle] as string) < id) low = middle + 1
    else high = middle
  }
  return low
}

/** The first place whose id is after `id`. */
function upperBound(ids: readonly string[], id: string): number {
  const place = lowerBound(ids, id)
  return ids[place] === id ? place + 1 : place
}
