/**
 * The bytes of a snapshot file. Numbers are little-endian, checksums CRC-32 (zlib).
 *
 *   file    +0   8  "MRSNAP01"
 *           +8   4  length of the facts, m
 *           +12  4  checksum of the facts
 *           +16  m  the facts: JSON in UTF-8, with the name of the snapshot
 *   chunk   +0   4  length, 0 .. CHUNK_BYTES_MAX
 *           +4   4  checksum of the bytes
 *           +8   n  the bytes
 *   end     +0   4  0xffffffff
 *           +4   4  checksum of the 16 bytes at the start and the 8 bytes before each chunk, in order
 *
 * The end's checksum covers the number, order, lengths and checksums of the chunks, and so the
 * whole. A file that does not end right there is damaged.
 */
import { crc32 } from 'node:zlib'
import type { DiskFile } from '@millrace/core'
import { checkChunk, parseMeta } from '../checks.ts'
import { storeErrors } from '../errors.ts'
import { CHUNK_BYTES_MAX, type SnapshotMeta } from '../snapshots.ts'

const MAGIC = new TextEncoder().encode('MRSNAP01')
const END = 0xffffffff
const HEAD_BYTES = 16
const META_BYTES_MAX = 16 * 1024 * 1024
const BUFFER_BYTES = 256 * 1024

/** Writes a snapshot into an empty file and syncs it. Memory: one buffer of 256 KiB and the chunk at hand. */
export async function writeSnapshot(
  file: DiskFile,
  name: string,
  metaJson: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const meta = new TextEncoder().encode(metaJson)
  if (meta.length > META_BYTES_MAX) {
    const reason = `its facts have ${meta.length} bytes, at most ${META_BYTES_MAX} are allowed`
    throw storeErrors.create('SNAPSHOT_INVALID', { name, reason })
  }
  const writer = createWriter(file)
  const head = new Uint8Array(HEAD_BYTES)
  head.set(MAGIC)
  pair(head, 8, meta.length, crc32(meta))
  let whole = crc32(head)
  await writer.put(head)
  await writer.put(meta)
  for await (const chunk of chunks) {
    checkChunk(name, chunk)
    const before = pair(new Uint8Array(8), 0, chunk.length, crc32(chunk))
    whole = crc32(before, whole)
    await writer.put(before)
    await writer.put(chunk)
  }
  await writer.put(pair(new Uint8Array(8), 0, END, whole))
  await writer.flush()
  await file.sync()
}

/**
 * Reads the whole file once and checks every byte of it; resolves to its facts. Throws
 * SNAPSHOT_DAMAGED. Memory: one buffer and the facts, whatever the lengths in the file say.
 */
export async function verifySnapshot(
  file: DiskFile,
  path: string,
  name: string,
): Promise<SnapshotMeta> {
  const reader = await createReader(file, path)
  const { meta, whole: start } = await readHead(reader, name)
  let whole = start
  for (;;) {
    const before = await reader.take(8)
    const [length, checksum] = unpair(before, 0)
    if (length === END) {
      if (checksum !== whole) throw reader.damaged('the checksum of the whole does not match')
      if (reader.left() !== 0) throw reader.damaged('bytes follow its end')
      return meta
    }
    whole = crc32(before, whole)
    if (length > CHUNK_BYTES_MAX) throw reader.damaged('the length of a chunk is impossible')
    if ((await reader.checksum(length)) !== checksum) {
      throw reader.damaged('the checksum of a chunk does not match')
    }
  }
}

/** The chunks of a file that `verifySnapshot` accepted, checked once more as they are read. */
export async function* readChunks(
  file: DiskFile,
  path: string,
  name: string,
): AsyncGenerator<Uint8Array> {
  const reader = await createReader(file, path)
  await readHead(reader, name)
  for (;;) {
    const [length, checksum] = unpair(await reader.take(8), 0)
    if (length === END) return
    if (length > CHUNK_BYTES_MAX) throw reader.damaged('the length of a chunk is impossible')
    const chunk = await reader.take(length)
    if (crc32(chunk) !== checksum) throw reader.damaged('the checksum of a chunk does not match')
    yield chunk
  }
}

