/** A world of the views of the oracle in which events are corrected, for property tests. */
import fc from 'fast-check'
import type { NewEvent } from '@millrace/log'
import type { CorrectionAction } from '../corrections/contract.ts'
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
}

/** Corrections of events that were sent before. */
export const correctionCommand: fc.Arbitrary<CorrectionCommand> = fc.record({
  kind: fc.constant('correct' as const),
  action: fc.constantFrom('retract', 'hold', 'correct', 'restore', 'retract', 'restore'),
  events: fc.array(fc.nat(12), { minLength: 1, maxLength: 4 }),
  clip: fc.nat(4),
  friend: fc.nat(5),
  ms: fc.nat(9),
})

/** See the head of the file. */
export class CorrectingWorld extends OracleWorld {
  readonly sent: NewEvent[] = []

  override async commit(...events: readonly NewEvent[]): Promise<void> {
    await super.commit(...events)
    this.sent.push(...events.filter(({ partition }) => partition === undefined))
  }

  async correct({ action, clip, friend, ms, ...step }: CorrectionCommand): Promise<void> {
    const events = new Set(step.events.flatMap(at => this.sent.at(-1 - at) ?? []))
    const corrections = [...events].map(({ id, type, key }) => ({
      id,
      action,
      data:
        type === 'watched'
          ? { viewer: key, clip: `c${clip}`, friend: `p${friend}`, ms }
          : { id: key, attributes: { topic: `t${ms}` } },
    }))
    await this.streams.corrections.apply({ corrections, reason: 'a test', by: 'nobody' })
  }
}
