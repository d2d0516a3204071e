/** A world of the views of the oracle in which people are merged and split, for property tests. */
import { createSimRandom, type SimClock } from '@millrace/sim'
import fc from 'fast-check'
import { CorrectingWorld } from './correcting-world.ts'

/** One merge, or the end of one. */
export interface MergeCommand {
  readonly kind: 'merge'
  readonly from: number
  /** Undefined: a split. */
  readonly into: number | undefined
  /** False: what comes next, a kill perhaps, comes while it is applied. */
  readonly isAwaited: boolean
  readonly turns: number
}

/** Merges and splits of any of six people, in any order; some are refused. */
export const mergeCommand: fc.Arbitrary<MergeCommand> = fc.record({
  kind: fc.constant('merge' as const),
  from: fc.nat(5),
  into: fc.option(fc.nat(5), { nil: undefined, freq: 2 }),
  isAwaited: fc.boolean(),
  turns: fc.nat(9),
})

/** See the head of the file. */
export class MergingWorld extends CorrectingWorld {
  async merge({ from, into, isAwaited, turns }: MergeCommand): Promise<void> {
    const link = { from: `p${from}`, into: into === undefined ? null : `p${into}` }
    const set = { links: [link], reason: 'a test', by: 'nobody' }
    const applied = this.applying(this.streams.identities.apply(set))
    if (isAwaited) await applied
    for (let count = turns; count > 0; count--) await this.turn()
  }
}

/** Turns until a group of units is durable, at most: none to a slow disk. */
const SYNC_TURNS = [0, 2, 8, 30]

/** The same on virtual time: which of two things comes first is drawn from a seed, and comes again. */
export class ScheduledWorld extends MergingWorld {
  readonly #clock: SimClock

  constructor(clock: SimClock, seed: number) {
    super()
    this.#clock = clock
    const { nowMs } = this.clock
    this.clock = {
      nowMs,
      monotonicMs: () => clock.monotonicMs(),
      after: (delayMs, task) => clock.after(delayMs, task),
      soon: task => clock.soon(task),
    }
    const random = createSimRandom(`sync/${seed}`)
    const most = SYNC_TURNS[seed % SYNC_TURNS.length] as number
    this.sync = async () => {
      for (let turns = Math.floor(random.next() * (most + 1)); turns > 0; turns--) await this.turn()
    }
  }

  override async turn(): Promise<void> {
    await new Promise<void>(resolve => this.#clock.soon(resolve))
  }
}
