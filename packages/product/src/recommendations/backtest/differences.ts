/** What another pipeline shows otherwise: per answer, and summed up by stage and by group of items. */
import type { Attributes, ItemIndex } from '../../catalogue/index.ts'
import { partsOfKey } from '../../catalogue/index.ts'

/** One answer that would have been another. */
export interface AnswerDifference {
  readonly answerId: string
  readonly person?: string
  readonly atMs: number
  /** Shown then and not again, with the stage that keeps it out now. */
  readonly dropped: readonly {
    readonly item: string
    readonly slot: number
    readonly stage: string
  }[]
  /** Not shown then, with its main source. */
  readonly added: readonly {
    readonly item: string
    readonly slot: number
    readonly source: string
  }[]
  readonly moved: readonly { readonly item: string; readonly from: number; readonly to: number }[]
}

/** Slots of a group of items, or of new items. */
export interface GroupSlots {
  readonly field: string
  readonly value: string
  readonly before: number
  readonly after: number
}

/** Values of fields that are told of, those that lose or win most. */
const GROUPS_MAX = 10
/** Values of a field that are counted; the slots of others are summed up under no name. */
const VALUES_MAX = 10_000

/** Compares two slates of item keys, slots from 1. */
export function moves(
  before: readonly string[],
  after: readonly string[],
): {
  readonly dropped: readonly { readonly item: string; readonly slot: number }[]
  readonly added: readonly { readonly item: string; readonly slot: number }[]
  readonly moved: readonly { readonly item: string; readonly from: number; readonly to: number }[]
} {
  const was = new Map(before.map((item, place) => [item, place + 1]))
  const is = new Map(after.map((item, place) => [item, place + 1]))
  const slots = (of: ReadonlyMap<string, number>, other: ReadonlyMap<string, number>) =>
    [...of].filter(([item]) => !other.has(item)).map(([item, slot]) => ({ item, slot }))
  const moved = [...is].flatMap(([item, to]) => {
    const from = was.get(item)
    return from === undefined || from === to ? [] : [{ item, from, to }]
  })
  return { dropped: slots(was, is), added: slots(is, was), moved }
}

/** Slots that held an item in one version of its attributes. */
interface Tally {
  readonly kind: string
  before: number
  after: number
}

/** Counts slots by the values of the fields that items share: of each item first, of its values once at the end. */
export class Segments {
  readonly #index: ItemIndex
  readonly #tallies = new Map<Attributes, Tally>()

  constructor(index: ItemIndex) {
    this.#index = index
  }

  /** A slot holds an item: then, or again. */
  count(item: number, when: 'before' | 'after'): void {
    const attributes = this.#index.attributesOf(item)
    if (attributes === undefined) return
    let tally = this.#tallies.get(attributes)
    if (tally === undefined) {
      const { kind } = partsOfKey(this.#index.space.keyOf(item))
      this.#tallies.set(attributes, (tally = { kind, before: 0, after: 0 }))
    }
    tally[when] += 1
  }

  /** By field and value. */
  #counts(): ReadonlyMap<string, ReadonlyMap<string, { before: number; after: number }>> {
    const counts = new Map<string, Map<string, { before: number; after: number }>>()
    for (const [attributes, tally] of this.#tallies) {
      const kind = this.#index.kind(tally.kind)
      for (const field of kind?.traitFields ?? []) {
        if (kind?.publicFields?.includes(field) === false) continue
        const values = counts.get(field) ?? new Map<string, { before: number; after: number }>()
        counts.set(field, values)
        for (const value of [attributes[field]].flat()) {
          if (typeof value !== 'string') continue
          const count = values.get(value) ?? { before: 0, after: 0 }
          if (values.size >= VALUES_MAX && !values.has(value)) continue
          values.set(value, count)
          count.before += tally.before
          count.after += tally.after
        }
      }
    }
    return counts
  }

  /** Of each field the values that lose most and those that win most. */
  changed(): { readonly losing: readonly GroupSlots[]; readonly winning: readonly GroupSlots[] } {
    const losing: GroupSlots[] = []
    const winning: GroupSlots[] = []
    for (const [field, values] of this.#counts()) {
      const all = [...values].map(([value, counts]) => ({ field, value, ...counts }))
      const byLoss = all.sort((a, b) => a.after - a.before - (b.after - b.before))
      losing.push(...byLoss.filter(({ before, after }) => after < before).slice(0, GROUPS_MAX))
      const byWin = byLoss.toReversed()
      winning.push(...byWin.filter(({ before, after }) => after > before).slice(0, GROUPS_MAX))
    }
    return { losing, winning }
  }
}
