import assert from 'node:assert/strict'
import { test } from 'node:test'
import { coverageAt, exposureGini, ndcgAt, precisionAt, recallAt } from './evaluation.ts'

const relevant = new Set([1, 2, 3, 4])

test('recall and precision count the hits among the first k', () => {
  assert.equal(recallAt([1, 9, 2, 8], relevant, 2), 0.25)
  assert.equal(recallAt([1, 9, 2, 8], relevant, 10), 0.5)
  assert.equal(precisionAt([1, 9, 2, 8], relevant, 4), 0.5)
  assert.equal(recallAt([1], new Set(), 10), 0)
  assert.equal(precisionAt([], relevant, 0), 0)
})

test('NDCG is 1 for the best order, less for later hits, 0 for none', () => {
  assert.equal(ndcgAt([1, 2, 3, 4, 9], relevant, 5), 1)
  assert.equal(ndcgAt([9, 8], relevant, 2), 0)
  const late = 1 / Math.log2(3) / (1 + 1 / Math.log2(3))
  assert.ok(Math.abs(ndcgAt([9, 1], relevant, 2) - late) < 1e-12)
  assert.equal(ndcgAt([1], new Set(), 5), 0)
})

test('coverage and Gini tell how widely the catalogue is shown', () => {
  assert.equal(
    coverageAt(
      [
        [1, 2],
        [2, 3],
      ],
      2,
      6,
    ),
    0.5,
  )
  assert.equal(coverageAt([], 2, 0), 0)
  assert.ok(Math.abs(exposureGini([[0], [1], [2], [3]], 1, 4)) < 1e-12)
  assert.ok(Math.abs(exposureGini([[0], [0], [0], [0]], 1, 4) - 0.75) < 1e-12)
  assert.equal(exposureGini([], 5, 10), 0)
})
