/**
 * The state of a feature view for one partition, and the only code that computes its values: the
 * stream, requests, backfills and training sets fold and read it.
 *
 * Promise: the value at `tMs` is a function of the records folded so far and of `tMs`, which is not
 * before the watermark (docs/adr/0024-features.md). An event belongs to tile floor(time / step); a
 * partial is folded in log order within its tile; a read merges the tiles of the window from the
 * oldest on. A tile is gone once the watermark has left the longest window that it is in, whenever
 * its memory is given back.
 *
 * State of a key:
 *
 *   format=1 | failed features: count, each its index: count
 *   | reads of tables: text (JSON; empty: none)
 *   | entities: count, each: sub-key: text (empty without pairs), in the order of their activity
 *       | newest event: f64 (views with a time-to-live or freshness)
 *       | per group: tiles: count, each: tile: f64, per feature: events: count, its partial
 */
import { ByteReader, ByteWriter, type AnyTables } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import { eventOf, keyIn, TableReads, type FoldShard, type ShardContext } from '@millrace/streams'
import { CellReader } from './cell-reader.ts'
import type { CellRow } from './cell-row.ts'
import { EntityAges } from './entity-ages.ts'
import { EntityBook, NONE, type EntityState } from './entity-book.ts'
import { FailedFeatures } from './failed-features.ts'
import { KeySweep } from './key-sweep.ts'
import { Measures } from './measures.ts'
import { addEvent, insertEvent, takeEvent } from './partials.ts'
import { PendingEvents } from './pending-events.ts'
import type { AnyEvent, FeaturePlan, FeatureReading, PlannedFeature, TileGroup } from './plan.ts'
import { decodeTiles, encodeTiles } from './tile-codec.ts'
import { TileHeads, TileRows } from './tile-rows.ts'
import type { TimeSpan } from './window-partial.ts'

const FORMAT = 1
/** Events that wait to be folded at most, where that is put off. */
const PENDING_MAX = 524_288
const NEVER = Number.NEGATIVE_INFINITY

/** See the head of the file. */
export class FeatureShard implements FoldShard, EntityState {
  readonly isSteadyInTime = true
  readonly #plan: FeaturePlan
  readonly #heads: TileHeads
  readonly #rows: readonly TileRows[]
  readonly #byGroup: readonly PlannedFeature[]
  /** By group: the tile of the event that is folded, and that up to which tiles are gone. */
  readonly #tiles: Float64Array
  readonly #limits: Float64Array
  readonly #ages: EntityAges
  readonly #book: EntityBook
  readonly #failed: FailedFeatures
  readonly #reads: TableReads | undefined
  readonly #tables: AnyTables
  readonly #writer = new ByteWriter()
  readonly #measures: Measures
  /** 1 for each feature that takes the event that is folded. */
  readonly #takes: Uint8Array
  readonly #cells: CellReader
  readonly #sweep: KeySweep
  /** Measured events of entities that were not read since; undefined where events are folded as they come. */
  #pending: PendingEvents | undefined
  #pendingMax = 0
  #watermarkMs = NEVER
  #key = ''
  #atMs = 0

