import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isError } from '@millrace/core'
import { contentAffinity, similarity, traitSum } from './similar.ts'
import { SlabPool } from './slab-pool.ts'

const ofOne = (): number => 1

test('affinity is the weighted share of traits in common', () => {
  const list = (...traits: number[]): Int32Array => Int32Array.from(traits)
  const affinity = (a: Int32Array, b: Int32Array, weightOf: (trait: number) => number): number =>
    contentAffinity(a, b, traitSum(a, weightOf) * traitSum(b, weightOf), weightOf)
  assert.equal(affinity(list(1, 2), list(1, 2), ofOne), 1)
  assert.equal(affinity(list(1, 2), list(3), ofOne), 0)
  assert.equal(affinity(list(), list(3), ofOne), 0)
  assert.equal(affinity(list(1, 2, 5, 9), list(2, 3, 9, 11), ofOne), 0.5)
  const rare = (trait: number): number => (trait === 2 ? 10 : 1)
  assert.ok(affinity(list(1, 2), list(2, 3), rare) > affinity(list(1, 2), list(1, 3), rare))
})

test('the same co-occurrence says less about common items', () => {
  assert.ok(similarity(5, 10, 10) > similarity(5, 10, 1_000))
})

test('slabs are reused, grow without losing content and refuse odd sizes', () => {
  const pool = new SlabPool({ hasWeights: true, hasTimes: true })
  const first = pool.allocate(4)
  pool.ids[first] = 42
  pool.times[first] = 7.5
  const large = pool.allocate(4_096)
  assert.equal(pool.ids[first], 42)
  assert.equal(pool.times[first], 7.5)
  pool.release(large, 4_096)
  assert.equal(pool.allocate(4_096), large)
  assert.throws(
    () => pool.allocate(3),
    (error: unknown) => isError(error, 'RECOMMEND_ARGUMENT_INVALID'),
  )
})
