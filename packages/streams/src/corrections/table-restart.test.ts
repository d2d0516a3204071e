/** A row of a table is corrected, and the process killed before all who read it had read it again. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { viewFoldName } from '../views/compile.ts'
import { CorrectingWorld } from '../testing/correcting-world.ts'
import { assertExact, assertRebuilds } from '../testing/oracle.ts'

it('reads a corrected row again after a start, whatever snapshots were written by then', async () => {
  const world = await new CorrectingWorld().open()
  await world.run({ kind: 'put', clip: 1, topic: 2, behind: 0, isRemoval: false })
  for (const viewer of [0, 1, 2]) {
    await world.run({ kind: 'watch', viewer, clip: 1, friend: 3, behind: 0, isHistory: false })
  }
  await world.settle()
  await world.streams.snapshot()
  const name = viewFoldName('topics')
  const { meta, chunks = [] } = (await world.snapshots.load(name)) ?? {}
  const kept: Uint8Array[] = []
  for await (const chunk of chunks) kept.push(chunk)
  const put = world.sent[0]?.id as string
  const corrections = [{ id: put, action: 'retract' as const }]
  await world.streams.corrections.apply({ corrections, reason: 'a test', by: 'nobody' })
  await world.streams.snapshot()
  // The table's is new, that of who joins it from before.
  await world.snapshots.save(name, meta as never, kept)
  await world.open()
  await world.settle()
  assert.match(world.stateOf(name, 'p0') ?? '', /unknown/)
  await assertExact(world.log, world.streams)
  await assertRebuilds(world.streams)
  await world.streams.close()
})
