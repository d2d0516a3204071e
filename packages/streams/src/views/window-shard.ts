/**
 * The states of a declared view with windows, for one partition: per key a state for every tile of
 * time that is still kept.
 *
 * A tile `[start, start + step)` is kept while `start > floor(watermark / step) * step - keep`; what
 * is older is as if it had never been, whenever its memory is given back, so that a rebuild agrees.
 * An event is late when its tile, with the allowed lateness, ended at or before the watermark of the
 * partition where the event was appended first; history is never late.
 */
import type { WindowDefinition } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import type { FoldOutput, FoldShard, ShardContext } from '../fold.ts'
import { canonicalBytes, parseBytes } from './canonical.ts'
import { NO_OUTPUT, ViewContext, eventOf } from './context.ts'
import { decodeWatermark, encodeWatermark } from './plain-shard.ts'
import { keyIn, lateWatermark, type ViewPlan } from './plan.ts'
import type { ReadableShard, WindowValue } from './reader.ts'
import { TableReads, type KeyReads } from './reads.ts'
import { dropTiles, packFolded, putTile, tileIndex, type Tiles } from './states.ts'

interface Image {
  readonly tiles: readonly (readonly [start: number, state: unknown])[]
  readonly reads?: KeyReads
}

/** Keys looked at for old tiles with every record folded. */
const SWEEP_KEYS = 2

/** See the head of the file. */
export class WindowShard implements FoldShard, ReadableShard {
  readonly isSteadyInTime = true
  readonly counters = { late: 0, ignored: 0, expired: 0 }
  readonly #plan: ViewPlan
  readonly #window: WindowDefinition
  readonly #keys = new Map<string, Tiles>()
  readonly #reads: TableReads | undefined
  readonly #context: ViewContext
  #watermarkMs = Number.NEGATIVE_INFINITY
  #sweep: IterableIterator<[string, Tiles]> | undefined
  /** The limit when the sweep began, and the one up to which all keys are clean. */
  #sweepLimit = Number.NEGATIVE_INFINITY
  #cleanedLimit = Number.NEGATIVE_INFINITY

  constructor(plan: ViewPlan, window: WindowDefinition, context: ShardContext) {
    this.#plan = plan
    this.#window = window
    this.#reads = Object.keys(plan.view.join).length === 0 ? undefined : new TableReads()
    this.#context = new ViewContext(plan, context.tables, undefined, this.#reads)
  }

