/** What the log keeps in memory of its streams and their partitions. */
import { partitionName, partitionOf } from '@millrace/core'
import type { Declared } from '../admission.ts'
import { logErrors } from '../errors.ts'
import type { StreamStats } from '../log.ts'
import { KeyChains } from './key-chains.ts'
import type { Segment } from './segment.ts'
import type { SplitFile } from './split-file.ts'
import { Tail } from './tail.ts'

const POSITIONS_FIRST = 16

/** The records of one partition in one journal segment: their places and their keys. */
export class JournalPart {
  readonly segment: Segment
  readonly first: number
  /** Keys of the records that were appended since the log was opened. */
  readonly chains = new KeyChains()
  /** Keys of the records that were there when the log was opened; made when they are needed. */
  older: KeyChains | undefined
  /** How many records, the first ones, were there when the log was opened. */
  recovered = 0
  count = 0
  bytes = 0
  /** Byte position in the segment divided by eight. */
  #positions = new Uint32Array(POSITIONS_FIRST)

  constructor(segment: Segment, first: number) {
    this.segment = segment
    this.first = first
  }

  get end(): number {
    return this.first + this.count
  }

  /** True while keys of records that were there on open are in no chain. */
  get isPending(): boolean {
    return this.recovered > 0 && this.older === undefined
  }

  /** Records whose key has this hash, newest first. Complete unless the part is pending. */
  find(hash: number): number[] {
    const found = this.chains.find(hash)
    if (this.older !== undefined) for (const record of this.older.find(hash)) found.push(record)
    return found
  }

  /** Adds the next record. Its keys go to `chains`, or to `older` when it was there on open. */
  add(position: number, bytes: number): void {
    if (this.count === this.#positions.length) {
      const grown = new Uint32Array(this.count * 2)
      grown.set(this.#positions)
      this.#positions = grown
    }
    this.#positions[this.count++] = position / 8
    this.bytes += bytes
  }

  /** Where the record at an offset starts in the segment. */
  positionOf(offset: number): number {
    return (this.#positions[offset - this.first] as number) * 8
  }
}

/** One partition. "Accepted" counts what has its place; "durable" what readers see. */
export class Partition {
  readonly stream: Stream
  readonly number: number
  readonly name: string
  /** First offset that retention left. */
  start = 0
  /** Accepted end. */
  nextOffset = 0
  durableEnd = 0
  /** Accepted watermark. */
  watermarkMs = Number.NEGATIVE_INFINITY
  durableWatermarkMs = Number.NEGATIVE_INFINITY
  /** Split files in order of their offsets, without gaps. */
  splits: SplitFile[] = []
  /** Parts of journal segments that are not split yet, in order. */
  parts: JournalPart[] = []
  tail = new Tail(0)
  /** Scratch of the commit being admitted: the unit that touched the partition last, and how far. */
  touchedBy = -1
  touchedEnd = 0
  /** The commit that appended to the partition last. */
  appendedBy = -1
  /** Bytes that the tail grew by since the last finished unit. */
  tailBytes = 0

  constructor(stream: Stream, number: number) {
    this.stream = stream
    this.number = number
    this.name = partitionName(stream.declared.name, number)
  }

  /** The part of the segment that is being written. */
  partOf(segment: Segment): JournalPart {
    const last = this.parts.at(-1)
    if (last !== undefined && last.segment === segment) return last
    const part = new JournalPart(segment, this.nextOffset)
    this.parts.push(part)
    return part
  }

  /** Bytes of its records on disk. */
  get bytes(): number {
    return (
      this.splits.reduce((sum, split) => sum + split.bytes, 0) +
      this.parts.reduce((sum, part) => sum + part.bytes, 0)
    )
  }

  /** Its place among the partitions of its stream. */
  get home(): { partition: number; partitions: number } {
    return { partition: this.number, partitions: this.stream.partitions.length }
  }

  /** First offset that no split file holds. */
  get splitEnd(): number {
    return this.splits.at(-1)?.end ?? this.start
  }
}

/** One stream. */
export class Stream {
  declared: Declared
  readonly number: number
  readonly partitions: readonly Partition[]

  constructor(declared: Declared, number: number) {
    this.declared = declared
    this.number = number
    this.partitions = Array.from(
      { length: declared.partitions },
      (_, partition) => new Partition(this, partition),
    )
  }
}

/** All streams by name and by number. Numbers count from 0 in the order of declaration. */
export class StreamTable {
  readonly #byName = new Map<string, Stream>()
  readonly #byNumber: Stream[] = []
  #last: Stream | undefined

  find(name: string): Stream | undefined {
    return this.#byName.get(name)
  }

  /** The stream of that name, or LOG_STREAM_UNKNOWN. */
  get(name: string): Stream {
    const last = this.#last
    if (last !== undefined && last.declared.name === name) return last
    const stream = this.#byName.get(name)
    if (stream === undefined) throw logErrors.create('LOG_STREAM_UNKNOWN', { stream: name })
    this.#last = stream
    return stream
  }

  /** The partition, or LOG_STREAM_UNKNOWN or LOG_PARTITION_UNKNOWN. */
  partition(name: string, number: number): Partition {
    const { partitions } = this.get(name)
    const partition = partitions[number]
    if (partition !== undefined) return partition
    const last = partitions.length - 1
    throw logErrors.create('LOG_PARTITION_UNKNOWN', { stream: name, partition: number, last })
  }

  /** The partition that the key of a stream belongs to. */
  home(name: string, key: string): Partition {
    const { partitions } = this.get(name)
    return partitions[partitionOf(key, partitions.length)] as Partition
  }

  at(number: number): Stream | undefined {
    return this.#byNumber[number]
  }

  /** Adds a stream, or takes over the new declaration of one that is there. */
  put(declared: Declared): Stream {
    const existing = this.#byName.get(declared.name)
    if (existing !== undefined) {
      existing.declared = declared
      return existing
    }
    const stream = new Stream(declared, this.#byNumber.length)
    this.#byName.set(declared.name, stream)
    this.#byNumber.push(stream)
    return stream
  }

  list(): readonly Stream[] {
    return this.#byNumber
  }

  /** What `LogStats` says of each, as far as it is durable. */
  stats(): readonly StreamStats[] {
    return this.list().map(({ declared, partitions }) => ({
      stream: declared.name,
      partitions: partitions.map(({ start, durableEnd, durableWatermarkMs }) => ({
        start,
        end: durableEnd,
        watermarkMs: durableWatermarkMs,
      })),
      bytes: partitions.reduce((sum, partition) => sum + partition.bytes, 0),
    }))
  }

  *partitions(): Iterable<Partition> {
    for (const stream of this.#byNumber) yield* stream.partitions
  }
}
