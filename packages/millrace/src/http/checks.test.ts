import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { check, countView, defineApp, event, id, int, isError, item, text } from '@millrace/core'
import type { Checks } from '@millrace/product'
import type { Millrace } from '../millrace.ts'
import { openForTest } from '../testing/clips.ts'
import { send } from '../testing/http.ts'

const Clip = item('clip', { title: text() })
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), ms: int(), device: text().optional() },
  { key: 'viewer' },
)
const plays = countView({ from: [watched], key: 'viewer' })
const shop = defineApp({
  name: 'checked',
  items: [Clip],
  events: [watched],
  views: { plays },
  checks: {
    plausible: check({ of: watched, field: 'ms', expect: { range: { min: 0, max: 1_000 } }, severity: 'refuse' }), // prettier-ignore
    known: check({ of: watched, field: 'clip', expect: { exists: Clip }, severity: 'quarantine' }),
    device: check({ of: watched, field: 'device', expect: { oneOf: ['ios', 'web'] } }),
    enough: check({ of: watched, expect: { volume: { min: 2 } } }),
  },
})

describe('checks of what comes in', () => {
  let millrace: Millrace<typeof shop>
  let url: string
  const playsOf = (viewer: string): number => millrace.view('plays').get(viewer).value ?? 0
  before(async () => {
    millrace = await openForTest({ app: shop })
    ;({ url } = await millrace.listen({ port: 0 }))
    await millrace.reached(await millrace.items('clip').put('c1', { title: 'one' }))
  })
  after(() => millrace.close())

  it('refuses an event with the place and the reason', async () => {
    const data = { viewer: 'ana', clip: 'c1', ms: 5_000 }
    await assert.rejects(millrace.track('watched', data), error => {
      assert.ok(isError(error, 'CHECK_FAILED'))
      assert.match(error.message, /at \/data\/ms: check plausible: 5000 is above 1000/)
      return true
    })
    const answer = await send(url, '/v1/events', { body: [{ type: 'watched', data }] })
    assert.deepEqual((answer.json['results'] as { code: string }[]).map(({ code }) => code), ['CHECK_FAILED']) // prettier-ignore
  })

  it('holds an event, keeps its place, and folds it once it is released', async () => {
    const data = { viewer: 'ben', clip: 'c2', ms: 5 }
    const { position } = await millrace.track('watched', data, { id: 'held-1' })
    await millrace.reached(position)
    assert.equal(playsOf('ben'), 0)
    // Sent again it is a duplicate, and held once.
    assert.equal((await millrace.track('watched', data, { id: 'held-1', at: 0 }).catch((error: { code: string }) => error.code)), 'EVENT_CONFLICT') // prettier-ignore
    const shown = await send(url, '/v1/checks/known')
    assert.equal(shown.json['held'], 1)
    assert.deepEqual((shown.json['heldEvents'] as { id: string }[]).map(each => each.id), ['held-1']) // prettier-ignore
    const early = await send(url, '/v1/checks/known/release', { body: {} })
    assert.deepEqual(early.json, { released: 0, held: 1 })
    await millrace.reached(await millrace.items('clip').put('c2', { title: 'two' }))
    // Known from now on only: the event is older.
    const late = await send(url, '/v1/checks/known/release', { body: { all: true, reason: 'it was late' } }) // prettier-ignore
    assert.deepEqual(late.json, { released: 1, held: 0 })
    assert.equal(playsOf('ben'), 1)
    // What was released is not held again.
    await millrace.module<Checks>('checks').look()
    assert.equal(playsOf('ben'), 1)
    const unknown = await send(url, '/v1/checks/nothing')
    assert.equal(unknown.json['code'], 'CHECK_UNKNOWN')
  })

  it('counts what it warns of, and tells it everywhere', async () => {
    const { position } = await millrace.track('watched', { viewer: 'cem', clip: 'c1', ms: 5, device: 'tv' }) // prettier-ignore
    await millrace.reached(position)
    assert.equal(playsOf('cem'), 1)
    const { checks } = (await send(url, '/v1/checks')).json as { checks: { name: string; state: string; disliked: number; refused: number }[] } // prettier-ignore
    const states = Object.fromEntries(checks.map(({ name, state }) => [name, state]))
    assert.equal(states['device'], 'failing')
    assert.equal(states['plausible'], 'ok')
    assert.equal(checks.find(({ name }) => name === 'plausible')?.refused, 2)
    const ready = (await send(url, '/readyz')).json as { status: string; warnings: string[] }
    assert.equal(ready.status, 'ready')
    assert.ok(ready.warnings.some(line => line.startsWith('check device: 1 of')))
    const metrics = (await send(url, '/metrics')).text
    assert.match(metrics, /millrace_checks_failing\{check="device"\} 1/)
    assert.match(metrics, /millrace_checks_disliked_total\{check="device"\} 1/)
    const run = (await send(url, '/v1/checks/run', { body: { check: 'device' } })).json as { checks: { failed: number; judged: number; examples: { reason: string }[] }[] } // prettier-ignore
    assert.deepEqual(
      run.checks.map(({ failed, judged }) => [failed, judged]),
      [[1, 2]],
    )
    assert.match(run.checks[0]?.examples[0]?.reason ?? '', /"tv" is none of the 2/)
  })
})
