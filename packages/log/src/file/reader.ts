/** Reading durable records: from the tail in memory, from the journal, from split files. */
import { partitionOf } from '@millrace/core'
import type { HistoryRequest, LogRecord, ReadRequest } from '../log.ts'
import { offsetsIn } from '../offsets.ts'
import { createBytes } from './bytes.ts'
import type { Bytes } from './bytes.ts'
import { FrameRecord, faultOfFrame, frameField } from './frames.ts'
import { hashOfKey } from './key-chains.ts'
import { KeyIndex } from './key-index.ts'
import { KIND, RECORD_HEADER_BYTES } from './layout.ts'
import type { FileLogLimits } from './options.ts'
import type { JournalPart, Partition } from './partition.ts'
import { damagedRecord } from './damage.ts'
import type { BegunRead } from './split-file.ts'
import type { LogState } from './state.ts'

/** Bytes read for a single record before its length is known. */
const SINGLE_READ_BYTES = 2_048
const SCRATCH_BUFFERS = 4
const READ_RECORDS_DEFAULT = 1_000
/** Reads of one history that are under way together. */
const READS_AHEAD = 4
/** Of the journal, a history reads so many records at once, of which one in so many at least is wanted. */
const RUN_RECORDS_MAX = 2_048
const RUN_SPARSENESS_MAX = 16

/** See the head of the file. */
export class Reader {
  readonly #state: LogState
  readonly #limits: FileLogLimits
  readonly #keyIndex: KeyIndex
  /** Buffers for reading from the journal; one per read that is under way. */
  readonly #scratch: Bytes[] = []

  constructor(state: LogState, limits: FileLogLimits) {
    this.#state = state
    this.#limits = limits
    this.#keyIndex = new KeyIndex(state.streams, limits.readBytes)
  }

  /** The durable records that a request, which is not from before the start, asks for. */
  async serve(
    partition: Partition,
    { from, recordsMax = READ_RECORDS_DEFAULT, offsets }: ReadRequest,
  ): Promise<readonly LogRecord[]> {
    const to = partition.durableEnd
    if (offsets === undefined)
      return await this.read(partition, from, Math.min(to, from + Math.max(recordsMax, 1)))
    const wanted = offsetsIn(offsets, { from, to, recordsMax })
    return await (
      await this.#beginAt(partition, wanted, 0)
    ).records
  }

