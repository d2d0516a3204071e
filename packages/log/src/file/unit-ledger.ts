/**
 * The ledger of a segment: its units without their records, kept for ever when the segment is split.
 *
 * Split files hold the records of a partition; which of them became durable together, which steps
 * came with them and which names and streams there were by then is in the units alone. With the
 * ledger the log can be cut behind any of its units, however long ago: that is what a restore to a
 * moment is. Bytes: those of a segment, with the magic "MRL", and in each unit one frame in place
 * of all its records:
 *
 *   frame of an advance (kind 6)
 *     0 length  4 kind  8 entries: stream (2), partition (2), records (4)
 *
 * Cost: about 70 bytes a unit, 8 for each partition that it touched, and the frames of its steps.
 */
import { crc32 } from 'node:zlib'
import type { Disk, DiskFile } from '@millrace/core'
import { logErrors } from '../errors.ts'
import { createBytes } from './bytes.ts'
import type { Bytes } from './bytes.ts'
import { frameField } from './frames.ts'
import {
  FORMAT_VERSION,
  KIND,
  LEDGER_MAGIC,
  MAGIC_MASK,
  SEGMENT_HEADER_BYTES,
  UNIT_HEADER_BYTES,
} from './layout.ts'
import type { Unit } from './scan.ts'
import { readFully } from './segment.ts'
import type { Segment } from './segment.ts'

const SUFFIX = '.units'
const ADVANCE_HEADER_BYTES = 8
const WRITE_BYTES = 1024 * 1024

/** A ledger on disk. */
export interface LedgerFile {
  /** Number of the segment that it was. */
  readonly number: number
  readonly path: string
  readonly bytes: number
}

/** The directory of the ledgers of a log. */
export function ledgerDirectory(root: string): string {
  return `${root}/units`
}

/** The path of the ledger of a segment. */
export function ledgerPath(root: string, number: number): string {
  return `${ledgerDirectory(root)}/${String(number).padStart(12, '0')}${SUFFIX}`
}

/** The ledgers of a log, in order. Removes what a crash left half written. */
export async function listLedgers(disk: Disk, root: string): Promise<LedgerFile[]> {
  const directory = ledgerDirectory(root)
  const found: LedgerFile[] = []
  for (const name of await disk.list(directory)) {
    const path = `${directory}/${name}`
    if (name.endsWith('.tmp')) await disk.remove(path)
    else if (/^\d{12}\.units$/.test(name)) {
      found.push({ number: parseInt(name, 10), path, bytes: (await disk.sizeOf(path)) ?? 0 })
    }
  }
  return found
}

/** Writes the ledger of one segment aside; it gets its name when it is whole and synced. */
export class LedgerWriter {
  readonly #disk: Disk
  readonly #root: string
  readonly #number: number
  readonly #salt: number
  readonly #path: string
  #file: DiskFile | undefined
  #bytes: Bytes = createBytes(WRITE_BYTES)
  #at = SEGMENT_HEADER_BYTES
  #written = 0
  /** Scratch: records of a unit by stream and partition. */
  readonly #records = new Map<number, number>()

  constructor(disk: Disk, root: string, segment: Pick<Segment, 'number' | 'salt'>) {
    this.#disk = disk
    this.#root = root
    this.#number = segment.number
    this.#salt = segment.salt
    this.#path = ledgerPath(root, segment.number)
    const { u8, u32, f64 } = this.#bytes
    u8.fill(0, 0, SEGMENT_HEADER_BYTES)
    u32[0] = LEDGER_MAGIC
    u32[2] = segment.salt
    f64[2] = segment.number
    u32[1] = crc32(u8.subarray(8, SEGMENT_HEADER_BYTES))
  }

  /** True when much waits to be written: await `flush` before the next `take`. */
  get isFull(): boolean {
    return this.#at >= WRITE_BYTES
  }

