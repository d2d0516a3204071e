/**
 * What one partition of a fold's source held at a moment.
 *
 * Of a stream from outside it is all before an offset. Of a re-keyed stream it is what was emitted
 * because of records before the moment, wherever it stands: a stream that was emitted anew last week
 * is read as of last year. Emissions that one partition caused stand in its order, so that for each
 * partition of the hop's source there is one offset behind which nothing is included; it is found by
 * the time of arrival, then by halving.
 */
import { partitionName, partitionOf } from '@millrace/core'
import type { EventLog, LogRecord } from '@millrace/log'
import type { Cause } from '../fold.ts'
import type { FoldRunner } from '../runner.ts'
import { Slices } from '../slices.ts'
import { hopBefore, recordBefore, type Instant, type PastPorts } from './moment.ts'

/** See the head of the file. */
export interface Bound {
  /** Records at or after this offset were not known. */
  readonly to: number
  /** All records before this offset were known; of a stream from outside it is `to`. */
  readonly known: number
  /** The watermark of the partition. */
  readonly watermarkMs: number
  /** True for a record before `to` that was known. */
  has(record: LogRecord): boolean
  /** The record as it would have been there then; absent where all are. */
  asKnown?(record: LogRecord): LogRecord
}

const PROBE_RECORDS = 64
/** Behind the time of the moment so many records are looked at for emissions that came after it. */
const LATE_RECORDS_MAX = 4_096

/** The bound of one partition of a fold's source. Throws MOMENT_GONE. */
export async function boundOf(
  ports: PastPorts,
  runner: FoldRunner,
  partition: number,
  instant: Instant,
): Promise<Bound> {
  const hop = hopBefore(ports, runner)
  if (hop !== undefined) return await new Hop(ports, hop, runner, partition, instant).bound()
  const { source } = runner.definition
  const to = instant.position.get(partitionName(source, partition)) ?? 0
  const last = await recordBefore(ports.log, source, partition, to)
  return {
    to,
    known: to,
    watermarkMs: last?.watermarkMs ?? Number.NEGATIVE_INFINITY,
    has: () => true,
  }
}

/** A record that a partition of the hop's source caused. */
interface Probed {
  readonly record: LogRecord
  readonly cause: Cause
}

class Hop {
  readonly #log: EventLog
  readonly #hop: FoldRunner
  readonly #stream: string
  readonly #partition: number
  readonly #instant: Instant
  readonly #end: number
  readonly #generations: ReadonlySet<number>
  readonly #slices: Slices

  constructor(
    { log, clock, sliceMs }: PastPorts,
    hop: FoldRunner,
    runner: FoldRunner,
    partition: number,
    instant: Instant,
  ) {
    this.#log = log
    this.#hop = hop
    this.#stream = runner.definition.source
    this.#partition = partition
    this.#instant = instant
    const emitted = instant.emitted ?? log.ends()
    this.#end = emitted.get(partitionName(this.#stream, partition)) ?? 0
    this.#generations = runner.lanes[0]?.lane.options.generations ?? new Set()
    this.#slices = new Slices(clock, sliceMs)
  }

