/**
 * The manifest: which runs make up the index, up to which mark of the log they are complete, and
 * the secret of its hashes. Replaced as a whole (written aside, synced, renamed, directory synced),
 * so that a crash leaves the old index or the new one. Files that it does not name are leftovers.
 *
 *   line 1   CRC-32 of line 2, 8 hexadecimal digits
 *   line 2   JSON: {"format":1,"mark":..,"next":..,"secret":"..","runs":[..]}
 *
 * The facts of a run stand in the footer of its file as well: 24 words, which the open compares.
 */
import { crc32 } from 'node:zlib'
import type { Disk } from '@millrace/core'
import { logErrors } from '../errors.ts'
import { PAGES_MAX } from './pages.ts'
import { ORDERED, SECRET_BYTES, TEXT } from './id-key.ts'
import { FENCE_LEVELS_MAX, type RunFacts } from './run.ts'

const FORMAT = 1
const NAME = 'manifest'
const MANIFEST_BYTES_MAX = 16 * 1024 * 1024
const RANGE_WORDS = 8

/** The state of an index on disk. */
export interface Manifest {
  readonly mark: number
  /** Number of the next run. */
  readonly next: number
  readonly secret: Uint8Array
  readonly runs: readonly RunFacts[]
}

/** What to do about a damaged index. */
export function goOn(directory: string): string {
  return `delete the directory ${directory}; the index is made again from the log at the next start`
}

/** Reads the manifest; undefined when there is none; LOG_DAMAGED, LOG_FORMAT_UNKNOWN. */
export async function readManifest(disk: Disk, directory: string): Promise<Manifest | undefined> {
  const path = `${directory}/${NAME}`
  const size = await disk.sizeOf(path)
  if (size === undefined) return undefined
  const damaged = (reason: string): Error =>
    logErrors.create('LOG_DAMAGED', {
      file: path,
      at: 0,
      reason,
      affected: 'the index of event ids; the events themselves are not',
      goOn: goOn(directory),
    })
  if (size > MANIFEST_BYTES_MAX) throw damaged('it is too large')
  const bytes = new Uint8Array(size)
  const file = await disk.open(path, 'read')
  try {
    for (let have = 0; have < size;) {
      const count = await file.read(bytes, have, size - have, have)
      if (count === 0) throw damaged('it ends too early')
      have += count
    }
  } finally {
    await file.close()
  }
  const text = new TextDecoder().decode(bytes)
  const line = text.slice(9, -1)
  if (text[8] !== '\n' || !text.endsWith('\n') || text.slice(0, 8) !== checksum(line)) {
    throw damaged('its checksum does not match')
  }
  let value: Record<string, unknown> | null
  try {
    value = JSON.parse(line) as typeof value
  } catch {
    throw damaged('it is not JSON')
  }
  const format = value?.['format']
  if (!isWithin(format, 0, Number.MAX_SAFE_INTEGER)) throw damaged('it names no format')
  if (format !== FORMAT) {
    throw logErrors.create('LOG_FORMAT_UNKNOWN', { file: path, found: format, known: FORMAT })
  }
  const { mark, next, secret: hex, runs } = value as Record<string, unknown>
  const secret = Uint8Array.from(Buffer.from(typeof hex === 'string' ? hex : '', 'hex'))
  if (secret.length !== SECRET_BYTES) throw damaged('its secret has the wrong length')
  const isSound =
    isWithin(mark, 0, Number.MAX_SAFE_INTEGER) &&
    isWithin(next, 1, Number.MAX_SAFE_INTEGER) &&
    Array.isArray(runs) &&
    runs.every(run => isRunFacts(run) && run.number < next) &&
    new Set((runs as RunFacts[]).map(({ number }) => number)).size === runs.length
  if (!isSound) throw damaged('it says what no index writes')
  return { mark, next, secret, runs: runs as RunFacts[] }
}

function isWithin(value: unknown, least: number, most: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
}

function isRunFacts(value: unknown): value is RunFacts {
  if (typeof value !== 'object' || value === null) return false
  const { number, kind, count, pages, levels, textPages, range } = value as Partial<RunFacts>
  return (
    isWithin(number, 1, Number.MAX_SAFE_INTEGER) &&
    isWithin(kind, ORDERED, TEXT) &&
    isWithin(count, 0, Number.MAX_SAFE_INTEGER) &&
    isWithin(pages, 1, PAGES_MAX) &&
    isWithin(levels, 1, FENCE_LEVELS_MAX) &&
    isWithin(textPages, 0, PAGES_MAX) &&
    Array.isArray(range) &&
    range.length === RANGE_WORDS &&
    range.every(word => isWithin(word, -(2 ** 31), 2 ** 32 - 1))
  )
}

/** Replaces the manifest; resolves when it is durable. */
export async function writeManifest(
  disk: Disk,
  directory: string,
  manifest: Manifest,
): Promise<void> {
  const secret = Buffer.from(manifest.secret).toString('hex')
  const { mark, next, runs } = manifest
  const line = JSON.stringify({ format: FORMAT, mark, next, secret, runs })
  const bytes = new TextEncoder().encode(`${checksum(line)}\n${line}\n`)
  const aside = `${directory}/${NAME}.writing`
  await disk.remove(aside)
  const file = await disk.open(aside, 'create')
  try {
    await file.write(bytes, 0, bytes.length, 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await disk.rename(aside, `${directory}/${NAME}`)
  await disk.syncDirectory(directory)
}

/** Removes files that the manifest does not name: of runs merged away, or cut off by a crash. */
export async function removeLeftovers(
  disk: Disk,
  directory: string,
  runs: readonly RunFacts[],
): Promise<void> {
  const known = new Set(runs.map(run => String(run.number).padStart(12, '0')))
  for (const name of await disk.list(directory)) {
    const match = /^(\d{12})\.(?:run|texts)$/.exec(name)
    const isLeftover = match === null ? name === `${NAME}.writing` : !known.has(match[1] as string)
    if (isLeftover) await disk.remove(`${directory}/${name}`)
  }
}

/** The facts of a run as the words of its footer. */
export function footerWords(facts: RunFacts): Int32Array {
  const words = new Int32Array(24)
  const numbers = [
    FORMAT,
    facts.number,
    facts.kind,
    facts.count,
    facts.pages,
    facts.levels,
    facts.textPages,
  ]
  numbers.forEach((number, index) => {
    words[index * 2] = number | 0
    words[index * 2 + 1] = Math.floor(number / 2 ** 32)
  })
  words.set(facts.range, 16)
  return words
}

function checksum(line: string): string {
  return crc32(line).toString(16).padStart(8, '0')
}
