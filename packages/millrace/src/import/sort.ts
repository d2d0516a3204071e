/**
 * External merge sort of imported rows by (event time, id).
 *
 * Promise: any number of rows in bounded memory (one run while reading, one chunk per run while
 * merging); the order depends on the rows only, not on the order in which they came. Cost: every
 * row is written and read once. Failure: DISK_* of the disk; damaged runs are refused
 * (IMPORT_WORK_INVALID). Method: Knuth, The Art of Computer Programming 3, 5.4.
 *
 * A run is a file of rows, little endian, each:
 *
 *     u32  bytes of the row, this field included
 *     f64  event time in milliseconds
 *     u32  line of the file
 *     u16  file        u16  event type
 *     u16  bytes of id u16  bytes of key
 *     id (UTF-8)   key (UTF-8)   payload (JSON, UTF-8)
 */
import type { Disk, DiskFile } from '@millrace/core'
import { importErrors } from './errors.ts'

/** A row on its way through the sort. */
export interface SortedRow {
  readonly eventTimeMs: number
  readonly line: number
  /** Index of its file. */
  readonly file: number
  /** Index of its event type. */
  readonly type: number
  readonly id: string
  readonly key: string
  /** A view of memory that is not reused. */
  readonly payload: Uint8Array
}

const HEADER_BYTES = 24
const CHUNK_BYTES = 256 * 1024
/** Bytes that one character of JSON text can take in UTF-8. */
const CHARACTER_BYTES_MAX = 3

/** Collects rows into sorted runs. */
export class RunWriter {
  readonly #disk: Disk
  readonly #folder: string
  readonly #bytes: Buffer
  #used = 0
  #times: number[] = []
  #offsets: number[] = []
  #runs: string[] = []
  #rows = 0

  constructor(options: { disk: Disk; folder: string; runBytes: number }) {
    this.#disk = options.disk
    this.#folder = options.folder
    this.#bytes = Buffer.allocUnsafeSlow(options.runBytes)
  }

  /** Rows taken so far. */
  get rows(): number {
    return this.#rows
  }

  /** True when the next row of so many characters needs `flush` first. */
  isFull(characters: number): boolean {
    const need = HEADER_BYTES + characters * CHARACTER_BYTES_MAX
    return this.#used > 0 && this.#used + need > this.#bytes.length
  }

  /** Takes a row; `isFull` was false. A row must fit into a run. */
  add(row: {
    eventTimeMs: number
    line: number
    file: number
    type: number
    id: string
    key: string
    json: string
  }): void {
    const bytes = this.#bytes
    const start = this.#used
    let at = start + HEADER_BYTES
    const idBytes = bytes.write(row.id, at, 'utf8')
    at += idBytes
    const keyBytes = bytes.write(row.key, at, 'utf8')
    at += keyBytes
    at += bytes.write(row.json, at, 'utf8')
    bytes.writeUInt32LE(at - start, start)
    bytes.writeDoubleLE(row.eventTimeMs, start + 4)
    bytes.writeUInt32LE(row.line, start + 12)
    bytes.writeUInt16LE(row.file, start + 16)
    bytes.writeUInt16LE(row.type, start + 18)
    bytes.writeUInt16LE(idBytes, start + 20)
    bytes.writeUInt16LE(keyBytes, start + 22)
    this.#times.push(row.eventTimeMs)
    this.#offsets.push(start)
    this.#used = at
    this.#rows += 1
  }

