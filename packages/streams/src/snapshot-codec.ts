/**
 * The layout of a fold's snapshot. Each chunk starts with a byte that tells what it is; partitions
 * follow one another, each a consistent cut of its own:
 *
 *   1 | JSON {partition, consumed, watermarkMs, parked, tables}     begins a partition
 *   2 | bytes of encodeShared                                       at most once
 *   3 | { u32 key bytes | u32 state bytes | key UTF-8 | state }...  keys, little endian
 *   4 | a chunk of the shard's own encode                           instead of 3
 *   5 |                                                             ends a partition
 *
 * A partition without its end is not restored, so that a cut-off iteration leaves no half state.
 */
import type { Lane } from './lane.ts'
import { streamsErrors } from './errors.ts'
import type { Slices } from './slices.ts'

const HEADER = 1
const SHARED = 2
const KEYS = 3
const SHARD = 4
const END = 5
const CHUNK_BYTES = 256 * 1024

/** What a snapshot says about one partition beside its state. */
export interface LaneHeader {
  readonly partition: number
  readonly consumed: number
  /** Null before the first record: JSON has no infinity. */
  readonly watermarkMs: number | null
  readonly parked: readonly {
    readonly key: string
    readonly offset: number
    readonly error: string
    readonly attempts: number
    readonly waiting: number
    readonly sinceMs: number
    readonly group: readonly string[]
  }[]
  /** Consumed offsets of the tables that the state has seen, by `fold/partition`. */
  readonly tables: Readonly<Record<string, number>>
}

/** One partition of a snapshot, read and not yet restored. */
export interface LaneImage {
  readonly header: LaneHeader
  shared: Uint8Array | undefined
  readonly keys: Uint8Array[]
  readonly shard: Uint8Array[]
}

/** The chunks of one lane. The lane must not fold meanwhile. */
export async function* encodeLane(
  lane: Lane,
  tables: Readonly<Record<string, number>>,
  slices: Slices,
): AsyncGenerator<Uint8Array> {
  const { shard } = lane
  yield tagged(HEADER, Buffer.from(JSON.stringify(headerOf(lane, tables)), 'utf8'))
  const shared = shard.encodeShared?.()
  if (shared !== undefined) yield tagged(SHARED, shared)
  if (shard.encode !== undefined) {
    for (const chunk of shard.encode()) {
      yield tagged(SHARD, chunk)
      await slices.pause()
    }
  } else {
    yield* encodeKeys(lane, slices)
  }
  yield Uint8Array.of(END)
}

async function* encodeKeys(lane: Lane, slices: Slices): AsyncGenerator<Uint8Array> {
  let frames: Uint8Array[] = [Uint8Array.of(KEYS)]
  let bytes = 1
  for (const key of lane.shard.keys()) {
    const state = lane.shard.encodeKey(key)
    if (state === undefined) continue
    const name = Buffer.from(key, 'utf8')
    const lengths = Buffer.allocUnsafe(8)
    lengths.writeUInt32LE(name.length, 0)
    lengths.writeUInt32LE(state.length, 4)
    frames.push(lengths, name, state)
    bytes += 8 + name.length + state.length
    if (bytes >= CHUNK_BYTES) {
      yield Buffer.concat(frames, bytes)
      frames = [Uint8Array.of(KEYS)]
      bytes = 1
    }
    await slices.pause()
  }
  if (bytes > 1) yield Buffer.concat(frames, bytes)
}

function headerOf(lane: Lane, tables: Readonly<Record<string, number>>): LaneHeader {
  return {
    partition: lane.partition,
    consumed: lane.consumed,
    watermarkMs: Number.isFinite(lane.watermarkMs) ? lane.watermarkMs : null,
    parked: [...lane.parked.values()].map(entry => ({ ...entry, group: [...entry.group] })),
    tables,
  }
}

function tagged(tag: number, body: Uint8Array): Uint8Array {
  const chunk = new Uint8Array(1 + body.length)
  chunk[0] = tag
  chunk.set(body, 1)
  return chunk
}

/** Reads the partitions of a snapshot one after the other, each complete. */
export async function* readLanes(
  fold: string,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<LaneImage> {
  let image: LaneImage | undefined
  for await (const chunk of chunks) {
    const body = chunk.subarray(1)
    const tag = chunk[0]
    if (tag === HEADER) {
      const header = JSON.parse(Buffer.from(body).toString('utf8')) as LaneHeader
      image = { header, shared: undefined, keys: [], shard: [] }
      continue
    }
    if (image === undefined) throw unreadable(fold, 'a chunk stands outside of a partition')
    if (tag === SHARED) image.shared = body
    else if (tag === KEYS) image.keys.push(body)
    else if (tag === SHARD) image.shard.push(body)
    else if (tag === END) {
      yield image
      image = undefined
    } else throw unreadable(fold, `a chunk has the unknown tag ${tag}`)
  }
}

/** Gives a fresh lane the state of an image. */
export function restoreLane(lane: Lane, image: LaneImage): void {
  const { shard } = lane
  if (image.shard.length > 0) {
    if (shard.decode === undefined)
      throw unreadable(lane.definition.name, 'the shard cannot decode')
    shard.decode(image.shard)
  }
  for (const chunk of image.keys) {
    const view = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    for (let at = 0; at < view.length;) {
      const keyEnd = at + 8 + view.readUInt32LE(at)
      const stateEnd = keyEnd + view.readUInt32LE(at + 4)
      shard.decodeKey(view.toString('utf8', at + 8, keyEnd), chunk.subarray(keyEnd, stateEnd))
      at = stateEnd
    }
  }
  if (image.shared !== undefined) {
    if (shard.decodeShared === undefined) {
      throw unreadable(lane.definition.name, 'the shard cannot decode its shared state')
    }
    shard.decodeShared(image.shared)
  }
  const { header } = image
  lane.consumed = header.consumed
  lane.watermarkMs = header.watermarkMs ?? Number.NEGATIVE_INFINITY
  for (const entry of header.parked) lane.restoreParked(entry, entry)
  for (const entry of header.parked) lane.regroup(entry.group)
}

function unreadable(fold: string, reason: string): Error {
  return streamsErrors.create('SNAPSHOT_UNREADABLE', { fold, reason })
}
