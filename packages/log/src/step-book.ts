/**
 * The steps of all processors: which one may follow, and how far each has come. A step is accepted
 * (it has its place and later steps must follow it) before it is durable; `endsOf` shows durable
 * steps only.
 */
import { partitionName } from '@millrace/core'
import { logErrors } from './errors.ts'
import type { ParkedKey, Step, StepEnd } from './log.ts'

/** How many steps of one source partition are kept for `steps`. */
export const STEPS_KEPT_DEFAULT = 256

/** A step with the ends that it left behind; what is written and what a checkpoint repeats. */
export interface StepRecord extends StepEnd {
  readonly processor: string
  readonly generation: number
  readonly stream: string
  readonly partition: number
}

interface Track {
  /** The newest accepted step, durable or not. */
  head: StepRecord
  /** Durable steps, oldest first. */
  durable: StepRecord[]
}

const NOTHING_PARKED: readonly ParkedKey[] = []

/** See the head of the file. */
export class StepBook {
  readonly #tracks = new Map<string, Track>()
  readonly #generations = new Map<string, number>()
  readonly #keptMax: number

  constructor(keptMax: number = STEPS_KEPT_DEFAULT) {
    this.#keptMax = keptMax
  }

  /** Refuses a step that does not follow (STEP_STALE). `sourceEnd` is the durable end of its source partition. */
  check(step: Step, sourceEnd: number): void {
    const { processor, generation, from, to } = step
    const { stream, partition } = step.source
    const refuse = (reason: string): never => {
      const source = partitionName(stream, partition)
      throw logErrors.create('STEP_STALE', { processor, source, reason })
    }
    const newest = this.#generations.get(processor)
    if (newest !== undefined && generation < newest) refuse(`generation ${newest} has begun`)
    if (!(Number.isSafeInteger(from) && Number.isSafeInteger(to) && from >= 0 && from <= to)) {
      refuse(`${from} to ${to} is not a range`)
    }
    if (to > sourceEnd) refuse(`it ends at ${to}, the source at ${sourceEnd}`)
    const head = this.#tracks.get(trackName(processor, generation, stream, partition))?.head
    if (head !== undefined && head.consumed !== from) {
      refuse(`it starts at ${from}, the last one ended at ${head.consumed}`)
    }
  }

  /** Accepts a checked step; `emitted` are the end offsets after what it emitted, by target partition. */
  accept(step: Step, emitted: ReadonlyMap<string, number>): StepRecord {
    const { processor, generation } = step
    const { stream, partition } = step.source
    const head = this.#tracks.get(trackName(processor, generation, stream, partition))?.head
    const before = head?.ends ?? new Map<string, number>()
    const record: StepRecord = {
      processor,
      generation,
      stream,
      partition,
      consumed: step.to,
      ends: emitted.size === 0 ? before : new Map([...before, ...emitted]),
      parked: parkedAfter(head?.parked ?? NOTHING_PARKED, step),
    }
    this.#trackOf(record).head = record
    return record
  }

  /** Takes over a step that was found durable when the log was opened. Call in log order. */
  restore(record: StepRecord): void {
    this.#trackOf(record).head = record
    this.settle(record)
  }

  /**
   * Takes over a durable step of another process. Left out when this process is further, on its way
   * too; true when it was news.
   */
  adopt(record: StepRecord): boolean {
    const { processor, generation, stream, partition } = record
    const head = this.#tracks.get(trackName(processor, generation, stream, partition))?.head
    if (head !== undefined && head.consumed >= record.consumed) return false
    this.restore(record)
    return true
  }

  /** An accepted step was refused in the end: the next one follows the newest durable one. */
  rewind(record: StepRecord): void {
    const name = trackName(record.processor, record.generation, record.stream, record.partition)
    const track = this.#tracks.get(name)
    const newest = track?.durable.at(-1)
    if (track === undefined || newest === undefined) this.#tracks.delete(name)
    else track.head = newest
  }

  /** The step became durable. */
  settle(record: StepRecord): void {
    const track = this.#trackOf(record)
    track.durable.push(record)
    if (track.durable.length > 2 * this.#keptMax) {
      track.durable.splice(0, track.durable.length - this.#keptMax)
    }
  }

  /** Durable steps of a processor on a source partition, newest first. */
  endsOf(request: {
    processor: string
    generation: number
    stream: string
    partition: number
  }): readonly StepEnd[] {
    const { processor, generation, stream, partition } = request
    const track = this.#tracks.get(trackName(processor, generation, stream, partition))
    return track === undefined ? [] : track.durable.slice(-this.#keptMax).reverse()
  }

  /** The newest accepted step of every processor, generation and source partition: what a checkpoint repeats. */
  heads(): StepRecord[] {
    return [...this.#tracks.values()].map(track => track.head)
  }

  /** The newest durable step of every processor, generation and source partition. */
  newest(): StepRecord[] {
    return [...this.#tracks.values()].flatMap(({ durable }) => durable.slice(-1))
  }

  /** Every durable step that is kept, in the order in which each track was first seen. */
  *durable(): Iterable<StepRecord> {
    for (const track of this.#tracks.values()) yield* track.durable
  }

  #trackOf(record: StepRecord): Track {
    const name = trackName(record.processor, record.generation, record.stream, record.partition)
    const newest = this.#generations.get(record.processor) ?? 0
    this.#generations.set(record.processor, Math.max(newest, record.generation))
    const track = this.#tracks.get(name)
    if (track !== undefined) return track
    const created: Track = { head: record, durable: [] }
    this.#tracks.set(name, created)
    return created
  }
}

function parkedAfter(before: readonly ParkedKey[], step: Step): readonly ParkedKey[] {
  const { parked = [], released = [] } = step
  if (parked.length === 0 && released.length === 0) return before
  const byKey = new Map(before.map(entry => [entry.key, entry]))
  for (const key of released) byKey.delete(key)
  for (const entry of parked) byKey.set(entry.key, entry)
  return [...byKey.values()]
}

function trackName(
  processor: string,
  generation: number,
  stream: string,
  partition: number,
): string {
  return `${stream}/${partition}/${generation}/${processor}`
}
