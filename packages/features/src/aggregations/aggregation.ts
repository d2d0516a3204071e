/**
 * The contract of aggregations. The partial of one tile of time is a run of numbers (cells) within a
 * row of the tile; all zero is the partial before its first event, and its first cell counts the
 * events. What is no run of numbers - texts, lists, sketches - is an object beside the row. Partials
 * are deterministic: the same events in the same order give the same bits, and tiles are merged from
 * the oldest on.
 */
import type { ByteReader, ByteWriter, FeatureValue } from '@millrace/core'

/** One event as an aggregation takes it. One object for all events: copy what is kept. */
export interface AggregationInput {
  /** What is aggregated; 1 where events are counted. */
  value: number
  /** The same where it is no number. */
  other: unknown
  /** Of a ratio: what it is divided by. */
  over: number
  /** Event time, milliseconds since the epoch. */
  atMs: number
}

/** How events become a value. */
export type Aggregation = CellAggregation | ObjectAggregation

/** Partials of numbers. `at` is the index of the partial's first cell. */
export interface CellAggregation {
  readonly isObject?: undefined
  readonly takes?: undefined
  /** Cells of a partial. */
  readonly cells: number
  add(cells: Float64Array, at: number, input: AggregationInput): void
  /** Adds a partial of later time to one of earlier time; `add`: cell by cell, zero changing nothing. */
  readonly merge:
    'add' | ((into: Float64Array, at: number, from: Float64Array, fromAt: number) => void)
  /** The value of a partial that has events, at `tMs`; NaN when they give none. */
  read(cells: Float64Array, at: number, tMs: number): number
  /** True when the value changes with every moment, not from tile to tile alone. */
  readonly isContinuous?: true
  /** Of values that are lists: the value, in place of `read`. */
  readList?(cells: Float64Array, at: number): readonly number[]
  /** Takes an event out, such that the bits equal those of the other events in their order; false, and nothing changed, when it cannot. */
  invert?(cells: Float64Array, at: number, input: AggregationInput): boolean
  /** Adds an event at its place, whatever was added since, such that the bits equal those with it there; false, and nothing changed, when it cannot. */
  insert?(cells: Float64Array, at: number, input: AggregationInput): boolean
  /** Writes a partial that has events, but for their number. */
  encode(writer: ByteWriter, cells: Float64Array, at: number): void
  decode(reader: ByteReader, cells: Float64Array, at: number): void
}

/**
 * Partials that are objects. The number of events is kept beside them: a partial that has no events
 * is none, one with a single event is taken out whole.
 */
export interface ObjectAggregation<S = unknown> {
  readonly isObject: true
  /** A number; a text; a text, a number or a truth as a text; anything. */
  readonly takes: 'number' | 'text' | 'key' | 'json'
  readonly isContinuous?: true
  init(): S
  /** The state with an event; it may be the same object. */
  add(state: S, input: AggregationInput): S
  /** A state to merge into. */
  copy(state: S): S
  /** The state of both; `into` may be changed, `from`, of later time, is not. */
  merge(into: S, from: S): S
  /** The value at `tMs`; undefined where it has none. May throw where the code is a team's. */
  read(state: S, tMs: number): FeatureValue | undefined
  /** As of cells; `events` are those that are in the state, and more than one. */
  invert?(state: S, input: AggregationInput, events: number): boolean
  /** As of cells; there are events. */
  insert?(state: S, input: AggregationInput, events: number): boolean
  /** Writes a partial that has events, but for their number: equal states give equal bytes. */
  encode(writer: ByteWriter, state: S): void
  decode(reader: ByteReader): S
}
