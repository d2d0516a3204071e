/** The built-in sources: each proposes items with scores above 0. */
import { historyShare, RowSum, SCORING_DEFAULTS, type SparseScores } from '@millrace/recommend'
import type { ItemIndex } from '../catalogue/index.ts'
import type { BuiltInSource, CompiledSurface } from './compiled-surface.ts'
import { hash, type KindLists, type ListCache } from './lists.ts'
import type { ProfileShard } from './profile-shard.ts'
import { addRelated, type ShardOf } from './related.ts'

/** Items of the history whose traits tell a person's taste. */
const TASTE_ITEMS = 10

/** Items with less than this share of the strongest interest are no candidates of `forYou`. */
const FOR_YOU_SHARE_MIN = 0.05

/** Of the popular and of the trending list, this many open items beyond the slots are candidates. */
const LIST_SPARE = 30

/** What the sources read. */
export interface SourcePorts {
  readonly index: ItemIndex
  readonly lists: ListCache
  readonly shardOf: ShardOf
}

/** For whom a source proposes. */
export interface SourceRequest {
  readonly surface: CompiledSurface
  readonly person: string | undefined
  readonly profile: ProfileShard | undefined
  /** Row of the person in the profile, -1 without signals. */
  readonly row: number
  /** Number of the item that the request is about, -1 without one. */
  readonly item: number
  /** Slots to fill. */
  readonly size: number
  /** True when it counts what each filter removes. */
  readonly isExplained: boolean
}

/** The items that must not be shown: the first `size`, some more than once; by item, `marks` above `mark`. */
export interface BlockedItems {
  marks: Float64Array
  mark: number
  items: Int32Array
  size: number
}

/** Fills scores; keeps its scratch arrays. */
export class Sources {
  readonly #ports: SourcePorts
  readonly #sum = new RowSum()
  /** By trait: how many of the newest items have it. */
  #taste = new Float64Array(0)
  readonly #tasteTraits: number[] = []

  constructor(ports: SourcePorts) {
    this.#ports = ports
  }

  /**
   * Lets a built-in source propose into `target`, which is empty. Blocked items may be left out:
   * what they would have is of no interest, except to a request that is explained.
   */
  propose(
    name: BuiltInSource,
    request: SourceRequest,
    target: SparseScores,
    blocked: BlockedItems,
  ): void {
    if (name === 'forYou') this.#forYou(request, target, blocked)
    else if (name === 'because') this.#because(request, target)
    else if (name === 'fresh') this.#fresh(request, target)
    else this.#everybody(name, request, target, blocked)
  }

  #forYou(
    { profile, row, isExplained }: SourceRequest,
    target: SparseScores,
    blocked: BlockedItems,
  ): void {
    if (profile === undefined || row < 0) return
    const { shardOf } = this.#ports
    this.#sum.reserve(this.#ports.index.space.size)
    const { pool } = profile.recent
    const newestMs = profile.newestMsOf(row)
    const begin = profile.recent.begin(row)
    const last = begin + profile.recent.length(row) - 1
    const first = Math.max(begin, last - SCORING_DEFAULTS.historyItems + 1)
    for (let slot = last; slot >= first; slot--) {
      const item = pool.ids[slot] as number
      const shard = shardOf(item)
      if (shard.next.length(item) === 0) continue
      const share = historyShare(last - slot, newestMs - (pool.times[slot] as number))
      this.#sum.add(shard.next, item, share * shard.rowShareOf(item))
    }
    const takenOut: (readonly [item: number, sum: number])[] = []
    for (let at = 0; at < blocked.size; at++) {
      const item = blocked.items[at] as number
      const sum = this.#sum.takeOut(item)
      if (isExplained && sum > 0) takenOut.push([item, sum])
    }
    const least = this.#sum.drain(target, FOR_YOU_SHARE_MIN)
    for (const [item, sum] of takenOut) if (sum >= least) target.add(item, sum)
    const { values, items, size } = target
    for (let at = 0; at < size; at++) {
      const item = items[at] as number
      values[item] = (values[item] as number) * shardOf(item).shareOf(item)
    }
  }

  #because({ profile, row, item }: SourceRequest, target: SparseScores): void {
    const seed = item >= 0 ? item : newestOf(profile, row)
    if (seed >= 0) addRelated(this.#ports, seed, target)
  }

  /** As many as the slots can take, and some more; all where the team's filters or limits may remove any of them. */
  #everybody(
    name: 'popular' | 'trending',
    { surface, size }: SourceRequest,
    target: SparseScores,
    { marks, mark }: BlockedItems,
  ): void {
    const isPicky = surface.filters.length > 0 || surface.limits.length > 0
    const wanted = isPicky ? Infinity : size + LIST_SPARE
    for (const kind of surface.kinds) {
      const { items, scores } = this.#listsOf(kind.name)[name]
      let open = 0
      for (let place = 0; place < items.length && open < wanted; place++) {
        const item = items[place] as number
        if (!((marks[item] as number) > mark)) open += 1
        // Underflow: far behind the first, but on the list.
        target.add(item, Math.max(scores[place] as number, Number.MIN_VALUE))
      }
    }
  }

  /**
   * New items, the newest first, in another order for each person, so that every new item is shown
   * to somebody, and those first that share traits with what the person acted on.
   */
  #fresh(request: SourceRequest, target: SparseScores): void {
    const { traits } = this.#ports.index
    if (request.surface.kinds.every(kind => this.#listsOf(kind.name).fresh.items.length === 0))
      return
    const personHash = hash(request.person ?? '')
    this.#readTaste(request)
    for (const kind of request.surface.kinds) {
      const { items, scores } = this.#listsOf(kind.name).fresh
      for (let place = 0; place < items.length; place++) {
        const item = items[place] as number
        let taste = 0
        for (const trait of traits.of(item)) taste += this.#taste[trait] as number
        taste /= TASTE_ITEMS
        const turn = mix(personHash, place) / 2 ** 32
        target.add(item, (scores[place] as number) * (0.5 + 0.5 * turn) * (1 + taste))
      }
    }
    for (const trait of this.#tasteTraits) this.#taste[trait] = 0
    this.#tasteTraits.length = 0
  }

  #readTaste({ profile, row }: SourceRequest): void {
    const { traits } = this.#ports.index
    if (traits.size > this.#taste.length) this.#taste = new Float64Array(traits.size * 2)
    if (profile === undefined || row < 0) return
    const begin = profile.recent.begin(row)
    const length = profile.recent.length(row)
    const first = begin + Math.max(0, length - TASTE_ITEMS)
    for (let slot = first; slot < begin + length; slot++) {
      for (const trait of traits.of(profile.recent.pool.ids[slot] as number)) {
        this.#taste[trait] = (this.#taste[trait] as number) + 1
        this.#tasteTraits.push(trait)
      }
    }
  }

  #listsOf(kind: string): KindLists {
    return this.#ports.lists.of(kind)
  }
}

/** Number of the newest item of a person's history, -1 without one. */
export function newestOf(profile: ProfileShard | undefined, row: number): number {
  if (profile === undefined || row < 0) return -1
  const length = profile.recent.length(row)
  return length === 0
    ? -1
    : (profile.recent.pool.ids[profile.recent.begin(row) + length - 1] as number)
}

/** A well mixed 32-bit number from two. */
function mix(a: number, b: number): number {
  let value = Math.imul(a ^ Math.imul(b + 1, 0x9e3779b1), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 15), 0xc2b2ae35)
  return (value ^ (value >>> 16)) >>> 0
}
