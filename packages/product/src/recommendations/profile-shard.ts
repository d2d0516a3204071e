/** State of the `profile` fold for one partition: people by number, their lists in slabs. */
import { ByteReader, ByteWriter } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import { SlabPool } from '@millrace/recommend'
import type { FoldOutput, FoldShard } from '@millrace/streams'
import type { ItemSpace } from '../catalogue/index.ts'

/** Interactions kept per person, newest distinct items. */
export const RECENT_MAX = 50
/** Lists longer than this get an index of their items; shorter ones are scanned. */
const SCAN_MAX = 256

/** One interaction of a person, as reads give it. */
export interface Interaction {
  /** Key of the item. */
  readonly item: string
  readonly weight: number
  readonly atMs: number
}

/** An item by its key and its number in the space of the app. */
export interface SpaceItem {
  readonly key: string
  readonly number: number
}

/** What `context` gives. The first key and number are those of the item acted on, which has no gap. */
export interface ActionContext {
  readonly keys: readonly string[]
  readonly items: readonly number[]
  readonly gaps: readonly number[]
}

/** A list of items per person in slabs that double. */
class Lists {
  readonly pool: SlabPool
  #offsets = new Int32Array(64)
  #capacities = new Int32Array(64)
  #lengths = new Int32Array(64)

  constructor(columns: { hasWeights: boolean; hasTimes: boolean }) {
    this.pool = new SlabPool(columns)
  }

  begin(row: number): number {
    return row < this.#offsets.length ? (this.#offsets[row] as number) : 0
  }

  length(row: number): number {
    return row < this.#lengths.length ? (this.#lengths[row] as number) : 0
  }

  /** Slot of an item, -1 when it is not in the list. */
  find(row: number, item: number): number {
    const { ids } = this.pool
    const begin = this.begin(row)
    for (let slot = begin + this.length(row) - 1; slot >= begin; slot--) {
      if (ids[slot] === item) return slot
    }
    return -1
  }

