/** `export`: everything in open formats. */
import { resolve } from 'node:path'
import { isError } from '@millrace/core'
import { Option, type Command } from 'commander'
import {
  RECORD_FORMATS,
  claimFolder,
  exportErrors,
  parseLine,
  readRecord,
  splitLines,
  writeExport,
  type ExportContents,
  type ExportHead,
  type ExportedRecord,
  type RecordFormat,
} from '../../export/index.ts'
import { connect } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { bytes, count } from '../output.ts'
import { createProgress } from '../progress.ts'
import type { Run } from '../run-command.ts'

interface ExportOptions {
  readonly to: string
  readonly format: RecordFormat
  readonly personal?: boolean
  readonly streams?: string
}

/** Registers `export`. */
export function addExport(program: Command, run: Run): void {
  program
    .command('export')
    .summary('every record of the log as JSON Lines or Parquet')
    .description(
      'Writes every record of the log to files, a file per partition, from a running server or from ' +
        'the data directory. Personal fields are masked unless --personal is given; only an export ' +
        'with them can be imported: millrace import export <folder>.',
    )
    .requiredOption('--to <folder>', 'an empty folder, or a new one')
    .addOption(
      new Option('--format <format>', 'jsonl or parquet').choices(RECORD_FORMATS).default('jsonl'),
    )
    .option('--personal', 'keep personal fields as they are')
    .option('--streams <name,...>', 'only these streams; cannot be imported')
    .action(run<[ExportOptions]>(exportLog))
}

async function exportLog(context: CommandContext, options: ExportOptions): Promise<void> {
  const folder = resolve(context.cwd, options.to)
  const { format, personal = false, streams } = options
  claimFolder(folder)
  const progress = createProgress(context.output, context.clock)
  progress.begin('Exporting', 'rows')
  const connection = await connect(context)
  let contents: ExportContents
  try {
    const query = streams === undefined ? '' : `?streams=${encodeURIComponent(streams)}`
    const path = `/v1/exports/${personal ? 'kept' : 'masked'}${query}`
    const answer = await connection.open(path, new AbortController().signal, 'POST')
    const lines = splitLines(answer.body as unknown as AsyncIterable<Uint8Array>, 'the answer')
    const head = await headOf(lines)
    contents = await writeExport({
      folder,
      recordFormat: format,
      head,
      records: recordsOf(lines, head.records),
      onProgress: ({ done, total }) => progress.update(done, total),
    })
  } catch (error) {
    if (isError(error)) throw error
    // The connection broke.
    throw exportErrors.create('EXPORT_CUT_SHORT', { reason: (error as Error).message }, error)
  } finally {
    progress.end()
    await connection.close()
  }
  const records = contents.files.reduce((sum, file) => sum + file.records, 0)
  const size = contents.files.reduce((sum, file) => sum + file.bytes, 0)
  const masked = personal ? '' : ' Personal fields are masked: --personal keeps them.'
  context.output.result(
    { folder, records, bytes: size, ...contents },
    `Exported ${count(records)} records to ${folder}: ${contents.files.length} files, ${bytes(size)}.${masked}`,
  )
}

const ANSWER = { file: 'the answer', place: 'its lines' }

async function headOf(lines: AsyncGenerator<string>): Promise<ExportHead> {
  const line = await lines.next()
  const text = line.done === true ? 'null' : line.value
  const first = parseLine(text, ANSWER) as { export?: ExportHead } | null
  if (first?.export !== undefined) return first.export
  throw exportErrors.create('EXPORT_CUT_SHORT', { reason: 'nothing came' })
}

/** The records of an answer, which must say at its end that it is whole. */
async function* recordsOf(
  lines: AsyncGenerator<string>,
  total: number,
): AsyncGenerator<ExportedRecord, void> {
  let records = 0
  for await (const line of lines) {
    const { record, end } = parseLine(line, ANSWER) as {
      record?: unknown
      end?: { records: number }
    }
    if (end?.records === total && records === total) return
    records += 1
    yield readRecord(record, ANSWER)
  }
  throw exportErrors.create('EXPORT_CUT_SHORT', { reason: `${records} of ${total} records came` })
}
