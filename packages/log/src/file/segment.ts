/** Journal segments: their files, their headers, their preallocation. Layout: `layout.ts`. */
import { crc32 } from 'node:zlib'
import type { Clock, Disk, DiskFile, Random } from '@millrace/core'
import { logErrors } from '../errors.ts'
import { createBytes } from './bytes.ts'
import type { Bytes } from './bytes.ts'
import { FORMAT_VERSION, MAGIC_MASK, SEGMENT_HEADER_BYTES, SEGMENT_MAGIC } from './layout.ts'

const SUFFIX = '.jnl'
const READ_CHUNK_BYTES = 8 * 1024 * 1024

/** What reading the units of a segment takes. */
export interface SegmentSpan {
  readonly path: string
  readonly salt: number
  /** End of the units accepted for it. */
  readonly fill: number
  /** Reads as much of `target` as there is from `position`; resolves to the number of bytes. */
  read(target: Buffer, position: number): Promise<number>
}

/** An open segment. */
export interface Segment extends SegmentSpan {
  readonly number: number
  readonly file: DiskFile
  /** Bytes that are allocated: up to here a sync has no metadata to write. */
  readonly capacity: number
  fill: number
  /** End of the units that were in it when the log was opened. */
  recoveredTo: number
  /** End of the units that are durable. */
  durableTo: number
  /** True once its records and its units are elsewhere: the file goes. */
  isLeaving: boolean
  /** Number of the last unit accepted for it; 0 when there is none. */
  lastUnit: number
  /** True once a unit in it is durable. */
  isBegun: boolean
  /** Readers that are in it now: the file is not closed under them. */
  readers: number
}

/** The ports that segments need. */
export interface SegmentPorts {
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
}

/** The path of a segment. */
export function segmentPath(directory: string, number: number): string {
  return `${directory}/${String(number).padStart(12, '0')}${SUFFIX}`
}

/** The numbers of the segments in a directory, in order. */
export async function listSegments(disk: Disk, directory: string): Promise<number[]> {
  const names = await disk.list(directory)
  const numbers = names.filter(name => /^\d{12}\.jnl$/.test(name)).map(name => parseInt(name, 10))
  return numbers.toSorted((a, b) => a - b)
}

/** Removes segments that a crash left half made. */
export async function removeHalfMade(disk: Disk, directory: string): Promise<void> {
  for (const name of await disk.list(directory)) {
    if (name.endsWith('.tmp')) await disk.remove(`${directory}/${name}`)
  }
}

/**
 * Makes a segment of `bytes` zeros with its header, durable before it gets its name: a segment with
 * a wrong header is therefore damaged, never half made.
 */
export async function createSegment(
  ports: SegmentPorts,
  directory: string,
  number: number,
  options: { bytes: number; chunkBytes: number },
): Promise<Segment> {
  const { disk, clock, random } = ports
  const path = segmentPath(directory, number)
  const temporary = `${path}.tmp`
  await disk.remove(temporary)
  const file = await disk.open(temporary, 'create')
  try {
    const zeros = Buffer.alloc(Math.min(options.chunkBytes, options.bytes))
    for (let at = 0; at < options.bytes; at += zeros.length) {
      await file.write(zeros, 0, Math.min(zeros.length, options.bytes - at), at)
      // Often, so that no single sync holds up the journal on the same volume.
      await file.sync()
    }
    const header = createBytes(SEGMENT_HEADER_BYTES)
    header.u8.fill(0)
    random.fill(header.u8.subarray(8, 12))
    header.u32[0] = SEGMENT_MAGIC
    header.f64[2] = number
    header.f64[3] = clock.nowMs()
    header.u32[1] = crc32(header.u8.subarray(8))
    await file.write(header.u8, 0, SEGMENT_HEADER_BYTES, 0)
    await file.sync()
    await disk.rename(temporary, path)
    await disk.syncDirectory(directory)
    return openedSegment(path, number, file, header.u32[2] as number, options.bytes)
  } catch (error) {
    await file.close()
    throw error
  }
}

function openedSegment(
  path: string,
  number: number,
  file: DiskFile,
  salt: number,
  capacity: number,
): Segment {
  const fill = SEGMENT_HEADER_BYTES
  return {
    number,
    path,
    file,
    salt,
    capacity,
    fill,
    recoveredTo: fill,
    durableTo: fill,
    isLeaving: false,
    lastUnit: 0,
    isBegun: false,
    readers: 0,
    read: (target, position) => readFully(file, target, position),
  }
}

/** Reads until `target` is full or the file ends; resolves to the number of bytes. */
export async function readFully(file: DiskFile, target: Buffer, position: number): Promise<number> {
  let have = 0
  while (have < target.length) {
    const count = await file.read(target, have, target.length - have, position + have)
    if (count === 0) break
    have += count
  }
  return have
}

/** Opens a segment and reads all of it. Refuses a wrong header (LOG_DAMAGED, LOG_FORMAT_UNKNOWN). */
export async function loadSegment(
  disk: Disk,
  directory: string,
  number: number,
  mode: 'read' | 'write' = 'write',
): Promise<{ segment: Segment; bytes: Bytes; size: number }> {
  const path = segmentPath(directory, number)
  const file = await disk.open(path, mode)
  try {
    const size = await file.size()
    const bytes = createBytes(Math.max(size, SEGMENT_HEADER_BYTES))
    if (size < SEGMENT_HEADER_BYTES) bytes.u8.fill(0)
    for (let at = 0; at < size;) {
      const count = await file.read(bytes.u8, at, Math.min(READ_CHUNK_BYTES, size - at), at)
      if (count === 0) break
      at += count
    }
    checkHeader(path, bytes, number)
    const salt = bytes.u32[2] as number
    return { segment: openedSegment(path, number, file, salt, size), bytes, size }
  } catch (error) {
    await file.close()
    throw error
  }
}

function checkHeader(path: string, { u8, u32, f64 }: Bytes, number: number): void {
  const magic = u32[0] as number
  if ((magic & MAGIC_MASK) === (SEGMENT_MAGIC & MAGIC_MASK) && magic >>> 24 > FORMAT_VERSION) {
    throw logErrors.create('LOG_FORMAT_UNKNOWN', {
      file: path,
      found: magic >>> 24,
      known: FORMAT_VERSION,
    })
  }
  const isWhole =
    magic === SEGMENT_MAGIC &&
    u32[1] === crc32(u8.subarray(8, SEGMENT_HEADER_BYTES)) &&
    f64[2] === number
  if (isWhole) return
  throw logErrors.create('LOG_DAMAGED', {
    file: path,
    at: 0,
    reason: 'its header does not match its checksum',
    affected: 'every record of this segment and of those after it',
    goOn: `move ${path} and the later segments of its directory away`,
  })
}
