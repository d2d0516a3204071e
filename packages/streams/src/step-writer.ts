/**
 * Commits the steps of one lane, or follows those that another process commits. The state runs ahead
 * in memory: several steps may be on their way to the disk, in order, and what they emitted is visible
 * when they are durable. A refusal that passes (LOG_OVERLOADED) is sent again; one that says that
 * another process commits the steps now (LEASE_LOST) makes the lane follow; any other stops it.
 *
 * A lane that follows emits nothing and folds no further than the newest step that it knows, so that
 * it can lead at any time: what it then emits begins where the steps in the log end.
 */
import { isError, joinPositions, type Clock, type Position } from '@millrace/core'
import type { EventLog, NewEvent, ParkedKey, Step, StepEnd } from '@millrace/log'
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
  /** True when other processes may commit the steps: the lane follows until it is told to lead. */
  readonly isShared: boolean
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
  #lane: Lane
  /** Durable steps, oldest first; those before are forgotten. */
  readonly #marks: StepMark[]
  #from: number
  #leads: boolean
  #token: number | undefined
  #lostToken: number | undefined
  /** Grows each time that the lane begins to follow: answers to steps from before do not count. */
  #term = 0
  #inFlight = 0
  #refused: Step[] = []
  #refusal: unknown
  #isWaiting = false
  #watchers: (() => void)[] = []

  constructor(options: StepWriterOptions) {
    this.#options = options
    this.#lane = options.lane
    const steps = this.#steps()
    this.#marks = steps.map(({ consumed, ends }) => ({ consumed, ends })).reverse()
    this.committed = steps[0]?.consumed ?? 0
    this.#from = this.committed
    this.#leads = !options.isShared
  }

  /** True when this process commits the steps. */
  get leads(): boolean {
    return this.#leads
  }

  /** The fencing token under which it leads; undefined where processes share nothing. */
  get token(): number | undefined {
    return this.#token
  }

  /** True for a token under which a step was refused: it is over for good, whatever this process believes. */
  hasLost(token: number): boolean {
    return token === this.#lostToken
  }

  /** Where the lane has to stop: records behind are for whoever leads. */
  get limit(): number {
    return this.#leads ? Infinity : this.committed
  }

  /** Takes over steps that another process committed; gives the newest one. */
  adopt(): StepEnd | undefined {
    const steps = this.#steps()
    const news = steps.findLastIndex(({ consumed }) => consumed > this.committed)
    for (let index = news; index >= 0; index--) {
      const { consumed, ends } = steps[index] as StepEnd
      this.#mark(consumed, ends)
    }
    return steps[0]
  }

  /** The lane follows from now on; what it did and did not commit yet is for whoever leads. */
  follow(): void {
    const lane = this.#lane
    this.#leads = false
    this.#token = undefined
    this.error = undefined
    this.#term += 1
    this.#inFlight = 0
    this.#refused = []
    lane.mutedBefore = Infinity
    lane.emitted = []
    lane.parkedSince.clear()
    lane.releasedSince.clear()
    for (const watcher of this.#watchers.splice(0)) watcher()
  }

  /** The log refused what it does: another process leads, whatever this one believes. */
  lose(): void {
    this.#lostToken = this.#token
    this.follow()
  }

  /** The lane leads from now on. It stands at the newest step or before, or holds what it emitted since. */
  lead(token: number): void {
    const lane = this.#lane
    this.#leads = true
    this.#token = token
    this.#from = this.committed
    lane.mutedBefore = this.committed
  }

  /** Commits what `lane` does from now on; the one before has nothing left. */
  use(lane: Lane): void {
    this.#lane = lane
  }

  /** True when the lane should stop folding until steps became durable. */
  isFull(): boolean {
    return (
      this.error !== undefined ||
      this.#refused.length > 0 ||
      this.#lane.emitted.length >= EMITTED_WAITING_MAX
    )
  }

  /** True when all that the lane did is durable. */
  isDrained(): boolean {
    const lane = this.#lane
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
    const { batchRecords } = this.#options
    const lane = this.#lane
    if (!this.#leads) return
    if (this.error !== undefined || this.#refused.length > 0) return
    if (lane.consumed < this.#from) return
    const hasWork = this.#hasWork(lane)
    if (!hasWork && (lane.consumed === this.#from || end - lane.consumed >= batchRecords)) return
    if (this.#inFlight >= (hasWork ? IN_FLIGHT_MAX : 1)) return
    const step: Step = {
      ...this.standing(),
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

  /** A step of no records, which the log takes only while this process leads, and nothing is on its way: for what is committed with it. */
  standing(): Step {
    const { definition, partition } = this.#lane
    return {
      processor: definition.name,
      generation: this.#options.generation,
      source: { stream: definition.source, partition },
      from: this.committed,
      to: this.committed,
      emitted: [],
      ...(this.#token === undefined ? {} : { token: this.#token }),
    }
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

  #steps(): readonly StepEnd[] {
    const { generation, log } = this.#options
    const lane = this.#lane
    return log.steps({
      processor: lane.definition.name,
      generation,
      stream: lane.definition.source,
      partition: lane.partition,
    })
  }

  #send(step: Step): void {
    const term = this.#term
    this.#inFlight += 1
    this.#options.log.commit({ step }).then(
      ({ position }) => {
        this.#settle(step, position)
        if (term !== this.#term) return
        this.#inFlight -= 1
        this.#finish()
      },
      (error: unknown) => {
        if (term !== this.#term) return
        this.#inFlight -= 1
        if (this.#refused.length === 0) this.#refusal = error
        this.#refused.push(step)
        this.#finish()
      },
    )
  }

  #settle(step: Step, position: Position): void {
    // Adopted already, when it became durable in the moment in which the lane began to follow.
    if (step.to < this.committed) return
    const last = this.#marks.at(-1)?.ends ?? new Map<string, number>()
    this.#mark(step.to, step.emitted.length === 0 ? last : joinPositions(last, position))
  }

  #mark(consumed: number, ends: Position): void {
    this.committed = consumed
    this.#marks.push({ consumed, ends })
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
      } else if (isError(refusal, 'LEASE_LOST')) {
        this.lose()
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
