/**
 * Reading the units of a segment, and telling a torn tail from damage.
 *
 * A unit names the last unit that was known durable before it was written. When a unit cannot be
 * read, and any later unit of the journal names it or a later one as durable, it was acknowledged
 * and the disk lost it: damage, refused. Otherwise nobody was promised anything from there on: a
 * torn tail, cut off. After a crash the bytes behind the first bad unit may be anything, also whole
 * units whose write overtook it; they are looked for at every aligned position.
 */
import { crc32 } from 'node:zlib'
import type { Bytes } from './bytes.ts'
import { damagedFrame } from './damage.ts'
import { faultOfFrame, frameField } from './frames.ts'
import { SEGMENT_HEADER_BYTES, UNIT_HEADER_BYTES, UNIT_MAGIC } from './layout.ts'

/** A whole unit found in a segment. */
export interface Unit {
  readonly at: number
  readonly length: number
  readonly number: number
  readonly durableMark: number
  readonly ingestTimeMs: number
}

/** The unit at `at` if there is a whole one. */
export function unitAt(bytes: Bytes, at: number, size: number, salt: number): Unit | undefined {
  const { u8, u32, f64 } = bytes
  if (at + UNIT_HEADER_BYTES > size || u32[at >> 2] !== UNIT_MAGIC) return undefined
  const length = u32[(at >> 2) + 1] as number
  if (length < UNIT_HEADER_BYTES || length % 8 !== 0 || at + length > size) return undefined
  if (u32[(at >> 2) + 2] !== crc32(u8.subarray(at + 12, at + length), salt)) return undefined
  return {
    at,
    length,
    number: f64[(at >> 3) + 2] as number,
    durableMark: f64[(at >> 3) + 3] as number,
    ingestTimeMs: f64[(at >> 3) + 4] as number,
  }
}

/** What is wrong with the content of a whole unit: numbers of its header, lengths of its frames. */
function faultOfUnit(bytes: Bytes, unit: Unit): { at: number; reason: string } | undefined {
  const { at: start, length, number, ingestTimeMs } = unit
  if (!(Number.isSafeInteger(number) && number > 0) || Number.isNaN(ingestTimeMs)) {
    return { at: start, reason: 'the header of a unit has numbers that no unit has' }
  }
  const end = start + length
  for (let at = start + UNIT_HEADER_BYTES; at < end; at += frameField.length(bytes, at)) {
    const reason = faultOfFrame(bytes, at, end)
    if (reason !== undefined) return { at, reason }
  }
  return undefined
}

/** True when every frame of a unit can be walked. */
export function isSound(bytes: Bytes, unit: Unit): boolean {
  return faultOfUnit(bytes, unit) === undefined
}

/** Refuses a unit whose content cannot have been written (LOG_DAMAGED); `start` is where `bytes` begin in the file. */
export function checkUnit(file: string, bytes: Bytes, unit: Unit, start = 0): void {
  const fault = faultOfUnit(bytes, unit)
  if (fault !== undefined) throw damagedFrame(file, start + fault.at, fault.reason)
}

/** The units in a row from the start of a segment; `expected` is the number of the first, when known. */
export function* unitsInRow(
  bytes: Bytes,
  size: number,
  salt: number,
  expected: number | undefined,
): Generator<Unit, void> {
  let at = SEGMENT_HEADER_BYTES
  let number = expected
  for (;;) {
    const unit = unitAt(bytes, at, size, salt)
    if (unit === undefined || (number !== undefined && unit.number !== number)) return
    yield unit
    at += unit.length
    number = unit.number + 1
  }
}

/** Whole units anywhere behind `from`, in order. */
export function* unitsBehind(
  bytes: Bytes,
  from: number,
  size: number,
  salt: number,
): Generator<Unit, void> {
  const last = size - UNIT_HEADER_BYTES
  for (let at = from; at <= last;) {
    if (bytes.u32[at >> 2] === UNIT_MAGIC) {
      const unit = unitAt(bytes, at, size, salt)
      if (unit !== undefined) {
        yield unit
        at += unit.length
        continue
      }
    }
    at += 8
  }
}

/** True when there is nothing but zeros from `from` to `size`. */
export function isZero({ u8, f64 }: Bytes, from: number, size: number): boolean {
  let at = from
  // Minus zero has a set bit, but equals zero: the bytes of each double that compares equal are checked as a whole by Object.is.
  for (; at + 8 <= size; at += 8) if (!Object.is(f64[at >> 3], 0)) return false
  for (; at < size; at++) if (u8[at] !== 0) return false
  return true
}
