import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSeededRandom } from '@millrace/core'
import { SparseScores } from '@millrace/recommend'
import { TraitIndex } from './traits.ts'

const KIND = { traitFields: ['topics', 'creator'] }
const ITEMS = 700

/** Labels of the traits that attributes have, as the index should keep them. */
function labelsOf(attributes: Readonly<Record<string, unknown>> | undefined): string[] {
  if (attributes === undefined) return []
  const { topics, creator } = attributes as { topics: string[]; creator?: string }
  return [...new Set([...topics, ...(creator === undefined ? [] : [creator])])].sort()
}

test('traits of items that come, change and go are those of a plain map', () => {
  const random = createSeededRandom(4)
  const below = (end: number): number => Math.floor(random.next() * end)
  const index = new TraitIndex()
  const plain = new Map<number, Readonly<Record<string, unknown>>>()
  for (let step = 0; step < 6_000; step++) {
    const item = below(ITEMS)
    if (random.next() < 0.2) {
      plain.delete(item)
      index.set(item, KIND, undefined)
    } else {
      const topics = Array.from({ length: below(12) }, () => `topic ${below(40)}`)
      const attributes = random.next() < 0.5 ? { topics } : { topics, creator: `m${below(9)}` }
      plain.set(item, attributes)
      index.set(item, KIND, attributes)
    }
    const other = below(ITEMS)
    const kept = Array.from(index.of(other), trait => index.labelOf(trait))
    assert.deepEqual(kept.sort(), labelsOf(plain.get(other)))
  }

  const seed = [...plain.keys()].find(item => index.of(item).length > 3) as number
  const scores = new SparseScores()
  scores.reserve(ITEMS)
  for (let item = 0; item < ITEMS; item++) scores.add(item, 1)
  index.addAffinities(seed, scores, 2)
  for (let item = 0; item < ITEMS; item++) {
    const wanted = 1 + 2 * index.affinity(seed, item)
    assert.ok(Math.abs((scores.values[item] as number) - wanted) < 1e-9)
  }
})
