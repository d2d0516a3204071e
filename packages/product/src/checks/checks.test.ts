import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check, defineApp, event, id, int, item, text } from '@millrace/core'
import { openMemoryLog } from '@millrace/log/memory'
import { createTestClock, openTestProduct } from '../testing/open-product.ts'
import type { Checks } from './checks.ts'
import { QUARANTINE_HEADER } from './plan.ts'

const Clip = item('clip', { title: text() })
const seen = event(
  'seen',
  { who: id('person'), clip: id('clip'), ms: int(), name: text().personal() },
  { key: 'who' },
)
const app = defineApp({
  name: 'checked',
  items: [Clip],
  events: [seen],
  checks: {
    short: check({ of: seen, field: 'ms', expect: { range: { max: 9 } }, severity: 'quarantine' }),
    known: check({ of: seen, field: 'clip', expect: { exists: Clip } }),
    faulty: check({ of: seen, expect: { that: data => data.name.length / 0 < BROKEN.limit } }),
    few: check({ of: seen, expect: { volume: { max: 1 } } }),
  },
})
const BROKEN = {
  get limit(): number {
    throw new Error('no limit')
  },
}

test('what was taken marked is held by whoever looks next, and what was released is not', async t => {
  const clock = createTestClock(1_800_000_000_000)
  const log = openMemoryLog({ clock })
  const product = await openTestProduct(app, { clock, log })
  t.after(() => product.close())
  const checks = product.modules.get('checks')?.api as Checks
  const data = { who: 'ana', clip: 'c1', ms: 99, name: 'Ana' }
  // Whoever took it was killed before it was held.
  const marked = { stream: 'person', type: 'seen', key: 'ana', id: 'm1', eventTimeMs: clock.timeMs, data, headers: { [QUARANTINE_HEADER]: 'short' } } // prettier-ignore
  await log.commit({ events: [marked] })
  await product.settle()
  assert.equal(checks.statuses()[0]?.held, 0)
  await checks.look()
  await product.settle()
  const [short] = await checks.list()
  assert.deepEqual([short?.held, short?.state], [1, 'ok'])
  assert.deepEqual(
    product.streams.corrections.of('m1').map(each => each?.action),
    ['hold'],
  )
  assert.deepEqual(await checks.release('short', { isAll: true, by: 'mia', reason: 'it is right' }), { released: 1, held: 0 }) // prettier-ignore
  await checks.look()
  assert.deepEqual(product.streams.corrections.of('m1').map(each => each?.action), ['hold', undefined]) // prettier-ignore
  assert.equal((await checks.list())[0]?.state, 'failing')
})

test('a check whose code throws refuses nothing and is counted; reasons tell nothing personal', async t => {
  const product = await openTestProduct(app)
  t.after(() => product.close())
  const checks = product.modules.get('checks')?.api as Checks
  const data = { who: 'ana', clip: 'c1', ms: 5, name: 'Ana' }
  assert.equal(checks.judge('seen', data, 1), undefined)
  await product.track([{ type: 'seen', data, id: 'e1' }, { type: 'seen', data, id: 'e2' }]) // prettier-ignore
  await product.settle()
  const { state, found } = await checks.show('faulty')
  assert.deepEqual([state, found], ['failing', '2 of 2 events do not fit'])
  assert.deepEqual((await checks.show('known')).examples.map(({ reason }) => reason), ['there is no clip "c1"', 'there is no clip "c1"']) // prettier-ignore
  const reports = await checks.run()
  const faulty = reports.find(({ name }) => name === 'faulty')
  assert.deepEqual([faulty?.failed, faulty?.examples[0]?.reason], [2, 'the code of the check throws']) // prettier-ignore
  await assert.rejects(checks.run('other'), { code: 'CHECK_UNKNOWN' })
  await assert.rejects(checks.show('other'), { code: 'CHECK_UNKNOWN' })
})

test('an item that comes late, and was there, makes the count right again', async t => {
  const product = await openTestProduct(app)
  t.after(() => product.close())
  const checks = product.modules.get('checks')?.api as Checks
  const data = { who: 'ana', clip: 'c1', ms: 5, name: 'Ana' }
  await product.track([{ type: 'seen', data }])
  await product.settle()
  assert.equal((await checks.list())[1]?.state, 'failing')
  const put = { id: 'c1', attributes: { title: 'one' } }
  await product.log.commit({ events: [{ stream: 'clip', type: 'clip.put', key: 'c1', id: 'p1', eventTimeMs: 0, data: put, isHistory: true }] }) // prettier-ignore
  await product.settle()
  assert.equal((await checks.list())[1]?.state, 'ok')
})
