import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Agenda } from './agenda.ts'

test('moments come in order of time, then of number, as from a sorted list', () => {
  const moment = fc.record({ atMs: fc.nat(20), who: fc.integer({ min: -3, max: 50 }) })
  fc.assert(
    fc.property(
      fc.array(fc.oneof(moment, fc.constant('take' as const)), { maxLength: 3_000 }),
      script => {
        const agenda = new Agenda()
        const list: { atMs: number; who: number }[] = []
        for (const each of script) {
          if (each !== 'take') {
            agenda.add(each.atMs, each.who)
            list.push(each)
            continue
          }
          assert.equal(agenda.isEmpty, list.length === 0)
          list.sort((a, b) => a.atMs - b.atMs || a.who - b.who)
          assert.equal(agenda.nextMs, list[0]?.atMs ?? Infinity)
          if (list.length > 0) assert.equal(agenda.take(), list.shift()?.who)
        }
      },
    ),
    { seed: 20260101, numRuns: Number(process.env['MILLRACE_PROP_RUNS'] ?? 200) },
  )
})

test('it grows past its first size, and answers in order', () => {
  const agenda = new Agenda()
  for (let count = 0; count < 5_000; count++) agenda.add((count * 7_919) % 5_003, count)
  let lastMs = -1
  while (!agenda.isEmpty) {
    assert.ok(agenda.nextMs >= lastMs)
    lastMs = agenda.nextMs
    agenda.take()
  }
  assert.equal(agenda.nextMs, Infinity)
})
