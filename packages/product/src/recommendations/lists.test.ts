import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clips, clipsApp } from '../testing/clips-app.ts'
import { openTestProduct } from '../testing/open-product.ts'
import { FRESH_AGE_MAX_MS } from './lists.ts'

test('new is what was put at most 30 days before the newest event, whatever the clock says', async () => {
  const product = await openTestProduct(clipsApp())
  try {
    const [old, recent, watched] = clips(3) as [
      ReturnType<typeof clips>[0],
      ReturnType<typeof clips>[0],
      ReturnType<typeof clips>[0],
    ]
    const { clock } = product
    const startMs = clock.timeMs
    const fresh = (): string[] => {
      const { items } = product.recommendations.recommend('home', { n: 3, explain: true })
      return items.filter(({ reasons }) => reasons?.includes('new')).map(({ id }) => id)
    }
    await product.catalogue.put('clip', [old, watched])
    await product.settle()
    clock.timeMs += 2 * FRESH_AGE_MAX_MS
    assert.deepEqual(fresh().sort(), ['c0', 'c2'], 'without events, all that came together are new')

    const watch = (atMs: number): Promise<unknown> =>
      product.track([{ type: 'watched', data: { viewer: 'p1', clip: 'c2', ms: 2_000 }, atMs }])
    await watch(startMs + FRESH_AGE_MAX_MS - 1)
    await product.settle()
    assert.deepEqual(fresh().sort(), ['c0', 'c2'])

    await watch(startMs + FRESH_AGE_MAX_MS + 60_000)
    await product.catalogue.put('clip', [recent])
    await product.settle()
    assert.deepEqual(fresh(), ['c1'])
  } finally {
    await product.close()
  }
})
