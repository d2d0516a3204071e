/** Observations of a CSV or Parquet file, in place of those of the log. */
import { featuresErrors } from '../errors.ts'
import type { TablesDriver } from '../files/load.ts'
import { KNOWN, TIME, entityColumn } from './answer.ts'
import { EVENT, ORDER, WEIGHT } from './extract.ts'
import { TOLD } from './make.ts'

/** Column of the label of an observation. */
export const LABEL = 'label'

/** A file of observations. */
export interface ObservationsFile {
  readonly file: string
  /** Kinds of entities: columns that it needs, with ids. */
  readonly entities: readonly string[]
  /** What requests tell: columns that it may have. */
  readonly told: readonly string[]
}

/** Makes the view `found` of a file's rows: times as numbers of milliseconds, or as timestamps. Throws TRAINING_SET_COLUMN. */
export async function viewFile(
  tables: Awaited<ReturnType<TablesDriver['openTables']>>,
  { quoted, text, fileRows }: TablesDriver,
  { file, entities, told }: ObservationsFile,
): Promise<void> {
  const source = fileRows(file)
  const described = await tables.rows(`DESCRIBE SELECT * FROM ${source}`)
  const types = new Map(described.map(row => [row['column_name'] as string, row['column_type'] as string])) // prettier-ignore
  for (const needed of [...entities, TIME]) {
    if (types.has(needed)) continue
    const columns = [...types.keys()].join(', ')
    throw featuresErrors.create('TRAINING_SET_COLUMN', { file, column: needed, columns })
  }
  const timeMs = /^(TIMESTAMP|DATE)/.test(types.get(TIME) as string)
    ? `epoch_ms(${quoted(TIME)}::TIMESTAMP)::DOUBLE`
    : `${quoted(TIME)}::DOUBLE`
  const context = told.filter(name => types.has(name)).map(name => `${text(name)}, ${quoted(name)}`)
  const columns = [
    `${timeMs} AS ${TIME}`,
    `${timeMs} AS ${KNOWN}`,
    `row_number() OVER ()::DOUBLE AS ${ORDER}`,
    `NULL::VARCHAR AS ${EVENT}`,
    `${context.length === 0 ? 'NULL' : `json_object(${context.join(', ')})`}::VARCHAR AS ${TOLD}`,
    `${types.has(WEIGHT) ? `${quoted(WEIGHT)}::DOUBLE` : '1::DOUBLE'} AS ${WEIGHT}`,
    ...entities.map(kind => `${quoted(kind)}::VARCHAR AS ${quoted(entityColumn(kind))}`),
    ...(types.has(LABEL) ? [`${quoted(LABEL)}::DOUBLE AS ${LABEL}`] : []),
  ]
  await tables.run(`CREATE VIEW found AS SELECT ${columns.join(', ')} FROM ${source}`)
}
