/**
 * The folder of an export.
 *
 *   records/<stream>/<partition>.jsonl      the records of a partition in order, or .parquet
 *   export.json                             what the folder holds; written last
 *
 * Promise: a folder with export.json is whole. Every file is checked against its SHA-256 before it is
 * read: damage is found there, and the reader of Parquet, a library, sees what the library wrote.
 */
import { createHash } from 'node:crypto'
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { exportErrors } from './errors.ts'
import { readRecordLines } from './lines.ts'
import { readParquet } from './parquet.ts'
import type { ExportedRecord } from './record.ts'

/** The format that this build writes; it reads none that is newer. */
export const EXPORT_FORMAT = 1
/** What the folder holds is said here. */
export const EXPORT_FILE = 'export.json'
const EXPORT_BYTES_MAX = 64 * 1024 * 1024

/** The formats of records. */
export const RECORD_FORMATS = ['jsonl', 'parquet'] as const
/** A format of records. */
export type RecordFormat = (typeof RECORD_FORMATS)[number]

/** A file of records of one partition. */
export interface ExportedFile {
  readonly path: string
  readonly stream: string
  readonly partition: number
  /** Offset of its first record: what is before was removed by retention. */
  readonly from: number
  readonly records: number
  /** Those that no fold emitted, which are what an import appends. */
  readonly outside: number
  readonly bytes: number
  /** Of the file, in hexadecimal digits. */
  readonly sha256: string
}

/** What an export holds. */
export interface ExportContents {
  readonly app: string
  /** Fingerprint of the definition at that time. */
  readonly definition: string
  readonly takenMs: number
  /** The ends of all partitions, as answers carry them. */
  readonly position: string
  readonly recordFormat: RecordFormat
  readonly personal: 'masked' | 'kept'
  /** False: some streams were asked for, and not the others. */
  readonly isWhole: boolean
  readonly streams: readonly { readonly name: string; readonly partitions: number }[]
  readonly files: readonly ExportedFile[]
}

/** Where the records of a partition stand. */
export function filePath(stream: string, partition: number, format: RecordFormat): string {
  return `records/${stream}/${partition}.${format}`
}

/** Reads what an export holds. Throws EXPORT_MISSING, EXPORT_DAMAGED, EXPORT_FORMAT_UNKNOWN. */
export function readContents(folder: string): ExportContents {
  const path = join(folder, EXPORT_FILE)
  if (!existsSync(path)) {
    throw exportErrors.create('EXPORT_MISSING', { folder, reason: `it has no ${EXPORT_FILE}` })
  }
  if (statSync(path).size > EXPORT_BYTES_MAX) throw damaged('the file', 'it is too long')
  return parseContents(folder, readFileSync(path, 'utf8'))
}

/** Reads the text of `export.json`. Throws EXPORT_DAMAGED, EXPORT_FORMAT_UNKNOWN. */
export function parseContents(folder: string, text: string): ExportContents {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw exportErrors.create('EXPORT_DAMAGED', { file: EXPORT_FILE, place: 'the file', reason: 'it is not JSON' }, error) // prettier-ignore
  }
  if (!isObject(value)) throw damaged('the file', 'it is no JSON object')
  const { format: found } = value
  if (found !== EXPORT_FORMAT) {
    const known = EXPORT_FORMAT
    throw exportErrors.create('EXPORT_FORMAT_UNKNOWN', {
      folder,
      found: JSON.stringify(found) ?? 'none',
      known,
    })
  }
  for (const [name, check] of Object.entries(CONTENTS)) {
    if (!check(value[name])) throw damaged(name, 'it is not what it should be')
  }
  const contents = value as unknown as ExportContents
  const partitions = new Map(contents.streams.map(stream => [stream.name, stream.partitions]))
  const seen = new Set<string>()
  for (const { path, stream, partition, records, outside } of contents.files) {
    const isThere = partition < (partitions.get(stream) ?? 0)
    const isSane = path === filePath(stream, partition, contents.recordFormat) && !seen.has(path)
    if (!isThere || !isSane || outside > records) throw damaged(`files, ${path}`, 'it fits nothing')
    seen.add(path)
  }
  return contents
}

/** Checks every file before its records are used. Throws EXPORT_MISSING, EXPORT_DAMAGED. */
export async function checkFiles(
  folder: string,
  { files }: Pick<ExportContents, 'files'>,
  onBytes: (bytes: number) => void,
): Promise<void> {
  for (const { path, bytes, sha256 } of files) {
    if (!existsSync(join(folder, path))) {
      throw exportErrors.create('EXPORT_MISSING', { folder, reason: `${path} is not there` })
    }
    const found = await hashFile(join(folder, path), onBytes)
    if (found.bytes !== bytes || found.sha256 !== sha256) {
      const reason = 'it does not match its checksum'
      throw exportErrors.create('EXPORT_DAMAGED', { file: path, place: 'the file', reason })
    }
  }
}

/** SHA-256 and length of a file. */
export async function hashFile(
  path: string,
  onBytes?: (bytes: number) => void,
): Promise<{ readonly sha256: string; readonly bytes: number }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    hash.update(chunk)
    bytes += chunk.length
    onBytes?.(chunk.length)
  }
  return { sha256: hash.digest('hex'), bytes }
}

/** The records of a file in order, each where it belongs. Throws EXPORT_DAMAGED. */
export async function* readFile(
  folder: string,
  { recordFormat }: ExportContents,
  file: ExportedFile,
): AsyncGenerator<ExportedRecord, void> {
  const { path, stream, partition } = file
  const read = recordFormat === 'jsonl' ? readRecordLines : readParquet
  let records = 0
  let last = -1
  const refuse = (reason: string): never => {
    const place = `record ${records}`
    throw exportErrors.create('EXPORT_DAMAGED', { file: path, place, reason })
  }
  for await (const record of read(join(folder, path), path)) {
    if (record.stream !== stream || record.partition !== partition) {
      refuse(`it is of ${record.stream}/${record.partition}`)
    }
    if (record.offset <= last) refuse(`its offset ${record.offset} comes after ${last}`)
    last = record.offset
    records += 1
    yield record
  }
  if (records !== file.records) refuse(`the file should have ${file.records} records`)
}

/** Writes a small file whole, durable when it resolves. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const isText = (value: unknown): value is string => typeof value === 'string'
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
// What the log takes for the name of a stream; it becomes a folder here.
const isStreamName = (value: unknown): boolean =>
  isText(value) && /^[a-z][a-z0-9._-]{0,99}$/.test(value)

const CONTENTS: Readonly<Record<keyof ExportContents, (value: unknown) => boolean>> = {
  app: isText,
  definition: isText,
  takenMs: isCount,
  position: isText,
  recordFormat: value => RECORD_FORMATS.includes(value as RecordFormat),
  personal: value => value === 'masked' || value === 'kept',
  isWhole: value => typeof value === 'boolean',
  streams: value =>
    Array.isArray(value) &&
    value.every(
      stream => isObject(stream) && isStreamName(stream['name']) && isCount(stream['partitions']),
    ),
  files: value => Array.isArray(value) && value.every(isFile),
}

function isFile(value: unknown): boolean {
  if (!isObject(value)) return false
  const { path, stream, partition, from, records, outside, bytes, sha256 } = value
  const isHash = isText(sha256) && /^[0-9a-f]{64}$/.test(sha256)
  return (
    isText(path) && isText(stream) && [partition, from, records, outside, bytes].every(isCount) && isHash // prettier-ignore
  )
}

function damaged(place: string, reason: string): Error {
  return exportErrors.create('EXPORT_DAMAGED', { file: EXPORT_FILE, place, reason })
}
