import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { weightOf } from './interest.ts'
import { NeighbourTable } from './neighbour-table.ts'

const HALF_LIFE_MS = 1_000
const additions = fc.array(
  fc.record({
    row: fc.integer({ min: 0, max: 700 }),
    id: fc.integer({ min: 0, max: 12 }),
    weight: fc.double({ min: 0.1, max: 5, noNaN: true }),
    // Far enough for the landmark to move several times.
    timeMs: fc.integer({ min: 0, max: 100 * HALF_LIFE_MS }),
  }),
  { maxLength: 200 },
)

test('rows that are not full hold what a plain sum of discounted weights holds', () => {
  fc.assert(
    fc.property(additions, list => {
      const table = new NeighbourTable({ rowMax: 16, halfLifeMs: HALF_LIFE_MS })
      for (const { row, id, weight, timeMs } of list) table.add(row, id, weight, timeMs)
      for (const row of new Set(list.map(entry => entry.row))) {
        const own = list.filter(entry => entry.row === row)
        const newestMs = Math.max(...own.map(entry => entry.timeMs))
        let total = 0
        for (const id of new Set(own.map(entry => entry.id))) {
          const naive = own
            .filter(entry => entry.id === id)
            .reduce(
              (sum, { weight, timeMs }) =>
                sum + weight * 0.5 ** ((newestMs - timeMs) / HALF_LIFE_MS),
              0,
            )
          total += naive
          const found = weightOf(table, row, id) * table.scale(row)
          // Below the smallest number of 32 bits an old weight may vanish beside the newest.
          assert.ok(
            Math.abs(found - naive) <= 1e-5 * Math.max(naive, 1e-3),
            `${found} is not ${naive}`,
          )
        }
        assert.ok(Math.abs(table.total(row) - total) <= 1e-6 * total)
      }
    }),
    { seed: 1 },
  )
})

test('a row that was taken out and put back goes on as if it had stayed', () => {
  const rowMax = fc.constantFrom(5, 16, 32, 64)
  const many = fc.array(
    fc.record({
      id: fc.integer({ min: 0, max: 120 }),
      weight: fc.double({ min: 0.1, max: 5, noNaN: true }),
      timeMs: fc.integer({ min: 0, max: 100 * HALF_LIFE_MS }),
    }),
    { maxLength: 400, size: 'max' },
  )
  fc.assert(
    fc.property(many, rowMax, fc.integer({ min: 0, max: 400 }), (list, max, cut) => {
      const options = { rowMax: max, halfLifeMs: HALF_LIFE_MS }
      const whole = new NeighbourTable(options)
      const first = new NeighbourTable(options)
      const second = new NeighbourTable(options)
      // One row, so that it overflows.
      const add = (table: NeighbourTable, entries: typeof list): void => {
        for (const { id, weight, timeMs } of entries) table.add(3, id, weight, timeMs)
      }
      add(whole, list)
      add(first, list.slice(0, cut))
      second.setRow(3, first.row(3))
      assert.deepEqual(second.row(3), first.row(3))
      add(second, list.slice(cut))
      assert.deepEqual(second.row(3), whole.row(3))
      const { ids = [] } = whole.row(3) ?? {}
      assert.ok(ids.length <= max)
      assert.equal(new Set(ids).size, ids.length)
    }),
    { seed: 2 },
  )
})

test('a row is bounded and holds no id twice', () => {
  fc.assert(
    fc.property(additions, list => {
      const table = new NeighbourTable({ rowMax: 6, halfLifeMs: HALF_LIFE_MS })
      for (const { id, weight, timeMs } of list) table.add(0, id, weight, timeMs)
      const row = table.row(0)
      if (row === undefined) return
      assert.ok(row.ids.length <= 6)
      assert.equal(new Set(row.ids).size, row.ids.length)
    }),
    { seed: 3 },
  )
})

test('what comes often stays in a full row, whatever comes once', () => {
  const table = new NeighbourTable({ rowMax: 64, halfLifeMs: 1e9 })
  for (let turn = 0; turn < 5_000; turn++) {
    table.add(0, turn % 10, 1, turn * 1_000)
    table.add(0, 1_000 + turn, 1, turn * 1_000)
  }
  for (let id = 0; id < 10; id++) {
    assert.ok(Math.abs(weightOf(table, 0, id) * table.scale(0) - 500) < 5)
  }
})
