import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { genericApp } from './generic-app.ts'
import { createWorld, essence, memoryFile } from './fixtures.test.ts'

const app = genericApp

test('a shuffled and a sorted file of one history give the same log', async () => {
  const row = fc.record({
    person: fc.constantFrom('a', 'b', 'c', 'd'),
    item: fc.string({
      minLength: 1,
      maxLength: 20,
      unit: fc.constantFrom('x', 'é', '"', ',', '9'),
    }),
    at: fc.integer({ min: 1_000_000_000, max: 1_000_000_020 }),
    order: fc.integer(),
  })
  const fileOf = (rows: readonly { person: string; item: string; at: number }[]) =>
    memoryFile(
      'h.csv',
      `person,item,at\n${rows
        .map(({ person, item, at }) => `${person},"${item.replaceAll('"', '""')}",${at}\n`)
        .join('')}`,
    )
  await fc.assert(
    fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 120 }), async rows => {
      const sorted = [...rows].sort((left, right) => left.at - right.at)
      const shuffled = [...rows].sort((left, right) => left.order - right.order)
      const [one, two] = [await createWorld(app), await createWorld(app)]
      const [first, second] = [
        await one.importFile(fileOf(sorted)),
        await two.importFile(fileOf(shuffled)),
      ]
      assert.deepEqual(essence(await one.records()), essence(await two.records()))
      assert.equal(first.duplicates, second.duplicates)
      const distinct = new Set(rows.map(({ person, item, at }) => `${person} ${at} ${item}`))
      assert.equal(first.appended, distinct.size)
    }),
    { seed: 20_264, numRuns: 60 },
  )
})
