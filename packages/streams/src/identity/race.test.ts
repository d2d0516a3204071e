/** Merges that are asked for at the same time, of which one would make a person a part of themselves. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { MergingWorld } from '../testing/merging-world.ts'
import { assertExact, assertRebuilds } from '../testing/oracle.ts'

const facts = { reason: 'a test', by: 'nobody' }

it('refuses the later of two merges that would close a circle, whoever asked first', async () => {
  const world = await new MergingWorld().open()
  for (const viewer of [0, 1, 0, 1, 2]) {
    const watch = { kind: 'watch', clip: 1, friend: 3, behind: 0, isHistory: false } as const
    await world.run({ ...watch, viewer })
  }
  const { identities } = world.streams
  // Neither can see the other: both are on their way to the log.
  const asked = await Promise.all([
    identities.apply({ links: [{ from: 'p0', into: 'p1' }], ...facts }),
    identities.apply({ links: [{ from: 'p1', into: 'p2' }, { from: 'p2', into: 'p0' }], ...facts }), // prettier-ignore
  ])
  assert.deepEqual(asked.map(({ results }) => results.map(({ status }) => status)), [['changed'], ['changed', 'refused']]) // prettier-ignore
  assert.equal(asked[1].results[1]?.reason, 'p0 is p2 already: split them first')
  assert.deepEqual(['p0', 'p1', 'p2'].map(id => identities.canonical(id)), ['p2', 'p2', 'p2']) // prettier-ignore
  await identities.apply({ links: [{ from: 'p1', into: null }], ...facts })
  await world.settle()
  await assertExact(world.log, world.streams)
  await assertRebuilds(world.streams)
  await world.streams.close()
})
