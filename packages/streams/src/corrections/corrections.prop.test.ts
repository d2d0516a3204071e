/**
 * Corrections against brute force: random events are retracted, held, corrected and restored, in any
 * order and again and again, while others arrive and the runtime is killed and opened. At the end
 * every view says what it would say if the corrections had been known from the beginning.
 */
import { it } from 'node:test'
import fc from 'fast-check'
import { assertExact, assertRebuilds } from '../testing/oracle.ts'
import { CorrectingWorld, correctionCommand } from '../testing/correcting-world.ts'
import { oracleCommand } from '../testing/oracle-world.ts'

const steps = fc.array(
  fc.oneof({ weight: 3, arbitrary: oracleCommand }, { weight: 1, arbitrary: correctionCommand }),
  { minLength: 1, maxLength: 70, size: 'max' },
)

it('gives what brute force gives of the corrected events', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async commands => {
      const world = await new CorrectingWorld().open()
      for (const step of commands) {
        await (step.kind === 'correct' ? world.correct(step) : world.run(step))
      }
      await world.settle()
      await assertExact(world.log, world.streams)
      await assertRebuilds(world.streams)
      await world.streams.close()
    }),
    { numRuns: Number(process.env['MILLRACE_PROP_RUNS'] ?? 15), endOnFailure: true },
  )
})
