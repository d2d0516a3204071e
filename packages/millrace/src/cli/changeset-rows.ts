/** Rows of a changeset from a file: JSON Lines, or a table whose header names `id` and fields. */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import type { CompiledTable } from '@millrace/core'
import { createConverter, Unfit } from '../import/convert.ts'
import { inspectTable } from '../import/dialect.ts'
import { readDelimited } from '../import/delimited.ts'
import { readJsonLines } from '../import/json-lines.ts'
import { IMPORT_LIMITS } from '../import/limits.ts'
import { cliErrors } from './errors.ts'

/** A row as `POST /v1/changesets` takes it. */
export interface ChangesetRow {
  readonly id: unknown
  readonly do?: unknown
  readonly attributes?: unknown
  readonly data?: unknown
}

const HEAD_BYTES = 64 * 1024
const FAULTS_SHOWN = 5
const ROW_MEMBERS = new Set(['do', 'attributes', 'data'])

interface Fault {
  readonly line: number
  readonly reason: string
}

/** Reads a file of rows of a table, or of events. Throws CLI_USAGE, with the lines, when one of them is no row. */
export async function readChangesetRows(
  path: string,
  table: CompiledTable | undefined,
): Promise<readonly ChangesetRow[]> {
  const faults: Fault[] = []
  const rows: ChangesetRow[] = []
  try {
    const read = /\.(jsonl|ndjson|json)$/.test(path) ? readLines(path) : readTable(path, table)
    for await (const found of read) {
      if ('reason' in found) faults.push(found)
      else rows.push(found)
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined || !/^E[A-Z]+$/.test(code)) throw error
    throw unusable(path, `it cannot be read (${code})`)
  }
  if (faults.length === 0) return rows
  const shown = faults.slice(0, FAULTS_SHOWN).map(({ line, reason }) => `line ${line}: ${reason}`)
  const more = faults.length - shown.length
  throw unusable(path, shown.join('; ') + (more > 0 ? `; and ${more} more` : ''))
}

function unusable(path: string, reason: string): Error {
  return cliErrors.create('CLI_USAGE', {
    reason: `${path} holds no rows: ${reason}.`,
    next: 'Correct the file: JSON Lines of {"id", "attributes"}, or a table whose header names id and fields. Nothing was planned.',
  })
}

async function* readLines(path: string): AsyncGenerator<ChangesetRow | Fault, void> {
  for await (const block of readJsonLines(createReadStream(path), IMPORT_LIMITS)) {
    yield* block.refused
    for (const { value } of block.rows) {
      const { id, ...others } = value
      const isRow = Object.keys(others).every(name => ROW_MEMBERS.has(name))
      yield isRow ? { ...others, id } : { id, attributes: others }
    }
  }
}

async function* readTable(
  path: string,
  table: CompiledTable | undefined,
): AsyncGenerator<ChangesetRow | Fault, void> {
  const inspected = await inspect(path)
  const columns = inspected?.columns ?? []
  if (inspected === undefined || !inspected.hasHeader || !columns.includes('id')) {
    yield { line: 1, reason: 'it is no header with a column id' }
    return
  }
  const converters = columns.map(name => {
    const fields = table?.definition.fields ?? {}
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined
    return field === undefined ? undefined : createConverter(field, { listSeparator: '|' })
  })
  const unknown = columns.filter((name, at) => name !== 'id' && converters[at] === undefined)
  if (unknown.length > 0) {
    yield {
      line: 1,
      reason: `${table?.definition.name ?? 'an event'} has no field ${unknown.join(', ')}`,
    }
    return
  }
  let isHeader = true
  for await (const block of readDelimited(
    createReadStream(path),
    inspected.dialect,
    IMPORT_LIMITS,
  )) {
    yield* block.refused
    for (const { line, cells } of block.rows) {
      if (isHeader) isHeader = false
      else yield rowOf(line, cells)
    }
  }

  function rowOf(line: number, cells: readonly string[]): ChangesetRow | Fault {
    if (cells.length !== columns.length) {
      return { line, reason: `it has ${cells.length} cells, the header ${columns.length}` }
    }
    let id = ''
    const attributes: Record<string, unknown> = {}
    for (const [at, cell] of cells.entries()) {
      const name = columns[at] as string
      const value = converters[at]?.(cell)
      if (value instanceof Unfit) return { line, reason: `${name}: ${value.reason}` }
      if (name === 'id') id = cell
      else if (value !== undefined) attributes[name] = value
    }
    return table === undefined ? { id } : { id, attributes }
  }
}

async function inspect(path: string): ReturnType<typeof inspected> {
  const file = await open(path)
  try {
    return await inspected(file)
  } finally {
    await file.close()
  }
}

async function inspected(
  file: Awaited<ReturnType<typeof open>>,
): Promise<ReturnType<typeof inspectTable>> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0)
  const { size } = await file.stat()
  return inspectTable(buffer.subarray(0, bytesRead), bytesRead === size, {})
}
