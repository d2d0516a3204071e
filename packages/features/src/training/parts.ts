/**
 * Columns in Parquet files between the steps of a training set: what a thread writes and another one,
 * or DuckDB, reads. They are written without compression, and are gone when the set is made.
 */
import { asyncBufferFromFile, parquetMetadataAsync, parquetRead } from 'hyparquet'
import { ParquetWriter, fileWriter, schemaFromColumnData } from 'hyparquet-writer'

/** Rows that are written at once. */
export const BLOCK_ROWS = 65_536

/** A column of a part: `row` numbers are whole and below 2^31. */
export interface PartColumn {
  readonly name: string
  readonly type: 'STRING' | 'DOUBLE' | 'INT32'
}

/** Values of a column, a block at most. */
export type PartValues = Float64Array | Int32Array | readonly (string | null)[]

/** Writes blocks of columns. */
export interface PartWriter {
  /** One array for each column, all of the same length. */
  write(columns: readonly PartValues[]): void
  finish(): Promise<void>
}

/** Writes a new file. */
export function openPartWriter(path: string, columns: readonly PartColumn[]): PartWriter {
  const sources = (values: readonly PartValues[]): never =>
    columns.map(({ name, type }, index) => ({
      name,
      type,
      nullable: type === 'STRING',
      encoding: type === 'STRING' ? undefined : 'PLAIN',
      data: values[index],
    })) as never
  const schema = schemaFromColumnData({ columnData: sources(columns.map(() => [])) })
  // Whoever reads a part reads all of it.
  const plain = { codec: 'UNCOMPRESSED', statistics: false } as const
  const writer = new ParquetWriter({ writer: fileWriter(path), schema, ...plain })
  return {
    write(values) {
      const rowGroupSize = values[0]?.length ?? 0
      // A file's writer answers at once.
      if (rowGroupSize > 0) void writer.write({ columnData: sources(values), rowGroupSize })
    },
    async finish() {
      await writer.finish()
    },
  }
}

/** A block of columns as it was read. */
export interface PartBlock {
  readonly rows: number
  /** The values of a column that was asked for. */
  column(name: string): ArrayLike<unknown>
}

/** Reads columns of a file, in blocks. Memory: a block. */
export async function* readPart(
  path: string,
  columns: readonly string[],
): AsyncGenerator<PartBlock> {
  const file = await asyncBufferFromFile(path)
  const metadata = await parquetMetadataAsync(file)
  let rowStart = 0
  for (const { num_rows: count } of metadata.row_groups) {
    const rows = Number(count)
    const chunks = new Map<string, { at: number; data: ArrayLike<unknown> }[]>()
    await parquetRead({
      file,
      metadata,
      columns: [...columns],
      rowStart,
      rowEnd: rowStart + rows,
      onChunk: ({ columnName, columnData, rowStart: at }) => {
        const found = chunks.get(columnName)
        const chunk = { at, data: columnData as ArrayLike<unknown> }
        if (found === undefined) chunks.set(columnName, [chunk])
        else found.push(chunk)
      },
    })
    yield { rows, column: name => joined(chunks.get(name) ?? [], rows) }
    rowStart += rows
  }
}

function joined(
  chunks: readonly { readonly at: number; readonly data: ArrayLike<unknown> }[],
  rows: number,
): ArrayLike<unknown> {
  const [first] = chunks
  if (chunks.length === 1 && first?.data.length === rows) return first.data
  return [...chunks].sort((a, b) => a.at - b.at).flatMap(({ data }) => Array.from(data))
}