async function readHead(
  reader: Reader,
  name: string,
): Promise<{ meta: SnapshotMeta; whole: number }> {
  const head = await reader.take(HEAD_BYTES)
  if (MAGIC.some((byte, index) => head[index] !== byte)) {
    throw reader.damaged('it does not start as a snapshot of this format')
  }
  const [length, checksum] = unpair(head, 8)
  if (length > META_BYTES_MAX) throw reader.damaged('the length of its facts is impossible')
  const bytes = await reader.take(length)
  if (crc32(bytes) !== checksum) throw reader.damaged('the checksum of its facts does not match')
  const meta = parseMeta(name, new TextDecoder().decode(bytes))
  if (meta === undefined) throw reader.damaged('its facts are of another snapshot')
  return { meta, whole: crc32(head) }
}

function pair(target: Uint8Array, at: number, first: number, second: number): Uint8Array {
  const view = new DataView(target.buffer, target.byteOffset, target.length)
  view.setUint32(at, first, true)
  view.setUint32(at + 4, second, true)
  return target
}

function unpair(source: Uint8Array, at: number): [number, number] {
  const view = new DataView(source.buffer, source.byteOffset, source.length)
  return [view.getUint32(at, true), view.getUint32(at + 4, true)]
}

interface Writer {
  put(bytes: Uint8Array): Promise<void>
  flush(): Promise<void>
}

function createWriter(file: DiskFile): Writer {
  const buffer = new Uint8Array(BUFFER_BYTES)
  let filled = 0
  let position = 0
  const flush = async (): Promise<void> => {
    if (filled === 0) return
    await file.write(buffer, 0, filled, position)
    position += filled
    filled = 0
  }
  return {
    flush,
    async put(bytes) {
      if (filled + bytes.length > BUFFER_BYTES) await flush()
      if (bytes.length > BUFFER_BYTES) {
        await file.write(bytes, 0, bytes.length, position)
        position += bytes.length
        return
      }
      buffer.set(bytes, filled)
      filled += bytes.length
    },
  }
}

interface Reader {
  /** The next `length` bytes, in memory of their own. */
  take(length: number): Promise<Uint8Array>
  /** The checksum of the next `length` bytes, without keeping them. */
  checksum(length: number): Promise<number>
  /** Bytes up to the end of the file. */
  left(): number
  damaged(reason: string): Error
}

async function createReader(file: DiskFile, path: string): Promise<Reader> {
  const size = await file.size()
  const buffer = new Uint8Array(BUFFER_BYTES)
  let position = 0
  let from = 0
  let to = 0
  const left = (): number => size - position + (to - from)
  const damaged = (reason: string): Error =>
    storeErrors.create('SNAPSHOT_DAMAGED', { file: path, at: size - left(), reason })
  const read = async (target: Uint8Array, offset: number, length: number): Promise<number> => {
    const count = await file.read(target, offset, length, position)
    if (count === 0) throw damaged('it ends too early')
    position += count
    return count
  }
  /** The next bytes in the buffer, at most `max`. */
  const some = async (max: number): Promise<Uint8Array> => {
    if (from === to) {
      to = await read(buffer, 0, Math.min(BUFFER_BYTES, size - position))
      from = 0
    }
    const end = Math.min(to, from + max)
    const bytes = buffer.subarray(from, end)
    from = end
    return bytes
  }
  return {
    left,
    damaged,
    async take(length) {
      if (length > left()) throw damaged('it ends too early')
      const bytes = new Uint8Array(length)
      let have = 0
      while (have < length) {
        if (from === to && length - have >= BUFFER_BYTES) {
          have += await read(bytes, have, length - have)
        } else {
          const part = await some(length - have)
          bytes.set(part, have)
          have += part.length
        }
      }
      return bytes
    },
    async checksum(length) {
      if (length > left()) throw damaged('it ends too early')
      let sum = 0
      for (let missing = length; missing > 0;) {
        const part = await some(missing)
        sum = crc32(part, sum)
        missing -= part.length
      }
      return sum
    },
  }
}
