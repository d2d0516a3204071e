/** Reads the units of a closed segment one after the other, each verified, in large reads. */
import { logErrors } from '../errors.ts'
import { createBytes } from './bytes.ts'
import type { Bytes } from './bytes.ts'
import { SEGMENT_HEADER_BYTES, UNIT_HEADER_BYTES } from './layout.ts'
import { checkUnit, unitAt } from './scan.ts'
import type { Unit } from './scan.ts'
import type { SegmentSpan } from './segment.ts'

/** The units up to `end`. Refuses a unit that is not what was written (LOG_DAMAGED). */
export async function* unitsOf(
  segment: SegmentSpan,
  readBytes: number,
  end = segment.fill,
): AsyncGenerator<{ bytes: Bytes; unit: Unit }, void> {
  let bytes = createBytes(Math.max(readBytes, UNIT_HEADER_BYTES))
  let start = SEGMENT_HEADER_BYTES
  let count = 0
  let at = 0
  const refill = async (size: number): Promise<void> => {
    start += at
    at = 0
    const wanted = Math.min(Math.max(size, readBytes), end - start)
    if (wanted > bytes.u8.length) bytes = createBytes(wanted)
    count = await segment.read(bytes.u8.subarray(0, wanted), start)
  }
  while (start + at < end) {
    if (at + UNIT_HEADER_BYTES > count) await refill(UNIT_HEADER_BYTES)
    const length = bytes.u32[(at >> 2) + 1] as number
    if (at + length > count) await refill(length)
    const unit = unitAt(bytes, at, count, segment.salt)
    if (unit === undefined) throw damagedUnit(segment, start + at)
    checkUnit(segment.path, bytes, unit, start)
    yield { bytes, unit }
    at += unit.length
  }
}

function damagedUnit(segment: SegmentSpan, at: number): Error {
  return logErrors.create('LOG_DAMAGED', {
    file: segment.path,
    at,
    reason: 'a unit does not match its checksum',
    affected: 'the records of this unit',
    goOn: 'stop the log and open it again: it says then which records are lost',
  })
}
