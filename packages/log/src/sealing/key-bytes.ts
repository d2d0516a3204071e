/**
 * The bytes of keys: of the file of the store, and of the object that a backup keeps them in.
 *
 *   0 magic "MRK"  3 version  4 zero (4)
 *   then batches, each written at once:
 *     0 length of its entries (4)  4 crc32 of them (4)
 *     entries: 0 kind, 1 key or 2 destroyed  1 length of the name (2)  3 name in UTF-8, key (32) of kind 1
 */
import { crc32 } from 'node:zlib'
import { logErrors } from '../errors.ts'
import { KEY_BYTES, type KeyEntry } from './keys.ts'

const HEADER = Buffer.from([0x4d, 0x52, 0x4b, 1, 0, 0, 0, 0])
const BATCH_HEADER_BYTES = 8
const LIVING = 1
const DESTROYED = 2
/** Entries of one batch. */
const BATCH_ENTRIES_MAX = 4096

/** A whole file of entries. */
export function keyFileBytes(entries: Iterable<KeyEntry>): Buffer {
  const parts: Buffer[] = [HEADER]
  let batch: KeyEntry[] = []
  for (const entry of entries) {
    if (batch.push(entry) < BATCH_ENTRIES_MAX) continue
    parts.push(keyBatchBytes(batch))
    batch = []
  }
  if (batch.length > 0) parts.push(keyBatchBytes(batch))
  return Buffer.concat(parts)
}

/** One batch. */
export function keyBatchBytes(entries: readonly KeyEntry[]): Buffer {
  const parts = entries.flatMap(({ name, key }) => {
    const text = Buffer.from(name, 'utf8')
    const head = Buffer.alloc(3)
    head.writeUInt8(key === undefined ? DESTROYED : LIVING, 0)
    head.writeUInt16LE(text.length, 1)
    return key === undefined ? [head, text] : [head, text, key]
  })
  const body = Buffer.concat(parts)
  const head = Buffer.alloc(BATCH_HEADER_BYTES)
  head.writeUInt32LE(body.length, 0)
  head.writeUInt32LE(crc32(body), 4)
  return Buffer.concat([head, body])
}

/**
 * The entries of a file, and where its last whole batch ends: what is behind it was being written when
 * the process died, and nothing was sealed with it yet. Throws KEYS_DAMAGED.
 */
export function readKeyBytes(
  bytes: Buffer,
  file: string,
): { readonly entries: readonly KeyEntry[]; readonly end: number } {
  const damaged = (at: number, reason: string): Error =>
    logErrors.create('KEYS_DAMAGED', { file, at, reason })
  if (bytes.length < HEADER.length) return { entries: [], end: 0 }
  const version = bytes[3] as number
  if (!bytes.subarray(0, 3).equals(HEADER.subarray(0, 3))) throw damaged(0, 'it is no file of keys')
  if (version !== HEADER[3]) {
    throw logErrors.create('LOG_FORMAT_UNKNOWN', { file, found: version, known: HEADER[3] })
  }
  const entries: KeyEntry[] = []
  let at = HEADER.length
  while (at + BATCH_HEADER_BYTES <= bytes.length) {
    const start = at + BATCH_HEADER_BYTES
    const end = start + bytes.readUInt32LE(at)
    if (end > bytes.length) break
    const body = bytes.subarray(start, end)
    if (end === start || crc32(body) !== bytes.readUInt32LE(at + 4)) {
      // What a crash cut off is the end of the file, or zeros up to there.
      if (end === bytes.length || isZero(bytes.subarray(at))) break
      throw damaged(at, 'the checksum of a batch does not match')
    }
    readBatch(body, entries)
    at = end
  }
  return { entries, end: at }
}

function readBatch(body: Buffer, entries: KeyEntry[]): void {
  for (let at = 0; at < body.length;) {
    const isLiving = body.readUInt8(at) === LIVING
    const nameEnd = at + 3 + body.readUInt16LE(at + 1)
    const name = body.toString('utf8', at + 3, nameEnd)
    at = isLiving ? nameEnd + KEY_BYTES : nameEnd
    entries.push(isLiving ? { name, key: Uint8Array.from(body.subarray(nameEnd, at)) } : { name })
  }
}

function isZero(bytes: Buffer): boolean {
  return bytes.every(byte => byte === 0)
}
