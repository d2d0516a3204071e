/**
 * Rows of a service as JSON, written number by number into one buffer: `JSON.stringify` over nested
 * arrays of them took longer than reading the rows. A column mostly repeats the number of the row
 * before - rows share a person - and its digits are then copied.
 */
import type { FeatureRows } from '@millrace/features'

/** The longest text of a number with the comma before it. */
const NUMBER_MAX = 26
const COMMA = 44
const OPEN = 91
const CLOSE = 93
const ZERO = 48
/** Whole numbers below it are written digit by digit. */
const DIGITS_MAX = 1e9

let scratch = Buffer.alloc(1 << 16)

/** The members of an answer without braces: text of one character for each byte of UTF-8. */
export function textOfRows(read: FeatureRows): string {
  const { service, fingerprint, atMs, columns } = read
  const head = JSON.stringify({ service, fingerprint, atMs, columns }).slice(1, -1)
  return `${latin1(head)},"values":${textOfValues(read)},"statuses":${textOfStatuses(read)}`
}

function textOfValues({ values, others, rows, columns: { length: width } }: FeatureRows): string {
  const starts = new Int32Array(width)
  const ends = new Int32Array(width)
  let at = 0
  scratch[at++] = OPEN
  for (let row = 0; row < rows; row++) {
    reserve(at, width * NUMBER_MAX + 3)
    if (row > 0) scratch[at++] = COMMA
    scratch[at++] = OPEN
    for (let column = 0; column < width; column++) {
      if (column > 0) scratch[at++] = COMMA
      const cell = row * width + column
      const value = values[cell] as number
      const other = others[cell]
      if (other !== undefined) {
        at = writeOther(at, other, (width - column) * NUMBER_MAX + 3)
        continue
      }
      const start = at
      const isRepeated = row > 0 && value === values[cell - width] && others[cell - width] === undefined // prettier-ignore
      if (isRepeated) at += scratch.copy(scratch, at, starts[column], ends[column])
      else at = writeNumber(at, value)
      starts[column] = start
      ends[column] = at
    }
    scratch[at++] = CLOSE
  }
  scratch[at++] = CLOSE
  return scratch.toString('latin1', 0, at)
}

/** Every status is one digit. */
function textOfStatuses({ statuses, rows, columns: { length: width } }: FeatureRows): string {
  reserve(0, rows * (2 * width + 3) + 2)
  let at = 0
  scratch[at++] = OPEN
  for (let row = 0, cell = 0; row < rows; row++) {
    if (row > 0) scratch[at++] = COMMA
    scratch[at++] = OPEN
    for (let column = 0; column < width; column++) {
      if (column > 0) scratch[at++] = COMMA
      scratch[at++] = ZERO + (statuses[cell++] as number)
    }
    scratch[at++] = CLOSE
  }
  scratch[at++] = CLOSE
  return scratch.toString('latin1', 0, at)
}

function writeNumber(at: number, value: number): number {
  if (value >= 0 && value < DIGITS_MAX && Number.isInteger(value)) {
    let end = at + 1
    for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) end += 1
    for (let digit = end - 1, rest = value; digit >= at; digit--) {
      const tenth = Math.floor(rest / 10)
      scratch[digit] = ZERO + rest - tenth * 10
      rest = tenth
    }
    return end
  }
  // What is no number has no text in JSON.
  return at + scratch.write(Number.isFinite(value) ? `${value}` : 'null', at, 'latin1')
}

/** Writes a text or a list; keeps room for `behind` bytes more. */
function writeOther(at: number, value: unknown, behind: number): number {
  const text = JSON.stringify(value)
  reserve(at, text.length * 3 + behind)
  return at + scratch.write(text, at, 'utf8')
}

/** Makes sure that so many bytes fit behind `at`. */
function reserve(at: number, bytes: number): void {
  if (at + bytes <= scratch.length) return
  const wider = Buffer.alloc(Math.max(at + bytes, scratch.length * 2))
  scratch.copy(wider, 0, 0, at)
  scratch = wider
}

function latin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}
