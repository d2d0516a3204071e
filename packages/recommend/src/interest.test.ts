import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSeededRandom } from '@millrace/core'
import { transitionWeight } from './context.ts'
import { historyShare, popularityShare, RowSum, rowShare, weightOf } from './interest.ts'
import { NeighbourTable } from './neighbour-table.ts'
import { SparseScores } from './sparse-scores.ts'

/** A table of random rows over `items` items. */
function randomTable(items: number): NeighbourTable {
  const random = createSeededRandom(7)
  const table = new NeighbourTable({ rowMax: 32, halfLifeMs: 1e6 })
  for (let turn = 0; turn < 4_000; turn++) {
    const row = Math.floor(random.next() * 50)
    table.add(row, Math.floor(random.next() * items), random.next(), turn)
  }
  return table
}

for (const items of [300, 40_000]) {
  test(`a sum of rows over ${items} items equals the naive sum, and leaves nothing behind`, () => {
    const table = randomTable(items)
    const sum = new RowSum()
    const target = new SparseScores()
    sum.reserve(items)
    target.reserve(items)
    for (const rows of [[1, 2, 3], [4], [1, 9, 17, 30]]) {
      const naive = new Map<number, number>()
      for (const [place, row] of rows.entries()) {
        sum.add(table, row, 1 / (place + 1))
        for (const id of table.row(row)?.ids ?? []) {
          naive.set(id, (naive.get(id) ?? 0) + weightOf(table, row, id) / (place + 1))
        }
      }
      sum.drain(target, 0.1)
      const least = 0.1 * Math.max(...naive.values())
      const wanted = [...naive].filter(([, value]) => value > least * 1.001)
      assert.ok(target.size >= wanted.length)
      for (const [id, value] of wanted) {
        assert.ok(Math.abs((target.values[id] as number) - value) < 1e-4 * value)
      }
      for (const id of target.items.subarray(0, target.size)) assert.ok(naive.has(id))
      assert.equal(new Set(target.items.subarray(0, target.size)).size, target.size)
      target.clear()
      assert.equal(target.size, 0)
    }
    assert.ok(target.values.every(value => value === 0))
  })
}

for (const items of [300, 40_000]) {
  test(`what is taken out of a sum over ${items} items is not in it and decides nothing`, () => {
    const table = randomTable(items)
    const sum = new RowSum()
    const [whole, rest] = [new SparseScores(), new SparseScores()]
    sum.reserve(items)
    for (const scores of [whole, rest]) scores.reserve(items)
    sum.add(table, 1, 1)
    sum.drain(whole, 0)
    const ranked = [...whole.items.subarray(0, whole.size)].sort(
      (a, b) => (whole.values[b] as number) - (whole.values[a] as number),
    )
    const [best, second] = ranked as [number, number]
    sum.add(table, 1, 1)
    assert.equal(sum.takeOut(best), whole.values[best])
    const least = sum.drain(rest, 0.5)
    assert.equal(rest.values[best], 0)
    assert.ok(Math.abs(least - 0.5 * (whole.values[second] as number)) < 1e-6)
    const wanted = ranked.filter(item => item !== best && (whole.values[item] as number) >= least)
    assert.deepEqual([...rest.items.subarray(0, rest.size)].sort(), wanted.sort())
  })
}

test('nothing added gives nothing', () => {
  const sum = new RowSum()
  const target = new SparseScores()
  sum.reserve(10)
  target.reserve(10)
  sum.drain(target, 0.1)
  assert.equal(target.size, 0)
})

test('newer history counts more, popular candidates and thin rows less', () => {
  assert.equal(historyShare(0, 0), 1)
  assert.ok(historyShare(1, 0) < 1)
  assert.ok(historyShare(1, 1e9) < historyShare(1, 0))
  assert.ok(historyShare(0, 1e15) >= 0.25)
  assert.ok(popularityShare(100) < popularityShare(1))
  const table = new NeighbourTable({ rowMax: 4, halfLifeMs: 1e6 })
  table.add(0, 1, 1, 0)
  table.add(2, 1, 100, 0)
  const strong = rowShare(table, 2) * weightOf(table, 2, 1)
  assert.ok(strong > rowShare(table, 0) * weightOf(table, 0, 1))
  assert.equal(weightOf(table, 0, 99), 0)
})

test('a transition weighs less with distance and with the gap, and never nothing', () => {
  assert.equal(transitionWeight(1, 0), 1)
  assert.ok(Math.abs(transitionWeight(4, 0) - 0.5) < 1e-12)
  assert.ok(transitionWeight(1, 1e9) < 1)
  assert.ok(transitionWeight(1, 1e15) >= 0.2)
})