  constructor(plan: FeaturePlan, { tables }: Pick<ShardContext, 'tables'>) {
    const { view, features, groups } = plan
    this.#plan = plan
    this.#heads = new TileHeads(groups.length)
    this.#rows = groups.map((group, index) => new TileRows(group, this.#heads, index))
    this.#byGroup = features.toSorted((a, b) => a.group - b.group)
    this.#tiles = new Float64Array(groups.length)
    this.#limits = new Float64Array(groups.length).fill(NEVER)
    const stepMs = Math.min(...groups.map(group => group.stepMs))
    this.#sweep = new KeySweep(stepMs, () => this.#book.keys())
    this.#failed = new FailedFeatures(features.length)
    this.#ages = new EntityAges(view)
    this.#book = new EntityBook(this, view.pair?.max)
    const reads = Object.keys(view.join).length === 0 ? undefined : new TableReads()
    this.#reads = reads
    this.#tables = Object.fromEntries(
      Object.entries(view.join).map(([alias, { name }]) => [
        alias,
        (id: string) => {
          reads?.note(this.#key, name, id, this.#atMs)
          return tables.asOf(name, id, this.#atMs)
        },
      ]),
    )
    this.#takes = new Uint8Array(features.length)
    this.#measures = new Measures(plan, this.#tables)
    this.#cells = new CellReader(plan, {
      rows: this.#rows,
      book: this.#book,
      ages: this.#ages,
      failed: this.#failed,
    })
  }

  /**
   * Events are folded when their entity is read, and not as they come: for who reads few entities at
   * a moment and folds many. What is read is the same. At most so many events wait. Gives false and
   * does nothing where what is kept of events is more than numbers, or depends on when it is folded.
   */
  putOff(eventsMax = PENDING_MAX): boolean {
    const { width } = this.#measures
    const { pair } = this.#plan.view
    const isFree = this.#reads === undefined && pair === undefined && !this.#ages.isKept
    if (!isFree || width === undefined) return false
    this.#pending = new PendingEvents(width)
    this.#pendingMax = eventsMax
    return true
  }

  fold(record: LogRecord): void {
    const key = keyIn(this.#plan, record)
    if (key === undefined) return
    const old = this.#sweep.next(this.#watermarkMs)
    if (old !== undefined) this.#cleanKey(old)
    const event = this.#begin(key, record)
    const subKeys = this.#subKeysOf(event)
    const isTaken = subKeys.length > 0 && this.#take(event)
    if (this.#reads !== undefined) this.#book.hold(key)
    if (!isTaken) return
    if (this.#pending !== undefined) {
      this.#await(this.#pending, this.#claim(key, ''))
      return
    }
    for (const subKey of subKeys) this.#addTo(this.#claim(key, subKey))
  }

  advance(watermarkMs: number): void {
    if (watermarkMs > this.#watermarkMs) this.#pass(watermarkMs)
  }

  /** Time has come to a watermark. */
  #pass(watermarkMs: number): void {
    this.#watermarkMs = watermarkMs
    this.#plan.groups.forEach(({ stepMs, tiles }, group) => {
      this.#limits[group] = stepMs === Infinity ? NEVER : Math.floor(watermarkMs / stepMs) - tiles
    })
  }

  invert(record: LogRecord): boolean {
    const entity = this.#changeable(record)
    if (entity === undefined) return false
    if (entity === NONE) return true
    this.#cells.drop(entity)
    for (const feature of this.#plan.features) {
      if (this.#takes[feature.index] === 0) continue
      const tile = this.#tiles[feature.group] as number
      if (tile <= (this.#limits[feature.group] as number)) continue
      const rows = this.#rows[feature.group] as TileRows
      const at = rows.find(entity, tile)
      if (at === NONE) return false
      if (!takeEvent(rows, at, feature, this.#measures.inputOf(feature))) return false
    }
    this.#removeBlank(entity)
    if (!this.isAlive(entity)) this.#book.forget(this.#key)
    return true
  }

  insert(record: LogRecord): boolean {
    const known = this.#changeable(record)
    if (known === undefined) return false
    if (!this.#takes.includes(1)) return true
    const entity = known === NONE ? this.#book.claim(this.#key, '') : known
    this.#cells.drop(entity)
    for (const feature of this.#plan.features) {
      if (this.#takes[feature.index] === 0) continue
      const tile = this.#tiles[feature.group] as number
      if (tile <= (this.#limits[feature.group] as number)) continue
      const rows = this.#rows[feature.group] as TileRows
      const at = rows.row(entity, tile, this.#limits[feature.group] as number)
      if (!insertEvent(rows, at, feature, this.#measures.inputOf(feature))) return false
    }
    return true
  }

  *keys(): Iterable<string> {
    for (const key of this.#book.keys()) if (this.#says(key)) yield key
    for (const key of this.#failed.keys()) if (!this.#book.has(key)) yield key
  }

  keyCount(): number {
    return this.#book.size
  }

  encodeKey(key: string): Uint8Array | undefined {
    const failed = [...this.#failed.of(key)].sort((a, b) => a - b)
    const reads = this.#readsOf(key)
    const entities = this.#book.of(key).filter(([, entity]) => this.isAlive(entity))
    if (failed.length === 0 && reads === undefined && entities.length === 0) return undefined
    const writer = this.#writer.reset().count(FORMAT)
    writer.count(failed.length)
    for (const index of failed) writer.count(index)
    writer.text(reads === undefined ? '' : JSON.stringify(reads))
    writer.count(entities.length)
    for (const [subKey, entity] of entities) {
      writer.text(subKey)
      if (this.#ages.isKept) writer.float64(this.#ages.newestMs(entity))
      this.#plan.groups.forEach((group, index) => {
        encodeTiles(writer, group, this.#rows[index] as TileRows, [
          entity,
          this.#limits[index] as number,
        ])
      })
    }
    return writer.bytes()
  }

  decodeKey(key: string, bytes: Uint8Array | undefined): void {
    this.#book.forget(key)
    this.#failed.forget(key)
    this.#reads?.replace(key, undefined)
    if (bytes === undefined) return
    const reader = new ByteReader(bytes)
    reader.count()
    for (let count = reader.count(); count > 0; count--) this.#failed.mark(key, reader.count())
    const reads = reader.text()
    if (reads !== '') {
      this.#reads?.replace(key, JSON.parse(reads) as Readonly<Record<string, number>>)
      this.#book.hold(key)
    }
    for (let count = reader.count(); count > 0; count--) {
      const entity = this.#book.claim(key, reader.text())
      if (this.#ages.isKept) this.#ages.note(entity, reader.float64())
      this.#plan.groups.forEach((group, index) => {
        decodeTiles(reader, group, this.#rows[index] as TileRows, entity)
      })
    }
  }

  readersOf(kind: string, id: string, fromMs: number): Iterable<string> {
    return this.#reads?.readersOf(kind, id, fromMs) ?? []
  }

  encodeShared(): Uint8Array {
    return this.#writer.reset().float64(this.#watermarkMs).bytes()
  }

  decodeShared(bytes: Uint8Array): void {
    this.#pass(new ByteReader(bytes).float64())
  }

  /** No value is read for a moment before it: the tiles may be gone. */
  get watermarkMs(): number {
    return this.#watermarkMs
  }

  /** Sub-keys of a key whose tiles are not gone, the least recently active first; '' alone without pairs. */
  subKeys(key: string): readonly string[] {
    return this.#book
      .of(key)
      .filter(([, entity]) => this.isAlive(entity))
      .map(([subKey]) => subKey)
  }

  /** Reads values into the cells `cells[i]` of `row`. */
  read(request: FeatureReading, row: CellRow, cells: readonly number[]): void {
    const entity = this.#book.find(request.key, request.subKey)
    this.#settle(entity)
    this.#cells.read(entity, request, row, cells)
  }

  /** From when to when (both included) events count for a feature at `tMs`; undefined where none does. */
  spanOf(key: string, subKey: string, name: string, tMs: number): TimeSpan | undefined {
    const entity = this.#book.find(key, subKey)
    this.#settle(entity)
    return this.#cells.span(entity, name, tMs)
  }

  /** How often the code of each feature threw, or gave what is no value. */
  get failures(): Uint32Array {
    return this.#failed.counts
  }

  /** Keys of which some feature failed. */
  get failedKeys(): number {
    return this.#failed.size
  }

  /** Bytes of the tiles, for the metrics. */
  get bytes(): number {
    return this.#rows.reduce(
      (bytes, rows) => bytes + rows.bytes,
      this.#ages.bytes + this.#heads.cells.byteLength,
    )
  }

  #begin(key: string, record: LogRecord): AnyEvent {
    this.#key = key
    this.#atMs = record.eventTimeMs
    this.#findTiles()
    this.#measures.begin(this.#atMs)
    return eventOf(this.#plan, record)
  }

  /** Where the event counts; nowhere when what tells it throws: then all features of the key failed. */
  #subKeysOf(event: AnyEvent): readonly string[] {
    try {
      return this.#measures.subKeysOf(event)
    } catch {
      for (const { index } of this.#plan.features) this.#failed.fail(this.#key, index)
      return []
    }
  }

  /** Looks at what each feature takes of the event; true when some feature whose tile is kept takes it. */
  #take(event: AnyEvent): boolean {
    const failed = this.#failed.of(this.#key)
    let isTaken = false
    for (const feature of this.#plan.features) {
      const { index, group } = feature
      this.#takes[index] = 0
      if (failed.has(index)) continue
      try {
        if (!this.#measures.take(feature, event)) continue
      } catch {
        this.#failed.fail(this.#key, feature.index)
        continue
      }
      if ((this.#tiles[group] as number) <= (this.#limits[group] as number)) continue
      this.#takes[index] = 1
      isTaken = true
    }
    return isTaken
  }

  /** The entity of a key; one whose tiles are gone begins anew, also where its memory was not given back yet. */
  #claim(key: string, subKey: string): number {
    const entity = this.#book.claim(key, subKey)
    if (this.#ages.isKept && !this.isAlive(entity)) this.#ages.forget(entity)
    return entity
  }

  /** The event that was measured is folded when its entity is read. */
  #await(pending: PendingEvents, entity: number): void {
    const at = pending.add(entity, this.#atMs)
    this.#measures.save(pending.cells, at)
    if (pending.size < this.#pendingMax) return
    for (const each of pending.entities()) this.#settle(each)
  }

  /** Folds the events of an entity that wait. No other event is at hand then. */
  #settle(entity: number): void {
    const pending = this.#pending
    if (pending === undefined || !pending.has(entity)) return
    for (const at of pending.take(entity)) {
      this.#atMs = pending.atMs(at)
      this.#measures.restore(pending.cells, at, this.#atMs)
      this.#findTiles()
      for (const feature of this.#byGroup) {
        const { index, group } = feature
        const isKept = (this.#tiles[group] as number) > (this.#limits[group] as number)
        this.#takes[index] = isKept && this.#measures.isTaken(feature) ? 1 : 0
      }
      this.#addTo(entity)
    }
  }

  #findTiles(): void {
    const { groups } = this.#plan
    for (let group = 0; group < groups.length; group++) {
      this.#tiles[group] = Math.floor(this.#atMs / (groups[group] as TileGroup).stepMs)
    }
  }

  #addTo(entity: number): void {
    this.#cells.drop(entity)
    const features = this.#byGroup
    let group = NONE
    let rows: TileRows | undefined
    let at = NONE
    for (let index = 0; index < features.length; index++) {
      const feature = features[index] as PlannedFeature
      if (this.#takes[feature.index] === 0) continue
      if (feature.group !== group || rows === undefined) {
        group = feature.group
        rows = this.#rows[group] as TileRows
        at = rows.row(entity, this.#tiles[group] as number, this.#limits[group] as number)
      }
      try {
        addEvent(rows, at, feature, this.#measures.inputOf(feature))
      } catch {
        this.#failed.fail(this.#key, feature.index)
      }
    }
    this.#ages.note(entity, this.#atMs)
  }

  /**
   * The entity in which one event can be changed by itself, with what features take of the event;
   * NONE without a key, and when it has no state. Undefined when the key is to be folded again: tables
   * were read, pairs may have gone, a feature failed, or the view tells the age of values, which depends
   * on when the key had no tiles.
   */
  #changeable(record: LogRecord): number | undefined {
    if (this.#reads !== undefined || this.#plan.view.pair !== undefined || this.#ages.isKept) return undefined // prettier-ignore
    const key = keyIn(this.#plan, record)
    this.#takes.fill(0)
    if (key === undefined) return NONE
    if (this.#failed.has(key)) return undefined
    const entity = this.#book.find(key, '')
    this.#settle(entity)
    const event = this.#begin(key, record)
    this.#take(event)
    if (this.#failed.has(key)) return undefined
    return entity
  }

  #says(key: string): boolean {
    if (this.#failed.has(key)) return true
    if (this.#book.of(key).some(([, entity]) => this.isAlive(entity))) return true
    return this.#readsOf(key) !== undefined
  }

  clear(entity: number): void {
    this.#pending?.take(entity)
    this.#cells.drop(entity)
    for (const rows of this.#rows) rows.drop(entity, rows.lengthOf(entity))
    this.#ages.forget(entity)
  }

  /** True when some tile of the entity is not gone. */
  isAlive(entity: number): boolean {
    this.#settle(entity)
    return this.#rows.some((rows, group) => {
      const length = rows.lengthOf(entity)
      return (
        length > 0 &&
        (rows.cells[rows.at(entity, length - 1)] as number) > (this.#limits[group] as number)
      )
    })
  }

  /** Lets go of rows in which no feature has an event. */
  #removeBlank(entity: number): void {
    this.#rows.forEach((rows, group) => {
      const tile = this.#tiles[group] as number
      const at = rows.find(entity, tile)
      if (at === NONE) return
      const { features } = this.#plan.groups[group] as TileGroup
      if (features.every(({ offset }) => rows.cells[at + offset] === 0)) rows.remove(entity, tile)
    })
  }

  /** What the key read of tables for tiles that are not gone. */
  #readsOf(key: string): Readonly<Record<string, number>> | undefined {
    const reads = Object.entries(this.#reads?.of(key) ?? {}).filter(([, atMs]) =>
      this.#plan.groups.some(
        ({ stepMs }, group) => Math.floor(atMs / stepMs) > (this.#limits[group] as number),
      ),
    )
    return reads.length === 0 ? undefined : Object.fromEntries(reads.sort())
  }

  /** Gives back the memory of the old tiles of a key. */
  #cleanKey(key: string): void {
    let isAlive = false
    this.#book.forEachOf(key, entity => {
      if (this.#pending?.has(entity) === true) {
        isAlive = true
        return
      }
      for (let group = 0; group < this.#rows.length; group++) {
        ;(this.#rows[group] as TileRows).dropUpTo(entity, this.#limits[group] as number)
      }
      isAlive ||= this.isAlive(entity)
    })
    if (isAlive || this.#says(key)) return
    this.#reads?.replace(key, undefined)
    this.#book.forget(key)
  }
}
