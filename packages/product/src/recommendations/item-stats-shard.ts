/** State of the `item-stats` fold for one partition, in columns by item number. */
import { ByteReader, ByteWriter, partitionOf } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import {
  addDecayed,
  decayedRank,
  NeighbourTable,
  popularityShare,
  rowShare,
  STATISTICS_DEFAULTS,
  transitionWeight,
  type NeighbourRow,
} from '@millrace/recommend'
import type { FoldShard, ShardContext } from '@millrace/streams'
import type { ItemSpace } from '../catalogue/index.ts'
import { NumberedSignal, type ItemSignal } from './events.ts'

/** A signal counts at most this in the statistics of items. */
const WEIGHT_MAX = 10
const { popularHalfLifeMs, trendingHalfLifeMs, relatedHalfLifeMs, nextMax, nearMax } =
  STATISTICS_DEFAULTS

type ShardPlace = Pick<ShardContext, 'partition' | 'partitions' | 'keys'>

/**
 * Statistics of the items of one partition. State of a key:
 *
 *   format=1 | signals: count
 *   | when signals > 0: firstMs, newestMs, popularity, trend: f64
 *   | next: row | near: row
 *   row: entries: count + 1 (0: no row) | capacity: count | landmarkMs, newestMs, total: f64
 *        | entries: item: text, weight: f32, in the order of the slots
 */
export class ItemStatsShard implements FoldShard {
  readonly #space: ItemSpace
  readonly #partition: number
  readonly #partitions: number
  readonly #wanted: ReadonlySet<string> | undefined
  readonly #writer = new ByteWriter()
  readonly #rows = new Set<number>()
  /** What people turn to after the item, by item number. */
  readonly next: NeighbourTable
  /** What people turn to beside the item, before or after, by item number. */
  readonly near: NeighbourTable
  #isClaimed = new Uint8Array(256)
  #counts = new Uint32Array(256)
  #firstMs = new Float64Array(256)
  #newestMs = new Float64Array(256)
  #popularity = new Float64Array(256)
  #trend = new Float64Array(256)
  /** By item number: what its scores are multiplied with for its popularity. Derived from the counts; 0 means not made yet. */
  #shares = new Float32Array(256)
  /** By item number: what its row of `next` is multiplied with (`rowShare`). Derived from the row; 0 means not made yet. */
  #rowShares = new Float64Array(256)

  /** With `keys` it keeps the statistics of these alone. */
  constructor(options: ShardPlace & { readonly space: ItemSpace }) {
    this.#space = options.space
    this.#partition = options.partition
    this.#partitions = options.partitions
    this.#wanted = options.keys
    const hashOf = (item: number): number => this.#space.hashOf(item)
    const halfLifeMs = relatedHalfLifeMs
    this.next = new NeighbourTable({ rowMax: nextMax, halfLifeMs, hashOf })
    this.near = new NeighbourTable({ rowMax: nearMax, halfLifeMs, hashOf })
  }

