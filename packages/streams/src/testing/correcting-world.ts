/** A world of the views of the oracle in which events are corrected, for property tests. */
import fc from 'fast-check'
import type { NewEvent } from '@millrace/log'
import type { CorrectionAction } from '../corrections/contract.ts'
import type { RequestedCorrection } from '../corrections/control.ts'
import { OracleWorld } from './oracle-world.ts'

/** A set of corrections. */
export interface CorrectionCommand {
  readonly kind: 'correct'
  readonly action: CorrectionAction
  /** Which of the events so far, counted from the newest. */
  readonly events: readonly number[]
  readonly clip: number
  readonly friend: number
  readonly ms: number
  /** False: what comes next, a kill perhaps, comes while the corrections are applied. */
  readonly isAwaited: boolean
}

/** Corrections of events that were sent before. */
export const correctionCommand: fc.Arbitrary<CorrectionCommand> = fc.record({
  kind: fc.constant('correct' as const),
  action: fc.constantFrom('retract', 'hold', 'correct', 'restore', 'retract', 'restore'),
  events: fc.array(fc.nat(12), { minLength: 1, maxLength: 4 }),
  clip: fc.nat(4),
  friend: fc.nat(5),
  ms: fc.nat(9),
  isAwaited: fc.boolean(),
})

/** See the head of the file. */
export class CorrectingWorld extends OracleWorld {
  readonly sent: NewEvent[] = []
  /** What this runtime applies; one that is killed or closed answers nobody. */
  #applying: Promise<unknown>[] = []

  override async open(): Promise<this> {
    this.#applying = []
    return await super.open()
  }

  override async settle(): Promise<void> {
    await Promise.all(this.#applying)
    await super.settle()
  }

  override async commit(...events: readonly NewEvent[]): Promise<void> {
    await super.commit(...events)
    this.sent.push(...events.filter(({ partition }) => partition === undefined))
  }

  /** The corrections of a command, of the events that were sent so far. */
  correctionsOf(
    step: Omit<CorrectionCommand, 'kind' | 'isAwaited'>,
  ): readonly RequestedCorrection[] {
    const { action, clip, friend, ms } = step
    const events = new Set(step.events.flatMap(at => this.sent.at(-1 - at) ?? []))
    return [...events].map(({ id, type, key }) => ({
      id,
      action,
      data:
        type === 'watched'
          ? { viewer: key, clip: `c${clip}`, friend: `p${friend}`, ms }
          : { id: key, attributes: { topic: `t${ms}` } },
    }))
  }

  /** Work that this runtime has begun: `settle` waits for it. */
  protected applying(work: Promise<unknown>): Promise<unknown> {
    this.#applying.push(work)
    work.catch(() => undefined)
    return work
  }

  async correct({ isAwaited, ...step }: CorrectionCommand): Promise<void> {
    const set = { corrections: this.correctionsOf(step), reason: 'a test', by: 'nobody' }
    const applied = this.applying(this.streams.corrections.apply(set))
    if (isAwaited) await applied
    for (let turns = step.ms; turns > 0; turns--) await this.turn()
  }
}