  /** Appends an item and gives its slot. */
  push(row: number, item: number): number {
    if (row >= this.#offsets.length) this.#growRows(row)
    const length = this.#lengths[row] as number
    const capacity = this.#capacities[row] as number
    if (length === capacity) {
      const wider = capacity === 0 ? 4 : capacity * 2
      const offset = this.pool.allocate(wider)
      if (capacity > 0) {
        this.pool.move(offset, this.#offsets[row] as number, length)
        this.pool.release(this.#offsets[row] as number, capacity)
      }
      this.#offsets[row] = offset
      this.#capacities[row] = wider
    }
    const slot = (this.#offsets[row] as number) + length
    this.pool.ids[slot] = item
    this.#lengths[row] = length + 1
    return slot
  }

  /** Takes the entry at `slot` out; the later ones move up. */
  remove(row: number, slot: number): void {
    const end = this.begin(row) + this.length(row)
    this.pool.move(slot, slot + 1, end - slot - 1)
    this.#lengths[row] = this.length(row) - 1
  }

  clear(row: number): void {
    if (row >= this.#offsets.length) return
    const capacity = this.#capacities[row] as number
    if (capacity > 0) this.pool.release(this.#offsets[row] as number, capacity)
    this.#capacities[row] = 0
    this.#lengths[row] = 0
  }

  #growRows(row: number): void {
    let length = this.#offsets.length
    while (length <= row) length += Math.max(length >> 1, 64)
    const grow = (old: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> => {
      const wider = new Int32Array(length)
      wider.set(old)
      return wider
    }
    this.#offsets = grow(this.#offsets)
    this.#capacities = grow(this.#capacities)
    this.#lengths = grow(this.#lengths)
  }

  get bytes(): number {
    return this.pool.bytes + this.#offsets.length * 12
  }
}

/**
 * Profiles of the people of one partition. State of a key:
 *
 *   format=1 | signals: count | newestMs: f64
 *   | recent: count, then item: text, weight: f32, atMs: f64, oldest first
 *   | seen: count, then item: text, in the order of first contact
 *   | disliked: count, then item: text, in the order of the refusals
 */
export class ProfileShard implements FoldShard {
  readonly #space: ItemSpace
  readonly #foldRecord: (record: LogRecord, output: FoldOutput) => void
  readonly #rows = new Map<string, number>()
  readonly #recent = new Lists({ hasWeights: true, hasTimes: true })
  readonly #seen = new Lists({ hasWeights: false, hasTimes: false })
  readonly #disliked = new Lists({ hasWeights: false, hasTimes: false })
  /** Items of people with long lists; derived from `#seen`. */
  readonly #seenIndex = new Map<number, Set<number>>()
  readonly #freeRows: number[] = []
  readonly #writer = new ByteWriter()
  #signals = new Float64Array(64)
  #newestMs = new Float64Array(64)
  #rowsUsed = 0

  constructor(space: ItemSpace, foldRecord: (record: LogRecord, output: FoldOutput) => void) {
    this.#space = space
    this.#foldRecord = foldRecord
  }

  fold(record: LogRecord, output: FoldOutput): void {
    this.#foldRecord(record, output)
  }

  /** Row of a person, -1 for one without signals. Valid until the next fold. */
  row(person: string): number {
    return this.#rows.get(person) ?? -1
  }

  /** Row of a person, made when there is none. */
  intern(person: string): number {
    const known = this.#rows.get(person)
    if (known !== undefined) return known
    const row = this.#freeRows.pop() ?? this.#rowsUsed++
    if (row >= this.#signals.length) {
      const length = row + Math.max(row >> 1, 64)
      const signals = new Float64Array(length)
      signals.set(this.#signals)
      this.#signals = signals
      const newestMs = new Float64Array(length)
      newestMs.set(this.#newestMs)
      this.#newestMs = newestMs
    }
    this.#signals[row] = 0
    this.#newestMs[row] = 0
    this.#rows.set(person, row)
    return row
  }

  /**
   * The items of an action: `item`, then the newest `limit` others before, newest first. Their keys,
   * their numbers, and how long before the action each of the others was.
   */
  context(row: number, item: SpaceItem, limit: number, timeMs: number): ActionContext {
    const keys = [item.key]
    const items = [item.number]
    const gaps: number[] = []
    const { ids, times } = this.#recent.pool
    const begin = this.#recent.begin(row)
    for (
      let slot = begin + this.#recent.length(row) - 1;
      slot >= begin && gaps.length < limit;
      slot--
    ) {
      const other = ids[slot] as number
      if (other === item.number) continue
      keys.push(this.#space.keyOf(other))
      items.push(other)
      gaps.push(Math.max(0, timeMs - (times[slot] as number)))
    }
    return { keys, items, gaps }
  }

  /** The person acted on an item. */
  act(row: number, item: number, weight: number, timeMs: number): void {
    const recent = this.#recent
    const known = recent.find(row, item)
    if (known >= 0) recent.remove(row, known)
    else if (recent.length(row) >= RECENT_MAX) recent.remove(row, recent.begin(row))
    const slot = recent.push(row, item)
    recent.pool.weights[slot] = weight
    recent.pool.times[slot] = timeMs
    const disliked = this.#disliked.find(row, item)
    if (disliked >= 0) this.#disliked.remove(row, disliked)
    this.#touch(row, item, timeMs)
  }

  /** The person turned an item down. */
  dislike(row: number, item: number, timeMs: number): void {
    const known = this.#recent.find(row, item)
    if (known >= 0) this.#recent.remove(row, known)
    if (this.#disliked.find(row, item) < 0) this.#disliked.push(row, item)
    this.#touch(row, item, timeMs)
  }

  #touch(row: number, item: number, timeMs: number): void {
    this.#signals[row] = (this.#signals[row] as number) + 1
    if (timeMs > (this.#newestMs[row] as number)) this.#newestMs[row] = timeMs
    if (!this.hasSeen(row, item)) {
      this.#seen.push(row, item)
      this.#seenIndex.get(row)?.add(item)
    }
  }

  /** True when the person acted on the item, in either sense. */
  hasSeen(row: number, item: number): boolean {
    const length = this.#seen.length(row)
    if (length <= SCAN_MAX) return this.#seen.find(row, item) >= 0
    let index = this.#seenIndex.get(row)
    if (index === undefined) {
      const begin = this.#seen.begin(row)
      index = new Set(this.#seen.pool.ids.subarray(begin, begin + length))
      this.#seenIndex.set(row, index)
    }
    return index.has(item)
  }

  /** The recent items: slots `begin` to `begin + length` of `pool`, oldest first. */
  get recent(): Pick<Lists, 'begin' | 'length' | 'pool'> {
    return this.#recent
  }

  /** All items acted on, as `recent`. */
  get seen(): Pick<Lists, 'begin' | 'length' | 'pool'> {
    return this.#seen
  }

  /** Items turned down, as `recent`. */
  get disliked(): Pick<Lists, 'begin' | 'length' | 'pool'> {
    return this.#disliked
  }

  /** Recent interactions, newest first. */
  interactions(person: string, limit: number): readonly Interaction[] {
    const row = this.row(person)
    if (row < 0) return []
    const { ids, weights, times } = this.#recent.pool
    const begin = this.#recent.begin(row)
    const result: Interaction[] = []
    for (
      let slot = begin + this.#recent.length(row) - 1;
      slot >= begin && result.length < limit;
      slot--
    ) {
      result.push({
        item: this.#space.keyOf(ids[slot] as number),
        weight: weights[slot] as number,
        atMs: times[slot] as number,
      })
    }
    return result
  }

  /** How many signals of the person were folded. */
  signalsOf(person: string): number {
    const row = this.row(person)
    return row < 0 ? 0 : (this.#signals[row] as number)
  }

  /** Time of the person's newest signal; 0 for none. */
  newestMsOf(row: number): number {
    return this.#newestMs[row] as number
  }

  keys(): Iterable<string> {
    return this.#rows.keys()
  }

  keyCount(): number {
    return this.#rows.size
  }

  encodeKey(key: string): Uint8Array | undefined {
    const row = this.row(key)
    if (row < 0) return undefined
    const writer = this.#writer.reset().count(1)
    writer.count(this.#signals[row] as number).float64(this.#newestMs[row] as number)
    const begin = this.#recent.begin(row)
    const length = this.#recent.length(row)
    writer.count(length)
    for (let slot = begin; slot < begin + length; slot++) {
      writer.text(this.#space.keyOf(this.#recent.pool.ids[slot] as number))
      writer.float32(this.#recent.pool.weights[slot] as number)
      writer.float64(this.#recent.pool.times[slot] as number)
    }
    this.#encodeItems(writer, this.#seen, row)
    this.#encodeItems(writer, this.#disliked, row)
    return writer.bytes()
  }

  #encodeItems(writer: ByteWriter, lists: Lists, row: number): void {
    const begin = lists.begin(row)
    const length = lists.length(row)
    writer.count(length)
    for (let slot = begin; slot < begin + length; slot++) {
      writer.text(this.#space.keyOf(lists.pool.ids[slot] as number))
    }
  }

  decodeKey(key: string, bytes: Uint8Array | undefined): void {
    const old = this.#rows.get(key)
    if (old !== undefined) {
      for (const lists of [this.#recent, this.#seen, this.#disliked]) lists.clear(old)
      this.#seenIndex.delete(old)
      this.#rows.delete(key)
      this.#freeRows.push(old)
    }
    if (bytes === undefined) return
    const reader = new ByteReader(bytes)
    reader.count()
    const row = this.intern(key)
    this.#signals[row] = reader.count()
    this.#newestMs[row] = reader.float64()
    for (let left = reader.count(); left > 0; left--) {
      const slot = this.#recent.push(row, this.#space.intern(reader.text()))
      this.#recent.pool.weights[slot] = reader.float32()
      this.#recent.pool.times[slot] = reader.float64()
    }
    for (const lists of [this.#seen, this.#disliked]) {
      for (let left = reader.count(); left > 0; left--) {
        lists.push(row, this.#space.intern(reader.text()))
      }
    }
  }

  /** Bytes of the lists, for the metrics. */
  get bytes(): number {
    return this.#recent.bytes + this.#seen.bytes + this.#disliked.bytes + this.#signals.length * 16
  }
}
