/** Merges and splits as changesets: what a dry run says of them, and what it comes to. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { clipsApp } from '../testing/clips-app.ts'
import { openTestProduct, type TestProduct } from '../testing/open-product.ts'

const ACTOR = 'key:test'

async function openProduct(): Promise<TestProduct> {
  const product = await openTestProduct(clipsApp())
  const watched = ['ana', 'ana', 'visitor', 'visitor', 'ben', 'tablet'].map((viewer, number) => {
    const data = { viewer, clip: `c${number % 3}`, ms: 1_000 + number }
    return { type: 'watched', id: `e${number}`, data, atMs: 1_799_000_000_000 + number * 1_000 }
  })
  await product.track(watched)
  await product.settle()
  return product
}

it('says whose keys would be folded again, and touches no others', async () => {
  const product = await openProduct()
  const { changesets, streams } = product
  const told = async (
    id: string,
    rows: readonly object[],
  ): Promise<ReadonlyMap<string, readonly string[]>> => {
    await changesets.plan({ id, kind: 'identities', request: { rows } }, ACTOR)
    const { consequences } = await changesets.dryRun(id)
    return new Map(
      consequences.map(({ what, count, samples = [] }) => {
        assert.equal(samples.length, count)
        return [what, [...samples].sort()]
      }),
    )
  }
  const states = (): readonly string[] =>
    ['ana', 'ben', 'tablet', 'visitor'].map(person =>
      Buffer.from(streams.fold('profile').shardOf(person).encodeKey(person) ?? []).toString('hex'),
    )
  const profiles = 'keys that profile folds again, and what is behind it'
  const before = states()
  const merge = await told('merge', [{ from: 'visitor', into: 'ana' }])
  const name = [...merge.keys()].find(what => profiles.startsWith(what)) ?? ''
  assert.deepEqual(merge.get(name), ['ana', 'visitor'])
  // A chain, and a link that would close a circle: it is nobody else's.
  const chain = await told('chain', [
    { from: 'tablet', into: 'visitor' },
    { from: 'visitor', into: 'ana' },
    { from: 'ana', into: 'tablet' },
  ])
  assert.deepEqual(chain.get(name), ['ana', 'tablet', 'visitor'])
  assert.deepEqual(states(), before)

  await changesets.apply('merge', {}, ACTOR)
  assert.equal((await changesets.settled('merge')).state, 'applied')
  const after = states()
  assert.deepEqual(after.map((state, at) => state !== before[at]), [true, false, false, true]) // prettier-ignore
  const split = await told('split', [{ from: 'visitor' }])
  assert.deepEqual(split.get(name), ['ana', 'visitor'])
  assert.deepEqual(states(), after)
  await product.close()
})