  fold(record: LogRecord, output: FoldOutput): void {
    const key = keyIn(this.#plan, record)
    if (key === undefined || !this.#takes(record)) return
    this.#clean()
    const { packing, view } = this.#plan
    const start = this.#startOf(record.eventTimeMs)
    const tiles = this.#keys.get(key)
    if (tiles !== undefined) dropTiles(tiles, this.#limit())
    const index = tiles === undefined ? 0 : tileIndex(tiles, start)
    const isKnown = tiles !== undefined && tiles.starts[index] === start
    const state = isKnown ? packing.unpack(tiles.packed[index]) : packing.initial()
    this.#context.begin(key, record, output)
    const result = view.fold(state, eventOf(this.#plan, record), this.#context)
    const packed = packFolded(this.#plan, result === undefined ? state : result)
    if (tiles === undefined) this.#keys.set(key, { starts: [start], packed: [packed] })
    else putTile(tiles, index, start, packed)
  }

  advance(watermarkMs: number): void {
    if (watermarkMs > this.#watermarkMs) this.#watermarkMs = watermarkMs
  }

  invert(record: LogRecord): boolean {
    const { view } = this.#plan
    if (view.invert === undefined || this.#reads !== undefined) return false
    const key = keyIn(this.#plan, record)
    const start = this.#startOf(record.eventTimeMs)
    if (key === undefined || start <= this.#limit() || this.#isIgnored(record)) return true
    const state = this.#stateOf(key, start)
    const result = view.invert(state, eventOf(this.#plan, record))
    this.#put(key, start, result === undefined ? state : result)
    return true
  }

  insert(record: LogRecord): boolean {
    const { view, emits } = this.#plan
    if (!view.isOrderFree || this.#reads !== undefined || emits.size > 0) return false
    const counters = { ...this.counters }
    this.fold(record, NO_OUTPUT)
    // It was counted when it came.
    Object.assign(this.counters, counters)
    return true
  }

  *keys(): Iterable<string> {
    const limit = this.#limit()
    for (const [key, { starts }] of this.#keys) if ((starts.at(-1) ?? limit) > limit) yield key
  }

  keyCount(): number {
    return this.#keys.size
  }

  encodeKey(key: string): Uint8Array | undefined {
    const tiles = this.#kept(key)
    const reads = this.#readsOf(key)
    if (tiles.length === 0 && reads === undefined) return undefined
    return canonicalBytes({
      tiles,
      ...(reads === undefined ? {} : { reads }),
    } satisfies Image)
  }

  decodeKey(key: string, bytes: Uint8Array | undefined): void {
    const image = bytes === undefined ? { tiles: [] } : (parseBytes(bytes) as Image)
    this.#restore(key, image)
  }

  readersOf(kind: string, id: string, fromMs: number): Iterable<string> {
    return this.#reads?.readersOf(kind, id, fromMs) ?? []
  }

  encodeShared(): Uint8Array {
    return encodeWatermark(this.#watermarkMs)
  }

  decodeShared(bytes: Uint8Array): void {
    this.#watermarkMs = decodeWatermark(bytes)
  }

  has(key: string): boolean {
    return this.#kept(key).length > 0
  }

  /** Sliding: the merged last size of time. Tumbling: the kept windows, newest first. */
  read(key: string): unknown {
    const { view } = this.#plan
    const kept = this.#kept(key)
    if (this.#window.kind === 'tumbling') {
      return kept.reverse().map(([startMs, state]): WindowValue => {
        return { startMs, endMs: startMs + this.#window.sizeMs, value: view.read(state) }
      })
    }
    const [first, ...others] = kept
    if (first === undefined) return undefined
    let merged = others.length === 0 ? first[1] : structuredClone(first[1])
    for (const [, state] of others) merged = view.merge?.(merged, structuredClone(state))
    return view.read(merged)
  }

  #startOf(timeMs: number): number {
    return Math.floor(timeMs / this.#window.stepMs) * this.#window.stepMs
  }

  /** Tiles that start here or before are gone. */
  #limit(): number {
    if (this.#watermarkMs === Number.NEGATIVE_INFINITY) return this.#watermarkMs
    return this.#startOf(this.#watermarkMs) - this.#window.keepMs
  }

  #takes(record: LogRecord): boolean {
    if (this.#startOf(record.eventTimeMs) <= this.#limit()) {
      this.counters.expired += 1
      return false
    }
    if (!this.#isLate(record)) return true
    if (this.#window.late === 'ignore') {
      this.counters.ignored += 1
      return false
    }
    this.counters.late += 1
    return true
  }

  #isLate(record: LogRecord): boolean {
    if (record.isHistory) return false
    const { stepMs, allowedLatenessMs } = this.#window
    const endMs = this.#startOf(record.eventTimeMs) + stepMs
    return endMs + allowedLatenessMs <= lateWatermark(this.#plan.isRekeyed, record)
  }

  #isIgnored(record: LogRecord): boolean {
    return this.#window.late === 'ignore' && this.#isLate(record)
  }

  /** The tiles of a key that are not gone and say something, by start. */
  #kept(key: string): [start: number, state: unknown][] {
    const tiles = this.#keys.get(key)
    if (tiles === undefined) return []
    const kept: [number, unknown][] = []
    const limit = this.#limit()
    const { packing } = this.#plan
    tiles.starts.forEach((start, index) => {
      const packed = tiles.packed[index]
      if (start > limit && !packing.isBlank(packed)) kept.push([start, packing.unpack(packed)])
    })
    return kept
  }

  /** Reads for tiles that are gone no longer matter. */
  #readsOf(key: string): KeyReads | undefined {
    const reads = this.#reads?.of(key)
    if (reads === undefined) return undefined
    const limit = this.#limit()
    const kept = Object.entries(reads).filter(([, atMs]) => this.#startOf(atMs) > limit)
    return kept.length === 0 ? undefined : Object.fromEntries(kept)
  }

  #stateOf(key: string, start: number): unknown {
    const { packing } = this.#plan
    const tiles = this.#keys.get(key)
    if (tiles === undefined) return packing.initial()
    const index = tileIndex(tiles, start)
    return tiles.starts[index] === start ? packing.unpack(tiles.packed[index]) : packing.initial()
  }

  #put(key: string, start: number, state: unknown): void {
    const packed = this.#plan.packing.pack(state)
    const tiles = this.#keys.get(key)
    if (tiles === undefined) this.#keys.set(key, { starts: [start], packed: [packed] })
    else putTile(tiles, tileIndex(tiles, start), start, packed)
  }

  #restore(key: string, { tiles, reads }: Image): void {
    this.#keys.delete(key)
    for (const [start, state] of tiles) this.#put(key, start, state)
    this.#reads?.replace(key, reads)
  }

  /** Gives back the memory of old tiles, a few keys at a time. */
  #clean(): void {
    const limit = this.#limit()
    if (limit === this.#cleanedLimit) return
    for (let count = 0; count < SWEEP_KEYS; count++) {
      if (this.#sweep === undefined) {
        this.#sweep = this.#keys.entries()
        this.#sweepLimit = limit
      }
      const next = this.#sweep.next()
      if (next.done === true) {
        this.#sweep = undefined
        this.#cleanedLimit = this.#sweepLimit
        return
      }
      const [key, tiles] = next.value
      dropTiles(tiles, limit)
      if (tiles.starts.length > 0) continue
      this.#keys.delete(key)
      this.#reads?.replace(key, undefined)
    }
  }
}
