import type { Partition } from './partition.ts'

interface Entry {
  readonly partition: Partition
  readonly end: number
  readonly bytes: number
}

const COMPACT_ENTRIES = 1_024

/** Keeps the tails of all partitions together within a number of bytes: the oldest group goes first. */
export class TailBudget {
  readonly #bytesMax: number
  #entries: Entry[] = []
  #head = 0
  bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** A group that reaches `end` of a partition became durable and holds `bytes` in its tail. */
  add(partition: Partition, end: number, bytes: number): void {
    this.#entries.push({ partition, end, bytes })
    this.bytes += bytes
    while (this.bytes > this.#bytesMax && this.#head < this.#entries.length) {
      const oldest = this.#entries[this.#head++] as Entry
      oldest.partition.tail.dropBefore(oldest.end)
      this.bytes -= oldest.bytes
    }
    if (this.#head >= COMPACT_ENTRIES && this.#head * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
  }
}
