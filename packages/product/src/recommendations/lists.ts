/**
 * Lists that are the same for everybody: popular, trending and new items of each kind.
 *
 * Made from all statistics, so they are kept for a moment: made again when the statistics or the
 * catalogue changed, at most every 100 ms, and with very many items so rarely that making them takes
 * at most a fiftieth of the time. A person's own events do not wait for them.
 */
import type { Clock } from '@millrace/core'
import { TopSelector } from '@millrace/recommend'
import { offsetsOf, type ItemIndex } from '../catalogue/index.ts'
import type { ItemStatsShard } from './item-stats-shard.ts'

/** Items in the popular and the trending list of a kind. */
export const LIST_MAX = 200
/** Items in the list of new items of a kind. */
export const FRESH_MAX = 100
/** An item is new until it has this many signals. */
export const FRESH_SIGNALS_MAX = 20
/** ...and no longer than this after it was put, judged from the newest event or item. */
export const FRESH_AGE_MAX_MS = 30 * 24 * 3_600_000
const KEEP_MIN_MS = 100
/** The list is kept at least this many times as long as it takes to make. */
const KEEP_SHARE = 50

/** Items, best first, with scores in (0, 1]. */
export interface ItemList {
  readonly items: Int32Array
  readonly scores: Float64Array
}

/** The lists of one kind. */
export interface KindLists {
  readonly popular: ItemList
  readonly trending: ItemList
  readonly fresh: ItemList
}

/** Offsets up to which state was folded, as JSON arrays with a number for each partition. */
export interface StateOffsets {
  /** Of the statistics of items. */
  readonly signals: string
  /** Of the tables of items: one kind behind the other. */
  readonly items: string
  /** How many records of corrections it reflects. */
  readonly corrected: number
}

/** What lists are made from: statistics of items, in parts that share none. */
export interface ListedStats {
  shards(): readonly Pick<
    ItemStatsShard,
    'items' | 'countOf' | 'newestMsOf' | 'popularityRank' | 'trendRank'
  >[]
  revision(): number
  consumed(partition: number): number
  corrected(): number
}

type Statistics = ReturnType<ListedStats['shards']>[number]

const EMPTY: ItemList = { items: new Int32Array(0), scores: new Float64Array(0) }

/** Keeps the lists of all kinds. */
export class ListCache {
  readonly #index: ItemIndex
  readonly #stats: ListedStats
  readonly #clock: Clock
  readonly #selector = new TopSelector()
  #lists = new Map<string, KindLists>()
  #statsRevision = -1
  #indexRevision = -1
  #nextMs = -Infinity
  #madeFrom: StateOffsets = { signals: '[]', items: '[]', corrected: 0 }
  #ranks = new Float64Array(0)
  #pool = new Int32Array(0)

  constructor(ports: { index: ItemIndex; stats: ListedStats; clock: Clock }) {
    this.#index = ports.index
    this.#stats = ports.stats
    this.#clock = ports.clock
  }

  /** Makes the lists again when that is due; between two calls they stay as they are. The index must be fresh. */
  refresh(): void {
    const isChanged =
      this.#stats.revision() !== this.#statsRevision || this.#index.revision !== this.#indexRevision
    if (!isChanged) return
    const nowMs = this.#clock.monotonicMs()
    if (nowMs < this.#nextMs) return
    this.make()
    const tookMs = this.#clock.monotonicMs() - nowMs
    this.#nextMs = nowMs + tookMs + Math.max(KEEP_MIN_MS, tookMs * KEEP_SHARE)
  }

  /** The lists of a kind. */
  of(kind: string): KindLists {
    return this.#lists.get(kind) ?? { popular: EMPTY, trending: EMPTY, fresh: EMPTY }
  }

  /** What the lists were made from. */
  get madeFrom(): StateOffsets {
    return this.#madeFrom
  }

  /** Makes the lists now. */
  make(): void {
    this.#madeFrom = {
      signals: offsetsOf(this.#stats),
      items: this.#index.offsets,
      corrected: this.#stats.corrected(),
    }
    this.#statsRevision = this.#stats.revision()
    this.#indexRevision = this.#index.revision
    const { space } = this.#index
    if (space.size > this.#ranks.length) {
      this.#ranks = new Float64Array(Math.ceil(space.size * 1.5))
      this.#pool = new Int32Array(this.#ranks.length)
    }
    this.#lists = new Map()
    const newestMs = this.#newestMs()
    for (const kind of this.#index.kinds()) {
      this.#lists.set(kind.name, {
        popular: this.#ranked(kind.code, (shard, item) => shard.popularityRank(item)),
        trending: this.#ranked(kind.code, (shard, item) => shard.trendRank(item)),
        fresh: this.#fresh(kind.name, newestMs),
      })
    }
  }

  /** Items by a rank that is the logarithm of a decayed sum; the scores are the sums over the greatest. */
  #ranked(kindCode: number, rankOf: (shard: Statistics, item: number) => number): ItemList {
    const { codes, space } = this.#index
    let size = 0
    for (const shard of this.#stats.shards()) {
      for (const item of shard.items()) {
        if ((codes[item] as number) >> 1 !== kindCode) continue
        const rank = rankOf(shard, item)
        if (rank === -Infinity) continue
        this.#ranks[item] = rank
        this.#pool[size++] = item
      }
    }
    const isBefore = (a: number, b: number): boolean => space.keyOf(a) < space.keyOf(b)
    const count = this.#selector.select(this.#pool, size, this.#ranks, LIST_MAX, isBefore)
    const items = this.#selector.items.slice(0, count)
    const best = this.#ranks[items[0] ?? 0] as number
    return {
      items,
      scores: Float64Array.from(items, item => Math.exp((this.#ranks[item] as number) - best)),
    }
  }

  /** Now, as events tell it: the time of the newest signal or item. */
  #newestMs(): number {
    let newestMs = -Infinity
    for (const shard of this.#stats.shards()) {
      for (const item of shard.items()) {
        newestMs = Math.max(newestMs, shard.newestMsOf(item) ?? -Infinity)
      }
    }
    for (const kind of this.#index.kinds()) {
      for (const item of this.#index.listed(kind.name)) {
        newestMs = Math.max(newestMs, this.#index.putMsOf(item))
      }
    }
    return newestMs
  }

  /**
   * Listed items with few signals that were put not long ago, the newest first. An item that nobody
   * cared for in all that time is not new, and neither is one of a catalogue that came as it was.
   */
  #fresh(kind: string, newestMs: number): ItemList {
    const { space } = this.#index
    const shards = this.#stats.shards()
    let size = 0
    for (const item of this.#index.listed(kind)) {
      if (newestMs - this.#index.putMsOf(item) > FRESH_AGE_MAX_MS) continue
      let count = 0
      for (const shard of shards) count += shard.countOf(item)
      if (count >= FRESH_SIGNALS_MAX) continue
      this.#ranks[item] = this.#index.putMsOf(item)
      this.#pool[size++] = item
    }
    const isBefore = (a: number, b: number): boolean => hash(space.keyOf(a)) < hash(space.keyOf(b))
    const count = this.#selector.select(this.#pool, size, this.#ranks, FRESH_MAX, isBefore)
    const items = this.#selector.items.slice(0, count)
    return { items, scores: Float64Array.from(items, (_, place) => 1 / (1 + place / FRESH_MAX)) }
  }
}

/** FNV-1a: items put at one time get an order that has nothing to do with their names. */
export function hash(text: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  return (value ^ (value >>> 13)) >>> 0
}
