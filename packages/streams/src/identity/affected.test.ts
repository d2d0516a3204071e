/** What a merge is said to touch, against what it changes. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { MergingWorld } from '../testing/merging-world.ts'
import { compiled } from '../testing/oracle.ts'

const views = compiled.folds.filter(({ isRekeying }) => isRekeying !== true)

function statesOf(world: MergingWorld): ReadonlyMap<string, string> {
  const states = new Map<string, string>()
  for (const { name } of views) {
    for (const shard of world.streams.fold(name).shards()) {
      for (const key of shard.keys()) states.set(`${name} ${key}`, world.stateOf(name, key) ?? '')
    }
  }
  return states
}

it('names every key that merges and splits change, view by view, and changes nothing', async () => {
  const world = await new MergingWorld().open()
  for (let number = 0; number < 24; number++) {
    const watch = { kind: 'watch', behind: 0, isHistory: false } as const
    await world.run({ ...watch, viewer: number % 5, clip: number % 3, friend: (number * 7) % 5 })
  }
  await world.settle()
  const { identities } = world.streams
  const [p0, p1, p2] = ['p0', 'p1', 'p2']
  for (const links of [
    [{ from: p0, into: p1 }],
    [{ from: p1, into: p2 }, { from: p2, into: p0 }], // prettier-ignore
    [{ from: p1, into: null }],
    [{ from: p0, into: null }],
  ]) {
    const before = statesOf(world)
    const folds = await identities.affected(links)
    assert.deepEqual(statesOf(world), before)
    await identities.apply({ links, reason: 'a test', by: 'nobody' })
    await world.settle()
    const after = statesOf(world)
    const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
      name => before.get(name) !== after.get(name),
    )
    assert.ok(changed.length > 3)
    const told = new Set(folds.flatMap(({ fold, samples }) => samples.map(key => `${fold} ${key}`)))
    // What folds emitted is behind them, and is not named.
    const isNamed = (name: string): boolean => told.has(name) || /^view\.(moves|endedPerClip) /.test(name) // prettier-ignore
    assert.deepEqual(changed.filter(name => !isNamed(name)), []) // prettier-ignore
    assert.ok(folds.some(({ fold, records }) => fold === 'view.friends' && records > 0))
  }
  assert.deepEqual(await identities.affected([{ from: p2, into: null }]), [])
  await world.streams.close()
})
