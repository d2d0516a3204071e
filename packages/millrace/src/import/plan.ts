import type { App } from '@millrace/core'
import type { DialectOptions } from './dialect.ts'
import { importErrors } from './errors.ts'
import type { ImportLimits } from './limits.ts'
import type { ImportTarget, MappingOptions } from './mapping.ts'
import { readHead, type ImportFile } from './import-file.ts'
import {
  areEnvelopes,
  describeColumns,
  inspectFile,
  jsonInput,
  pathsOf,
  sampleObjects,
  tableInput,
  type MappedInput,
} from './tables.ts'
import { chooseTarget } from './target.ts'

/** What a user may say about a file and its columns. */
export interface FileOptions extends DialectOptions, Omit<MappingOptions, 'target'> {
  /** Chosen by the columns when absent. */
  readonly target?: ImportTarget
}

/** Maps a file of one format to the app; refuses with IMPORT_MAPPING_INVALID or IMPORT_EMPTY. */
export async function planFile(request: {
  app: App
  file: ImportFile
  format: 'csv' | 'jsonl'
  options: FileOptions
  limits: ImportLimits
}): Promise<MappedInput> {
  const { app, file, limits, options } = request
  if (request.format === 'csv') {
    const table = await inspectFile(file, options)
    const described = table.hasHeader ? table.columns.join(', ') : describeColumns(table)
    const named = { label: file.label, columns: table.columns, described }
    const target = options.target ?? chooseTarget(app, named, options)
    return tableInput({ app, file, table, limits, mapping: { ...options, target } })
  }
  const samples = await sampleObjects(file, limits)
  if (samples.length === 0) {
    if ((await readHead(file, 1)).length === 0) {
      throw importErrors.create('IMPORT_EMPTY', { file: file.label })
    }
    throw importErrors.create('IMPORT_NOT_RECOGNISED', {
      path: file.label,
      reason: 'none of its first lines is a JSON object',
      next: 'JSON Lines holds one object a line. For delimited files: millrace import csv <file>.',
    })
  }
  const isPlain = options.target === undefined && options.map === undefined
  if (isPlain && areEnvelopes(samples)) return jsonInput({ app, file, limits, mapping: undefined })
  const columns = pathsOf(samples)
  const named = { label: file.label, columns, described: columns.join(', ') }
  const target = options.target ?? chooseTarget(app, named, options)
  return jsonInput({ app, file, limits, mapping: { ...options, target } })
}
