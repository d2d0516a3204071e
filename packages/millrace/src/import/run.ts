/**
 * An import: read, map and sort everything, then append it in the order of (event time, id).
 *
 * Promise: the same rows give the same records in the same order, however the files are sorted;
 * a row is in the log or among the refused ones; a repeat changes nothing, since ids come from the
 * rows. Memory: one run while reading, one chunk per run while appending. A process that is killed
 * goes on: while reading it starts again (nothing was appended), while appending it skips what its
 * last note says, and what was appended after that note is recognised by its ids.
 */
import { isError, type App, type Clock, type Disk } from '@millrace/core'
import type { CheckReport } from '@millrace/product'
import { assertChecks, ImportChecks, rowMarker, type KnownIds } from './checks.ts'
import { importErrors } from './errors.ts'
import type { ImportLimits } from './limits.ts'
import type { MappedRow, UnfitRow } from './mapping.ts'
import { RefusedRows } from './refused.ts'
import { refuseRow, type RefusedRow } from './rows.ts'
import type { ImportEvent, ImportSink, SinkResult } from './sink.ts'
import { RunWriter, mergeRuns, type SortedRow } from './sort.ts'
import { loadState, removeWork, saveState, type ImportSample, type ImportState } from './state.ts'

/** What one row became, with its line. */
export interface ReadRow {
  readonly line: number
  readonly result: MappedRow | UnfitRow
  /** The row for the report, made only when it is refused. */
  raw(): string
}

/** A file, ready to be read. */
export interface ImportInput {
  readonly label: string
  readonly bytes: number
  /** Tells this file and its mapping from any other. */
  readonly identity: string
  /** Rows in blocks. `onBytes` learns how many packed bytes were read. */
  read(onBytes: (bytes: number) => void): AsyncIterable<{
    readonly rows: readonly ReadRow[]
    readonly refused: readonly RefusedRow[]
    readonly latinLines: number
  }>
}

/** How far an import is. */
export interface ImportProgress {
  readonly phase: 'read' | 'write'
  /** Bytes while reading, rows while writing. */
  readonly done: number
  readonly total: number
  readonly rows: number
}

/** What an import did. */
export interface ImportReport {
  readonly rows: number
  readonly appended: number
  /** Rows that the log had already, from an earlier import or another row of this one. */
  readonly duplicates: number
  readonly refused: number
  /** The first refused rows. */
  readonly refusedFirst: readonly (RefusedRow & { readonly file: string })[]
  /** Where all of them are, relative to the data directory; undefined when there are none. */
  readonly refusedFile: string | undefined
  /** Lines that were not UTF-8 and were read as Windows-1252. */
  readonly latinLines: number
  /** Rows that an earlier, interrupted run had appended. */
  readonly resumedAt: number
  readonly firstAtMs: number | undefined
  readonly lastAtMs: number | undefined
  readonly byType: Readonly<Record<string, number>>
  /** What the first row of each type became. */
  readonly samples: readonly ImportSample[]
  /** What the checks of the app say of the rows, those that were refused included. */
  readonly checks: readonly CheckReport[]
  readonly readMs: number
  readonly writeMs: number
}

/** What an import needs. */
export interface ImportRequest {
  readonly app: App
  readonly inputs: readonly ImportInput[]
  /** The data directory; work files lie under `imports/`. */
  readonly disk: Disk
  readonly sink: ImportSink
  readonly clock: Clock
  readonly limits: ImportLimits
  /** What items the log has, for checks that ask. Default: none. */
  readonly knownIds?: KnownIds
  /** Reads and maps everything and appends nothing; the report tells what would be appended. */
  readonly isDryRun?: boolean
  readonly onProgress?: (progress: ImportProgress) => void
}

const REFUSED_SHOWN = 10
const NO_ITEMS: ReadonlySet<string> = new Set()
/** With this mapping, or these rows, there is nothing to go on with. */
const REFUSALS = ['IMPORT_ROWS_UNFIT', 'IMPORT_MAPPED_BEFORE', 'IMPORT_CHECK_FAILED']

/** Runs an import; refuses with IMPORT_* as a whole, never because of single rows, unless none fits or the first batch was imported by another mapping. */
export async function runImport(request: ImportRequest): Promise<ImportReport> {
  const { disk, clock } = request
  const startMs = clock.monotonicMs()
  let state = await loadState(disk, request.app, request.inputs)
  const resumedAt = state.committed
  let readMs = 0
  try {
    if (!state.isSorted) state = await readAll(request, state)
    readMs = clock.monotonicMs() - startMs
    if (request.isDryRun !== true) state = await writeAll(request, state)
  } catch (error) {
    if (REFUSALS.some(code => isError(error, code))) {
      await removeWork(disk, state)
      await disk.remove(state.refusedPath)
    }
    throw error
  }
  await removeWork(disk, state)
  return {
    rows: state.rows,
    appended: state.appended,
    duplicates: state.duplicates,
    refused: state.refused,
    refusedFirst: state.refusedFirst,
    refusedFile: state.refused > 0 ? state.refusedPath : undefined,
    latinLines: state.latinLines,
    resumedAt,
    firstAtMs: state.firstAtMs,
    lastAtMs: state.lastAtMs,
    byType: state.byType,
    samples: state.samples,
    checks: state.checks,
    readMs,
    writeMs: clock.monotonicMs() - startMs - readMs,
  }
}

