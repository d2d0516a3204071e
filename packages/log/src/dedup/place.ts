/**
 * A place in two words, with the kind of its key:
 *
 *   word 0  offset, low 32 bits
 *   word 1  kind (2 bits) | stream (12) | partition (12) | offset, high 6 bits
 */
import type { Place } from '../duplicates.ts'
import { logErrors } from '../errors.ts'

/** One more than the greatest stream number that the index can keep. */
export const STREAMS_MAX = 4096
/** One more than the greatest partition that the index can keep. */
export const PARTITIONS_MAX = 4096
/** One more than the greatest offset that the index can keep: 274 thousand million. */
export const OFFSETS_MAX = 2 ** 38

/** Refuses a place beyond what the words can hold (UNSUPPORTED): a cut-off place would be a wrong one. */
export function checkPlace({ stream, partition, offset }: Place): void {
  const fits =
    isBelow(stream, STREAMS_MAX) &&
    isBelow(partition, PARTITIONS_MAX) &&
    isBelow(offset, OFFSETS_MAX)
  if (fits) return
  const capability = `remember an event at stream number ${stream}, partition ${partition}, offset ${offset}`
  throw logErrors.create('UNSUPPORTED', { capability })
}

/** The first word of a place. */
export function lowWord(place: Place): number {
  return place.offset | 0
}

/** The second word of a place. */
export function highWord(kind: number, place: Place): number {
  const high = Math.floor(place.offset / 2 ** 32)
  return (kind << 30) | (place.stream << 18) | (place.partition << 6) | high
}

/** The kind in a second word. */
export function kindOf(high: number): number {
  return high >>> 30
}

/** The place in two words. */
export function placeOf(low: number, high: number): Place {
  return {
    stream: (high >>> 18) & 0xfff,
    partition: (high >>> 6) & 0xfff,
    offset: (high & 0x3f) * 2 ** 32 + (low >>> 0),
  }
}

function isBelow(value: number, limit: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < limit
}
