/**
 * The contract of aggregations. The partial of one tile of time is a run of numbers (cells) within a
 * row of the tile; all zero is the partial before its first event, and its first cell counts the
 * events. Partials are deterministic: the same events in the same order give the same bits, and
 * tiles are merged from the oldest on.
 */
import type { ByteReader, ByteWriter } from '@millrace/core'

/** One event as an aggregation takes it. One object for all events: copy what is kept. */
export interface AggregationInput {
  /** What is aggregated; 1 where events are counted. */
  value: number
  /** Of a ratio: what it is divided by. */
  over: number
  /** Event time, milliseconds since the epoch. */
  atMs: number
}

/** How events become a value. `at` is the index of the partial's first cell. */
export interface Aggregation {
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
