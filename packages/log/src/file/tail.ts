/** The newest records of a partition. */
import type { LogRecord } from '../log.ts'

const COMPACT_RECORDS = 1_024

/** A run of records up to the accepted end of a partition; the front is dropped as memory asks. */
export class Tail {
  #records: LogRecord[] = []
  #head = 0
  /** Offset of the first record kept. */
  first: number

  constructor(first: number) {
    this.first = first
  }

  push(record: LogRecord): void {
    this.#records.push(record)
  }

  /** The record at an offset, when it is kept. */
  get(offset: number): LogRecord | undefined {
    const index = offset - this.first
    return index < 0 ? undefined : this.#records[this.#head + index]
  }

  /** Records from an offset that is kept. */
  slice(from: number, to: number): LogRecord[] {
    const base = this.#head - this.first
    return this.#records.slice(base + from, base + to)
  }

  /** Forgets the records before an offset. */
  dropBefore(offset: number): void {
    if (offset <= this.first) return
    const dropped = Math.min(offset - this.first, this.#records.length - this.#head)
    this.#head += dropped
    this.first += dropped
    if (this.#head < COMPACT_RECORDS || this.#head * 2 < this.#records.length) {
      // Emptied slots would keep their records alive until the next compaction.
      this.#records.fill(undefined as unknown as LogRecord, this.#head - dropped, this.#head)
      return
    }
    this.#records = this.#records.slice(this.#head)
    this.#head = 0
  }
}