async function readAll(request: ImportRequest, state: ImportState): Promise<ImportState> {
  const { disk, limits, inputs } = request
  const total = inputs.reduce((sum, input) => sum + input.bytes, 0)
  const refusedRows = new RefusedRows({ disk, path: state.refusedPath, size: 0 })
  const writer = new RunWriter({ disk, folder: state.folder, runBytes: limits.runBytes })
  const checks = new ImportChecks(request.app)
  const collector = new Collector(request, { writer, refusedRows, checks })
  let done = 0
  for (const [index, input] of inputs.entries()) {
    collector.begin(index)
    const blocks = input.read(bytes => (done += bytes))
    for await (const block of blocks) {
      await collector.take(block)
      request.onProgress?.({ phase: 'read', done, total, rows: collector.rows })
    }
  }
  const runs = await writer.finish()
  const refusedBytes = await refusedRows.flush()
  await refusedRows.close()
  const { knownIds = () => Promise.resolve(NO_ITEMS) } = request
  const { reports, unknown } = await checks.finish(knownIds)
  if (request.isDryRun !== true) assertChecks(request.app, reports)
  const sorted: ImportState = {
    ...state,
    ...collector.summary(),
    checks: reports,
    unknown,
    isSorted: true,
    runs,
    refusedBytes,
  }
  await saveState(disk, sorted)
  return sorted
}

/** Counts, refuses and sorts rows as they come. */
class Collector {
  readonly #request: ImportRequest
  readonly #writer: RunWriter
  readonly #refusedRows: RefusedRows
  readonly #checks: ImportChecks
  readonly #types: string[] = []
  readonly #typeIndex = new Map<string, number>()
  readonly #counts: number[] = []
  readonly #refusedFirst: (RefusedRow & { file: string })[] = []
  readonly #samples: ImportSample[] = []
  #file = 0
  #fileRows = 0
  #fileFit = 0
  #rows = 0
  #refused = 0
  #latinLines = 0
  #firstAtMs: number | undefined
  #lastAtMs: number | undefined

  constructor(
    request: ImportRequest,
    ports: {
      readonly writer: RunWriter
      readonly refusedRows: RefusedRows
      readonly checks: ImportChecks
    },
  ) {
    const { writer, refusedRows, checks } = ports
    this.#request = request
    this.#checks = checks
    this.#writer = writer
    this.#refusedRows = refusedRows
  }

  get rows(): number {
    return this.#rows
  }

  begin(file: number): void {
    this.#file = file
    this.#fileRows = 0
    this.#fileFit = 0
  }

  async take(block: {
    rows: readonly ReadRow[]
    refused: readonly RefusedRow[]
    latinLines: number
  }): Promise<void> {
    this.#latinLines += block.latinLines
    for (const row of block.refused) await this.#refuse(row)
    for (const row of block.rows) {
      const { result, line } = row
      if (!result.isFit) {
        await this.#refuse(refuseRow(line, result.code, result.reason, row.raw()))
        continue
      }
      const reason = this.#checks.take(result, () => `${this.#label} line ${line}`)
      if (reason !== undefined) {
        await this.#refuse(refuseRow(line, 'ROW_CHECK', reason, row.raw()))
        continue
      }
      if (this.#writer.isFull(result.json.length + result.id.length + result.key.length)) {
        await this.#writer.flush()
      }
      this.#add(result, line)
    }
  }

