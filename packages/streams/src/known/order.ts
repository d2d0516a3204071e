/**
 * The records of a partition in the order in which they became known: a live record when the log
 * took it, a record of history when it happened, for nobody noted when its source knew it. In a log
 * whose history was imported first and in order, that is the order of the log, and batches are read
 * as they come, the next one while one is looked at. Otherwise offsets are sorted (12 bytes a record)
 * and records read through a few blocks that are kept, since such a log is made of few runs that are
 * sorted in themselves.
 */
import type { EventLog, LogRecord } from '@millrace/log'

const BLOCK_RECORDS = 1_024
const BLOCKS_KEPT = 64
const BATCH_RECORDS = 4_096

/** When a record became known, milliseconds since the epoch; a re-keyed one when it was emitted. */
export function knownMsOf(record: LogRecord): number {
  return record.isHistory ? record.eventTimeMs : record.ingestTimeMs
}

/** A partition up to an offset. */
export interface KnownRange {
  readonly stream: string
  readonly partition: number
  /** Behind the last record. */
  readonly end: number
}

/** Records in the order in which they became known; `isSorted` says that this is the order of the log. */
export interface KnownOrder {
  readonly isSorted: boolean
  /** The next ones; empty at the end. */
  read(): Promise<readonly LogRecord[]>
  /** A record was read that was known before one that was read earlier: the order was assumed. */
  isMistaken(): boolean
}

/**
 * Reads the records of a range in the order in which they became known. It looks at all of them once
 * before, but where the order of the log is assumed to be that one, which reading then shows.
 */
export async function openKnownOrder(
  log: Pick<EventLog, 'read'>,
  range: KnownRange,
  isAssumed: boolean,
): Promise<KnownOrder> {
  const offsets = isAssumed ? undefined : await sortedOffsets(log, range)
  return offsets === undefined ? inLogOrder(log, range) : inOrderOf(log, range, offsets)
}

/** Undefined: they are sorted as they are. */
async function sortedOffsets(
  log: Pick<EventLog, 'read'>,
  { stream, partition, end }: KnownRange,
): Promise<Uint32Array | undefined> {
  const known = new Float64Array(end)
  let isSorted = true
  for (let from = 0, last = -Infinity; from < end;) {
    const recordsMax = Math.min(BATCH_RECORDS, end - from)
    const records = await log.read({ stream, partition, from, recordsMax })
    for (const record of records) {
      const ms = knownMsOf(record)
      known[from++] = ms
      if (ms < last) isSorted = false
      last = ms
    }
  }
  if (isSorted) return undefined
  const offsets = Uint32Array.from(known, (_, offset) => offset)
  return offsets.sort((a, b) => (known[a] as number) - (known[b] as number) || a - b)
}

function inLogOrder(
  log: Pick<EventLog, 'read'>,
  { stream, partition, end }: KnownRange,
): KnownOrder {
  const readFrom = async (from: number): Promise<readonly LogRecord[]> =>
    from >= end
      ? []
      : await log.read({ stream, partition, from, recordsMax: Math.min(BATCH_RECORDS, end - from) })
  let next: Promise<readonly LogRecord[]> | undefined
  let from = 0
  let lastMs = -Infinity
  let isMistaken = false
  return {
    isSorted: true,
    isMistaken: () => isMistaken,
    async read() {
      const records = await (next ?? readFrom(from))
      from += records.length
      next = readFrom(from)
      // Whoever reads on hears of it.
      next.catch(() => undefined)
      for (const record of records) {
        const ms = knownMsOf(record)
        if (ms < lastMs) isMistaken = true
        lastMs = ms
      }
      return records
    },
  }
}

function inOrderOf(
  log: Pick<EventLog, 'read'>,
  { stream, partition, end }: KnownRange,
  offsets: Uint32Array,
): KnownOrder {
  const blocks = new Map<number, readonly LogRecord[]>()
  let at = 0
  const blockOf = async (index: number): Promise<readonly LogRecord[]> => {
    let block = blocks.get(index)
    if (block === undefined) {
      const from = index * BLOCK_RECORDS
      block = await readAll(log, {
        stream,
        partition,
        from,
        to: Math.min(from + BLOCK_RECORDS, end),
      })
      if (blocks.size === BLOCKS_KEPT) blocks.delete(blocks.keys().next().value as number)
    } else blocks.delete(index)
    // The one that was not used for longest is given up first.
    blocks.set(index, block)
    return block
  }
  return {
    isSorted: false,
    isMistaken: () => false,
    async read() {
      const records: LogRecord[] = []
      for (; at < end && records.length < BATCH_RECORDS; at++) {
        const offset = offsets[at] as number
        const index = Math.floor(offset / BLOCK_RECORDS)
        const block = await blockOf(index)
        records.push(block[offset - index * BLOCK_RECORDS] as LogRecord)
      }
      return records
    },
  }
}

/** Of these records, what was read before is kept: everything of them is decoded while its bytes are there. */
async function readAll(
  log: Pick<EventLog, 'read'>,
  range: { stream: string; partition: number; from: number; to: number },
): Promise<readonly LogRecord[]> {
  const { stream, partition, to } = range
  const all: LogRecord[] = []
  for (let from = range.from; from < to;) {
    const records = await log.read({ stream, partition, from, recordsMax: to - from })
    for (const record of records) void (record.keys, record.headers, record.data)
    all.push(...records)
    from += records.length
  }
  return all
}