  fold(record: LogRecord): void {
    const signal = record.data as ItemSignal
    const { gaps } = signal
    const { keys } = record
    const key = signal.item ?? record.key
    const from = signal.from ?? keys
    const first = signal.from === undefined ? 1 : 0
    const weight = Math.min(signal.weight, WEIGHT_MAX)
    const timeMs = record.eventTimeMs
    const items = NumberedSignal.itemsOf(signal, this.#space)
    const item = items?.[0] ?? this.#space.intern(key)
    const isHome = this.#isOwn(key)
    if (isHome) this.#count(item, weight, timeMs)
    for (let rank = 0; rank + first < from.length; rank++) {
      const otherKey = from[rank + first] as string
      const other = items?.[rank + 1] ?? this.#space.intern(otherKey)
      if (this.#isOwn(otherKey)) {
        this.#claim(other)
        const share = transitionWeight(rank + 1, gaps[rank] as number)
        this.next.add(other, item, weight * share, timeMs)
        this.#rowShares[other] = 0
        this.near.add(other, item, weight, timeMs)
      }
      if (isHome) this.near.add(item, other, weight, timeMs)
    }
  }

  #isOwn(key: string): boolean {
    if (this.#wanted?.has(key) === false) return false
    return this.#partitions === 1 || partitionOf(key, this.#partitions) === this.#partition
  }

  #claim(item: number): void {
    if (item >= this.#counts.length) this.#growRows(item)
    if (this.#isClaimed[item] === 1) return
    this.#isClaimed[item] = 1
    this.#rows.add(item)
  }

  #count(item: number, weight: number, timeMs: number): void {
    this.#claim(item)
    const count = (this.#counts[item] as number) + 1
    this.#counts[item] = count
    this.#shares[item] = popularityShare(count)
    if (count === 1) {
      this.#firstMs[item] = timeMs
      this.#newestMs[item] = timeMs
      this.#popularity[item] = weight
      this.#trend[item] = weight
      return
    }
    const newestMs = this.#newestMs[item] as number
    const popularity = this.#popularity[item] as number
    const trend = this.#trend[item] as number
    this.#popularity[item] = addDecayed(popularity, newestMs, weight, timeMs, popularHalfLifeMs)
    this.#trend[item] = addDecayed(trend, newestMs, weight, timeMs, trendingHalfLifeMs)
    if (timeMs > newestMs) this.#newestMs[item] = timeMs
    if (timeMs < (this.#firstMs[item] as number)) this.#firstMs[item] = timeMs
  }

  /** Signals of an item. */
  countOf(item: number): number {
    return item < this.#counts.length ? (this.#counts[item] as number) : 0
  }

  /** Signals of an item by its key. */
  countOfKey(key: string): number {
    const item = this.#space.find(key)
    return item < 0 ? 0 : this.countOf(item)
  }

  /** What the scores of an item are multiplied with for its popularity. */
  shareOf(item: number): number {
    const known = item < this.#shares.length ? (this.#shares[item] as number) : 0
    return known === 0 ? popularityShare(0) : known
  }

  /** What the item's row of `next` is multiplied with. */
  rowShareOf(item: number): number {
    if (item >= this.#rowShares.length) return 0
    const known = this.#rowShares[item] as number
    return known === 0 ? (this.#rowShares[item] = rowShare(this.next, item)) : known
  }

  /** Time of the item's first signal; undefined before it. */
  firstMsOf(item: number): number | undefined {
    return this.countOf(item) === 0 ? undefined : this.#firstMs[item]
  }

  /** Time of the item's newest signal; undefined before the first. */
  newestMsOf(item: number): number | undefined {
    return this.countOf(item) === 0 ? undefined : this.#newestMs[item]
  }

  /** Orders items by decayed popularity; -Infinity without signals. */
  popularityRank(item: number): number {
    if (this.countOf(item) === 0) return -Infinity
    return decayedRank(
      this.#popularity[item] as number,
      this.#newestMs[item] as number,
      popularHalfLifeMs,
    )
  }

  /** Orders items by trend; -Infinity without signals. */
  trendRank(item: number): number {
    if (this.countOf(item) === 0) return -Infinity
    return decayedRank(
      this.#trend[item] as number,
      this.#newestMs[item] as number,
      trendingHalfLifeMs,
    )
  }

  /** Numbers of the items that have statistics here. */
  items(): Iterable<number> {
    return this.#rows
  }

  *keys(): Iterable<string> {
    for (const item of this.#rows) yield this.#space.keyOf(item)
  }

  keyCount(): number {
    return this.#rows.size
  }

  encodeKey(key: string): Uint8Array | undefined {
    const item = this.#space.find(key)
    if (item < 0 || !this.#rows.has(item)) return undefined
    const writer = this.#writer.reset().count(1)
    const count = this.countOf(item)
    writer.count(count)
    if (count > 0) {
      writer.float64(this.#firstMs[item] as number).float64(this.#newestMs[item] as number)
      writer.float64(this.#popularity[item] as number).float64(this.#trend[item] as number)
    }
    this.#encodeRow(writer, this.next.row(item))
    this.#encodeRow(writer, this.near.row(item))
    return writer.bytes()
  }

  #encodeRow(writer: ByteWriter, row: NeighbourRow | undefined): void {
    if (row === undefined) {
      writer.count(0)
      return
    }
    writer.count(row.ids.length + 1).count(row.capacity)
    writer.float64(row.landmarkMs).float64(row.newestMs).float64(row.total)
    for (let slot = 0; slot < row.ids.length; slot++) {
      writer.text(this.#space.keyOf(row.ids[slot] as number))
      writer.float32(row.weights[slot] as number)
    }
  }

  decodeKey(key: string, bytes: Uint8Array | undefined): void {
    const item = this.#space.intern(key)
    this.#claim(item)
    if (bytes === undefined) {
      this.#rows.delete(item)
      this.#isClaimed[item] = 0
      this.#setCounts(item, undefined)
      this.next.setRow(item, undefined)
      this.near.setRow(item, undefined)
      return
    }
    const reader = new ByteReader(bytes)
    reader.count()
    this.#setCounts(item, reader)
    this.next.setRow(item, this.#decodeRow(reader))
    this.near.setRow(item, this.#decodeRow(reader))
  }

  #setCounts(item: number, reader: ByteReader | undefined): void {
    const count = reader?.count() ?? 0
    this.#counts[item] = count
    this.#shares[item] = popularityShare(count)
    this.#rowShares[item] = 0
    const columns = [this.#firstMs, this.#newestMs, this.#popularity, this.#trend]
    for (const column of columns) column[item] = count > 0 ? (reader?.float64() ?? 0) : 0
  }

  #decodeRow(reader: ByteReader): NeighbourRow | undefined {
    const entries = reader.count() - 1
    if (entries < 0) return undefined
    const row = {
      capacity: reader.count(),
      landmarkMs: reader.float64(),
      newestMs: reader.float64(),
      total: reader.float64(),
      ids: [] as number[],
      weights: [] as number[],
    }
    for (let slot = 0; slot < entries; slot++) {
      row.ids.push(this.#space.intern(reader.text()))
      row.weights.push(reader.float32())
    }
    return row
  }

  #growRows(item: number): void {
    let length = this.#counts.length
    while (length <= item) length += Math.max(length >> 1, 256)
    const grow = <A extends Uint8Array | Uint32Array | Float32Array | Float64Array>(
      old: A,
      wider: A,
    ): A => {
      wider.set(old)
      return wider
    }
    this.#isClaimed = grow(this.#isClaimed, new Uint8Array(length))
    this.#counts = grow(this.#counts, new Uint32Array(length))
    this.#firstMs = grow(this.#firstMs, new Float64Array(length))
    this.#newestMs = grow(this.#newestMs, new Float64Array(length))
    this.#popularity = grow(this.#popularity, new Float64Array(length))
    this.#trend = grow(this.#trend, new Float64Array(length))
    this.#shares = grow(this.#shares, new Float32Array(length))
    this.#rowShares = grow(this.#rowShares, new Float64Array(length))
  }

  /** Bytes of the columns and lists, for the metrics. */
  get bytes(): number {
    return this.next.bytes + this.near.bytes + this.#counts.length * 49
  }
}
