/** Judges how a delimited file is written, from its first bytes; options override every judgement. */
import { isUtf8 } from 'node:buffer'
import { parseRows, type Dialect } from './delimited.ts'
import { isKnownColumn } from './guess.ts'
import { IMPORT_LIMITS } from './limits.ts'
import type { CellRow } from './rows.ts'

/** What a user may say about a file. */
export interface DialectOptions {
  readonly delimiter?: string
  /** False: `"` is an ordinary character. */
  readonly isQuoted?: boolean
  /** True: the first line names the columns. */
  readonly hasHeader?: boolean
  readonly isLatin1?: boolean
}

/** What was judged. */
export interface InspectedTable {
  readonly dialect: Dialect
  readonly hasHeader: boolean
  readonly columns: readonly string[]
  /** The first rows, without the header. */
  readonly samples: readonly CellRow[]
}

const DELIMITERS = ['::', '\t', ';', ',', '|'] as const
const SAMPLE_ROWS = 1_000
const JUDGED_ROWS = 50
const NUMBER = /^\s*[+-]?\d+([.,]\d+)?\s*$/
const NAME_MAX = 64
/** Addresses, JSON and sentences are content, not names. */
const CONTENT = /^https?:|^[[{]|[.!?]$/
const DATE = /^\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}/

/** The table that begins with `head`; undefined when there is no row at all. */
export function inspectTable(
  head: Uint8Array,
  isWhole: boolean,
  options: DialectOptions,
): InspectedTable | undefined {
  const bytes = Buffer.from(head)
  const end = isWhole ? bytes.length : lastLineEnd(bytes)
  const text = decodeHead(bytes.subarray(0, end), options.isLatin1 === true)
  const newline = text.includes('\n') || !text.includes('\r') ? '\n' : '\r'
  const encoding = options.isLatin1 === true ? 'latin1' : 'utf-8'
  const rowsOf = (delimiter: string, isQuoted: boolean): CellRow[] =>
    parseRows(text, {
      firstLine: 1,
      badLines: new Set(),
      dialect: { delimiter, isQuoted, encoding, newline },
      limits: IMPORT_LIMITS,
      isLast: false,
    }).rows
  const delimiter = options.delimiter ?? judgeDelimiter(rowsOf)
  const isQuoted = options.isQuoted ?? judgeQuotes(text, delimiter)
  const rows = rowsOf(delimiter, isQuoted).slice(0, SAMPLE_ROWS)
  const first = rows[0]
  if (first === undefined) return undefined
  const hasHeader = options.hasHeader ?? judgeHeader(rows)
  return {
    dialect: { delimiter, isQuoted, encoding, newline },
    hasHeader,
    columns: hasHeader ? namesOf(first.cells) : first.cells.map((_, index) => String(index + 1)),
    samples: hasHeader ? rows.slice(1) : rows,
  }
}

function lastLineEnd(bytes: Buffer): number {
  const feed = bytes.lastIndexOf(10)
  const end = feed < 0 ? bytes.lastIndexOf(13) : feed
  return end < 0 ? bytes.length : end + 1
}

function decodeHead(bytes: Buffer, isLatin1: boolean): string {
  const body =
    bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes
  if (!isLatin1 && isUtf8(body)) return body.toString('utf8')
  return new TextDecoder('windows-1252').decode(body)
}

/** The delimiter that gives the most rows of the same, greater than one, number of cells. */
function judgeDelimiter(rowsOf: (delimiter: string, isQuoted: boolean) => CellRow[]): string {
  let best = { delimiter: ',', share: 0, cells: 0 }
  for (const delimiter of DELIMITERS) {
    const rows = rowsOf(delimiter, delimiter !== '\t' && delimiter !== '::').slice(0, JUDGED_ROWS)
    const wanted = rows[0]?.cells.length ?? 0
    if (wanted < 2) continue
    const share = rows.filter(row => row.cells.length === wanted).length / rows.length
    if (share > best.share + 0.1 || (share > best.share - 0.1 && wanted > best.cells * 2)) {
      best = { delimiter, share, cells: wanted }
    }
  }
  return best.delimiter
}

/** Tabs and `::` separate files without quotes, unless the first cell is quoted. */
function judgeQuotes(text: string, delimiter: string): boolean {
  return (delimiter !== '\t' && delimiter !== '::') || text.startsWith('"')
}

/** A header is text throughout, and either has names that are known or stands over other things. */
function judgeHeader(rows: readonly CellRow[]): boolean {
  const [first, ...others] = rows
  if (first === undefined) return false
  const cells = first.cells
  if (cells.some(cell => NUMBER.test(cell) || DATE.test(cell))) return false
  const names = cells.filter(cell => cell.trim() !== '')
  if (names.some(name => name.length > NAME_MAX || CONTENT.test(name))) return false
  if (names.some(isKnownColumn)) return true
  if (new Set(names).size < names.length) return false
  return others.length === 0 || names.every(name => /^[\p{L}_][\p{L}\p{N}_ .-]*$/u.test(name))
}

/** Column names, trimmed, and made different: `name`, `name.2`. */
function namesOf(cells: readonly string[]): string[] {
  const seen = new Map<string, number>()
  return cells.map((cell, index) => {
    const name = cell.trim() || String(index + 1)
    const count = (seen.get(name) ?? 0) + 1
    seen.set(name, count)
    return count === 1 ? name : `${name}.${count}`
  })
}
