/** Values of features with their statuses, side by side. */

/** What a cell of a row is. A default is served for all but `value` and `stale`. */
export const CELL_STATUS = {
  /** A value. */
  value: 0,
  /** No event in the window. */
  default: 1,
  /** A value whose newest event is older than the freshness target, whose key waits for a repair, or of the version that is served until the switch. */
  stale: 2,
  /** The newest event is older than the time-to-live. */
  expired: 3,
  /** The feature's code threw, or gave what is no value. */
  failed: 4,
  /** There is no such entity. */
  missing: 5,
} as const

/** Names of the statuses, by number. */
export const CELL_STATUSES = Object.keys(CELL_STATUS) as readonly (keyof typeof CELL_STATUS)[]

/** Cells of one or more rows: numbers, a status byte each, and what is no number. */
export interface CellRow {
  /** The numbers; NaN where the value is in `others`. */
  readonly values: Float64Array
  readonly statuses: Uint8Array
  /** Texts and lists, at the same index; holes for numbers. */
  readonly others: unknown[]
}

/** Creates cells, all of them missing. */
export function createCellRow(cells: number): CellRow {
  return {
    values: new Float64Array(cells),
    statuses: new Uint8Array(cells).fill(CELL_STATUS.missing),
    others: new Array<unknown>(cells),
  }
}

/** Puts a value into a cell; true is 1 and false is 0. */
export function putCell(row: CellRow, cell: number, value: unknown, status: number): void {
  row.statuses[cell] = status
  const isNumber = typeof value === 'number' || typeof value === 'boolean'
  row.values[cell] = isNumber ? Number(value) : NaN
  if (!isNumber) row.others[cell] = value
  else if (row.others[cell] !== undefined) row.others[cell] = undefined
}
