import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSeededRandom } from '@millrace/core'
import { ORDERED, RANDOM } from './id-key.ts'
import type { RunFacts } from './run.ts'
import { chooseMerge } from './tiers.ts'

const BASE = 1000

function runOf(
  number: number,
  kind: number,
  count: number,
  fromMs: number,
  toMs: number,
): RunFacts {
  const words = (ms: number): number[] => [Math.floor(ms / 65_536) | 0, (ms % 65_536) << 16, 0, 0]
  const range = [...words(fromMs), ...words(toMs)]
  return { number, kind, count, pages: 1, levels: 1, textPages: 0, range }
}

function merged(number: number, runs: readonly RunFacts[]): RunFacts {
  const time = (run: RunFacts, at: number): number =>
    ((run.range[at] as number) >>> 0) * 65_536 + ((run.range[at + 1] as number) >>> 16)
  return runOf(
    number,
    (runs[0] as RunFacts).kind,
    runs.reduce((sum, run) => sum + run.count, 0),
    Math.min(...runs.map(run => time(run, 0))),
    Math.max(...runs.map(run => time(run, 4))),
  )
}

/** Adds runs one after the other, merging as chosen; answers how many there were at most and how often an entry was written. */
function grow(added: readonly RunFacts[]): { most: number; writes: number; runs: RunFacts[] } {
  let runs: RunFacts[] = []
  let most = 0
  let written = 0
  let number = added.length + 1
  for (const run of added) {
    runs.push(run)
    written += run.count
    for (
      let chosen = chooseMerge(runs, BASE);
      chosen.length > 0;
      chosen = chooseMerge(runs, BASE)
    ) {
      const result = merged(number++, chosen)
      written += result.count
      runs = [...runs.filter(each => !chosen.includes(each)), result]
    }
    most = Math.max(most, runs.length)
  }
  const total = added.reduce((sum, run) => sum + run.count, 0)
  return { most, writes: written / total, runs }
}

test('a thousand runs of live ids stay few, and are written about once for each size', () => {
  const runs = Array.from({ length: 1000 }, (_, at) =>
    runOf(at, ORDERED, BASE, 1.7e12 + at * 1e6, 1.7e12 + at * 1e6 + 999_000),
  )
  const { most, writes } = grow(runs)
  assert.ok(most <= 30, `${most} runs`)
  assert.ok(writes <= 4.5, `written ${writes} times`)
})

test('a thousand runs of random ids stay few', () => {
  const { most, writes } = grow(
    Array.from({ length: 1000 }, (_, at) => runOf(at, RANDOM, BASE, 0, 4e12)),
  )
  assert.ok(most <= 20, `${most} runs`)
  assert.ok(writes <= 6, `written ${writes} times`)
})

test('live, imported and mistimed runs of any size stay few and apart in time', () => {
  const random = createSeededRandom(1)
  const added: RunFacts[] = []
  for (let at = 0; at < 1500; at++) {
    const count = 1 + Math.floor(random.next() * BASE)
    added.push(runOf(at * 3, ORDERED, count, 1.7e12 + at * 1e5, 1.7e12 + at * 1e5 + 2e5))
    added.push(runOf(at * 3 + 1, ORDERED, count, 1.2e12 + at * 1e7, 1.2e12 + at * 1e7 + 9e6))
    if (at % 3 === 0) added.push(runOf(at * 3 + 2, ORDERED, 1, 3e12 + at, 3e12 + at))
  }
  const { most, runs, writes } = grow(added)
  assert.ok(most <= 80, `${most} runs`)
  assert.ok(writes <= 5, `written ${writes} times`)
  const wide = runs.filter(
    run => (run.range[4] as number) - (run.range[0] as number) > 3e11 / 65_536,
  )
  assert.deepEqual(wide, [])
})

test('runs anywhere in time still stay few', () => {
  const random = createSeededRandom(2)
  const added = Array.from({ length: 800 }, (_, at) => {
    const ms = Math.floor(random.next() * 4e12)
    return runOf(at, ORDERED, 1 + Math.floor(random.next() * 3 * BASE), ms, ms + 1000)
  })
  const { most } = grow(added)
  assert.ok(most <= 80, `${most} runs`)
})