  get #label(): string {
    return this.#request.inputs[this.#file]?.label ?? ''
  }

  #add(result: MappedRow, line: number): void {
    const { eventTimeMs } = result
    const name = result.event.definition.name
    let type = this.#typeIndex.get(name)
    if (type === undefined) {
      type = this.#types.push(name) - 1
      this.#typeIndex.set(name, type)
      this.#counts.push(0)
      const file = this.#label
      const data: unknown = JSON.parse(result.json)
      this.#samples.push({ type: name, file, line, atMs: eventTimeMs, data })
    }
    const { id, key, json } = result
    this.#writer.add({ eventTimeMs, line, file: this.#file, type, id, key, json })
    this.#counts[type] = (this.#counts[type] as number) + 1
    this.#rows += 1
    this.#fileRows += 1
    this.#fileFit += 1
    if (result.event.isTableChange) return
    if (this.#firstAtMs === undefined || eventTimeMs < this.#firstAtMs)
      this.#firstAtMs = eventTimeMs
    if (this.#lastAtMs === undefined || eventTimeMs > this.#lastAtMs) this.#lastAtMs = eventTimeMs
  }

  async #refuse(row: RefusedRow): Promise<void> {
    const file = this.#label
    this.#rows += 1
    this.#fileRows += 1
    this.#refused += 1
    if (this.#refusedFirst.length < REFUSED_SHOWN) this.#refusedFirst.push({ file, ...row })
    if (this.#refusedRows.add(file, row)) await this.#refusedRows.flush()
    if (this.#fileFit === 0 && this.#fileRows >= this.#request.limits.unfitRows) {
      throw importErrors.create('IMPORT_ROWS_UNFIT', {
        file,
        count: this.#fileRows,
        line: row.line,
        reason: row.reason,
      })
    }
  }

  summary(): Partial<ImportState> {
    const byType = Object.fromEntries(
      this.#types.map((name, index) => [name, this.#counts[index] as number]),
    )
    return {
      rows: this.#rows,
      refused: this.#refused,
      refusedFirst: this.#refusedFirst,
      latinLines: this.#latinLines,
      firstAtMs: this.#firstAtMs,
      lastAtMs: this.#lastAtMs,
      types: this.#types,
      byType,
      samples: this.#samples,
    }
  }
}

async function writeAll(request: ImportRequest, sorted: ImportState): Promise<ImportState> {
  const { disk, sink, limits, app } = request
  const refusedRows = new RefusedRows({
    disk,
    path: sorted.refusedPath,
    size: sorted.refusedBytes,
  })
  const streams = sorted.types.map(type => app.events.get(type)?.definition.stream ?? '')
  const total = Object.values(sorted.byType).reduce((sum, count) => sum + count, 0)
  let state = sorted
  let noted = state.committed
  const holderOf = rowMarker(app, sorted.unknown)
  const toEvent = (row: SortedRow): ImportEvent => ({
    type: sorted.types[row.type] as string,
    heldBy: holderOf(sorted.types[row.type] as string, row.payload),
    stream: streams[row.type] as string,
    key: row.key,
    id: row.id,
    eventTimeMs: row.eventTimeMs,
    payload: row.payload,
  })
  const settle = async (
    batch: readonly SortedRow[],
    results: readonly SinkResult[],
  ): Promise<void> => {
    const change = countResults(request, batch, results, refusedRows)
    const [first] = change.refused
    if (state.committed === 0 && first !== undefined && change.refused.length === batch.length) {
      const { file, line, reason } = first
      throw importErrors.create('IMPORT_MAPPED_BEFORE', { file, line, reason })
    }
    state = {
      ...state,
      committed: state.committed + batch.length,
      appended: state.appended + change.appended,
      duplicates: state.duplicates + change.duplicates,
      refused: state.refused + change.refused.length,
      refusedFirst: state.refusedFirst.concat(change.refused).slice(0, REFUSED_SHOWN),
    }
    if (state.committed - noted >= limits.checkpointRows) {
      state = { ...state, refusedBytes: await refusedRows.flush() }
      await saveState(disk, state)
      noted = state.committed
    }
    request.onProgress?.({ phase: 'write', done: state.committed, total, rows: state.rows })
  }
  const batches = mergeRuns(disk, sorted.runs, {
    skip: sorted.committed,
    batchRows: limits.batchEvents,
    batchBytes: limits.batchBytes,
  })
  try {
    let before: { batch: readonly SortedRow[]; done: Promise<readonly SinkResult[]> } | undefined
    for await (const batch of batches) {
      // One commit is on its way to the disk while the next batch is merged.
      if (before !== undefined) await settle(before.batch, await before.done)
      before = { batch, done: sink.append(batch.map(toEvent)) }
      before.done.catch(() => undefined)
      // The first batch says whether the rows are there by another mapping: then no other follows.
      if (state.committed === 0) {
        await settle(batch, await before.done)
        before = undefined
      }
    }
    if (before !== undefined) await settle(before.batch, await before.done)
  } finally {
    await refusedRows.close()
  }
  return state
}

function countResults(
  request: ImportRequest,
  batch: readonly SortedRow[],
  results: readonly SinkResult[],
  refusedRows: RefusedRows,
): { appended: number; duplicates: number; refused: (RefusedRow & { file: string })[] } {
  let appended = 0
  let duplicates = 0
  const refused: (RefusedRow & { file: string })[] = []
  for (const [index, row] of batch.entries()) {
    const result = results[index]
    if (result?.status === 'appended') appended += 1
    else if (result?.status === 'duplicate') duplicates += 1
    else {
      const file = request.inputs[row.file]?.label ?? ''
      const reason = result?.status === 'refused' ? result.reason : 'the log gave no answer for it'
      const raw = Buffer.from(row.payload).toString('utf8')
      const refusedRow = refuseRow(row.line, 'ROW_CONFLICT', reason, raw)
      refusedRows.add(file, refusedRow)
      refused.push({ file, ...refusedRow })
    }
  }
  return { appended, duplicates, refused }
}
