/**
 * Moving a log to another home, record by record: every record gets the place, the times and the id
 * that it had, every processor goes on where it was.
 *
 * Promise: what the target holds is a prefix of the source at any moment, so that a move that was cut
 * off goes on where it stood, after what is there was compared; each record is read back and compared
 * before the next ones are sent. Cost: a read and a write of everything, and a read of the target; two
 * reads more of what an earlier run had moved.
 */
import { createHash, type Hash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { partitionName } from '@millrace/core'
import { logErrors } from '../errors.ts'
import type { EventLog, LogRecord, NewEvent, StreamSpec } from '../log.ts'
import type { StepRecord } from '../step-book.ts'

/** A log that is moved away; others may go on writing to it. */
export interface MoveSource extends Pick<EventLog, 'read' | 'ends' | 'stats'> {
  /** Sees what was appended since. */
  refresh(): Promise<void>
  streams(): readonly StreamSpec[]
  /** The newest step of every processor, generation and source partition. */
  stepHeads(): readonly StepRecord[]
}

/** What was moved of one partition. */
export interface MovedPartition {
  readonly stream: string
  readonly partition: number
  readonly records: number
  /** SHA-256 of all its records, equal in both logs. */
  readonly sha256: string
}

const BATCH_RECORDS = 500

/** One move; nobody else may write to its target. */
export class Move {
  readonly #source: MoveSource
  readonly #target: EventLog
  readonly #hashes = new Map<string, { readonly hash: Hash; records: number }>()
  readonly #onProgress: (moved: number) => void
  #moved = 0

  constructor(ports: {
    readonly source: MoveSource
    readonly target: EventLog
    /** Hears how many records were moved, or found there and compared. */
    readonly onProgress?: (moved: number) => void
  }) {
    this.#source = ports.source
    this.#target = ports.target
    this.#onProgress = ports.onProgress ?? (() => undefined)
  }

  /** Records of the source that are not known to be in the target. */
  get left(): number {
    let all = 0
    for (const end of this.#source.ends().values()) all += end
    return all - this.#moved
  }

  /** Brings the target to what the source holds now. Throws MOVE_DIFFERS, MOVE_HISTORY_GONE. */
  async catchUp(): Promise<void> {
    await this.#source.refresh()
    await this.#target.declare(this.#source.streams())
    const ends = new Map(this.#source.ends())
    for (const { stream, partitions } of this.#source.stats().streams) {
      for (const [partition, { start }] of partitions.entries()) {
        const name = partitionName(stream, partition)
        if (start > 0) throw logErrors.create('MOVE_HISTORY_GONE', { stream, start })
        await this.#movePartition(stream, partition, ends.get(name) ?? 0)
      }
    }
    for (const [name, end] of this.#target.ends()) {
      const known = ends.get(name) ?? 0
      if (end > known)
        throw logErrors.create('MOVE_DIFFERS', { place: `${name} at offset ${known}` })
    }
  }

  /** Lets every processor go on where it was; call when nobody writes to the source any more. */
  async moveSteps(): Promise<number> {
    const heads = this.#source.stepHeads().toSorted((a, b) => a.generation - b.generation)
    for (const head of heads) {
      const { processor, generation, stream, partition, consumed, parked, ends } = head
      const [there] = this.#target.steps(head)
      if (isDeepStrictEqual(there, { ...there, consumed, parked, ends })) continue
      const waiting = new Set(parked.map(({ key }) => key))
      await this.#target.commit({
        step: {
          processor,
          generation,
          source: { stream, partition },
          from: there?.consumed ?? consumed,
          to: consumed,
          emitted: [],
          parked,
          released: (there?.parked ?? []).map(({ key }) => key).filter(key => !waiting.has(key)),
          ends,
        },
      })
    }
    return heads.length
  }

  /** What was moved, by partition. */
  moved(): readonly MovedPartition[] {
    return [...this.#hashes].map(([name, { hash, records }]) => {
      const slash = name.lastIndexOf('/')
      const [stream, partition] = [name.slice(0, slash), Number(name.slice(slash + 1))]
      return { stream, partition, records, sha256: hash.copy().digest('hex') }
    })
  }

  async #movePartition(stream: string, partition: number, end: number): Promise<void> {
    const name = partitionName(stream, partition)
    let sum = this.#hashes.get(name)
    if (sum === undefined)
      this.#hashes.set(name, (sum = { hash: createHash('sha256'), records: 0 }))
    while (sum.records < end) {
      const from = sum.records
      const recordsMax = Math.min(BATCH_RECORDS, end - from)
      const records = await this.#source.read({ stream, partition, from, recordsMax })
      const there = this.#target.ends().get(name) ?? 0
      // What an earlier run has moved is compared like what this one moves.
      const missing = records.filter(({ offset }) => offset >= there)
      if (missing.length > 0) await this.#target.commit({ events: missing.map(eventOf) })
      await this.#compare(records, name, sum.hash)
      sum.records += records.length
      this.#moved += records.length
      this.#onProgress(this.#moved)
    }
  }

  async #compare(records: readonly LogRecord[], name: string, hash: Hash): Promise<void> {
    const [first] = records
    if (first === undefined) throw logErrors.create('MOVE_DIFFERS', { place: name })
    const { stream, partition } = first
    for (let index = 0; index < records.length;) {
      const from = first.offset + index
      const recordsMax = records.length - index
      const found = await this.#target.read({ stream, partition, from, recordsMax })
      for (const [at, record] of found.entries()) {
        const text = textOf(records[index + at] as LogRecord)
        if (textOf(record) !== text) {
          const place = `${name} at offset ${record.offset}`
          throw logErrors.create('MOVE_DIFFERS', { place })
        }
        hash.update(text)
      }
      if (found.length === 0) throw logErrors.create('MOVE_DIFFERS', { place: `${name} at offset ${from}` }) // prettier-ignore
      index += found.length
    }
  }
}

function eventOf(record: LogRecord): NewEvent {
  const { tenant, stream, partition, type, key, keys, id, eventTimeMs, headers, sealed } = record
  const { payload, definition, generation, isHistory, isUnique, ingestTimeMs, watermarkMs } = record
  const isOwnKey = keys.length === 1 && keys[0] === key
  return {
    tenant,
    stream,
    partition,
    type,
    key,
    id,
    eventTimeMs,
    data: undefined,
    // A record's bytes last until the next read only.
    payload: Uint8Array.from(payload),
    definition,
    generation,
    isHistory,
    isUnique,
    moved: { ingestTimeMs, watermarkMs },
    ...(isOwnKey ? {} : { keys }),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(sealed === undefined ? {} : { sealed }),
  }
}

/** All of a record, as one line: equal texts are equal records. */
function textOf(record: LogRecord): string {
  const { sealed } = record
  const text = JSON.stringify([
    record.offset,
    record.tenant,
    record.type,
    record.key,
    record.keys,
    record.id,
    record.eventTimeMs,
    record.ingestTimeMs,
    record.watermarkMs,
    record.definition,
    record.generation,
    record.isHistory,
    record.isUnique,
    Object.entries(record.headers),
    sealed === undefined ? null : [sealed.person, Buffer.from(sealed.bytes).toString('base64')],
    Buffer.from(record.payload).toString('utf8'),
  ])
  return `${text}\n`
}
