/**
 * The events that name a person, wherever they are: those of the stream of people by its index of
 * keys, others by the streams that are re-keyed by the field that names the person. Of a field by
 * which nothing is re-keyed the whole stream is read.
 */
import { partitionName, type Clock } from '@millrace/core'
import type { EventLog, LogRecord } from '@millrace/log'
import type { CorrectionBook } from '../corrections/book.ts'
import { copyOf } from '../corrections/originals.ts'
import { streamsErrors } from '../errors.ts'
import { OUTSIDE } from '../generations.ts'
import type { FoldRunner } from '../runner.ts'
import { Slices } from '../slices.ts'
import { isKeyedByPeople, peopleIn } from './people.ts'
import { PERSON, type PersonEvent, type PersonFields } from './contract.ts'

/** What it takes to find them. */
export interface OriginPorts {
  readonly log: Pick<EventLog, 'read' | 'history' | 'find' | 'ends' | 'steps'>
  readonly clock: Clock
  readonly sliceMs: number
  readonly book: Pick<CorrectionBook, 'entry'>
  readonly runners: readonly FoldRunner[]
  readonly events: readonly PersonEvent[]
  readonly people: PersonFields
}

const WAIT_MS = 5

/** See the head of the file. */
export class Origins {
  readonly #ports: OriginPorts
  /** Folds that re-key to people: their streams are indexes of the events that name them. */
  readonly #indexes: readonly FoldRunner[]
  /** Streams with events that name people in a field that no index has, and the types of these. */
  readonly #unindexed = new Map<string, Set<string>>()
  /** Streams from outside that name people. */
  readonly streams: readonly string[]
  #isClosed = false

  constructor(ports: OriginPorts) {
    this.#ports = ports
    this.#indexes = ports.runners.filter(
      ({ definition: { isRekeying, targets = [] } }) =>
        isRekeying === true && targets.every(isKeyedByPeople),
    )
    this.streams = [...new Set(ports.events.map(({ stream }) => stream))]
    for (const event of ports.events) {
      const isFound = (field: string): boolean =>
        (event.stream === PERSON && field === event.key) ||
        this.#indexesOf(event.stream).some(
          ({ definition }) => definition.keyFields?.get(event.type)?.includes(field) === true,
        )
      if (event.fields.every(isFound)) continue
      const types = this.#unindexed.get(event.stream) ?? new Set()
      this.#unindexed.set(event.stream, types.add(event.type))
    }
  }

  close(): void {
    this.#isClosed = true
  }

  /** Up to where events of a partition of a stream from outside are certain to be found. */
  endOf(stream: string, partition: number): number {
    const { log } = this.#ports
    const end = log.ends().get(partitionName(stream, partition)) ?? 0
    return this.#indexesOf(stream).reduce((least, runner) => {
      const { name, definition, lanes } = runner
      const generation = lanes[0]?.lane.options.emitter.generation ?? OUTSIDE
      const place = { processor: name, generation, stream: definition.source, partition }
      return Math.min(least, log.steps(place)[0]?.consumed ?? 0)
    }, end)
  }

  /** Waits until all that is durable now can be found. */
  async settled(stream: string): Promise<void> {
    const { log, clock } = this.#ports
    const ends = new Map(log.ends())
    for (const partition of partitionsOf(log, stream)) {
      const end = ends.get(partitionName(stream, partition)) ?? 0
      while (this.endOf(stream, partition) < end) {
        if (this.#isClosed) throw streamsErrors.create('STREAMS_CLOSED')
        await new Promise<void>(resolve => clock.after(WAIT_MS, resolve))
      }
    }
  }

  /** The events of one stream, or of all, that name one of these people, each once, as they were sent. */
  async *of(ids: readonly string[], only?: string): AsyncGenerator<LogRecord> {
    if (ids.length === 0) return
    const { log, clock, sliceMs, people } = this.#ports
    const slices = new Slices(clock, sliceMs)
    const wanted = new Set(ids)
    const seen = new Set<string>()
    const isNew = (record: LogRecord | undefined): record is LogRecord => {
      if (record?.generation !== OUTSIDE || seen.has(record.id)) return false
      seen.add(record.id)
      return true
    }
    const isNamed = (record: LogRecord): boolean =>
      [record, ...this.#corrected(record)].some(each =>
        peopleIn(each, people).some(id => wanted.has(id)),
      )
    for (const stream of this.streams) {
      if (only !== undefined && stream !== only) continue
      const indexes = this.#indexesOf(stream)
      for (const id of ids) {
        if (stream === PERSON) {
          for await (const record of log.history({ stream, keys: [id] })) {
            if (isNew(record)) yield copyOf(record)
            await slices.pause()
          }
        }
        for (const { definition } of indexes) {
          const target = definition.targets?.[0] as string
          for await (const indexed of log.history({ stream: target, keys: [id] })) {
            const cause = definition.causeOf?.(indexed)
            if (cause === undefined || seen.has(cause.id)) continue
            const record = await log.find(cause.id)
            if (isNew(record)) yield copyOf(record)
            await slices.pause()
          }
        }
      }
      const types = this.#unindexed.get(stream)
      if (types === undefined) continue
      for await (const records of this.#all(stream)) {
        // A record holds until the next read.
        yield* records
          .filter(record => types.has(record.type) && isNamed(record) && isNew(record))
          .map(copyOf)
        await slices.pause()
      }
    }
  }

  /** The event with the data that it was ever given. */
  #corrected(record: LogRecord): readonly Pick<LogRecord, 'type' | 'data'>[] {
    const { type } = record
    const history = this.#ports.book.entry(record.id)?.history ?? []
    return history.flatMap(({ correction }) =>
      correction?.action === 'correct' ? [{ type, data: correction.data }] : [],
    )
  }

  #indexesOf(stream: string): readonly FoldRunner[] {
    return this.#indexes.filter(({ definition }) => definition.source === stream)
  }

  async *#all(stream: string): AsyncGenerator<readonly LogRecord[]> {
    const { log } = this.#ports
    for (const partition of partitionsOf(log, stream)) {
      for (let from = 0; ;) {
        const records = await log.read({ stream, partition, from })
        if (records.length === 0) break
        yield records
        from += records.length
      }
    }
  }
}

/** The partitions of a stream that hold anything. */
export function partitionsOf(log: Pick<EventLog, 'ends'>, stream: string): readonly number[] {
  const prefix = `${stream}/`
  return [...log.ends().keys()]
    .filter(name => name.startsWith(prefix))
    .map(name => Number(name.slice(prefix.length)))
}
