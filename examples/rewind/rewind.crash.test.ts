/** Tells the story of `npm run demo:rewind`, smaller; a server is killed in it. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { rewind } from './rewind.ts'

const RING_EVENTS = 800

test('a ring of bots is taken back with its consequences, and a changed rule is judged by the past', async t => {
  const data = mkdtempSync(join(tmpdir(), 'millrace-rewind-'))
  t.after(() => rmSync(data, { recursive: true, force: true }))
  const lines: string[] = []
  const report = await rewind(data, { people: 40, days: 2, ringEvents: RING_EVENTS }, line => lines.push(line)) // prettier-ignore
  const text = lines.join('\n')
  const { trending, behind, dryRun, killed, folds, stays, backtest } = report
  assert.ok(trending.poisoned >= 5, text)
  assert.ok(behind.ofTheRing > behind.events / 2, text)
  assert.equal(dryRun.effects, RING_EVENTS)
  const counts = new Map(dryRun.consequences.map(({ what, count }) => [what.split(' ')[2], count]))
  assert.deepEqual(
    [counts.get('profile'), counts.get('view.watchTime'), counts.get('view.plays')],
    [RING_EVENTS / 100, RING_EVENTS / 100, 12],
  )
  assert.ok(killed.corrections > 0, text)
  for (const { fold, hash, rebuilt } of folds) assert.equal(hash, rebuilt, fold)
  // What is empty is equal to anything that is: every view is there with keys, windows too.
  const views = folds.filter(({ fold }) => /^(view|feature)\./.test(fold))
  assert.ok(report.areEqual && views.length === 5 && views.every(({ keys }) => keys > 0), text)
  assert.ok(trending.afterwards <= 2, text)
  assert.ok(stays.answers > 0 && stays.people > 0 && stays.events > 0, text)
  assert.equal(backtest.differentUnchanged, 0)
  assert.ok(backtest.answers > 100 && backtest.different > 0, text)
  const { predicted, truth } = backtest
  // Few answers, so twice the interval: whether intervals cover the truth is tested by many worlds elsewhere.
  const { value, low, high } = predicted
  assert.ok(Math.abs(truth - value) < high - low, JSON.stringify(backtest))
})
