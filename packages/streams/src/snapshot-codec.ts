/**
 * The layout of a fold's snapshot. Each chunk starts with a byte that tells what it is; partitions
 * follow one another, each a consistent cut of its own:
 *
 *   1 | JSON {partition, consumed, corrected, watermarkMs, parked,
 *       tables, tablesCorrected}                                  begins a partition
 *   2 | bytes of encodeShared                                       at most once
 *   3 | { u32 key bytes | u32 state bytes | key UTF-8 | state }...  keys, little endian
 *   4 |                                                             ends a partition
 *
 * A partition without its end is not restored, so that a cut-off iteration leaves no half state.
 */
import { streamsErrors } from './errors.ts'
import type { FoldShard } from './fold.ts'
import type { Lane } from './lane.ts'
import type { Slices } from './slices.ts'

const HEADER = 1
const SHARED = 2
const KEYS = 3
const END = 4

/** What a state has seen of the tables that it joins, by `fold/partition`. */
export interface SeenTables {
  /** Consumed offsets. */
  readonly tables: Readonly<Record<string, number>>
  /** How many records of corrections the rows reflected; absent in snapshots of versions before. */
  readonly tablesCorrected?: Readonly<Record<string, number>>
}

/** What a snapshot says about one partition beside its state. */
export interface LaneHeader extends SeenTables {
  readonly partition: number
  readonly consumed: number
  /** How many records of corrections the state reflects; absent: none. */
  readonly corrected?: number
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
}

/** One partition of a snapshot, read and not yet restored. */
export interface LaneImage {
  readonly header: LaneHeader
  shared: Uint8Array | undefined
  readonly keys: Uint8Array[]
}

/** Bytes of keys that are gathered before they are written; one with a larger state is written alone. */
const CHUNK_BYTES = 256 * 1024

/**
 * A consistent cut of one lane, which folds on while the cut is written: a key is encoded before its
 * first change after the cut, or when its turn comes. Memory: the encoded keys that are not written
 * yet, and a name for each key. Begin it while the lane stands still, and `end` it.
 */
export class LaneCapture {
  readonly #lane: Lane
  readonly #encoded = new Set<string>()
  /** Chunks that are whole. */
  readonly #full: Uint8Array[] = []
  #chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  #filled = 0

  constructor(lane: Lane, seen: SeenTables) {
    this.#lane = lane
    this.#full.push(tagged(HEADER, Buffer.from(JSON.stringify(headerOf(lane, seen)), 'utf8')))
    const shared = lane.shard.encodeShared?.()
    if (shared !== undefined) this.#full.push(tagged(SHARED, shared))
    lane.capture = this
  }

