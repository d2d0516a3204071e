/**
 * What this process appended a moment ago. Its folds read it at once, and the database, which has
 * enough to do with writing, need not send it back. Bounded by bytes over all partitions, the oldest
 * goes first. Streams that lose records are left out: what is gone for others must not be seen here.
 */
import type { LogRecord } from '../log.ts'
import type { TablePartition } from './catalog.ts'

const BYTES_MAX = 16 * 1024 * 1024
/** What a record takes beside its text. */
const OVERHEAD_BYTES = 256

/** Records that one group of units brought to one partition. */
interface Chunk {
  readonly partition: TablePartition
  readonly start: number
  readonly records: readonly LogRecord[]
  readonly bytes: number
}

/** See the head of the file. */
export class Recent {
  readonly #bytesMax: number
  readonly #chunks = new Map<TablePartition, Chunk[]>()
  readonly #oldest: Chunk[] = []
  #bytes = 0

  constructor(bytesMax = BYTES_MAX) {
    this.#bytesMax = bytesMax
  }

  /** Takes records of a partition that follow each other, `bytes` of text. */
  add(partition: TablePartition, records: readonly LogRecord[], bytes: number): void {
    const [first] = records
    if (first === undefined || partition.stream.declared.transient !== undefined) return
    const size = bytes + OVERHEAD_BYTES * records.length
    const chunk: Chunk = { partition, start: first.offset, records, bytes: size }
    const others = this.#chunks.get(partition)
    if (others === undefined) this.#chunks.set(partition, [chunk])
    else others.push(chunk)
    this.#oldest.push(chunk)
    this.#bytes += size
    while (this.#bytes > this.#bytesMax) {
      const oldest = this.#oldest.shift() as Chunk
      this.#chunks.get(oldest.partition)?.shift()
      this.#bytes -= oldest.bytes
    }
  }

  /** Records from `from` to before `to`, at least the first of them; undefined when it is not here. */
  read(partition: TablePartition, from: number, to: number): readonly LogRecord[] | undefined {
    const chunks = this.#chunks.get(partition) ?? []
    const found: LogRecord[] = []
    for (let at = placeOf(chunks, from); at < chunks.length; at++) {
      const { start, records } = chunks[at] as Chunk
      const next = from + found.length
      if (start > next || next >= to) break
      for (const record of records.slice(next - start, to - start)) found.push(record)
    }
    return found.length === 0 ? undefined : found
  }
}

/** Index of the last chunk that begins at or before an offset; 0 when there is none. */
function placeOf(chunks: readonly Chunk[], offset: number): number {
  let low = 0
  let high = chunks.length
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if ((chunks[middle] as Chunk).start <= offset) low = middle
    else high = middle
  }
  return low
}
