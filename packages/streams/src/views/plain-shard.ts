/** The states of a declared view without windows, for one partition. */
import type { FoldOutput, FoldShard, ShardContext } from '../fold.ts'
import type { LogRecord } from '@millrace/log'
import { streamsErrors } from '../errors.ts'
import { canonicalBytes, parseBytes } from './canonical.ts'
import { NO_OUTPUT, ViewContext, eventOf } from './context.ts'
import { keyIn, type ViewPlan } from './plan.ts'
import { TableReads, type KeyReads } from './reads.ts'
import type { ReadableShard } from './reader.ts'
import { packFolded } from './states.ts'
import { Timers, type DueTimer } from './timers.ts'

/** A key's state with what belongs to it, as JSON. */
interface Image {
  readonly state?: unknown
  readonly timers?: Readonly<Record<string, number>>
  readonly reads?: KeyReads
}

/** Of one key, at one moment: a timer that sets itself again at once would never end. */
const FIRINGS_MAX = 10_000

/** See the head of the file. */
export class PlainShard implements FoldShard, ReadableShard {
  readonly #plan: ViewPlan
  readonly #states = new Map<string, unknown>()
  readonly #timers: Timers | undefined
  readonly #reads: TableReads | undefined
  readonly #context: ViewContext
  #watermarkMs = Number.NEGATIVE_INFINITY

  constructor(plan: ViewPlan, context: ShardContext) {
    this.#plan = plan
    this.#timers = plan.view.onTimer === undefined ? undefined : new Timers()
    this.#reads = Object.keys(plan.view.join).length === 0 ? undefined : new TableReads()
    this.#context = new ViewContext(plan, context.tables, this.#timers, this.#reads)
  }

  fold(record: LogRecord, output: FoldOutput): void {
    const { view } = this.#plan
    const key = keyIn(this.#plan, record)
    if (key === undefined) return
    const state = this.#stateOf(key)
    this.#context.begin(key, record, output)
    const result = view.fold(state, eventOf(this.#plan, record), this.#context)
    this.#states.set(key, packFolded(this.#plan, result === undefined ? state : result))
    // A timer may have been set to a time that has come already.
    if (this.#timers !== undefined) this.#fireDue(this.#timers, output)
  }

  get isSteadyInTime(): boolean {
    return this.#timers === undefined
  }

  get isTimeless(): boolean {
    return this.#timers === undefined
  }

  advance(watermarkMs: number, output: FoldOutput): void {
    if (watermarkMs > this.#watermarkMs) this.#watermarkMs = watermarkMs
    if (this.#timers !== undefined) this.#fireDue(this.#timers, output)
  }

  invert(record: LogRecord): boolean {
    const { view } = this.#plan
    if (view.invert === undefined || this.#timers !== undefined || this.#reads !== undefined) {
      return false
    }
    const key = keyIn(this.#plan, record)
    if (key === undefined) return true
    const state = this.#stateOf(key)
    const result = view.invert(state, eventOf(this.#plan, record))
    this.#put(key, result === undefined ? state : result)
    if (!this.has(key)) this.#states.delete(key)
    return true
  }

  insert(record: LogRecord): boolean {
    const { view, emits } = this.#plan
    const isAlone = this.#timers === undefined && this.#reads === undefined && emits.size === 0
    if (!view.isOrderFree || !isAlone) return false
    this.fold(record, NO_OUTPUT)
    return true
  }

  keys(): Iterable<string> {
    return this.#states.keys()
  }

  keyCount(): number {
    return this.#states.size
  }

  encodeKey(key: string): Uint8Array | undefined {
    const timers = this.#timers?.of(key)
    const reads = this.#reads?.of(key)
    if (timers === undefined && reads === undefined && !this.has(key)) return undefined
    const image: Image = {
      ...(this.#states.has(key) ? { state: this.#stateOf(key) } : {}),
      ...withTimers(timers),
      ...withReads(reads),
    }
    return canonicalBytes(image)
  }

  decodeKey(key: string, bytes: Uint8Array | undefined): void {
    const image = bytes === undefined ? {} : (parseBytes(bytes) as Image)
    if (image.state === undefined) this.#states.delete(key)
    else this.#put(key, image.state)
    this.#timers?.replace(key, image.timers)
    this.#reads?.replace(key, image.reads)
  }

  hold(key: string): void {
    this.#timers?.hold(key)
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

  read(key: string): unknown {
    return this.has(key) ? this.#plan.view.read(this.#stateOf(key)) : undefined
  }

  has(key: string): boolean {
    const packed = this.#states.get(key)
    return packed !== undefined && !this.#plan.packing.isBlank(packed)
  }

  #stateOf(key: string): unknown {
    const packed = this.#states.get(key)
    const { packing } = this.#plan
    return packed === undefined ? packing.initial() : packing.unpack(packed)
  }

  #put(key: string, state: unknown): void {
    this.#states.set(key, this.#plan.packing.pack(state))
  }

  #fireDue(timers: Timers, output: FoldOutput): void {
    const firings = new Map<string, number>()
    for (;;) {
      const due = timers.takeDue(this.#watermarkMs)
      if (due === undefined) return
      const { key, name, atMs } = due
      const before = this.encodeKey(key)
      const image = before === undefined ? {} : (parseBytes(before) as Image)
      try {
        const count = (firings.get(key) ?? 0) + 1
        firings.set(key, count)
        if (count > FIRINGS_MAX) throw streamsErrors.create('TIMERS_ENDLESS')
        const kept = this.#context.beginTimer(key, atMs)
        const state = this.#stateOf(key)
        const result = this.#plan.view.onTimer?.(state, name, this.#context)
        this.#states.set(key, packFolded(this.#plan, result === undefined ? state : result))
        for (const emission of kept) output.emit(emission)
      } catch (error) {
        this.#undoTimer(image, due)
        output.fail(key, error)
      }
    }
  }

  /** The timer failed: the key is as before. Parked, it waits with its timer; under `pass` the timer is spent. */
  #undoTimer(before: Image, { key, name, atMs }: DueTimer): void {
    const isParked = this.#plan.view.onFailure === 'park'
    const timers = isParked ? { ...before.timers, [name]: atMs } : before.timers
    this.decodeKey(key, canonicalBytes({ ...before, ...withTimers(timers) }))
    if (isParked) this.hold(key)
  }
}

function withTimers(timers: Image['timers']): { timers?: Readonly<Record<string, number>> } {
  return timers === undefined ? {} : { timers }
}

function withReads(reads: KeyReads | undefined): { reads?: KeyReads } {
  return reads === undefined ? {} : { reads }
}

/** The watermark as bytes: the shared state of shards that look at time. */
export function encodeWatermark(watermarkMs: number): Uint8Array {
  return canonicalBytes(Number.isFinite(watermarkMs) ? watermarkMs : null)
}

/** Reads what `encodeWatermark` wrote. */
export function decodeWatermark(bytes: Uint8Array): number {
  return (parseBytes(bytes) as number | null) ?? Number.NEGATIVE_INFINITY
}
