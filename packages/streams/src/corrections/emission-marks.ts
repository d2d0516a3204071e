/**
 * How many corrections that which lanes emitted reflects: what the log says of it, and what follows
 * from the corrections behind.
 *
 * Whoever corrects emissions in several units says in the first to where, and in the last that it is
 * done. What was begun is done to there by whoever comes after, before anything else: what of it is on
 * the log is known to nobody. All that time, and while the state of the lane is not as far, it emits
 * nothing.
 */
import type { Lane } from '../lane.ts'
import type { LaneRunner } from '../runner.ts'
import type { CorrectionBook } from './book.ts'
import type { EmissionMark } from './contract.ts'

/** What a lane emitted, as the log names it. */
export function markOf({ definition, partition, options }: Lane): Omit<EmissionMark, 'corrected'> {
  return { fold: definition.name, generation: options.emitter.generation, partition }
}

/** See the head of the file. */
export class EmissionMarks {
  readonly #book: CorrectionBook
  /** Up to where emissions are known to reflect corrections, for none of them touched any since the mark in the log. */
  readonly #unchanged = new WeakMap<Lane, number>()
  /** Between which corrections they change, which another process has to see to. */
  readonly #awaited = new WeakMap<Lane, string>()

  constructor(book: CorrectionBook) {
    this.#book = book
  }

  /** How many corrections the emissions of a lane reflect. */
  emittedTo(lane: Lane): number {
    const marked = this.#book.markOf(markOf(lane))?.corrected ?? 0
    if (this.isBegun(lane)) return marked
    return Math.max(marked, this.#unchanged.get(lane) ?? 0)
  }

  /** To where they are to be brought next; it may be behind or before where its state is. */
  goal(lane: Lane): number {
    return this.#book.begunOf(markOf(lane)) ?? lane.corrections.position
  }

  /** True while some of what is to be corrected may be on the log. */
  isBegun(lane: Lane): boolean {
    return this.#book.begunOf(markOf(lane)) !== undefined
  }

  /** Nothing of a lane is emitted otherwise up to there. */
  noteUnchanged(lane: Lane, to: number): void {
    this.#unchanged.set(lane, to)
  }

  /** Something is emitted otherwise, and another process sees to it. */
  noteAwaited(lane: Lane): void {
    this.#awaited.set(lane, this.#span(lane))
  }

  /** True where this process emits, and may not before emissions and state reflect the same. */
  isOwing({ lane, writer }: LaneRunner): boolean {
    return writer?.leads === true && this.emittedTo(lane) !== this.goal(lane)
  }

  /** True where this process can correct emissions, or does not know whether another one has to. */
  isDue({ lane, writer }: LaneRunner): boolean {
    const goal = this.goal(lane)
    if (writer === undefined || goal <= this.emittedTo(lane)) return false
    if (writer.leads) return lane.consumed >= lane.mutedBefore && goal <= lane.corrections.position
    return !this.isBegun(lane) && this.#awaited.get(lane) !== this.#span(lane)
  }

  #span(lane: Lane): string {
    return `${this.emittedTo(lane)} ${this.goal(lane)}`
  }
}
