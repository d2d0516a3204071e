/**
 * Commits the steps of one lane. The state runs ahead in memory: several steps may be on their way
 * to the disk, in order, and what they emitted is visible when they are durable. A refusal that
 * passes (LOG_OVERLOADED) is sent again; any other stops the lane.
 */
import { isError, joinPositions, type Clock, type Position } from '@millrace/core'
import type { EventLog, NewEvent, ParkedKey, Step } from '@millrace/log'
import type { Lane } from './lane.ts'

/** A durable step: how far the lane had come, and what that meant for its targets. */
export interface StepMark {
  readonly consumed: number
  readonly ends: Position
}

export interface StepWriterOptions {
  readonly log: EventLog
  readonly clock: Clock
  readonly lane: Lane
  readonly generation: number
  /** Records that the loop folds at a time. */
  readonly batchRecords: number
  /** Called after a step became durable or was refused for good. */
  readonly onSettled: () => void
}

const IN_FLIGHT_MAX = 4
const EMITTED_WAITING_MAX = 20_000
const MARKS_MAX = 1_024
const RETRY_AFTER_MS = 50

/** See the head of the file. */
export class StepWriter {
  /** End of the newest durable step. */
  committed: number
  /** Why the lane cannot go on; undefined while it can. */
  error: unknown
  readonly #options: StepWriterOptions
  /** Durable steps, oldest first; those before are forgotten. */
  readonly #marks: StepMark[]
  #from: number
  #inFlight = 0
  #refused: Step[] = []
  #refusal: unknown
  #isWaiting = false
  #watchers: (() => void)[] = []

  constructor(options: StepWriterOptions) {
    this.#options = options
    const { lane, generation, log } = options
    const steps = log.steps({
      processor: lane.definition.name,
      generation,
      stream: lane.definition.source,
      partition: lane.partition,
    })
    this.#marks = steps.map(({ consumed, ends }) => ({ consumed, ends })).reverse()
    this.committed = steps[0]?.consumed ?? 0
    this.#from = this.committed
  }

  /** True when the lane should stop folding until steps became durable. */
  isFull(): boolean {
    return (
      this.error !== undefined ||
      this.#refused.length > 0 ||
      this.#options.lane.emitted.length >= EMITTED_WAITING_MAX
    )
  }

  /** True when all that the lane did is durable. */
  isDrained(): boolean {
    const { lane } = this.#options
    return (
      this.#inFlight === 0 &&
      this.#refused.length === 0 &&
      !this.#hasWork(lane) &&
      lane.consumed <= this.committed
    )
  }

  /** True while a step is on its way or waits to be sent again. */
  isBusy(): boolean {
    return this.#inFlight > 0 || this.#refused.length > 0
  }

  /**
   * Commits what the lane did since the last step, if it may now. Steps that say nothing wait until
   * none is in flight and `end`, that of the source, is nearer than a batch, so that a busy lane has
   * few of them and an idle one always ends with one.
   */
  flush(end = 0): void {
    const { lane, batchRecords } = this.#options
    if (this.error !== undefined || this.#refused.length > 0) return
    if (lane.consumed < this.#from) return
    const hasWork = this.#hasWork(lane)
    if (!hasWork && (lane.consumed === this.#from || end - lane.consumed >= batchRecords)) return
    if (this.#inFlight >= (hasWork ? IN_FLIGHT_MAX : 1)) return
    const { definition, partition } = lane
    const step: Step = {
      processor: definition.name,
      generation: this.#options.generation,
      source: { stream: definition.source, partition },
      from: this.#from,
      to: lane.consumed,
      emitted: lane.emitted,
      parked: [...lane.parkedSince.values()],
      released: [...lane.releasedSince],
    }
    lane.emitted = []
    lane.parkedSince.clear()
    lane.releasedSince.clear()
    this.#from = lane.consumed
    this.#send(step)
  }

  /** Resolves after the next answer of the log to a step, or a refusal for good. */
  async settled(): Promise<void> {
    if (this.error !== undefined || !this.isBusy()) return
    await new Promise<void>(resolve => this.#watchers.push(resolve))
  }

  /** The ends of the first known step at or after `offset`; undefined while there is none. */
  endsAfter(offset: number): Position | undefined {
    const marks = this.#marks
    let low = 0
    let high = marks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((marks[middle] as StepMark).consumed >= offset) high = middle
      else low = middle + 1
    }
    return marks[low]?.ends
  }

  /** How far the lane had come at the newest step whose ends `isReached`; 0 when no known step was. */
  consumedWhere(isReached: (ends: Position) => boolean): number {
    for (let index = this.#marks.length - 1; index >= 0; index--) {
      const mark = this.#marks[index] as StepMark
      if (isReached(mark.ends)) return mark.consumed
    }
    return 0
  }

  #hasWork(lane: Lane): boolean {
    return lane.emitted.length > 0 || lane.parkedSince.size > 0 || lane.releasedSince.size > 0
  }

  #send(step: Step): void {
    this.#inFlight += 1
    this.#options.log.commit({ step }).then(
      ({ position }) => {
        this.#inFlight -= 1
        this.#settle(step, position)
        this.#finish()
      },
      (error: unknown) => {
        this.#inFlight -= 1
        if (this.#refused.length === 0) this.#refusal = error
        this.#refused.push(step)
        this.#finish()
      },
    )
  }

  #settle(step: Step, position: Position): void {
    this.committed = step.to
    const last = this.#marks.at(-1)?.ends ?? new Map<string, number>()
    const ends = step.emitted.length === 0 ? last : joinPositions(last, position)
    this.#marks.push({ consumed: step.to, ends })
    if (this.#marks.length > 2 * MARKS_MAX) this.#marks.splice(0, MARKS_MAX)
  }

  /** After the last answer: sends what was refused for the moment again, as one step. */
  #finish(): void {
    if (this.#refused.length > 0 && this.#inFlight === 0 && !this.#isWaiting) {
      const refusal = this.#refusal
      if (isError(refusal, 'LOG_OVERLOADED')) {
        this.#isWaiting = true
        this.#options.clock.after(refusal.retryAfterMs ?? RETRY_AFTER_MS, () => {
          this.#isWaiting = false
          const step = mergeSteps(this.#refused)
          this.#refused = []
          this.#send(step)
        })
      } else {
        this.error = refusal
      }
    }
    for (const watcher of this.#watchers.splice(0)) watcher()
    this.#options.onSettled()
  }
}

function mergeSteps(steps: readonly Step[]): Step {
  const first = steps[0] as Step
  const last = steps.at(-1) as Step
  const emitted: NewEvent[] = []
  const parked = new Map<string, ParkedKey>()
  const released = new Set<string>()
  for (const step of steps) {
    for (const event of step.emitted) emitted.push(event)
    for (const key of step.released ?? []) {
      parked.delete(key)
      released.add(key)
    }
    for (const entry of step.parked ?? []) parked.set(entry.key, entry)
  }
  return { ...first, to: last.to, emitted, parked: [...parked.values()], released: [...released] }
}
