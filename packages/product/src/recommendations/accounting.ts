/** What each stage did in one request; only kept for requests that ask for an explanation. */
import type { CompiledSurface } from './compiled-surface.ts'

const REASONS = ['listed', 'seen', 'disliked', 'excluded'] as const

/** Re-ranking moves by item number: place before and after, from 1. */
export interface RerankMoves {
  readonly name: string
  readonly moves: ReadonlyMap<number, readonly [from: number, to: number]>
}

/** Counts of one request. */
export class Accounting {
  isOn = false
  /** Proposed candidates by source. */
  readonly proposals: number[] = []
  /** Candidates passed over by limit. */
  readonly passed: number[] = []
  readonly rerankers: RerankMoves[] = []
  readonly #removed = new Map<string, Set<number> | number>()

  begin(surface: CompiledSurface, isOn: boolean): void {
    this.isOn = isOn
    if (!isOn) return
    this.proposals.length = 0
    this.passed.length = 0
    this.rerankers.length = 0
    this.#removed.clear()
    for (const _ of surface.limits) this.passed.push(0)
    this.#removed.set('listed', new Set())
    this.#removed.set('excluded', new Set())
    if (surface.hasSeenFilter) this.#removed.set('seen', new Set())
    if (surface.hasDislikedFilter) this.#removed.set('disliked', new Set())
  }

  proposed(source: number, count: number): void {
    this.proposals[source] = count
  }

  /** A candidate was left out: 0 not listed, 1 seen, 2 disliked, 3 excluded. */
  removed(item: number, reason: number): void {
    const items = this.#removed.get(REASONS[reason] as string)
    if (items instanceof Set) items.add(item)
  }

  /** Proposed candidates that were left out before the scores were added up. */
  *leftOut(): Iterable<number> {
    for (const items of this.#removed.values()) if (items instanceof Set) yield* items
  }

  removedBy(filter: string, count: number): void {
    if (this.isOn) this.#removed.set(filter, count)
  }

  passedOver(limit: number): void {
    this.passed[limit] = (this.passed[limit] ?? 0) + 1
  }

  reranked(name: string, before: Int32Array, after: Int32Array): void {
    if (!this.isOn) return
    const places = new Map(Array.from(before, (item, place) => [item, place + 1]))
    const moves = new Map<number, readonly [number, number]>()
    after.forEach((item, place) => {
      const from = places.get(item) as number
      if (from !== place + 1) moves.set(item, [from, place + 1])
    })
    this.rerankers.push({ name, moves })
  }

  /** Removed candidates by filter. */
  filters(): readonly { readonly name: string; readonly removed: number }[] {
    return [...this.#removed].map(([name, items]) => ({
      name,
      removed: typeof items === 'number' ? items : items.size,
    }))
  }
}
