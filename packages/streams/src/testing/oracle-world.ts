/** Random events in the world of the oracle's views, for property tests. */
import fc from 'fast-check'
import { deriveId, systemClock } from '@millrace/core'
import { TICK_TYPE, type NewEvent } from '@millrace/log'
import { createMemorySnapshotStore } from '@millrace/store/memory'
import { compiled, people } from './oracle.ts'
import { PARTITIONS, TestWorld, turn } from './world.ts'

/** What happens in the world of the oracle. */
export type OracleCommand =
  | {
      readonly kind: 'watch'
      readonly viewer: number
      readonly clip: number
      readonly friend: number
      readonly behind: number
      readonly isHistory: boolean
    }
  | {
      readonly kind: 'put'
      readonly clip: number
      readonly topic: number
      readonly behind: number
      readonly isRemoval: boolean
    }
  | {
      readonly kind: 'tick'
      readonly stream: number
      readonly partition: number
      readonly ahead: number
    }
  | { readonly kind: 'wait' }
  | { readonly kind: 'restart'; readonly how: 'kill' | 'close' | 'noSnapshots' }

/** Any of it. */
export const oracleCommand: fc.Arbitrary<OracleCommand> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('watch' as const),
      viewer: fc.nat(5),
      clip: fc.nat(4),
      friend: fc.nat(5),
      behind: fc.oneof(fc.constant(0), fc.nat(100)),
      isHistory: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      clip: fc.nat(4),
      topic: fc.nat(3),
      behind: fc.oneof(fc.constant(0), fc.nat(100)),
      isRemoval: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('tick' as const),
      stream: fc.nat(1),
      partition: fc.nat(PARTITIONS - 1),
      ahead: fc.nat(40),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ kind: 'wait' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('restart' as const),
      how: fc.constantFrom('kill' as const, 'close' as const, 'noSnapshots' as const),
    }),
  },
)

/** A world of the views of the oracle; each event comes 3 ms after the one before. */
export class OracleWorld extends TestWorld {
  nowMs = 1_000_000
  count = 0

  constructor() {
    // Those that may have bases, have them.
    super(compiled.folds.map(fold => ({ ...fold, hasLongHistories: true as const })))
    this.tables = compiled.tables
    this.extraStreams = compiled.streams
    this.people = people
    // Each record arrives at a time of its own.
    let arrivalMs = 1_000_000_000
    this.clock = { ...systemClock, nowMs: () => ++arrivalMs }
    this.settings = { batchRecords: 5, snapshotEveryRecords: 7, baseEveryRecords: 10 }
  }

  /** Others get their turn. */
  async turn(): Promise<void> {
    await turn()
  }

  async run(step: OracleCommand): Promise<void> {
    if (step.kind === 'watch' || step.kind === 'put' || step.kind === 'tick') {
      await this.commit(this.#event(step))
    } else if (step.kind === 'wait') {
      await this.settle()
    } else {
      if (step.how === 'close') await this.streams.close()
      if (step.how === 'noSnapshots') this.snapshots = createMemorySnapshotStore()
      await this.open()
    }
  }

  #event(step: Exclude<OracleCommand, { kind: 'wait' | 'restart' }>): NewEvent {
    this.nowMs += 3
    this.count += 1
    const make = (atMs: number): { id: string; eventTimeMs: number } => ({
      id: deriveId(atMs, `${this.count}`),
      eventTimeMs: atMs,
    })
    if (step.kind === 'watch') {
      const { viewer, clip, friend, isHistory } = step
      const data = { viewer: `p${viewer}`, clip: `c${clip}`, friend: `p${friend}`, ms: clip + 1 }
      const at = make(this.nowMs - step.behind)
      return { stream: 'person', type: 'watched', key: data.viewer, data, isHistory, ...at }
    }
    if (step.kind === 'put') {
      const key = `c${step.clip}`
      const type = step.isRemoval ? 'clip.removed' : 'clip.put'
      const data = step.isRemoval
        ? { id: key }
        : { id: key, attributes: { topic: `t${step.topic}` } }
      return { stream: 'clip', type, key, data, ...make(this.nowMs - step.behind) }
    }
    const stream = ['person', 'clip.from-person'][step.stream] as string
    const at = make(this.nowMs + step.ahead)
    return { stream, type: TICK_TYPE, key: TICK_TYPE, data: null, partition: step.partition, ...at }
  }
}
