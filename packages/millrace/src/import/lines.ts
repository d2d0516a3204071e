/**
 * Bytes to text in blocks of whole lines, for the row readers.
 *
 * Promise: memory stays within one chunk and one row, whatever the file; a line that is too long is
 * cut out and named; bytes that are not UTF-8 are never replaced in silence: their lines are either
 * read as Windows-1252 (which files from GroupLens and from spreadsheets use) and counted, or named.
 */
import { isUtf8 } from 'node:buffer'

/** How bytes become text. `mixed` reads a line that is not UTF-8 as Windows-1252. */
export type Encoding = 'utf-8' | 'mixed' | 'latin1'

/** Whole lines of a file. */
export interface LineBlock {
  /** Ends with the line end, except at the end of the file. Empty when only `tooLong` says something. */
  readonly text: string
  /** Number of the first line, from 1. */
  readonly firstLine: number
  /** Lines that are not in the encoding, decoded for the report only. */
  readonly badLines: ReadonlySet<number>
  /** Lines that `mixed` read as Windows-1252. */
  readonly latinLines: number
  /** The number of a line that was too long and left out, with its beginning. */
  readonly tooLong?: { readonly line: number; readonly start: string }
}

const NO_LINES: ReadonlySet<number> = new Set()
const WINDOWS_1252 = new TextDecoder('windows-1252')
const START_SHOWN = 200

/** Splits chunks of bytes into blocks of whole lines. `newline` is `\r` for files of old Macs. */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  options: { encoding: Encoding; lineBytesMax: number; newline: '\n' | '\r' },
): AsyncGenerator<LineBlock> {
  const end = options.newline.charCodeAt(0)
  let pending: Buffer = Buffer.alloc(0)
  let line = 1
  let isSkipping = false
  let isFirst = true
  for await (const chunk of chunks) {
    let data = pending.length === 0 ? asBuffer(chunk) : Buffer.concat([pending, chunk])
    if (isFirst) {
      if (data.length < 3) {
        pending = data
        continue
      }
      isFirst = false
      data = withoutMark(data)
    }
    if (isSkipping) {
      const found = data.indexOf(end)
      if (found < 0) {
        pending = Buffer.alloc(0)
        continue
      }
      data = data.subarray(found + 1)
      line += 1
      isSkipping = false
    }
    const last = data.lastIndexOf(end)
    if (last >= 0) {
      const block = decode(data.subarray(0, last + 1), line, end, options.encoding)
      yield block
      line += block.lines
    }
    pending = data.subarray(last + 1)
    if (pending.length > options.lineBytesMax) {
      const start = pending.subarray(0, START_SHOWN).toString('latin1')
      yield {
        text: '',
        firstLine: line,
        badLines: NO_LINES,
        latinLines: 0,
        tooLong: { line, start },
      }
      pending = Buffer.alloc(0)
      isSkipping = true
    }
  }
  if (isFirst) pending = withoutMark(pending)
  if (pending.length > 0 && !isSkipping) yield decode(pending, line, end, options.encoding)
}

function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
}

function withoutMark(data: Buffer): Buffer {
  return data[0] === 0xef && data[1] === 0xbb && data[2] === 0xbf ? data.subarray(3) : data
}

function decode(
  bytes: Buffer,
  firstLine: number,
  end: number,
  encoding: Encoding,
): LineBlock & { lines: number } {
  if (encoding === 'latin1') {
    const text = WINDOWS_1252.decode(bytes)
    return { text, firstLine, badLines: NO_LINES, latinLines: 0, lines: countOf(bytes, end) }
  }
  if (isUtf8(bytes)) {
    const text = bytes.toString('utf8')
    return { text, firstLine, badLines: NO_LINES, latinLines: 0, lines: countOf(bytes, end) }
  }
  const badLines = new Set<number>()
  let text = ''
  let lines = 0
  for (let from = 0; from < bytes.length;) {
    const found = bytes.indexOf(end, from)
    const to = found < 0 ? bytes.length : found + 1
    const slice = bytes.subarray(from, to)
    if (isUtf8(slice)) {
      text += slice.toString('utf8')
    } else {
      text += WINDOWS_1252.decode(slice)
      badLines.add(firstLine + lines)
    }
    if (found >= 0) lines += 1
    from = to
  }
  return encoding === 'mixed'
    ? { text, firstLine, badLines: NO_LINES, latinLines: badLines.size, lines }
    : { text, firstLine, badLines, latinLines: 0, lines }
}

function countOf(bytes: Buffer, end: number): number {
  let count = 0
  for (let at = bytes.indexOf(end); at >= 0; at = bytes.indexOf(end, at + 1)) count += 1
  return count
}
