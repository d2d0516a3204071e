/**
 * Histories of some keys that several lanes ask for while they are corrected: a fold of the same
 * stream, and the comparison of what one emitted. Whoever asks first reads; who asks for the same
 * meanwhile or behind it gets the records that were read, which are the same as long as no other
 * corrections are asked by: who is erased is corrected first. What whoever corrects has read already is
 * not read at all.
 *
 * Memory: up to `HELD_BYTES_MAX`; a history that does not fit is read by each. Nothing is held once
 * `forget` is called.
 */
import type { EventLog, LogRecord } from '@millrace/log'

const HELD_BYTES_MAX = 64 * 1024 * 1024
/** What a record takes beside its payload, and how often the payload, once it is decoded. */
const RECORD_BYTES = 512
const DECODED = 3
/** One in so many records is measured: that takes as long as to decode it. */
const MEASURED = 16
/** More keys are seldom asked for twice. */
const KEYS_MAX = 5_000

type HistoryRequest = Parameters<EventLog['history']>[0]
/** Records of a stream by partition and offset. */
type Places = ReadonlyMap<number, ReadonlyMap<number, LogRecord>>

/** See the head of the file. */
export class Histories {
  readonly #log: EventLog
  /** Undefined: it did not fit, or could not be read. */
  readonly #held = new Map<string, Promise<readonly LogRecord[] | undefined>>()
  readonly #planned: Iterable<ReadonlyMap<string, LogRecord>>
  readonly #places = new WeakMap<ReadonlyMap<string, LogRecord>, ReadonlyMap<string, Places>>()
  #bytes = 0

  /** `planned` has records that were read already. */
  constructor(log: EventLog, planned: Iterable<ReadonlyMap<string, LogRecord>> = []) {
    this.#log = log
    this.#planned = planned
  }

  /** The log, for those who reflect the first `corrected` records of corrections. */
  at(corrected: number): Pick<EventLog, 'read' | 'history'> {
    return {
      read: request => this.#log.read(request),
      history: request => this.#history(request, corrected),
    }
  }

  /** What is held is of no use any more. */
  forget(): void {
    this.#held.clear()
    this.#bytes = 0
  }

  async *#history(request: HistoryRequest, corrected: number): AsyncGenerator<LogRecord, void> {
    if (request.isByOffset !== true || request.keys.length > KEYS_MAX) {
      yield* this.#log.history(request)
      return
    }
    const name = JSON.stringify([corrected, { ...request, keys: [...request.keys].sort() }])
    const held = this.#held.get(name)
    // The first of those who ask at the same time reads.
    yield* held === undefined
      ? this.#read(request, name)
      : ((await held) ?? this.#read(request, name))
  }

  /** Those of a stream that were read already. */
  #known({ stream }: HistoryRequest): HistoryRequest['known'] {
    const known = [...this.#planned].flatMap(records => this.#placesOf(records).get(stream) ?? [])
    return (partition, offset) => {
      for (const places of known) {
        const record = places.get(partition)?.get(offset)
        if (record !== undefined) return record
      }
      return undefined
    }
  }

  /** Records by their places, found out once; what was sealed is opened anew, for somebody may have been erased. */
  #placesOf(records: ReadonlyMap<string, LogRecord>): ReadonlyMap<string, Places> {
    const found = this.#places.get(records)
    if (found !== undefined) return found
    const byStream = new Map<string, Map<number, Map<number, LogRecord>>>()
    for (const record of records.values()) {
      if (record.sealed !== undefined) continue
      const { stream, partition, offset } = record
      const places = byStream.get(stream) ?? new Map<number, Map<number, LogRecord>>()
      byStream.set(stream, places)
      const offsets = places.get(partition) ?? new Map<number, LogRecord>()
      places.set(partition, offsets)
      offsets.set(offset, record)
    }
    this.#places.set(records, byStream)
    return byStream
  }

  async *#read(request: HistoryRequest, name: string): AsyncGenerator<LogRecord, void> {
    const { promise, resolve } = Promise.withResolvers<readonly LogRecord[] | undefined>()
    this.#held.set(name, promise)
    let held: LogRecord[] | undefined = []
    let isWhole = false
    let count = 0
    try {
      for await (const record of this.#log.history({ ...request, known: this.#known(request) })) {
        if (count++ % MEASURED === 0)
          this.#bytes += MEASURED * (RECORD_BYTES + DECODED * record.payload.length)
        if (this.#bytes > HELD_BYTES_MAX) held = undefined
        held?.push(record)
        yield record
      }
      isWhole = true
    } finally {
      resolve(isWhole ? held : undefined)
    }
  }
}