  /** Records from `from`, which is not before the start, to at most `to`; at least one if `from < to`. */
  async read(partition: Partition, from: number, to: number): Promise<readonly LogRecord[]> {
    if (from >= to) return []
    if (from >= partition.tail.first) return partition.tail.slice(from, to)
    const split = splitAt(partition, from)
    if (split !== undefined)
      return split.read(from, Math.min(to, split.end), this.#limits.readBytes)
    const part = partAt(partition, from)
    return this.#inPart(partition, part, from, Math.min(to, part.end))
  }

  /** The record at an offset, durable or not; undefined when retention removed it. */
  async recordAt(partition: Partition, offset: number): Promise<LogRecord | undefined> {
    const kept = partition.tail.get(offset)
    if (kept !== undefined) return kept
    if (offset < partition.start) return undefined
    const split = splitAt(partition, offset)
    if (split !== undefined) return (await split.read(offset, offset + 1, 0))[0]
    return (await this.#inPart(partition, partAt(partition, offset), offset, offset + 1))[0]
  }

  /** Offsets of the records of any of some keys from `from` to `to`, ascending, each once. */
  async offsetsOf(
    partition: Partition,
    wanted: { tenant: string; keys: Iterable<string>; from: number; to: number },
  ): Promise<number[]> {
    const { tenant, from, to } = wanted
    const number = this.#state.names.tenant.find(tenant)
    if (number === undefined) return []
    const hashes = Array.from(wanted.keys, key => hashOfKey(number, key))
    const found: number[] = []
    await this.#keyIndex.complete(partition)
    // The journal first, at once: what is split meanwhile is found there and not missed.
    const border = partition.splitEnd
    for (const part of partition.parts) {
      for (const hash of hashes) {
        for (const index of part.find(hash)) {
          const offset = part.first + index
          if (offset >= border && offset >= from && offset < to) found.push(offset)
        }
      }
    }
    const splits = partition.splits.filter(file => file.end > from && file.first < to)
    for (const split of splits) split.retain()
    try {
      for (const split of splits) {
        for (const offsets of await split.offsetsOf(hashes)) {
          for (const offset of offsets) if (offset >= from && offset < to) found.push(offset)
        }
      }
    } finally {
      for (const split of splits) split.release()
    }
    return ascending(found)
  }

  /** The version of a key when memory knows it: from the tail, or 0 when there is no trace of the key. */
  versionInMemory(partition: Partition, tenant: string, key: string): number | undefined {
    const number = this.#state.names.tenant.find(tenant)
    if (number === undefined) return 0
    const hash = hashOfKey(number, key)
    for (const part of partition.parts.toReversed()) {
      for (const index of part.find(hash)) {
        const offset = part.first + index
        const record = partition.tail.get(offset)
        if (record === undefined) return undefined
        if (hasKey(record, tenant, key)) return offset + 1
      }
      if (part.isPending) return undefined
    }
    return partition.splits.length > 0 ? undefined : 0
  }

  /** The version of a key among the records before `to`. */
  async version(partition: Partition, tenant: string, key: string, to: number): Promise<number> {
    const wanted = { tenant, keys: [key], from: partition.start, to }
    const offsets = await this.offsetsOf(partition, wanted)
    for (const offset of offsets.reverse()) {
      const record = await this.recordAt(partition, offset)
      if (record !== undefined && hasKey(record, tenant, key)) return offset + 1
    }
    return 0
  }

  /** The durable records of keys of one stream, as the contract orders them. */
  async *history(
    partitions: readonly Partition[],
    wanted: Pick<HistoryRequest, 'keys' | 'known'> & { tenant: string; from: number; to: number; isByOffset: boolean }, // prettier-ignore
  ): AsyncGenerator<LogRecord, void> {
    const { tenant, from, to, known } = wanted
    const byHome = new Map<number, Set<string>>()
    for (const key of wanted.keys) {
      const home = partitionOf(key, partitions.length)
      byHome.set(home, (byHome.get(home) ?? new Set()).add(key))
    }
    const isStreamed = wanted.keys.length === 1 || wanted.isByOffset
    const merged: LogRecord[] = []
    for (const [home, keys] of [...byHome].sort(([a], [b]) => a - b)) {
      const partition = partitions[home] as Partition
      const end = Math.min(to, partition.durableEnd)
      const offsets = await this.offsetsOf(partition, { tenant, keys, from, to: end })
      for await (const record of this.recordsAt(partition, offsets, known)) {
        if (!hasOneOf(record, tenant, keys)) continue
        if (isStreamed) yield record
        else merged.push(record instanceof FrameRecord ? record.alone() : record)
      }
    }
    yield* merged.sort(compareByTime)
  }

  /** The records at ascending offsets; where these lie close together, one read serves many. */
  async *recordsAt(
    partition: Partition,
    offsets: readonly number[],
    known: HistoryRequest['known'] = () => undefined,
  ): AsyncGenerator<LogRecord> {
    const atHand = offsets.map(offset => known(partition.number, offset))
    const unread = offsets.filter((_, index) => atHand[index] === undefined)
    let next = 0
    for await (const record of this.#readAhead(partition, unread)) {
      for (; (offsets[next] ?? Infinity) <= record.offset; next++) {
        const own = atHand[next]
        if (own !== undefined) yield own
      }
      yield record
    }
    for (; next < offsets.length; next++) {
      const own = atHand[next]
      if (own !== undefined) yield own
    }
  }

  /** The records at ascending offsets; while some are handed on, the disk looks for the next ones. */
  async *#readAhead(partition: Partition, offsets: readonly number[]): AsyncGenerator<LogRecord> {
    const ahead: Promise<readonly LogRecord[]>[] = []
    let at = 0
    try {
      for (;;) {
        // Retention may have removed some of them meanwhile.
        while ((offsets[at] ?? Infinity) < partition.start) at += 1
        if (ahead.length < READS_AHEAD && at < offsets.length) {
          const { count, records } = await this.#beginAt(partition, offsets, at)
          // Whoever comes to it hears of a failure.
          records.catch(() => undefined)
          ahead.push(records)
          at += count
          continue
        }
        const first = ahead.shift()
        if (first === undefined) return
        for (const record of await first) yield record
      }
    } finally {
      await Promise.allSettled(ahead)
    }
  }

  /** Begins to read the records at ascending offsets from index `at` on that one read gives: at least one while there is any. */
  async #beginAt(partition: Partition, offsets: readonly number[], at: number): Promise<BegunRead> {
    const offset = offsets[at]
    if (offset === undefined) return { count: 0, records: Promise.resolve([]) }
    const split = offset < partition.tail.first ? splitAt(partition, offset) : undefined
    if (split !== undefined) return await split.beginAt(offsets, at, this.#limits.readBytes)
    const records = await this.#runAt(partition, offsets, at)
    return { count: records.length, records: Promise.resolve(records) }
  }

  /** The records at offsets from index `at` on that lie close together, at least one, of what is not split yet. */
  async #runAt(partition: Partition, offsets: readonly number[], at: number): Promise<LogRecord[]> {
    const first = offsets[at] as number
    let end = at + 1
    for (; end < offsets.length; end++) {
      const span = (offsets[end] as number) - first
      if (span >= RUN_RECORDS_MAX || span >= (end - at + 1) * RUN_SPARSENESS_MAX) break
    }
    const wanted = new Set(offsets.slice(at, end))
    const found: LogRecord[] = []
    for (const record of await this.read(partition, first, (offsets[end - 1] as number) + 1)) {
      if (wanted.has(record.offset)) found.push(record)
    }
    return found
  }

