/**
 * Causes against what was read then: random events (late, history, ticks), late table versions,
 * corrections, merges and restarts; at every moment at which all was folded, each key of each view is
 * read. What is told to have changed between any two of these moments is what the two reads differ in,
 * and the amounts of the causes and what they do together add up to it.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '@millrace/core'
import { correctionCommand } from '../testing/correcting-world.ts'
import { MergingWorld, mergeCommand } from '../testing/merging-world.ts'
import { views } from '../testing/oracle.ts'
import { oracleCommand } from '../testing/oracle-world.ts'
import { canonicalText } from '../views/canonical.ts'
import { viewFoldName } from '../views/compile.ts'
import type { Causes } from './contract.ts'
import { comparable, differing, Sums } from './values.ts'

const KEYS = [...Array(6).keys()].map(number => `p${number}`).concat(['c0', 'c1', 'c2', 'c3', 'c4'])
const names = Object.keys(views)

interface Seen {
  readonly timeMs: number
  readonly values: ReadonlyMap<string, unknown>
}

class CausesWorld extends MergingWorld {
  readonly seen: Seen[] = []

  constructor() {
    super()
    this.clock = { ...systemClock, nowMs: () => this.nowMs }
  }

  look(): void {
    const values = new Map<string, unknown>()
    for (const name of names) {
      // Of the key itself: who was merged is read as the other.
      const { definition, shardOf } = this.streams.fold(viewFoldName(name))
      for (const key of KEYS) {
        const value = comparable(definition.readKey?.(shardOf(key), key))
        values.set(`${name} ${key}`, structuredClone(value))
      }
    }
    this.seen.push({ timeMs: this.nowMs, values })
    // What comes is not of the same moment.
    this.nowMs += 1
  }
}

/** What the fields say the difference is. */
function differences({ fields }: Causes): unknown {
  return fields
    .filter(
      ({ before, after }) => canonicalText([before ?? null]) !== canonicalText([after ?? null]),
    ) // prettier-ignore
    .map(({ field, before, after }) => [field, before ?? null, after ?? null])
}

function wanted(before: unknown, after: unknown): unknown {
  return differing(before, after)
    .map(each => [each.field, each.before ?? null, each.after ?? null] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

function assertAdds({ fields, causes }: Causes, told: string): number {
  let numbers = 0
  for (const { field, before, after, difference, together } of fields) {
    if (difference === undefined || together === undefined) continue
    numbers += 1
    const amounts = causes
      .flatMap(({ effects }) => effects)
      .filter(effect => effect.field === field)
      .map(({ amount = 0 }) => amount)
    assert.equal(amounts.reduce((sum, amount) => sum + amount, 0) + together, difference, told)
    const [was, is] = [before ?? 0, after ?? 0]
    if (typeof was === 'number' && typeof is === 'number') assert.equal(is - was, difference, told)
  }
  return numbers
}

const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: oracleCommand },
    { weight: 2, arbitrary: correctionCommand },
    { weight: 3, arbitrary: mergeCommand },
  ),
  { minLength: 10, maxLength: 50, size: 'max' },
)

it('tells what was read at both moments, and amounts that add up to the difference', async () => {
  const counts = { compared: 0, numbers: 0 }
  const kinds = new Set<string>()
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(), fc.nat(2), async (commands, one, other) => {
      const world = await new CausesWorld().open()
      for (const step of commands) {
        if (step.kind === 'correct') await world.correct(step)
        else if (step.kind === 'merge') await world.merge(step)
        else await world.run(step)
        if (step.kind !== 'wait') continue
        await world.settle()
        world.look()
      }
      await world.settle()
      world.look()
      const { length } = world.seen
      let asked = one
      const first = one % length
      const last = Math.max(first, length - 1 - other)
      const [from, to] = [world.seen[first], world.seen[last]] as [Seen, Seen]
      for (const name of names) {
        const fold = viewFoldName(name)
        const moments = { from: { timeMs: from.timeMs }, to: { timeMs: to.timeMs } }
        const sums = [new Sums(), new Sums()] as const
        for (const key of KEYS) {
          const [before, after] = [from, to].map(({ values }) => values.get(`${name} ${key}`))
          sums[0].add(before)
          sums[1].add(after)
          if (asked++ % 4 !== 0) continue
          const causes = await told(world, { fold, key, ...moments })
          if (causes === undefined) continue
          const text = `${name} ${key} ${JSON.stringify(causes)}`
          assert.deepEqual(differences(causes), wanted(before, after), text)
          counts.numbers += assertAdds(causes, text)
          counts.compared += 1
          for (const { kind } of causes.causes) kinds.add(kind)
        }
        const all = await told(world, { fold, ...moments })
        if (all === undefined) continue
        const text = `${name} ${JSON.stringify(all)}`
        const [before, after] = sums.map(each => each.value(undefined))
        assert.deepEqual(differences(all), wanted(before, after), text)
        assertAdds(all, text)
      }
      await world.streams.close()
    }),
    {
      seed: 20_261_122,
      endOnFailure: true,
      numRuns: Math.ceil(Number(process.env['MILLRACE_PROP_RUNS'] ?? 60) / 15),
    },
  )
  assert.ok(counts.compared > 60 && counts.numbers > 10, JSON.stringify(counts))
  for (const kind of ['traffic', 'changeset', 'merge', 'time']) assert.ok(kinds.has(kind), kind)
})

async function told(
  world: CausesWorld,
  request: Parameters<CausesWorld['streams']['past']['causes']>[0],
): Promise<Causes | undefined> {
  try {
    return await world.streams.past.causes(request)
  } catch (error) {
    // Nothing that the view reads had come.
    if ((error as { code?: string }).code === 'MOMENT_EMPTY') return undefined
    throw error
  }
}
