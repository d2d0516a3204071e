/** What a tile keeps of one feature: cells of its row, an object beside it, and the first and last moment where windows are sessions. */
import type { ByteReader, ByteWriter } from '@millrace/core'
import type { AggregationInput } from './aggregations/aggregation.ts'
import type { PlannedFeature } from './plan.ts'
import type { TileRows } from './tile-rows.ts'

/** Adds an event to the row at `at`. Throws what the functions of a custom aggregation throw. */
export function addEvent(
  rows: TileRows,
  at: number,
  feature: PlannedFeature,
  input: AggregationInput,
): void {
  const { aggregation, offset, moments } = feature
  const cell = at + offset
  const { cells } = rows
  const isFirst = cells[cell] === 0
  if (aggregation.isObject === undefined) aggregation.add(cells, cell, input)
  else {
    const slot = rows.slotAt(at) + feature.slot
    rows.objects[slot] = aggregation.add(isFirst ? aggregation.init() : rows.objects[slot], input)
    cells[cell]! += 1
  }
  if (moments !== undefined) widen(cells, at + moments, input.atMs, isFirst)
}

/** Takes an event out of the row at `at`; false when the key is to be folded again. */
export function takeEvent(
  rows: TileRows,
  at: number,
  feature: PlannedFeature,
  input: AggregationInput,
): boolean {
  const { aggregation, offset, moments } = feature
  const cell = at + offset
  const { cells } = rows
  const events = cells[cell] as number
  if (moments !== undefined && events > 1) {
    const isInside = input.atMs > (cells[at + moments] as number) && input.atMs < (cells[at + moments + 1] as number) // prettier-ignore
    if (!isInside) return false
  }
  if (aggregation.isObject === undefined) return aggregation.invert?.(cells, cell, input) === true
  const slot = rows.slotAt(at) + feature.slot
  if (events > 1 && aggregation.invert?.(rows.objects[slot], input, events) !== true) return false
  cells[cell]! -= 1
  if (events === 1) rows.objects[slot] = undefined
  return true
}

/** Puts an event at its place into the row at `at`; false when the key is to be folded again. */
export function insertEvent(
  rows: TileRows,
  at: number,
  feature: PlannedFeature,
  input: AggregationInput,
): boolean {
  const { aggregation, offset, moments } = feature
  const cell = at + offset
  const { cells } = rows
  const events = cells[cell] as number
  if (aggregation.isObject === undefined) {
    if (aggregation.insert?.(cells, cell, input) !== true) return false
    if (moments !== undefined) widen(cells, at + moments, input.atMs, events === 0)
    return true
  }
  const slot = rows.slotAt(at) + feature.slot
  if (events === 0) {
    addEvent(rows, at, feature, input)
    return true
  }
  if (aggregation.insert?.(rows.objects[slot], input, events) !== true) return false
  if (moments !== undefined) widen(cells, at + moments, input.atMs, false)
  cells[cell]! += 1
  return true
}

/** Writes what the row at `at` has of a feature: events: count, and where there are some, the partial and the moments. */
export function encodePartial(
  writer: ByteWriter,
  rows: TileRows,
  at: number,
  { aggregation, offset, moments, slot }: PlannedFeature,
): void {
  const { cells } = rows
  const events = cells[at + offset] as number
  writer.count(events)
  if (events === 0) return
  if (aggregation.isObject === undefined) aggregation.encode(writer, cells, at + offset)
  else aggregation.encode(writer, rows.objects[rows.slotAt(at) + slot])
  if (moments !== undefined) {
    writer.float64(cells[at + moments] as number).float64(cells[at + moments + 1] as number)
  }
}

/** Reads what `encodePartial` wrote into an empty row. */
export function decodePartial(
  reader: ByteReader,
  rows: TileRows,
  at: number,
  { aggregation, offset, moments, slot }: PlannedFeature,
): void {
  const { cells } = rows
  const events = reader.count()
  cells[at + offset] = events
  if (events === 0) return
  if (aggregation.isObject === undefined) aggregation.decode(reader, cells, at + offset)
  else rows.objects[rows.slotAt(at) + slot] = aggregation.decode(reader)
  if (moments === undefined) return
  cells[at + moments] = reader.float64()
  cells[at + moments + 1] = reader.float64()
}

function widen(cells: Float64Array, at: number, atMs: number, isFirst: boolean): void {
  cells[at] = isFirst ? atMs : Math.min(cells[at] as number, atMs)
  cells[at + 1] = isFirst ? atMs : Math.max(cells[at + 1] as number, atMs)
}
