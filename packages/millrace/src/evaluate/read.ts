/** Reads events to evaluate on: LightGCN's lines or a CSV, plain or gzip, as columns. */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { createGunzip } from 'node:zlib'
import { readDelimited } from '../import/delimited.ts'
import { detectTimeFormat, readTimeText, type TimeFormat } from '../import/time.ts'
import { evaluateErrors } from './errors.ts'

/** How a file is written. */
export type EventFormat = 'lightgcn' | 'csv'

/** Numbers for ids, in the order in which they are first seen; train and test share them. */
export interface Ids {
  readonly people: Map<string, number>
  readonly items: Map<string, number>
}

/** Events as columns. */
export interface EventColumns {
  readonly people: Int32Array
  readonly items: Int32Array
  /** Absent when the file has no column `at`. */
  readonly at?: Float64Array
  /** Absent when the file has no column `weight`. */
  readonly weights?: Float64Array
}

/** A person with very many items is one long line. */
const LIMITS = { rowMax: 64 * 1024 * 1024, cellsMax: 4_000_000 }

/** Reads a file. Throws EVALUATE_FILE_UNREADABLE, EVALUATE_ROW_INVALID, EVALUATE_FILE_EMPTY. */
export async function readEvents(
  file: string,
  format: EventFormat,
  ids: Ids,
): Promise<EventColumns> {
  const columns = new Columns(file, ids)
  const delimiter = format === 'lightgcn' ? ' ' : await delimiterOf(file)
  const dialect = { delimiter, isQuoted: format === 'csv', encoding: 'utf-8', newline: '\n' } as const // prettier-ignore
  const take = format === 'lightgcn' ? columns.takeLine : columns.takeRow
  for await (const { rows, refused } of readDelimited(await bytesOf(file), dialect, LIMITS)) {
    const [first] = refused
    if (first !== undefined) throw invalid(file, first.line, first.reason)
    for (const { line, cells } of rows) take.call(columns, line, cells)
  }
  return columns.finish()
}

/** The bytes of a file, unpacked when it is gzip. */
async function bytesOf(file: string): Promise<AsyncIterable<Uint8Array>> {
  const head = await headOf(file)
  const stream = createReadStream(file, { highWaterMark: 1024 * 1024 })
  if (head[0] !== 0x1f || head[1] !== 0x8b) return stream
  const unpacked = createGunzip({ chunkSize: 1024 * 1024 })
  stream.on('error', error => unpacked.destroy(error))
  return reading(file, stream.pipe(unpacked))
}

async function* reading(
  file: string,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks
  } catch (error) {
    throw unreadable(file, error)
  }
}

async function headOf(file: string): Promise<Uint8Array> {
  try {
    const handle = await open(file)
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, 0)
      return buffer.subarray(0, bytesRead)
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw unreadable(file, error)
  }
}

/** The first line says what separates cells. */
async function delimiterOf(file: string): Promise<string> {
  let head = ''
  for await (const chunk of await bytesOf(file)) {
    head = Buffer.from(chunk).toString()
    break
  }
  const [line = ''] = head.split('\n', 1)
  return ['\t', ';', ','].find(delimiter => line.includes(delimiter)) ?? ','
}

function unreadable(file: string, cause: unknown): Error {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return evaluateErrors.create('EVALUATE_FILE_UNREADABLE', { file, reason }, cause)
}

function invalid(file: string, line: number, reason: string): Error {
  return evaluateErrors.create('EVALUATE_ROW_INVALID', { file, line, reason })
}

/** Columns that grow. */
class Columns {
  readonly #file: string
  readonly #ids: Ids
  readonly #people: number[] = []
  readonly #items: number[] = []
  readonly #at: number[] = []
  readonly #weights: number[] = []
  #place: { person: number; item: number; at: number; weight: number } | undefined
  #timeFormat: TimeFormat | undefined

  constructor(file: string, ids: Ids) {
    this.#file = file
    this.#ids = ids
  }

  /** `person item item ...` */
  takeLine(_line: number, cells: readonly string[]): void {
    const [person, ...items] = cells.map(cell => cell.trim()).filter(cell => cell !== '')
    if (person === undefined) return
    const owner = numberOf(this.#ids.people, person)
    for (const item of items) {
      this.#people.push(owner)
      this.#items.push(numberOf(this.#ids.items, item))
    }
  }

  /** The first row names the columns. */
  takeRow(line: number, cells: readonly string[]): void {
    if (this.#place === undefined) {
      const names = cells.map(cell => cell.trim().toLowerCase())
      const find = (name: string): number => names.indexOf(name)
      this.#place = { person: find('person'), item: find('item'), at: find('at'), weight: find('weight') } // prettier-ignore
      if (this.#place.person >= 0 && this.#place.item >= 0) return
      throw invalid(this.#file, line, `the header ${names.join(',')} does not name person and item`)
    }
    const place = this.#place
    const [person, item] = [cells[place.person]?.trim() ?? '', cells[place.item]?.trim() ?? '']
    if (person === '' || item === '') throw invalid(this.#file, line, 'person or item is empty')
    const weight = place.weight < 0 ? 1 : this.#weightOf(line, cells[place.weight] ?? '')
    const at = place.at < 0 ? 0 : this.#timeOf(line, cells[place.at] ?? '')
    // Nothing is learned from an event that counts nothing or less.
    if (weight <= 0) return
    this.#people.push(numberOf(this.#ids.people, person))
    this.#items.push(numberOf(this.#ids.items, item))
    if (place.at >= 0) this.#at.push(at)
    if (place.weight >= 0) this.#weights.push(weight)
  }

  finish(): EventColumns {
    if (this.#items.length === 0)
      throw evaluateErrors.create('EVALUATE_FILE_EMPTY', { file: this.#file })
    return {
      people: Int32Array.from(this.#people),
      items: Int32Array.from(this.#items),
      ...(this.#at.length === 0 ? {} : { at: Float64Array.from(this.#at) }),
      ...(this.#weights.length === 0 ? {} : { weights: Float64Array.from(this.#weights) }),
    }
  }

  #weightOf(line: number, text: string): number {
    const weight = text.trim() === '' ? 1 : Number(text)
    if (!Number.isFinite(weight)) throw invalid(this.#file, line, `weight ${text} is no number`)
    return weight
  }

  /** Any numbers order events; other times must be of one known format. */
  #timeOf(line: number, text: string): number {
    const number = Number(text)
    if (text.trim() !== '' && Number.isFinite(number)) return number
    if (this.#timeFormat === undefined) {
      const detected = detectTimeFormat([text])
      if ('reason' in detected) throw invalid(this.#file, line, `at: ${detected.reason}`)
      this.#timeFormat = detected.format
    }
    const at = readTimeText(text, this.#timeFormat)
    if (at === undefined) throw invalid(this.#file, line, `at ${text} is no time like those before`)
    return at
  }
}

function numberOf(ids: Map<string, number>, id: string): number {
  let number = ids.get(id)
  if (number === undefined) {
    number = ids.size
    ids.set(id, number)
  }
  return number
}
