/**
 * What one partition of a fold's source held at a moment.
 *
 * Of a stream from outside it is all before an offset. Of a re-keyed stream it is what was emitted
 * because of records before the moment, wherever it stands: a stream that was emitted anew last week
 * is read as of last year. Where that ends, `known-ends.ts` finds.
 */
import { partitionName, partitionOf } from '@millrace/core'
import type { EventLog, LogRecord } from '@millrace/log'
import type { Cause } from '../fold.ts'
import type { FoldRunner } from '../runner.ts'
import { Slices } from '../slices.ts'
import { knownEnds, originOf } from './known-ends.ts'
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
    const { definition, lanes } = this.#hop
    const { source } = definition
    const offsets = lanes.map(({ lane }) => this.#instant.position.get(partitionName(source, lane.partition)) ?? 0) // prettier-ignore
    // Side by side: it is waiting for reads, most of all.
    const [ends, lasts] = await Promise.all([
      knownEnds(
        {
          log: this.#log,
          slices: this.#slices,
          stream: this.#stream,
          partition: this.#partition,
          end: this.#end,
          source,
          partitions: lanes.length,
          causeOf: record => this.#causeOf(record),
        },
        offsets,
      ),
      Promise.all(offsets.map((offset, at) => recordBefore(this.#log, source, at, offset))),
    ])
    const sourceMs = Math.max(...lasts.map(last => last?.watermarkMs ?? Number.NEGATIVE_INFINITY))
    const has = (record: LogRecord): boolean => {
      const cause = this.#causeOf(record)
      if (cause === undefined) return false
      const origin = isNoted ? originOf(record) : undefined
      if (origin === undefined) return record.offset < (ends[this.#placeOf(cause)] as number)
      return record.offset < to && origin.offset < (offsets[origin.partition] as number)
    }
    // Before an end that was noted stands what stood in then, and that may be behind all others.
    const isNoted = this.#instant.emitted !== undefined
    const to = isNoted ? this.#end : Math.max(...ends)
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
