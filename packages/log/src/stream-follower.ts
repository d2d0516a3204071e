/** Reads a stream of one partition as it grows: a book of decisions, which every process keeps for itself. */
import { partitionName } from '@millrace/core'
import type { EventLog, LogRecord } from './log.ts'

/** Takes one record; a throw leaves it to be read again by the next `follow`. */
export type RecordReader = (record: LogRecord) => void | Promise<void>

/** See the head of the file. Each record is given out once, in order, whoever asks and however many at once. */
export class StreamFollower {
  readonly #log: Pick<EventLog, 'read' | 'ends'>
  readonly #stream: string
  readonly #end: string
  #position = 0
  #turn: Promise<void> = Promise.resolve()

  constructor(log: Pick<EventLog, 'read' | 'ends'>, stream: string) {
    this.#log = log
    this.#stream = stream
    this.#end = partitionName(stream, 0)
  }

  /** How many records were read. */
  get position(): number {
    return this.#position
  }

  /** True when the log holds records that were not read. */
  get hasNews(): boolean {
    return (this.#log.ends().get(this.#end) ?? 0) > this.#position
  }

  /** Reads to the durable end. Calls take turns: a later one sees what the earlier ones left. */
  async follow(add: RecordReader): Promise<void> {
    const turn = this.#turn.then(() => this.#read(add))
    this.#turn = turn.catch(() => undefined)
    await turn
  }

  async #read(add: RecordReader): Promise<void> {
    while (this.hasNews) {
      const place = { stream: this.#stream, partition: 0, from: this.#position }
      const records = await this.#log.read(place)
      // An end that is announced before it can be read: whoever is told of the next one comes back.
      if (records.length === 0) return
      for (const record of records) {
        // What is read at once is added at once: no reader of a book sees half of it.
        const done = add(record)
        if (done !== undefined) await done
        this.#position = record.offset + 1
      }
    }
  }
}
