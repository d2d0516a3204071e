/** The limits of an import. Everything that the file decides is bounded by one of them. */
export interface ImportLimits {
  /** Characters of one row. */
  readonly rowMax: number
  /** Cells of one row. */
  readonly cellsMax: number
  /** Expanded bytes that are always allowed, whatever the ratio. */
  readonly expandedBytesFree: number
  /** Expanded bytes per packed byte beyond that. DEFLATE reaches 1,032; tables of real events stay below 50. */
  readonly expansionMax: number
  /** Entries of one archive. */
  readonly entriesMax: number
  /** Files in a folder. */
  readonly filesMax: number
  /** Bytes of rows that are sorted in memory at a time. */
  readonly runBytes: number
  /** Events of one commit. */
  readonly batchEvents: number
  /** Bytes of one commit. */
  readonly batchBytes: number
  /** Rows between two notes of how far an import has come. */
  readonly checkpointRows: number
  /** When so many rows in front are refused and none fits, the mapping is wrong. */
  readonly unfitRows: number
}

/** The limits in use. */
export const IMPORT_LIMITS: ImportLimits = {
  rowMax: 1024 * 1024,
  cellsMax: 4096,
  expandedBytesFree: 256 * 1024 * 1024,
  expansionMax: 200,
  entriesMax: 10_000,
  filesMax: 1_000,
  runBytes: 16 * 1024 * 1024,
  batchEvents: 4_000,
  batchBytes: 1024 * 1024,
  checkpointRows: 50_000,
  unfitRows: 1_000,
}
