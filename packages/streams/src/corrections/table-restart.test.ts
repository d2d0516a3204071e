/** A row of a table is corrected where somebody has read it whose state is not served: a snapshot that outlived a kill, or a build that was left. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { partitionOf } from '@millrace/core'
import { partNameOf } from '../rebuilds/events.ts'
import { PARTITIONS } from '../testing/world.ts'
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

it('reads a corrected row again in a build that was kept before and is loaded after', async () => {
  const world = await new CorrectingWorld().open()
  await world.run({ kind: 'put', clip: 1, topic: 2, behind: 0, isRemoval: false })
  await world.run({ kind: 'watch', viewer: 0, clip: 1, friend: 3, behind: 0, isHistory: false })
  await world.settle()
  const fold = viewFoldName('topics')
  const { snapshots } = world
  const part = partNameOf(fold, 1, partitionOf('p0', PARTITIONS))
  const load = snapshots.load.bind(snapshots)
  let loads = 0
  snapshots.load = async name => {
    // The builder has loaded it, gone on with it and kept it; now it is loaded beside the live lane.
    if (name === part && ++loads === 3) {
      const corrections = [{ id: world.sent[0]?.id as string, action: 'retract' as const }]
      await world.streams.corrections.apply({ corrections, reason: 'a test', by: 'nobody' })
      assert.match(world.stateOf(fold, 'p0') ?? '', /unknown/)
    }
    return await load(name)
  }
  const { rebuilds } = world.streams
  await rebuilds.start({ fold, isDryRun: true })
  assert.equal((await rebuilds.settled(fold)).state, 'ready')
  await rebuilds.switch({ fold })
  await world.settle()
  assert.equal(loads, 3)
  assert.match(world.stateOf(fold, 'p0') ?? '', /unknown/)
  await assertExact(world.log, world.streams)
  await assertRebuilds(world.streams)
  await world.streams.close()
})
