/** Rows as the readers give them: cells with the line they began on, or the reason of a refusal. */

/** Why a row was not taken. */
export type RowCode =
  | 'ROW_ENCODING'
  | 'ROW_TOO_LONG'
  | 'ROW_QUOTES'
  | 'ROW_CELLS'
  | 'ROW_JSON'
  | 'ROW_TIME'
  | 'ROW_VALUE'
  | 'ROW_CONFLICT'
  | 'ROW_CHECK'

/** A row that was refused: never dropped in silence, but counted, reported and written to a file. */
export interface RefusedRow {
  readonly line: number
  readonly code: RowCode
  readonly reason: string
  /** The row as it was read, cut at 10,000 characters. */
  readonly raw: string
}

/** A row of a delimited file. */
export interface CellRow {
  /** The line on which it began, from 1. */
  readonly line: number
  readonly cells: readonly string[]
}

/** A row of a JSON Lines file. */
export interface ObjectRow {
  readonly line: number
  readonly value: Readonly<Record<string, unknown>>
}

/** What a reader gives for a block of the file. */
export interface RowBlock<Row> {
  readonly rows: readonly Row[]
  readonly refused: readonly RefusedRow[]
  /** Lines of this block that were not UTF-8 and were read as Windows-1252. */
  readonly latinLines: number
}

const RAW_MAX = 10_000

/** A refusal with its row cut to what is kept. */
export function refuseRow(line: number, code: RowCode, reason: string, raw: string): RefusedRow {
  return { line, code, reason, raw: raw.length > RAW_MAX ? `${raw.slice(0, RAW_MAX)}...` : raw }
}
