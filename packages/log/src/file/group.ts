/**
 * A group of commit units that is written and synced together. Units are framed straight into its
 * buffer; the checksum and the durable mark of each are set when the group is about to be written,
 * because only then is it known what is durable.
 */
import { crc32 } from 'node:zlib'
import type { StepRecord } from '../step-book.ts'
import { createBytes } from './bytes.ts'
import type { Bytes } from './bytes.ts'
import { TEXT_HEADER_BYTES, UNIT_HEADER_BYTES, UNIT_MAGIC, padded } from './layout.ts'
import type { Partition } from './partition.ts'
import type { Segment } from './segment.ts'

/** Who waits for a group. */
export interface Waiter {
  resolve(): void
  reject(error: unknown): void
}

/** How far a group takes a partition. */
export interface Advance {
  readonly partition: Partition
  readonly end: number
  readonly watermarkMs: number
  readonly tailBytes: number
}

const GROWTH = 2

/** See the head of the file. */
export class Group {
  bytes: Bytes
  readonly segment: Segment
  /** Where the group starts in its segment. */
  readonly position: number
  /** End of what is framed. */
  at = 0
  /** Start of the unit being framed; equals `at` between units. */
  unitStart = 0
  lastUnit = 0
  /** Ingest time of the last unit. */
  lastIngestMs = 0
  records = 0
  readonly unitStarts: number[] = []
  readonly waiters: Waiter[] = []
  readonly advances: Advance[] = []
  readonly steps: StepRecord[] = []

  constructor(segment: Segment, position: number, bytes: Bytes) {
    this.segment = segment
    this.position = position
    this.bytes = bytes
  }

  /** Makes room for `size` more bytes. */
  reserve(size: number): void {
    const needed = this.at + size
    if (needed <= this.bytes.u8.length) return
    const grown = createBytes(Math.max(needed, this.bytes.u8.length * GROWTH))
    this.bytes.u8.copy(grown.u8, 0, 0, this.at)
    this.bytes = grown
  }

  beginUnit(): void {
    this.reserve(UNIT_HEADER_BYTES)
    this.unitStart = this.at
    this.at += UNIT_HEADER_BYTES
  }

  /** Forgets the unit being framed. */
  dropUnit(): void {
    this.at = this.unitStart
  }

  endUnit(number: number, records: number, ingestTimeMs: number): void {
    const start = this.unitStart
    const { u32, f64 } = this.bytes
    u32[start >> 2] = UNIT_MAGIC
    u32[(start >> 2) + 1] = this.at - start
    u32[(start >> 2) + 3] = records
    f64[(start >> 3) + 2] = number
    f64[(start >> 3) + 4] = ingestTimeMs
    f64[(start >> 3) + 5] = 0
    this.unitStarts.push(start)
    this.unitStart = this.at
    this.lastUnit = number
    this.lastIngestMs = ingestTimeMs
    this.records += records
  }

  /** Adds a frame of JSON text. */
  addText(kind: number, value: unknown): void {
    const text = JSON.stringify(value)
    this.reserve(TEXT_HEADER_BYTES + text.length * 3 + 8)
    const start = this.at
    const { u8, u32 } = this.bytes
    const length = u8.write(text, start + TEXT_HEADER_BYTES, 'utf8')
    const end = start + padded(TEXT_HEADER_BYTES + length)
    u8.fill(0, start + TEXT_HEADER_BYTES + length, end)
    u32[start >> 2] = end - start
    u32[(start >> 2) + 1] = kind
    u32[(start >> 2) + 2] = length
    this.at = end
  }

  /** Sets the durable mark and the checksum of every finished unit. */
  seal(durableMark: number): void {
    const { u8, u32, f64 } = this.bytes
    for (let index = 0; index < this.unitStarts.length; index++) {
      const start = this.unitStarts[index] as number
      const end = start + (u32[(start >> 2) + 1] as number)
      f64[(start >> 3) + 3] = durableMark
      u32[(start >> 2) + 2] = crc32(u8.subarray(start + 12, end), this.segment.salt)
    }
  }
}

/** The value of a JSON frame. */
export function readTextFrame(bytes: Bytes, at: number): unknown {
  const length = bytes.u32[(at >> 2) + 2] as number
  const start = at + TEXT_HEADER_BYTES
  return JSON.parse(bytes.u8.toString('utf8', start, start + length))
}
