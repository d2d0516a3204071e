/** Writing an export: the records of each partition to a file of its own, then what the folder holds. */
import { mkdirSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { exportErrors } from './errors.ts'
import {
  EXPORT_FILE,
  EXPORT_FORMAT,
  filePath,
  hashFile,
  writeWhole,
  type ExportContents,
  type ExportedFile,
  type RecordFormat,
} from './folder.ts'
import { openLineWriter, type RecordWriter } from './lines.ts'
import { openParquetWriter } from './parquet.ts'
import type { ExportedRecord } from './record.ts'

/** What is exported: said before the records. */
export type ExportHead = Omit<ExportContents, 'files' | 'recordFormat'> & {
  /** Records that will come. */
  readonly records: number
}

/** How an export is written. */
export interface ExportRequest {
  /** Empty, or not there yet. */
  readonly folder: string
  readonly recordFormat: RecordFormat
  readonly head: ExportHead
  /** Partition after partition, each in order. */
  readonly records: AsyncIterable<ExportedRecord>
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void
}

/** Refuses a folder that holds something (EXPORT_NOT_EMPTY), and makes it. */
export function claimFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const found = readdirSync(folder)
  if (found.length > 0) {
    const names = found.slice(0, 3).join(', ')
    throw exportErrors.create('EXPORT_NOT_EMPTY', { folder, found: names })
  }
}

/** Writes an export into a folder that was claimed. Throws EXPORT_CUT_SHORT when records are missing. */
export async function writeExport(request: ExportRequest): Promise<ExportContents> {
  const { folder, recordFormat, head, onProgress } = request
  const { records: total, ...about } = head
  const files: ExportedFile[] = []
  let part: Part | undefined
  let done = 0
  for await (const record of request.records) {
    if (part?.isOf(record) !== true) {
      if (part !== undefined) files.push(await part.finish())
      part = new Part(folder, recordFormat, record)
    }
    part.add(record)
    done += 1
    onProgress?.({ done, total })
  }
  if (part !== undefined) files.push(await part.finish())
  if (done !== total) {
    throw exportErrors.create('EXPORT_CUT_SHORT', { reason: `${done} of ${total} records came` })
  }
  const contents = { ...about, recordFormat, files }
  const text = `${JSON.stringify({ format: EXPORT_FORMAT, ...contents }, null, 2)}\n`
  await writeWhole(join(folder, EXPORT_FILE), text)
  return contents
}

/** The file of a partition that is being written. */
class Part {
  readonly #folder: string
  readonly #path: string
  readonly #writer: RecordWriter
  readonly #first: ExportedRecord
  #records = 0
  #outside = 0

  constructor(folder: string, format: RecordFormat, first: ExportedRecord) {
    this.#folder = folder
    this.#first = first
    this.#path = filePath(first.stream, first.partition, format)
    const path = join(folder, this.#path)
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    this.#writer = format === 'jsonl' ? openLineWriter(path) : openParquetWriter(path)
  }

  isOf({ stream, partition }: ExportedRecord): boolean {
    return stream === this.#first.stream && partition === this.#first.partition
  }

  add(record: ExportedRecord): void {
    this.#writer.add(record)
    this.#records += 1
    if (record.generation === 0) this.#outside += 1
  }

  async finish(): Promise<ExportedFile> {
    await this.#writer.finish()
    const { stream, partition, offset: from } = this.#first
    const counts = { from, records: this.#records, outside: this.#outside }
    const hash = await hashFile(join(this.#folder, this.#path))
    return { path: this.#path, stream, partition, ...counts, ...hash }
  }
}
