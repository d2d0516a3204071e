/**
 * Arrays as PostgreSQL reads them in its binary format: one parameter carries a column of a whole
 * batch, and nothing is escaped or parsed. Strings travel as UTF-8.
 *
 *   int32  dimensions (1, or 0 when empty)     int32  1 when an element may be null
 *   int32  type of the elements
 *   int32  number of elements                  int32  index of the first, 1        (absent when empty)
 *   then each element: int32 length (-1 for null), bytes
 */
const INT4 = 23
const INT8 = 20
const TEXT = 25
const HEADER_BYTES = 20
const TWO_POW_32 = 0x1_0000_0000

/** `integer[]`. */
export function int4Array(values: readonly number[]): Buffer {
  const buffer = begin(INT4, values.length, 8 * values.length, 0)
  let at = HEADER_BYTES
  for (const value of values) {
    buffer.writeInt32BE(4, at)
    buffer.writeInt32BE(value, at + 4)
    at += 8
  }
  return buffer
}

/** `bigint[]`; null stays null. Numbers are safe integers. */
export function int8Array(values: readonly (number | null)[]): Buffer {
  const buffer = begin(INT8, values.length, 12 * values.length, 1)
  let at = HEADER_BYTES
  for (const value of values) {
    if (value === null) {
      buffer.writeInt32BE(-1, at)
      at += 4
      continue
    }
    const high = Math.floor(value / TWO_POW_32)
    buffer.writeInt32BE(8, at)
    buffer.writeInt32BE(high, at + 4)
    buffer.writeUInt32BE(value - high * TWO_POW_32, at + 8)
    at += 12
  }
  return buffer.subarray(0, values.length === 0 ? buffer.length : at)
}

/** `text[]`; bytes must be UTF-8; null stays null. */
export function textArray(values: readonly (string | Uint8Array | null)[]): Buffer {
  let bytes = 0
  for (const value of values) {
    bytes += 4
    if (typeof value === 'string') bytes += Buffer.byteLength(value)
    else if (value !== null) bytes += value.length
  }
  const buffer = begin(TEXT, values.length, bytes, 1)
  let at = HEADER_BYTES
  for (const value of values) {
    if (value === null) {
      buffer.writeInt32BE(-1, at)
      at += 4
      continue
    }
    let length = 0
    if (typeof value === 'string') length = buffer.write(value, at + 4)
    else {
      buffer.set(value, at + 4)
      length = value.length
    }
    buffer.writeInt32BE(length, at)
    at += 4 + length
  }
  return buffer
}

function begin(type: number, count: number, bytes: number, mayBeNull: number): Buffer {
  const isEmpty = count === 0
  const buffer = Buffer.allocUnsafe(isEmpty ? 12 : HEADER_BYTES + bytes)
  buffer.writeInt32BE(isEmpty ? 0 : 1, 0)
  buffer.writeInt32BE(mayBeNull, 4)
  buffer.writeInt32BE(type, 8)
  if (isEmpty) return buffer
  buffer.writeInt32BE(count, 12)
  buffer.writeInt32BE(1, 16)
  return buffer
}
