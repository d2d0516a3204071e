/**
 * Merges and splits against brute force: people are merged and split in any order, chains and refused
 * ones among them, between events that arrive, corrections that come and go, and restarts. At the end
 * every view says what it would say if everybody had always been who they are now. Each world runs on
 * virtual time by a schedule of its own, so that a failure comes again.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createSimClock } from '@millrace/sim'
import fc from 'fast-check'
import { correctionCommand } from '../testing/correcting-world.ts'
import { mergeCommand, ScheduledWorld } from '../testing/merging-world.ts'
import { assertExact, assertRebuilds } from '../testing/oracle.ts'
import { oracleCommand } from '../testing/oracle-world.ts'

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: oracleCommand },
    { weight: 1, arbitrary: correctionCommand },
    { weight: 2, arbitrary: mergeCommand },
  ),
  { minLength: 1, maxLength: 70, size: 'max' },
)

/** Each is a world of its own: a tenth of the runs of others. */
const RUNS = Math.ceil(Number(process.env['MILLRACE_PROP_RUNS'] ?? 60) / 10)

it('gives what brute force gives of people as they are now', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), steps, async (seed, commands) => {
      const clock = createSimClock({ seed })
      await clock.drive(async () => {
        const world = await new ScheduledWorld(clock, seed).open()
        for (const step of commands) {
          if (step.kind === 'correct') await world.correct(step)
          else if (step.kind === 'merge') await world.merge(step)
          else await world.run(step)
        }
        await world.settle()
        await assertExact(world.log, world.streams)
        await assertRebuilds(world.streams)
        assert.equal(world.streams.loop().stalls, 0)
        await world.streams.close()
      })
    }),
    { numRuns: RUNS, endOnFailure: true },
  )
})
