/**
 * Branches against the log with the same changes in it: random events, corrections, restarts; then a
 * branch retracts, corrects, restores and adds events, and says what the live world says once the same
 * is done to it. A second branch, read only after that and after more has happened, says the same.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { deriveId, systemClock } from '@millrace/core'
import { CorrectingWorld, correctionCommand } from '../testing/correcting-world.ts'
import { compiled, views } from '../testing/oracle.ts'
import { oracleCommand } from '../testing/oracle-world.ts'
import { canonicalText } from '../views/canonical.ts'
import { viewFoldName } from '../views/compile.ts'
import { createViewReader } from '../views/reader.ts'
import type { AddedEvent, Branch, BranchChanges } from './contract.ts'

const KEYS = [...Array(6).keys()].map(number => `p${number}`).concat(['c0', 'c1', 'c2', 'c3', 'c4'])

const happening = fc.oneof(
  { weight: 3, arbitrary: oracleCommand },
  { weight: 1, arbitrary: correctionCommand },
)
const happenings = fc.array(happening, { minLength: 5, maxLength: 50, size: 'max' })
const added = fc.record({
  viewer: fc.nat(5),
  clip: fc.nat(4),
  friend: fc.nat(5),
  behind: fc.nat(60),
})
const changes = fc.record({
  corrections: fc.array(correctionCommand, { maxLength: 3 }),
  events: fc.array(added, { maxLength: 3 }),
})

interface Told {
  readonly value: string
  readonly watermarkMs: number
}

class BranchWorld extends CorrectingWorld {
  #added = 0

  constructor() {
    super()
    this.clock = { ...systemClock, nowMs: () => this.nowMs }
  }

  async happen(steps: readonly (typeof happening extends fc.Arbitrary<infer T> ? T : never)[]) {
    for (const step of steps) await (step.kind === 'correct' ? this.correct(step) : this.run(step))
    await this.settle()
  }

  /** Of several corrections of an event the first one stays. Events come at no later time than it is there. */
  changesOf(
    step: typeof changes extends fc.Arbitrary<infer T> ? T : never,
  ): Required<Pick<BranchChanges, 'corrections' | 'events'>> {
    const corrections = new Map(
      step.corrections
        .flatMap(each => this.correctionsOf(each))
        .reverse()
        .map(each => [each.id, each]),
    )
    const events = step.events.flatMap(({ viewer, clip, friend, behind }): AddedEvent[] => {
      const key = `p${viewer}`
      const watermarkMs = this.streams.fold('view.count').watermarkOf(key)
      if (!Number.isFinite(watermarkMs)) return []
      this.#added += 1
      const eventTimeMs = watermarkMs - behind
      const data = { viewer: key, clip: `c${clip}`, friend: `p${friend}`, ms: 3 }
      const id = deriveId(eventTimeMs, `added ${this.#added}`)
      return [{ stream: 'person', type: 'watched', key, id, eventTimeMs, data }]
    })
    return { corrections: [...corrections.values()], events }
  }

  live(): ReadonlyMap<string, Told> {
    const told = new Map<string, Told>()
    for (const view of Object.keys(views)) {
      const reader = createViewReader(this.streams, view)
      for (const key of KEYS) told.set(`${view} ${key}`, tell(view, reader.get(key)))
    }
    return told
  }

  async apply({ corrections, events }: ReturnType<BranchWorld['changesOf']>): Promise<void> {
    const set = { corrections, reason: 'a test', by: 'nobody' }
    if (corrections.length > 0) await this.streams.corrections.apply(set)
    await this.commit(
      ...events.map(event => ({ ...event, id: event.id as string, isHistory: true })),
    )
    await this.settle()
  }
}

/** Across partitions nothing has an order, so that of `byClip` has none. */
function tell(view: string, { value, watermarkMs }: { value: unknown; watermarkMs: number }): Told {
  const ids = view === 'byClip' ? (value as { ids: string[] } | undefined)?.ids : undefined
  return { value: canonicalText([ids === undefined ? value : [...ids].sort()]), watermarkMs }
}

async function inBranch(branch: Branch): Promise<ReadonlyMap<string, Told>> {
  const told = new Map<string, Told>()
  for (const view of Object.keys(views)) {
    const reader = branch.view(view)
    for (const key of KEYS) told.set(`${view} ${key}`, tell(view, await reader.get(key)))
  }
  return told
}

it('says what the log says with the same changes, whatever happens meanwhile', async () => {
  let compared = 0
  let different = 0
  await fc.assert(
    fc.asyncProperty(happenings, changes, happenings, async (before, step, after) => {
      const world = await new BranchWorld().open()
      await world.happen(before)
      const requested = world.changesOf(step)
      const open = (): Promise<Branch> => world.streams.branches.open({ changes: requested })
      const unchanged = await world.streams.branches.open({ changes: {} })
      const [first, second] = [await open(), await open()]
      const was = world.live()
      const found = await inBranch(first)
      const found2 = await first.compare()
      await world.apply(requested)
      const wanted = world.live()
      for (const [name, { value, watermarkMs }] of found) {
        const truth = wanted.get(name) as Told
        // A branch passes no time; what stands in for an event elsewhere may.
        if (name.startsWith('tumble') && truth.watermarkMs !== watermarkMs) continue
        assert.equal(value, truth.value, name)
        compared += 1
      }
      const changed = [...found].filter(([name, { value }]) => was.get(name)?.value !== value)
      different += changed.length
      for (const { fold, changed: some, added: more, removed } of found2) {
        if (fold === 'view.byClip') continue
        const own = changed.filter(([name]) => viewFoldName(name.split(' ')[0] as string) === fold)
        assert.equal(some + more + removed, own.length, fold)
      }
      await world.happen(after.filter(({ kind }) => kind !== 'restart'))
      for (const [name, told] of await inBranch(unchanged)) {
        assert.deepEqual(told, was.get(name), `${name} without changes`)
      }
      for (const [name, told] of await inBranch(second)) {
        assert.deepEqual(told, found.get(name), `${name}, read later`)
      }
      await world.streams.close()
    }),
    {
      seed: Number(process.env['MILLRACE_PROP_SEED'] ?? 20_261_121),
      numRuns: Number(process.env['MILLRACE_PROP_RUNS'] ?? 8),
      endOnFailure: true,
    },
  )
  assert.ok(compared > 500)
  assert.ok(different > 50)
  assert.ok(compiled.folds.length > 9)
})
