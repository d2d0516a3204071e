import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check, defineApp, event, id, int, isError, item, text } from '@millrace/core'
import { QUARANTINE_HEADER } from '@millrace/product'
import { createWorld, memoryFile } from './fixtures.test.ts'

const Clip = item('clip', { title: text() })
const seen = event(
  'seen',
  { who: id('person'), clip: id('clip'), ms: int(), order: text().optional() },
  { key: 'who' },
)
const parts = { name: 'checked', items: [Clip], events: [seen] }
const range = check({ of: seen, field: 'ms', expect: { range: { max: 9 } }, severity: 'refuse' })
const known = check({ of: seen, field: 'clip', expect: { exists: Clip }, severity: 'quarantine' })
const unique = { of: seen, field: 'order' as const, expect: { unique: { max: 0 } }, atLeast: 1 }

const LINES = [
  'who,clip,ms,order,at',
  'ana,c1,5,o1,2026-01-05T10:00:00Z',
  'ben,c2,99,o2,2026-01-05T10:01:00Z',
  'cem,c9,7,o1,2026-01-05T10:02:00Z',
  'ana,c9,7,,2026-01-05T13:02:00Z',
]
const file = memoryFile('seen.csv', LINES.join('\n'))

test('rows are refused by their lines, held rows are marked, and all is reported', async () => {
  const app = defineApp({ ...parts, checks: { range, known, unique: check(unique), busy: check({ of: seen, expect: { volume: { min: 1 } } }), fresh: check({ of: seen, expect: { fresh: '1h' } }), odd: check({ of: seen, expect: { that: ({ ms }) => { if (ms === 7) throw new Error('seven'); return true } }, severity: 'refuse' }) } }) // prettier-ignore
  const world = await createWorld(app)
  await world.importFile(memoryFile('clip.csv', 'id,title\nc1,one\nc2,two\n'), { target: { kind: 'items', name: 'clip' } }) // prettier-ignore
  const checked = await world.importFile(file, { isDryRun: true })
  assert.deepEqual(
    checked.checks.map(({ name, state, failed, judged }) => [name, state, failed, judged]),
    [
      ['range', 'failing', 1, 4],
      // Nobody said which clips the log has; what a refused row names is not asked for.
      ['known', 'failing', 3, 4],
      ['unique', 'failing', 1, 1],
      // Between the first and the last hour are two without events.
      ['busy', 'failing', 2, 2],
      ['fresh', 'unknown', 0, 0],
      ['odd', 'failing', 2, 4],
    ],
  )
  assert.deepEqual(checked.checks[0]?.examples, [{ place: 'seen.csv line 3', reason: '99 is above 9' }]) // prettier-ignore
  const knownIds = (): Promise<ReadonlySet<string>> => Promise.resolve(new Set(['c1', 'c2']))
  const report = await world.importFile(file, { knownIds })
  assert.equal(report.appended, 3)
  assert.deepEqual(report.refusedFirst.map(({ line, code, reason }) => [line, code, reason]), [[3, 'ROW_CHECK', 'check range: 99 is above 9']]) // prettier-ignore
  const marks = (await world.records()).filter(({ type }) => type === 'seen').map(({ key, data, headers }) => [key, (data as { clip: string }).clip, headers[QUARANTINE_HEADER]]) // prettier-ignore
  assert.deepEqual(marks.toSorted().map(String), ['ana,c1,', 'ana,c9,known', 'cem,c9,known'])
})

test('what only all rows tell refuses the import before anything is appended', async () => {
  for (const made of [
    check({ ...unique, severity: 'refuse' }),
    check({ of: seen, field: 'clip', expect: { exists: Clip }, severity: 'refuse' }),
  ]) {
    const world = await createWorld(defineApp({ ...parts, checks: { it: made } }))
    await assert.rejects(world.importFile(file), error => {
      assert.ok(isError(error, 'IMPORT_CHECK_FAILED'))
      assert.match(error.message, /The check it fails in \d of \d (windows|events), first at /)
      return true
    })
    assert.deepEqual(await world.records(), [])
    assert.deepEqual(world.disk.paths().filter(path => path.startsWith('imports/')), []) // prettier-ignore
  }
})

test('items of the same import are known', async () => {
  const app = defineApp({ ...parts, checks: { known } })
  const world = await createWorld(app)
  const lines = [
    { type: 'seen', at: 5, data: { who: 'ana', clip: 'c1', ms: 1 } },
    { type: 'clip.put', at: 1, data: { id: 'c1', attributes: { title: 'one' } } },
  ]
  const text = lines.map(line => JSON.stringify(line)).join('\n')
  const report = await world.importFile(memoryFile('all.jsonl', text), { format: 'jsonl' })
  assert.deepEqual(
    report.checks.map(({ state }) => state),
    ['ok'],
  )
})