  /** Takes the next unit, which was verified. */
  take(source: Bytes, unit: Pick<Unit, 'at' | 'length'>): void {
    const end = unit.at + unit.length
    const start = this.#at
    this.#copy(source, unit.at, UNIT_HEADER_BYTES)
    this.#records.clear()
    for (let at = unit.at + UNIT_HEADER_BYTES; at < end;) {
      const length = frameField.length(source, at)
      if (frameField.kind(source, at) === KIND.record) {
        const place = frameField.partition(source, at) * 65_536 + frameField.stream(source, at)
        this.#records.set(place, (this.#records.get(place) ?? 0) + 1)
      } else this.#copy(source, at, length)
      at += length
    }
    this.#addAdvance()
    const { u8, u32 } = this.#bytes
    u32[(start >> 2) + 1] = this.#at - start
    u32[(start >> 2) + 2] = crc32(u8.subarray(start + 12, this.#at), this.#salt)
  }

  /** Writes what waits. */
  async flush(): Promise<void> {
    if (this.#file === undefined) {
      await this.#disk.makeDirectory(ledgerDirectory(this.#root))
      await this.#disk.syncDirectory(this.#root)
      await this.#disk.remove(this.#temporary)
      this.#file = await this.#disk.open(this.#temporary, 'create')
    }
    await this.#file.write(this.#bytes.u8, 0, this.#at, this.#written)
    this.#written += this.#at
    this.#at = 0
  }

  /** Makes the ledger durable under its name, which may have been there already. */
  async finish(): Promise<LedgerFile> {
    await this.flush()
    await this.#file?.sync()
    await this.#file?.close()
    this.#file = undefined
    await this.#disk.rename(this.#temporary, this.#path)
    await this.#disk.syncDirectory(ledgerDirectory(this.#root))
    return { number: this.#number, path: this.#path, bytes: this.#written }
  }

  /** Forgets a ledger that is not finished. */
  async abandon(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    if (file === undefined) return
    await file.close()
    await this.#disk.remove(this.#temporary)
  }

  get #temporary(): string {
    return `${this.#path}.tmp`
  }

  #addAdvance(): void {
    if (this.#records.size === 0) return
    const length = ADVANCE_HEADER_BYTES + this.#records.size * 8
    this.#reserve(length)
    const word = this.#at >> 2
    const { u32 } = this.#bytes
    u32[word] = length
    u32[word + 1] = KIND.advance
    let entry = word + 2
    for (const [place, records] of this.#records) {
      u32[entry++] = place
      u32[entry++] = records
    }
    this.#at += length
  }

  #copy(source: Bytes, at: number, length: number): void {
    this.#reserve(length)
    source.u8.copy(this.#bytes.u8, this.#at, at, at + length)
    this.#at += length
  }

  #reserve(length: number): void {
    if (this.#at + length <= this.#bytes.u8.length) return
    const grown = createBytes(Math.max(this.#at + length, this.#bytes.u8.length * 2))
    this.#bytes.u8.copy(grown.u8, 0, 0, this.#at)
    this.#bytes = grown
  }
}

/** How many records a unit added to each partition, from its advance frame. */
export function* readAdvance(
  { u32 }: Bytes,
  at: number,
): Generator<{ stream: number; partition: number; records: number }, void> {
  const word = at >> 2
  const end = word + ((u32[word] as number) >> 2)
  for (let entry = word + 2; entry < end; entry += 2) {
    const place = u32[entry] as number
    const stream = place % 65_536
    yield { stream, partition: (place - stream) / 65_536, records: u32[entry + 1] as number }
  }
}

/** Reads a ledger into memory. Refuses a wrong header (LOG_DAMAGED, LOG_FORMAT_UNKNOWN). */
export async function loadLedger(
  disk: Disk,
  path: string,
): Promise<{ bytes: Bytes; size: number; salt: number; number: number }> {
  const file = await disk.open(path, 'read')
  try {
    const size = await file.size()
    const bytes = createBytes(Math.max(size, SEGMENT_HEADER_BYTES))
    if (size < SEGMENT_HEADER_BYTES) bytes.u8.fill(0)
    await readFully(file, bytes.u8.subarray(0, size), 0)
    const { u8, u32, f64 } = bytes
    const magic = u32[0] as number
    if ((magic & MAGIC_MASK) === (LEDGER_MAGIC & MAGIC_MASK) && magic >>> 24 > FORMAT_VERSION) {
      const details = { file: path, found: magic >>> 24, known: FORMAT_VERSION }
      throw logErrors.create('LOG_FORMAT_UNKNOWN', details)
    }
    if (magic !== LEDGER_MAGIC || u32[1] !== crc32(u8.subarray(8, SEGMENT_HEADER_BYTES))) {
      throw damagedLedger(path, 0)
    }
    return { bytes, size, salt: u32[2] as number, number: f64[2] as number }
  } finally {
    await file.close()
  }
}

/** The refusal for a ledger that is not what was written. */
export function damagedLedger(path: string, at: number): Error {
  return logErrors.create('LOG_DAMAGED', {
    file: path,
    at,
    reason: 'the ledger of a segment does not match its checksum',
    affected: 'restores to a moment within this segment; no record is',
    goOn: 'restore to the end of a backup, which needs no ledger',
  })
}
