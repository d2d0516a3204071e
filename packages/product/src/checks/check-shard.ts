/**
 * What the checks of a stream have counted, by window of event time: for each key, so that corrections
 * and merges of people find what they take out, and in all. Counts are whole numbers, so an event
 * is taken out and put in to the byte, in any order; a verdict at any moment is a function of them.
 *
 * Memory: for each key with events in the windows that are kept, some 40 bytes and 8 for each number,
 * for a check that compares values their hashes; windows that no verdict needs any more are
 * forgotten as time passes.
 */
import type { CompiledCheck, KnownItems } from '@millrace/core'
import { ByteReader, ByteWriter } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import {
  hashText,
  TableReads,
  type FoldShard,
  type Lanes,
  type ShardContext,
} from '@millrace/streams'
import { QUARANTINE_HEADER } from './plan.ts'

/** Windows that are kept behind those of the verdict: the one before, and what is late. */
const KEPT_BEHIND = 2
/** Keys that are looked at for windows that are over, with each event. */
const SWEPT_AT_ONCE = 2

/** An event that is to be held, and where it is. */
export interface OwedHold {
  readonly id: string
  readonly check: string
  readonly partition: number
  readonly offset: number
}

interface KeyState {
  /** Numbers by slot: window and check. */
  readonly counts: Map<number, number[]>
  /** Hashes of values by slot, ascending. */
  readonly values: Map<number, number[]>
  /** Events that came marked as to be held, by offset. */
  readonly marked: Map<number, readonly [id: string, check: string]>
}

/** See the head of the file. */
export class CheckShard implements FoldShard {
  readonly isSteadyInTime = true
  readonly #checks: readonly CompiledCheck[]
  readonly #latenessMs: number
  readonly #partition: number
  readonly #keys = new Map<string, KeyState>()
  readonly #totals = new Map<number, number[]>()
  /** How often each value is there, by slot. */
  readonly #values = new Map<number, Map<number, number>>()
  readonly #reads: TableReads | undefined
  readonly #isKnown: KnownItems
  #watermarkMs = Number.NEGATIVE_INFINITY
  #key = ''
  #atMs = 0
  #sweep: Iterator<string> | undefined

  constructor(
    checks: readonly CompiledCheck[],
    latenessMs: number,
    { tables, partition }: Pick<ShardContext, 'tables' | 'partition'>,
  ) {
    this.#checks = checks
    this.#latenessMs = latenessMs
    this.#partition = partition
    this.#reads = checks.some(({ refersTo }) => refersTo !== undefined) ? new TableReads() : undefined // prettier-ignore
    this.#isKnown = (kind, id) => {
      this.#reads?.note(this.#key, kind, id, this.#atMs)
      return tables.asOf(kind, id, this.#atMs) !== undefined
    }
  }

  fold(record: LogRecord): void {
    this.#clean()
    this.#change(record, 1)
  }

