/**
 * Importing an export into a log that holds nothing, of any backend.
 *
 * Promise: each partition gets what came from outside, in its order, under the ids, times and keys
 * that it had; what folds emitted they emit again, and views come out as they were. An import that
 * was interrupted goes on where the log ends. Not kept: when the log took a record, and with it the
 * times that `restore --at` knows.
 */
import { partitionName, type Clock, type Position } from '@millrace/core'
import type { EventLog, NewEvent, StreamSpec } from '@millrace/log'
import { commitWhenRoom } from '../import/index.ts'
import { exportErrors } from './errors.ts'
import { readFile, type ExportContents, type ExportedFile } from './folder.ts'
import { eventOf, type ExportedRecord } from './record.ts'

const BATCH_EVENTS = 4_000
const BATCH_CHARACTERS = 1024 * 1024

/** What an import works on. */
export interface ImportExportRequest {
  readonly folder: string
  readonly contents: ExportContents
  readonly log: EventLog
  readonly clock: Clock
  /** Name of the app of the log, and the streams that it declares. */
  readonly app: string
  readonly streams: readonly StreamSpec[]
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void
}

/** What an import came to. */
export interface ImportedExport {
  /** Records appended now, and before, by a run that was interrupted. */
  readonly appended: number
  readonly before: number
  /** Records that folds emit again. */
  readonly emitted: number
}

/**
 * Appends the records of an export. Throws EXPORT_INCOMPLETE, EXPORT_OF_OTHER, EXPORT_TARGET_OTHER,
 * EXPORT_DAMAGED, LOG_STREAM_CONFLICT.
 */
export async function importExport(request: ImportExportRequest): Promise<ImportedExport> {
  const { contents, log, onProgress } = request
  assertImportable(request)
  const declared = new Set(request.streams.map(({ name }) => name))
  const others = contents.streams.filter(({ name }) => !declared.has(name))
  await log.declare([...request.streams, ...others])
  const ends = new Map(log.ends())
  const endOf = (file: ExportedFile): number =>
    ends.get(partitionName(file.stream, file.partition)) ?? 0
  refuseStrangers(contents, ends)
  for (const file of contents.files) await refuseOther(request, file, endOf(file))
  const total = contents.files.reduce((sum, { outside }) => sum + outside, 0)
  const emitted = contents.files.reduce((sum, { records }) => sum + records, 0) - total
  let done = 0
  let before = 0
  for (const file of contents.files) {
    const skipped = endOf(file)
    before += skipped
    done += skipped
    for await (const batch of batches(outsideOf(request, file, skipped))) {
      await append(request, file, batch)
      done += batch.length
      onProgress?.({ done, total })
    }
  }
  return { appended: total - before, before, emitted }
}

/** Refuses what cannot be imported before anything is opened. Throws EXPORT_INCOMPLETE, EXPORT_OF_OTHER. */
export function assertImportable({
  folder,
  contents,
  app,
}: Pick<ImportExportRequest, 'folder' | 'contents' | 'app'>): void {
  const incomplete = (reason: string): Error =>
    exportErrors.create('EXPORT_INCOMPLETE', { folder, reason })
  if (!contents.isWhole) throw incomplete('it holds some streams, and not the others')
  if (contents.personal === 'masked') throw incomplete('its personal fields are masked')
  if (contents.app !== app) {
    throw exportErrors.create('EXPORT_OF_OTHER', { app: contents.app, other: app })
  }
}

function other(reason: string): Error {
  return exportErrors.create('EXPORT_TARGET_OTHER', { reason })
}

/** The log holds no records of partitions that the export does not have. */
function refuseStrangers({ files }: ExportContents, ends: Position): void {
  const names = new Set(files.map(({ stream, partition }) => partitionName(stream, partition)))
  for (const [name, end] of ends) {
    if (end > 0 && !names.has(name)) throw other(`${name} has ${end} records`)
  }
}

/** What a partition of the log holds is the beginning of what the export has. */
async function refuseOther(
  request: ImportExportRequest,
  file: ExportedFile,
  end: number,
): Promise<void> {
  const { stream, partition, outside } = file
  const name = partitionName(stream, partition)
  if (end > outside) throw other(`${name} has ${end} records, the export ${outside}`)
  if (end === 0) return
  const [last] = await request.log.read({ stream, partition, from: end - 1, recordsMax: 1 })
  for await (const { id } of outsideOf(request, file, end - 1)) {
    if (id === last?.id) return
    throw other(`${name} has ${last?.id ?? 'nothing'} at ${end - 1}, the export ${id}`)
  }
}

/** The records of a file that no fold emitted, without the first ones. */
async function* outsideOf(
  { folder, contents }: ImportExportRequest,
  file: ExportedFile,
  skipped: number,
): AsyncGenerator<ExportedRecord, void> {
  let index = 0
  for await (const record of readFile(folder, contents, file)) {
    if (record.generation !== 0) continue
    if (index >= skipped) yield record
    index += 1
  }
}

async function* batches(
  records: AsyncIterable<ExportedRecord>,
): AsyncGenerator<readonly NewEvent[], void> {
  let batch: NewEvent[] = []
  let characters = 0
  for await (const record of records) {
    const payload = Buffer.from(JSON.stringify(record.data))
    batch.push({ ...eventOf(record), payload })
    characters += payload.length
    if (batch.length >= BATCH_EVENTS || characters >= BATCH_CHARACTERS) {
      yield batch
      batch = []
      characters = 0
    }
  }
  if (batch.length > 0) yield batch
}

async function append(
  { log, clock }: ImportExportRequest,
  { path }: ExportedFile,
  events: readonly NewEvent[],
): Promise<void> {
  const results = await commitWhenRoom({ log, clock }, events)
  results.forEach(({ status }, index) => {
    if (status === 'appended') return
    const place = `the record ${events[index]?.id}`
    const reason = 'its id stands in the export twice'
    throw exportErrors.create('EXPORT_DAMAGED', { file: path, place, reason })
  })
}
