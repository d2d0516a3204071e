/**
 * Declared views against brute force: random events (late, history, ticks), table versions that
 * arrive late, and restarts at random moments.
 */
import { it } from 'node:test'
import fc from 'fast-check'
import { assertExact, assertRebuilds } from '../testing/oracle.ts'
import { OracleWorld, oracleCommand } from '../testing/oracle-world.ts'

it('gives what brute force gives, over restarts, late records and late table versions', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(oracleCommand, { minLength: 1, maxLength: 60 }), async commands => {
      const world = await new OracleWorld().open()
      for (const step of commands) await world.run(step)
      await world.settle()
      await assertExact(world.log, world.streams)
      await assertRebuilds(world.streams)
      await world.streams.close()
    }),
    {
      seed: 20_261_121,
      numRuns: Number(process.env['MILLRACE_PROP_RUNS'] ?? 150),
      endOnFailure: true,
    },
  )
})