  /** Sorts what was taken and writes it as a run. */
  async flush(): Promise<void> {
    if (this.#offsets.length === 0) return
    const bytes = this.#bytes
    const times = Float64Array.from(this.#times)
    const offsets = Uint32Array.from(this.#offsets)
    const order = Uint32Array.from(offsets.keys()).sort((left, right) => {
      const byTime = (times[left] as number) - (times[right] as number)
      if (byTime !== 0) return byTime
      return compareRows(bytes, offsets[left] as number, bytes, offsets[right] as number)
    })
    const name = `${this.#folder}/run-${this.#runs.length}`
    const file = await this.#disk.open(name, 'write')
    try {
      await file.truncate(0)
      await writeOrdered(file, bytes, offsets, order)
      await file.sync()
    } finally {
      await file.close()
    }
    this.#runs.push(name)
    this.#used = 0
    this.#times = []
    this.#offsets = []
  }

  /** Writes the last run; the names of all. */
  async finish(): Promise<readonly string[]> {
    await this.flush()
    await this.#disk.syncDirectory(this.#folder)
    return this.#runs
  }
}

async function writeOrdered(
  file: DiskFile,
  bytes: Buffer,
  offsets: Uint32Array,
  order: Uint32Array,
): Promise<void> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  let filled = 0
  let position = 0
  const drain = async (): Promise<void> => {
    await file.write(chunk, 0, filled, position)
    position += filled
    filled = 0
  }
  for (const index of order) {
    const start = offsets[index] as number
    const length = bytes.readUInt32LE(start)
    if (filled + length > chunk.length && filled > 0) await drain()
    if (length > chunk.length) {
      await file.write(bytes, start, length, position)
      position += length
    } else {
      filled += bytes.copy(chunk, filled, start, start + length)
    }
  }
  if (filled > 0) await drain()
}

/** By id, then by file and line, so that even copies of a row have an order. */
function compareRows(left: Buffer, leftAt: number, right: Buffer, rightAt: number): number {
  const leftId = leftAt + HEADER_BYTES
  const rightId = rightAt + HEADER_BYTES
  const byId = left.compare(
    right,
    rightId,
    rightId + right.readUInt16LE(rightAt + 20),
    leftId,
    leftId + left.readUInt16LE(leftAt + 20),
  )
  if (byId !== 0) return byId
  const byFile = left.readUInt16LE(leftAt + 16) - right.readUInt16LE(rightAt + 16)
  return byFile === 0 ? left.readUInt32LE(leftAt + 12) - right.readUInt32LE(rightAt + 12) : byFile
}

/** A run as it is merged. */
class RunReader {
  readonly #file: DiskFile
  readonly #name: string
  #chunk: Buffer = Buffer.alloc(0)
  #position = 0
  /** Where the current row begins in the chunk; undefined behind the last one. */
  at: number | undefined = 0
  #next = 0

  constructor(file: DiskFile, name: string) {
    this.#file = file
    this.#name = name
  }

  get chunk(): Buffer {
    return this.#chunk
  }

  /** Moves to the next row if it is in memory; false when `load` is needed. */
  step(): boolean {
    const left = this.#chunk.length - this.#next
    if (left < HEADER_BYTES || left < this.#chunk.readUInt32LE(this.#next)) return false
    this.at = this.#next
    this.#next += this.#chunk.readUInt32LE(this.#next)
    return true
  }

  /** Reads on and moves to the next row. Earlier chunks stay as they are: rows may still be in use. */
  async load(): Promise<void> {
    const rest = this.#chunk.subarray(this.#next)
    const wanted = rest.length >= 4 ? Math.max(CHUNK_BYTES, rest.readUInt32LE(0)) : CHUNK_BYTES
    const chunk = Buffer.allocUnsafeSlow(wanted)
    rest.copy(chunk)
    let filled = rest.length
    while (filled < wanted) {
      const read = await this.#file.read(chunk, filled, wanted - filled, this.#position)
      if (read === 0) break
      filled += read
      this.#position += read
    }
    this.#chunk = chunk.subarray(0, filled)
    this.#next = 0
    if (filled === 0) {
      this.at = undefined
      return
    }
    const length = filled >= HEADER_BYTES ? this.#chunk.readUInt32LE(0) : 0
    if (length < HEADER_BYTES || length > filled) {
      const reason = `a row ends behind the end of the file`
      throw importErrors.create('IMPORT_WORK_INVALID', { path: this.#name, reason })
    }
    this.step()
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

function isBefore(left: RunReader, right: RunReader): boolean {
  const leftAt = left.at as number
  const rightAt = right.at as number
  const byTime = left.chunk.readDoubleLE(leftAt + 4) - right.chunk.readDoubleLE(rightAt + 4)
  if (byTime !== 0) return byTime < 0
  return compareRows(left.chunk, leftAt, right.chunk, rightAt) < 0
}

/** The rows of all runs in order, in batches; the first `skip` of them are left out. */
export async function* mergeRuns(
  disk: Disk,
  runs: readonly string[],
  options: { skip: number; batchRows: number; batchBytes: number },
): AsyncGenerator<SortedRow[]> {
  const readers: RunReader[] = []
  try {
    for (const name of runs) {
      const reader = new RunReader(await disk.open(name, 'read'), name)
      readers.push(reader)
      await reader.load()
    }
    const heap = new Heap(readers.filter(reader => reader.at !== undefined))
    let skip = options.skip
    let batch: SortedRow[] = []
    let batchBytes = 0
    for (let top = heap.top; top !== undefined; top = heap.top) {
      if (skip > 0) {
        skip -= 1
      } else {
        const row = decodeRow(top.chunk, top.at as number)
        batch.push(row)
        batchBytes += row.payload.length
        if (batch.length >= options.batchRows || batchBytes >= options.batchBytes) {
          yield batch
          batch = []
          batchBytes = 0
        }
      }
      if (!top.step()) await top.load()
      heap.settle()
    }
    if (batch.length > 0) yield batch
  } finally {
    for (const reader of readers) await reader.close()
  }
}

function decodeRow(chunk: Buffer, start: number): SortedRow {
  const idStart = start + HEADER_BYTES
  const keyStart = idStart + chunk.readUInt16LE(start + 20)
  const payloadStart = keyStart + chunk.readUInt16LE(start + 22)
  return {
    eventTimeMs: chunk.readDoubleLE(start + 4),
    line: chunk.readUInt32LE(start + 12),
    file: chunk.readUInt16LE(start + 16),
    type: chunk.readUInt16LE(start + 18),
    id: chunk.toString('utf8', idStart, keyStart),
    key: chunk.toString('utf8', keyStart, payloadStart),
    payload: chunk.subarray(payloadStart, start + chunk.readUInt32LE(start)),
  }
}

/** A binary heap of readers, the one with the least row on top. */
class Heap {
  readonly #items: RunReader[]

  constructor(items: RunReader[]) {
    this.#items = items
    for (let index = (items.length >> 1) - 1; index >= 0; index--) this.#sink(index)
  }

  get top(): RunReader | undefined {
    return this.#items[0]
  }

  /** Restores the order after the top moved on, or removes it when it has ended. */
  settle(): void {
    const items = this.#items
    if (items[0]?.at === undefined) {
      const last = items.pop()
      if (items.length === 0 || last === undefined) return
      items[0] = last
    }
    this.#sink(0)
  }

  #sink(start: number): void {
    const items = this.#items
    let index = start
    for (;;) {
      const left = 2 * index + 1
      if (left >= items.length) return
      const right = left + 1
      const isRight =
        right < items.length && isBefore(items[right] as RunReader, items[left] as RunReader)
      const least = isRight ? right : left
      if (!isBefore(items[least] as RunReader, items[index] as RunReader)) return
      ;[items[index], items[least]] = [items[least] as RunReader, items[index] as RunReader]
      index = least
    }
  }
}