  /** The first durable offset whose ingest time is at or after a time. */
  async seek(partition: Partition, timeMs: number): Promise<number> {
    let low = partition.start
    let high = partition.durableEnd
    for (const split of partition.splits) {
      const range = await split.timeRange(timeMs)
      low = Math.max(low, range.low)
      if (range.high < split.end) {
        high = range.high
        break
      }
    }
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const record = await this.recordAt(partition, middle)
      if (record !== undefined && record.ingestTimeMs >= timeMs) high = middle
      else low = middle + 1
    }
    return low
  }

  async #inPart(
    partition: Partition,
    part: JournalPart,
    from: number,
    to: number,
  ): Promise<LogRecord[]> {
    part.segment.readers += 1
    try {
      return await this.#readPart(partition, part, from, to)
    } finally {
      part.segment.readers -= 1
    }
  }

  async #readPart(
    partition: Partition,
    part: JournalPart,
    from: number,
    to: number,
  ): Promise<LogRecord[]> {
    const start = part.positionOf(from)
    let last = from
    // Positions grow with offsets: the last one that a single read still covers.
    let high = to - 1
    while (last < high) {
      const middle = Math.ceil((last + high) / 2)
      if (part.positionOf(middle) - start <= this.#limits.readBytes) last = middle
      else high = middle - 1
    }
    const { segment } = part
    const span = part.positionOf(last) - start + SINGLE_READ_BYTES
    const isPooled = span > SINGLE_READ_BYTES
    const large = this.#limits.readBytes + SINGLE_READ_BYTES
    let scratch = isPooled ? (this.#scratch.pop() ?? createBytes(large)) : createBytes(span)
    let count = await segment.read(scratch.u8.subarray(0, span), start)
    const needed = count < RECORD_HEADER_BYTES ? 0 : frameField.length(scratch, 0)
    if (needed > count) {
      scratch = createBytes(Math.min(needed, segment.fill - start))
      count = await segment.read(
        scratch.u8.subarray(0, Math.min(needed, segment.fill - start)),
        start,
      )
    }
    const records = this.#copyFrames(partition, part, { from, last, scratch, count })
    if (isPooled && this.#scratch.length < SCRATCH_BUFFERS) this.#scratch.push(scratch)
    if (records.length === 0) throw damagedRecord(segment.path, start, partition, from)
    return records
  }

  /**
   * The frames of one partition lie between those of others: they are copied to a buffer of their
   * own, so that the records hold no memory but theirs.
   */
  #copyFrames(
    partition: Partition,
    part: JournalPart,
    range: { from: number; last: number; scratch: Bytes; count: number },
  ): LogRecord[] {
    const { from, last, scratch, count } = range
    const start = part.positionOf(from)
    let end = from
    let size = 0
    for (; end <= last; end++) {
      const at = part.positionOf(end) - start
      if (at + RECORD_HEADER_BYTES > count) break
      const length = frameField.length(scratch, at)
      if (at + length > count) break
      const isRecord =
        frameField.kind(scratch, at) === KIND.record &&
        frameField.offset(scratch, at) === end &&
        faultOfFrame(scratch, at, count) === undefined
      if (!isRecord) throw damagedRecord(part.segment.path, start + at, partition, end)
      size += length
    }
    const bytes = createBytes(size)
    const stream = partition.stream.declared.name
    const records: LogRecord[] = []
    let to = 0
    for (let offset = from; offset < end; offset++) {
      const at = part.positionOf(offset) - start
      const length = frameField.length(scratch, at)
      scratch.u8.copy(bytes.u8, to, at, at + length)
      records.push(new FrameRecord(bytes, to, stream, this.#state.names))
      to += length
    }
    return records
  }
}

/** Offsets in their order, each once. */
function ascending(offsets: readonly number[]): number[] {
  const sorted = Float64Array.from(offsets).sort()
  const each: number[] = []
  for (const offset of sorted) if (offset !== each.at(-1)) each.push(offset)
  return each
}

function splitAt(partition: Partition, offset: number): Partition['splits'][number] | undefined {
  const { splits } = partition
  let low = 0
  let high = splits.length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const split = splits[middle] as Partition['splits'][number]
    if (offset < split.first) high = middle - 1
    else if (offset >= split.end) low = middle + 1
    else return split
  }
  return undefined
}

function partAt(partition: Partition, offset: number): JournalPart {
  return partition.parts.find(part => offset < part.end && offset >= part.first) as JournalPart
}

function hasKey(record: LogRecord, tenant: string, key: string): boolean {
  // A record is found under its `keys`; its partition key is not always one of them.
  return record.tenant === tenant && record.keys.includes(key)
}

function hasOneOf(record: LogRecord, tenant: string, keys: ReadonlySet<string>): boolean {
  return record.tenant === tenant && record.keys.some(key => keys.has(key))
}

function compareByTime(a: LogRecord, b: LogRecord): number {
  if (a.eventTimeMs !== b.eventTimeMs) return a.eventTimeMs - b.eventTimeMs
  if (a.id !== b.id) return a.id < b.id ? -1 : 1
  return a.partition - b.partition || a.offset - b.offset
}