  advance(watermarkMs: number): void {
    if (watermarkMs > this.#watermarkMs) this.#watermarkMs = watermarkMs
  }

  invert(record: LogRecord): boolean {
    // What the tables said when it was folded may be another thing than what they say now.
    if (this.#reads !== undefined) return false
    this.#change(record, -1)
    return true
  }

  insert(record: LogRecord): boolean {
    this.#change(record, 1)
    return true
  }

  *keys(): Iterable<string> {
    for (const [key, state] of this.#keys) if (this.#says(key, state)) yield key
  }

  encodeKey(key: string): Uint8Array | undefined {
    const state = this.#keys.get(key)
    if (state === undefined || !this.#says(key, state)) return undefined
    const live = <T>(slots: ReadonlyMap<number, T>): (readonly [number, T])[] =>
      [...slots].filter(([slot]) => !this.#isOver(slot)).sort(([a], [b]) => a - b)
    const text = JSON.stringify([
      live(state.counts),
      live(state.values),
      [...state.marked].sort(([a], [b]) => a - b),
      this.#readsOf(key),
    ])
    return new ByteWriter().text(text).bytes()
  }

  decodeKey(key: string, bytes: Uint8Array | undefined): void {
    const known = this.#keys.get(key)
    for (const [slot, counts] of known?.counts ?? []) this.#addTotals(slot, counts, -1)
    for (const [slot, values] of known?.values ?? []) for (const value of values) this.#addValue(slot, value, -1) // prettier-ignore
    this.#keys.delete(key)
    this.#reads?.replace(key, undefined)
    if (bytes === undefined) return
    const [counts, values, marked, reads] = JSON.parse(new ByteReader(bytes).text()) as [
      [number, number[]][],
      [number, number[]][],
      [number, [string, string]][],
      Readonly<Record<string, number>>,
    ]
    this.#keys.set(key, { counts: new Map(counts), values: new Map(values), marked: new Map(marked) }) // prettier-ignore
    for (const [slot, numbers] of counts) this.#addTotals(slot, numbers, 1)
    for (const [slot, hashes] of values) for (const value of hashes) this.#addValue(slot, value, 1)
    this.#reads?.replace(key, reads)
  }

  readersOf(kind: string, id: string, fromMs: number): Iterable<string> {
    return this.#reads?.readersOf(kind, id, fromMs) ?? []
  }

  encodeShared(): Uint8Array {
    return new ByteWriter().float64(this.#watermarkMs).bytes()
  }

  decodeShared(bytes: Uint8Array): void {
    this.#watermarkMs = new ByteReader(bytes).float64()
  }

  get watermarkMs(): number {
    return this.#watermarkMs
  }

  /** Events that came marked as to be held and count: nobody has held them yet, or they were released. */
  *marked(): Iterable<OwedHold> {
    const partition = this.#partition
    for (const { marked } of this.#keys.values()) {
      for (const [offset, [id, check]] of marked) yield { id, check, partition, offset }
    }
  }

  /** What a check has counted of a window; undefined where nothing is known of it. */
  countsOf(index: number, window: number): readonly number[] | undefined {
    return this.#totals.get(this.#slotOf(index, window))
  }

  /** How often each value was there in a window, by its hash. */
  valuesOf(index: number, window: number): ReadonlyMap<number, number> | undefined {
    return this.#values.get(this.#slotOf(index, window))
  }

  #slotOf(index: number, window: number): number {
    return window * this.#checks.length + index
  }

  /** True for a slot of a window that no verdict needs any more. */
  #isOver(slot: number): boolean {
    const index = slot % this.#checks.length
    const { stepMs, steps } = this.#checks[index] as CompiledCheck
    const oldest = Math.floor((this.#watermarkMs - this.#latenessMs) / stepMs) - steps - KEPT_BEHIND
    return (slot - index) / this.#checks.length < oldest
  }

  #change(record: LogRecord, sign: 1 | -1): void {
    this.#key = record.key
    this.#atMs = record.eventTimeMs
    const { type, data, headers, offset, id } = record
    const event = data as Readonly<Record<string, unknown>>
    const held = headers[QUARANTINE_HEADER]
    if (held !== undefined) {
      if (sign === 1) this.#stateOf(record.key).marked.set(offset, [id, held])
      else this.#keys.get(record.key)?.marked.delete(offset)
    }
    for (let index = 0; index < this.#checks.length; index++) {
      const check = this.#checks[index] as CompiledCheck
      if (check.definition.of.name !== type) continue
      const slot = this.#slotOf(index, Math.floor(this.#atMs / check.stepMs))
      if (this.#isOver(slot)) continue
      const added = check.countsOf(event, this.#isKnown)
      if (added === undefined) continue
      this.#add(slot, added.counts, sign)
      if (added.value !== undefined) this.#addOwnValue(slot, hashOf(added.value), sign)
    }
    const state = this.#keys.get(record.key)
    if (state !== undefined && isBlank(state)) this.#keys.delete(record.key)
  }

  #stateOf(key: string): KeyState {
    let state = this.#keys.get(key)
    if (state === undefined) {
      this.#keys.set(key, (state = { counts: new Map(), values: new Map(), marked: new Map() }))
    }
    return state
  }

  #add(slot: number, counts: readonly number[], sign: 1 | -1): void {
    addTo(this.#stateOf(this.#key).counts, slot, counts, sign)
    this.#addTotals(slot, counts, sign)
  }

  #addTotals(slot: number, counts: readonly number[], sign: 1 | -1): void {
    addTo(this.#totals, slot, counts, sign)
  }

  #addOwnValue(slot: number, hash: number, sign: 1 | -1): void {
    const { values } = this.#stateOf(this.#key)
    const own = values.get(slot) ?? []
    const at = own.findIndex(each => each >= hash)
    if (sign === 1) own.splice(at < 0 ? own.length : at, 0, hash)
    else own.splice(own.indexOf(hash), 1)
    if (own.length === 0) values.delete(slot)
    else values.set(slot, own)
    this.#addValue(slot, hash, sign)
  }

  #addValue(slot: number, hash: number, sign: 1 | -1): void {
    let known = this.#values.get(slot)
    if (known === undefined) this.#values.set(slot, (known = new Map<number, number>()))
    const count = (known.get(hash) ?? 0) + sign
    if (count === 0) known.delete(hash)
    else known.set(hash, count)
    if (known.size === 0) this.#values.delete(slot)
  }

  #says(key: string, state: KeyState): boolean {
    if (state.marked.size > 0) return true
    for (const slot of state.counts.keys()) if (!this.#isOver(slot)) return true
    return Object.keys(this.#readsOf(key)).length > 0
  }

  /** What a key has read of tables, as far as a later version of it would still count. */
  #readsOf(key: string): Readonly<Record<string, number>> {
    const reads = Object.entries(this.#reads?.of(key) ?? {})
    const live = reads.filter(
      ([, atMs]) =>
      this.#checks.some(({ stepMs }, index) => !this.#isOver(this.#slotOf(index, Math.floor(atMs / stepMs)))), // prettier-ignore
    )
    return Object.fromEntries(live.sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** Forgets windows that are over: of some keys, and of what is counted in all. */
  #clean(): void {
    for (let count = 0; count < SWEPT_AT_ONCE; count++) {
      this.#sweep ??= this.#keys.keys()
      const { done, value: key } = this.#sweep.next() as IteratorResult<string, undefined>
      if (done === true) {
        this.#sweep = undefined
        for (const slots of [this.#totals, this.#values]) for (const slot of slots.keys()) if (this.#isOver(slot)) slots.delete(slot) // prettier-ignore
        return
      }
      const state = this.#keys.get(key) as KeyState
      for (const slots of [state.counts, state.values]) for (const slot of slots.keys()) if (this.#isOver(slot)) slots.delete(slot) // prettier-ignore
      if (this.#says(key, state)) continue
      this.#keys.delete(key)
      this.#reads?.replace(key, undefined)
    }
  }
}

function isBlank({ counts, values, marked }: KeyState): boolean {
  return counts.size === 0 && values.size === 0 && marked.size === 0
}

/** Adds numbers to those of a slot; one without events is none. */
function addTo(
  slots: Map<number, number[]>,
  slot: number,
  counts: readonly number[],
  sign: 1 | -1,
): void {
  const known = slots.get(slot)
  const sums = counts.map((count, at) => (known?.[at] ?? 0) + sign * count)
  if (sums[0] === 0) slots.delete(slot)
  else slots.set(slot, sums)
}

const SEED: Lanes = new Int32Array(4)
const lanes: Lanes = new Int32Array(4)

/** 53 bits: of a million values, two are taken for one with a chance of one in 18,000. */
function hashOf(value: string | number): number {
  hashText(lanes, SEED, `${typeof value}${value}`)
  return ((lanes[0] as number) >>> 0) * 2 ** 21 + ((lanes[1] as number) >>> 11)
}
