/**
 * What this process knows of the streams, and how far each partition is: read from the database and
 * moved forward by every answer to a commit and by the tail. Never ahead of what is committed.
 */
import { partitionName, partitionOf } from '@millrace/core'
import type { Declared } from '../admission.ts'
import { logErrors } from '../errors.ts'
import type { Query } from './database.ts'

/** One partition. */
export interface TablePartition {
  /** Its number in the database, from 1, without gaps. */
  readonly number: number
  readonly stream: TableStream
  readonly partition: number
  /** `stream/partition`. */
  readonly name: string
  start: number
  end: number
  watermarkMs: number
  bytes: number
}

/** One declared stream. */
export interface TableStream {
  declared: Declared
  readonly partitions: TablePartition[]
}

/** See the head of the file. */
export class Catalog {
  readonly #streams = new Map<string, TableStream>()
  readonly #byNumber: TablePartition[] = []
  /** The live view that `EventLog.ends` gives. */
  readonly ends = new Map<string, number>()
  /** The latest time of arrival that any partition has seen. */
  ingestMs = Number.NEGATIVE_INFINITY

  /** Takes over the streams that were declared since, by anybody. */
  async load(query: Query): Promise<void> {
    const rows = await query(
      `SELECT s.name, s.partitions, s.lateness_ms, s.skew_ms, s.is_transient, s.max_age_ms,
        s.max_bytes, p.number, p.partition, p.first_offset, p.next_offset, p.watermark_ms, p.bytes,
        p.ingest_ms
      FROM $schema.streams s JOIN $schema.partitions p ON p.stream = s.name ORDER BY p.number`,
    )
    for (const row of rows) {
      const [name, partitions, latenessMs, skewMs, isTransient, maxAgeMs, maxBytes] = row
      const declared: Declared = {
        name: name as string,
        partitions: Number(partitions),
        latenessMs: Number(latenessMs),
        skewMs: Number(skewMs),
        transient:
          isTransient === 't'
            ? {
                ...(maxAgeMs === null ? {} : { maxAgeMs: Number(maxAgeMs) }),
                ...(maxBytes === null ? {} : { maxBytes: Number(maxBytes) }),
              }
            : undefined,
      }
      const stream = this.#streams.get(declared.name) ?? { declared, partitions: [] }
      stream.declared = declared
      this.#streams.set(declared.name, stream)
      const number = Number(row[7])
      if (this.#byNumber[number - 1] === undefined) {
        const partition = Number(row[8])
        const entry: TablePartition = {
          number,
          stream,
          partition,
          name: partitionName(declared.name, partition),
          start: 0,
          end: 0,
          watermarkMs: Number.NEGATIVE_INFINITY,
          bytes: 0,
        }
        this.#byNumber[number - 1] = entry
        stream.partitions[partition] = entry
        this.ends.set(entry.name, 0)
      }
      this.advance(number, Number(row[10]))
      this.describe(number, {
        start: Number(row[9]),
        watermarkMs: row[11] ?? null,
        bytes: Number(row[12]),
      })
      if (row[13] !== null) this.ingestMs = Math.max(this.ingestMs, Number(row[13]))
    }
  }

  /** Partitions known. */
  get size(): number {
    return this.#byNumber.length
  }

  /** A partition is at least this far; true when that is news. */
  advance(number: number, end: number): boolean {
    const entry = this.#byNumber[number - 1]
    if (entry === undefined || end <= entry.end) return false
    entry.end = end
    this.ends.set(entry.name, end)
    return true
  }

  describe(
    number: number,
    facts: { start: number; watermarkMs: string | number | null; bytes: number },
  ): void {
    const entry = this.#byNumber[number - 1]
    if (entry === undefined) return
    entry.start = Math.max(entry.start, facts.start)
    entry.bytes = facts.bytes
    if (facts.watermarkMs === null) return
    entry.watermarkMs = Math.max(entry.watermarkMs, Number(facts.watermarkMs))
  }

  find(name: string): TableStream | undefined {
    return this.#streams.get(name)
  }

  list(): TableStream[] {
    return [...this.#streams.values()]
  }

  at(number: number): TablePartition | undefined {
    return this.#byNumber[number - 1]
  }

  stream(name: string): TableStream {
    const stream = this.#streams.get(name)
    if (stream === undefined) throw logErrors.create('LOG_STREAM_UNKNOWN', { stream: name })
    return stream
  }

  partition(stream: string, partition: number): TablePartition {
    const { partitions } = this.stream(stream)
    const entry = partitions[partition]
    if (entry === undefined) {
      const last = partitions.length - 1
      throw logErrors.create('LOG_PARTITION_UNKNOWN', { stream, partition, last })
    }
    return entry
  }

  /** The partition in which a key is looked for. */
  home(stream: string, key: string): TablePartition {
    const { partitions } = this.stream(stream)
    return partitions[partitionOf(key, partitions.length)] as TablePartition
  }
}