  /** The state of `keys` is about to change. */
  keep(keys: readonly string[]): void {
    for (const key of keys) {
      if (this.#encoded.has(key)) continue
      this.#encoded.add(key)
      const state = this.#lane.shard.encodeKey(key)
      if (state !== undefined) this.#put(key, state)
    }
  }

  /** The chunks of the cut. */
  async *chunks(slices: Slices): AsyncGenerator<Uint8Array> {
    yield* this.#full.splice(0)
    for (const key of this.#lane.shard.keys()) {
      this.keep([key])
      yield* this.#full.splice(0)
      if (slices.isOver()) await slices.next()
    }
    yield* this.#full.splice(0)
    if (this.#filled > 0) yield this.#chunk.subarray(0, this.#filled)
    yield Uint8Array.of(END)
  }

  /** The lane need not tell of changes any more. */
  end(): void {
    if (this.#lane.capture === this) this.#lane.capture = undefined
  }

  #put(key: string, state: Uint8Array): void {
    const keyBytes = Buffer.byteLength(key, 'utf8')
    const needed = 8 + keyBytes + state.length
    if (Math.max(this.#filled, 1) + needed > this.#chunk.length) {
      if (this.#filled > 0) this.#full.push(this.#chunk.subarray(0, this.#filled))
      this.#chunk = Buffer.allocUnsafe(Math.max(CHUNK_BYTES, 1 + needed))
      this.#filled = 0
    }
    if (this.#filled === 0) this.#chunk[this.#filled++] = KEYS
    const chunk = this.#chunk
    chunk.writeUInt32LE(keyBytes, this.#filled)
    chunk.writeUInt32LE(state.length, this.#filled + 4)
    chunk.write(key, this.#filled + 8, 'utf8')
    chunk.set(state, this.#filled + 8 + keyBytes)
    this.#filled += needed
  }
}

function headerOf(lane: Lane, seen: SeenTables): LaneHeader {
  return {
    partition: lane.partition,
    consumed: lane.consumed,
    corrected: lane.corrections.position,
    watermarkMs: Number.isFinite(lane.watermarkMs) ? lane.watermarkMs : null,
    parked: [...lane.parked.values()].map(entry => ({ ...entry, group: [...entry.group] })),
    ...seen,
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
      image = { header: headerIn(fold, body), shared: undefined, keys: [] }
      continue
    }
    if (image === undefined) throw unreadable(fold, 'a chunk stands outside of a partition')
    if (tag === SHARED) image.shared = body
    else if (tag === KEYS) image.keys.push(body)
    else if (tag === END) {
      yield image
      image = undefined
    } else throw unreadable(fold, `a chunk has the unknown tag ${tag}`)
  }
}

/** Gives a fresh lane the state of an image. */
export function restoreLane(lane: Lane, image: LaneImage): void {
  for (const _ of restoring(lane, image));
}

/** The same, a chunk at a time. */
export function* restoring(lane: Lane, image: LaneImage): Generator<void, void> {
  const { shard } = lane
  const { name } = lane.definition
  const { header, shared } = image
  const { corrected = 0 } = header
  // What the log does not hold was corrected in another past of it.
  const corrections = lane.corrections.at(corrected)
  if (corrections.position !== corrected) {
    throw unreadable(name, `it reflects ${corrected} corrections`)
  }
  lane.corrections = corrections
  for (const chunk of image.keys) {
    decoding(name, 'the state of a key', () => restoreKeys(name, shard, chunk))
    yield
  }
  if (shared !== undefined) {
    if (shard.decodeShared === undefined) {
      throw unreadable(name, 'the shard cannot decode its shared state')
    }
    decoding(name, 'the shared state', () => shard.decodeShared?.(shared))
  }
  lane.consumed = header.consumed
  lane.watermarkMs = header.watermarkMs ?? Number.NEGATIVE_INFINITY
  for (const entry of header.parked) lane.restoreParked(entry, entry)
  for (const entry of header.parked) lane.regroup(entry.group)
}

/** Gives an empty lane the states of some keys of an image, and its time. */
export function restoreSome(lane: Lane, image: LaneImage, wanted: ReadonlySet<string>): void {
  const { name } = lane.definition
  for (const chunk of image.keys) {
    decoding(name, 'the state of a key', () => restoreKeys(name, lane.shard, chunk, wanted))
  }
  const { shared } = image
  if (shared !== undefined) {
    decoding(name, 'the shared state', () => lane.shard.decodeShared?.(shared))
  }
  lane.watermarkMs = image.header.watermarkMs ?? Number.NEGATIVE_INFINITY
}

function restoreKeys(
  fold: string,
  shard: FoldShard,
  chunk: Uint8Array,
  wanted?: ReadonlySet<string>,
): void {
  const view = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  for (let at = 0; at < view.length;) {
    const keyEnd = at + 8 + view.readUInt32LE(at)
    const stateEnd = keyEnd + view.readUInt32LE(at + 4)
    if (stateEnd > view.length) throw unreadable(fold, 'a state ends behind its chunk')
    const key = view.toString('utf8', at + 8, keyEnd)
    if (wanted?.has(key) !== false) shard.decodeKey(key, chunk.subarray(keyEnd, stateEnd))
    at = stateEnd
  }
}

/** What a chunk says of the partition that it begins; undefined for others. */
export function headerOfChunk(fold: string, chunk: Uint8Array): LaneHeader | undefined {
  return chunk[0] === HEADER ? headerIn(fold, chunk.subarray(1)) : undefined
}

function headerIn(fold: string, body: Uint8Array): LaneHeader {
  return decoding(fold, 'the head of a partition', () => {
    const header = JSON.parse(Buffer.from(body).toString('utf8')) as LaneHeader
    const { partition, consumed, corrected = 0, watermarkMs, parked } = header
    const { tables, tablesCorrected = {} } = header
    const seen = [...Object.values(tables), ...Object.values(tablesCorrected)]
    const isSane =
      [partition, consumed, corrected, ...seen].every(isCount) &&
      (watermarkMs === null || typeof watermarkMs === 'number') &&
      parked.every(isParked)
    if (!isSane) throw unreadable(fold, 'a member has another type')
    return header
  })
}

function isParked(entry: LaneHeader['parked'][number]): boolean {
  const { key, offset, error, attempts, waiting, sinceMs, group } = entry
  return (
    [offset, attempts, waiting].every(isCount) &&
    Number.isFinite(sinceMs) &&
    [key, error, ...group].every(text => typeof text === 'string')
  )
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Decodes; whatever is thrown says what was decoded, and not what was in it. */
function decoding<T>(fold: string, what: string, decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    throw unreadable(fold, `${what} cannot be decoded`, error)
  }
}

function unreadable(fold: string, reason: string, cause?: unknown): Error {
  return streamsErrors.create('SNAPSHOT_UNREADABLE', { fold, reason }, cause)
}