  async bound(): Promise<Bound> {
    const { source } = this.#hop.definition
    // Side by side: it is waiting for reads, most of all.
    const found = await Promise.all(
      this.#hop.lanes.map(async ({ lane: { partition } }) => {
        const offset = this.#instant.position.get(partitionName(source, partition)) ?? 0
        const last = await recordBefore(this.#log, source, partition, offset)
        const end = await this.#firstUnknown(partition, offset)
        return { end, watermarkMs: last?.watermarkMs ?? Number.NEGATIVE_INFINITY }
      }),
    )
    const ends = found.map(({ end }) => end)
    const sourceMs = Math.max(...found.map(({ watermarkMs }) => watermarkMs))
    const has = (record: LogRecord): boolean => {
      const cause = this.#causeOf(record)
      return cause !== undefined && record.offset < (ends[this.#placeOf(cause)] as number)
    }
    const to = Math.max(...ends)
    const known = Math.min(...ends)
    return { to, known, watermarkMs: await this.#watermark(ends, has, sourceMs), has }
  }

  #causeOf(record: LogRecord): Cause | undefined {
    if (!this.#generations.has(record.generation)) return undefined
    return this.#hop.definition.causeOf?.(record)
  }

  #placeOf({ key }: Cause): number {
    return partitionOf(key, this.#hop.lanes.length)
  }

  /** An offset from which on nothing was caused by records of a source partition before `offset`, and before which all was. */
  async #firstUnknown(partition: number, offset: number): Promise<number> {
    const { source } = this.#hop.definition
    const request = { stream: source, partition, from: offset, recordsMax: 1 }
    const [next] = await this.#log.read(request)
    if (next === undefined) return this.#end
    const { ingestTimeMs: timeMs } = next
    // Nothing is emitted before its cause has arrived.
    const sought = { stream: this.#stream, partition: this.#partition, timeMs }
    let low = Math.min(this.#end, await this.#log.seek(sought))
    let high = this.#end
    for (let jump = 0; low + jump < high; jump = Math.max(PROBE_RECORDS, jump * 2)) {
      const from = low + jump
      const found = await this.#probe(partition, from, high)
      if (found === undefined || !(await this.#isKnown(found, offset))) {
        high = found === undefined || jump > 0 ? from : found.record.offset
        break
      }
      low = found.record.offset + 1
    }
    while (low < high) {
      const middle = (low + high) >>> 1
      const found = await this.#probe(partition, middle, high)
      if (found !== undefined && (await this.#isKnown(found, offset))) {
        low = found.record.offset + 1
      } else high = middle
    }
    return high
  }

  /** The first record from `from` to `to` that a source partition caused. */
  async #probe(partition: number, from: number, to: number): Promise<Probed | undefined> {
    const place = { stream: this.#stream, partition: this.#partition }
    for (let at = from, size = PROBE_RECORDS; at < to; size = Math.min(size * 2, 1_024)) {
      const recordsMax = Math.min(size, to - at)
      const records = await this.#log.read({ ...place, from: at, recordsMax })
      for (const record of records) {
        const cause = this.#causeOf(record)
        if (cause !== undefined && this.#placeOf(cause) === partition) return { record, cause }
      }
      if (records.length === 0) return undefined
      at += records.length
      await this.#slices.pause()
    }
    return undefined
  }

  /** True when what caused a record stands before `offset` of its partition. */
  async #isKnown({ record, cause }: Probed, offset: number): Promise<boolean> {
    const found = await this.#log.find(cause.id)
    if (found !== undefined) return found.offset < offset
    // Its id is not remembered, as that of every record that a fold emitted.
    const { tenant } = record
    const stream = this.#hop.definition.source
    const later = this.#log.history({ stream, tenant, keys: [cause.key], from: offset })
    for await (const { id } of later) {
      if (id === cause.id) return false
      await this.#slices.pause()
    }
    return true
  }

  /**
   * What had arrived by then tells the time, ticks included; and what was emitted a moment later
   * because of it. Of a stream that was emitted anew long after, it is that of the hop's source.
   */
  async #watermark(
    ends: readonly number[],
    has: (record: LogRecord) => boolean,
    sourceMs: number,
  ): Promise<number> {
    const place = { stream: this.#stream, partition: this.#partition }
    const { timeMs, emitted } = this.#instant
    const start =
      emitted === undefined ? await this.#log.seek({ ...place, timeMs: timeMs + 1 }) : this.#end
    const last = await recordBefore(this.#log, this.#stream, this.#partition, start)
    let watermarkMs = last?.watermarkMs ?? Number.NEGATIVE_INFINITY
    const to = Math.max(...ends)
    if (to - start > LATE_RECORDS_MAX) {
      const near = Math.max(...ends.filter(end => end < this.#end), start)
      if (near - start > LATE_RECORDS_MAX) return Math.max(watermarkMs, sourceMs)
    }
    for (let at = start; at < Math.min(to, start + LATE_RECORDS_MAX);) {
      const records = await this.#log.read({ ...place, from: at, recordsMax: 256 })
      if (records.length === 0) break
      for (const record of records) {
        if (record.offset < to && has(record)) {
          watermarkMs = Math.max(watermarkMs, record.watermarkMs)
        }
      }
      at += records.length
      if (ends.every(end => end <= at || end === this.#end)) break
    }
    return watermarkMs
  }
}
