/**
 * The bytes of the journal. Everything is little-endian; units and frames start at multiples of
 * eight, so that their numbers are read through typed arrays. Numbers of eight bytes are doubles
 * holding whole numbers.
 *
 *   segment   header (64)
 *     0 magic "MRJ"  3 version  4 crc32 of 8..64  8 salt  16 segment number  24 created at
 *   then units, one after the other, then zeros to the end of the file.
 *
 *   unit      header (48)
 *     0 magic "MRU"  3 version  4 length of the unit, header included
 *     8 crc32 of 12..length, started from the salt of the segment
 *    12 records  16 unit number  24 durable mark  32 ingest time  40 zero
 *    48 frames
 *
 *   frame of a record (kind 1)
 *     0 length  4 kind  5 flags  6 stream  8 partition  10 type  12 tenant (4)  16 definition
 *    18 bytes of the key  20 bytes of the id  22 zero  24 generation (4)  28 bytes of the extras (4)
 *    32 bytes of the payload (4)  36 zero  40 offset  48 event time  56 ingest time  64 watermark
 *    72 key, id, extras, payload, zeros to a multiple of eight
 *   extras, each present when its flag is set
 *     keys:    count (2), then length (2) and text of each
 *     headers: length (4) and JSON text
 *     sealed:  length (2) and text of the person, length (4) and bytes of the sealed part
 *
 *   every other frame
 *     0 length  4 kind  8 bytes of the text (4)  12 JSON text, zeros to a multiple of eight
 *
 * The salt is random: bytes that an earlier use of the disk or a payload left behind never pass as
 * a unit of this segment. Streams, types, definitions and tenants are written as numbers, which a
 * NAME or STREAM frame gives out before their first use and the checkpoint that opens each segment
 * repeats, so that a segment can be read without its predecessors.
 */
import { endianness } from 'node:os'
import { invariant } from '@millrace/core'

invariant(endianness() === 'LE', 'the log is read through typed arrays of a little-endian machine')

export const FORMAT_VERSION = 1
export const SEGMENT_MAGIC = magicOf('MRJ')
export const UNIT_MAGIC = magicOf('MRU')
export const SPLIT_MAGIC = magicOf('MRS')
export const LEDGER_MAGIC = magicOf('MRL')
export const MAGIC_MASK = 0x00ffffff

export const SEGMENT_HEADER_BYTES = 64
export const UNIT_HEADER_BYTES = 48
export const RECORD_HEADER_BYTES = 72
export const TEXT_HEADER_BYTES = 12

/** Kinds of frames; advances stand in ledgers only (`unit-ledger.ts`). */
export const KIND = { record: 1, name: 2, stream: 3, step: 4, checkpoint: 5, advance: 6 } as const

/** Flags of a record. */
export const FLAG = {
  history: 1,
  envelope: 2,
  sealed: 4,
  headers: 8,
  keys: 16,
  /** Its id is not in the duplicate index. */
  unique: 32,
} as const

function magicOf(letters: string): number {
  const [a, b, c] = [0, 1, 2].map(index => letters.charCodeAt(index)) as [number, number, number]
  return a | (b << 8) | (c << 16) | (FORMAT_VERSION << 24)
}

/** The next multiple of eight. */
export function padded(bytes: number): number {
  return (bytes + 7) & ~7
}
