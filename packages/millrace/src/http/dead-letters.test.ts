import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { decodePosition, defineApp, event, id, int, text, view } from '@millrace/core'
import type { Millrace } from '../millrace.ts'
import { openForTest } from '../testing/clips.ts'
import { send, type TestAnswer } from '../testing/http.ts'

const paid = event(
  'paid',
  { buyer: id('person'), shop: id('shop'), cents: int(), note: text().personal() },
  { key: 'buyer' },
)

/** Cannot fold what costs nothing. */
const sum = (key: 'buyer' | 'shop') =>
  view({
    from: [paid],
    key,
    initial: () => ({ cents: 0 }),
    fold(state, { data }) {
      const Kind = data.buyer === 'b' ? RangeError : Error
      if (data.cents === 0) throw new Kind(`nothing was paid: ${data.note}`)
      state.cents += data.cents
    },
    read: state => state.cents,
  })

const shop = defineApp({
  name: 'shop',
  events: [paid],
  views: { byBuyer: sum('buyer'), byShop: sum('shop') },
})

interface LetterJson {
  readonly fold: string
  readonly key: string
  readonly waiting: number
  readonly offset: number
  readonly error: string
}

describe('dead letters over HTTP', () => {
  let millrace: Millrace
  let url = ''
  before(async () => {
    millrace = await openForTest({ app: shop as never })
    url = (await millrace.listen()).url
  })
  after(() => millrace.close())

  const pay = async (buyer: string, at: string, cents: number): Promise<void> => {
    const data = { buyer, shop: at, cents, note: 'secret' }
    const answer = await send(url, '/v1/events', { body: { type: 'paid', data } })
    assert.equal(answer.status, 201, answer.text)
    await millrace.reached(decodePosition(answer.headers.get('millrace-position') as string), {
      timeoutMs: 60_000,
    })
  }
  const lettersOf = (answer: TestAnswer): readonly LetterJson[] =>
    answer.json['deadLetters'] as readonly LetterJson[]
  const value = async (name: string, key: string): Promise<unknown> =>
    (await send(url, `/v1/views/${name}/${key}`)).json['value']

  it('are listed by page and by query, and shown with masked records', async () => {
    for (const buyer of ['a', 'b', 'c']) await pay(buyer, 'x', 0)
    await pay('a', 'y', 7)
    const all = await send(url, '/v1/dead-letters')
    assert.equal(all.json['total'], 4)
    const places = lettersOf(all).map(({ fold, key }) => `${fold}/${key}`)
    assert.deepEqual(places, ['view.byBuyer/a', 'view.byBuyer/b', 'view.byBuyer/c', 'view.byShop/x']) // prettier-ignore
    const first = await send(url, '/v1/dead-letters?limit=3')
    assert.equal(first.json['next'], 'view.byBuyer/c')
    const rest = await send(url, '/v1/dead-letters?limit=3&after=view.byBuyer/c')
    assert.deepEqual(lettersOf(rest).map(({ key }) => key), ['x']) // prettier-ignore
    assert.equal(rest.json['next'], undefined)
    const chosen = await send(url, '/v1/dead-letters?fold=view.byBuyer&error=RangeError')
    assert.deepEqual(lettersOf(chosen).map(({ key }) => key), ['b']) // prettier-ignore
    // Its events have a personal field, so what was said of them is not told.
    const told = /^RangeError: message withheld, at dead-letters\.test\.ts:\d+:\d+$/
    assert.match(lettersOf(chosen)[0]?.error ?? '', told)
    const shown = await send(url, '/v1/dead-letters/view.byBuyer/a?limit=1')
    assert.equal(shown.json['waiting'], 2)
    const [record] = shown.json['records'] as { data: unknown; offset: number }[]
    assert.deepEqual(record?.data, { buyer: 'a', shop: 'x', cents: 0, note: '[personal]' })
    assert.notEqual(shown.json['next'], null)
    const more = `?from=${String(shown.json['next'])}`
    const last = await send(url, `/v1/dead-letters/view.byBuyer/a${more}`)
    assert.equal((last.json['records'] as unknown[]).length, 1)
    assert.equal(last.json['next'], null)
    const metrics = (await send(url, '/metrics')).text
    assert.match(metrics, /millrace_fold_parked_oldest_seconds\{fold="view.byBuyer"\} [\d.]+/)
  })

  it('say that nothing waits, or that there is no such fold', async () => {
    const none = await send(url, '/v1/dead-letters/view.byBuyer/nobody')
    assert.deepEqual([none.status, none.json['code']], [404, 'KEY_NOT_PARKED'])
    const body = { fold: 'view.byBuyer', key: 'nobody' }
    const retried = await send(url, '/v1/dead-letters/retry', { body })
    assert.equal(retried.json['code'], 'KEY_NOT_PARKED')
    const unknown = await send(url, '/v1/dead-letters?fold=view.none')
    assert.deepEqual([unknown.status, unknown.json['code']], [404, 'FOLD_UNKNOWN'])
  })

  it('are fixed with data that fits, whose keys stay, and whose personal fields were masked', async () => {
    const path = '/v1/dead-letters/view.byBuyer/a/fix'
    const reason = 'a price was missing'
    const data = { buyer: 'a', shop: 'x', cents: 5, note: '[personal]' }
    const refuse = async (more: object, why: RegExp): Promise<void> => {
      const answer = await send(url, path, { body: { reason, data: { ...data, ...more } } })
      assert.deepEqual([answer.status, answer.json['code']], [400, 'REQUEST_INVALID'])
      assert.match(answer.json['detail'] as string, why)
    }
    await refuse({ cents: 'five' }, /\/data\/cents/)
    await refuse({ buyer: 'b' }, /\/data\/buyer.*key/)
    assert.equal((await send(url, path, { body: { data } })).json['code'], 'REQUEST_INVALID')
    const fixed = await send(url, path, { body: { reason, data } })
    assert.deepEqual([fixed.json['tried'], fixed.json['released']], [1, 1], fixed.text)
    assert.equal(await value('byBuyer', 'a'), 12)
    const [decision] = await millrace.log.read({ stream: 'streams.amendments', partition: 0, from: 0 }) // prettier-ignore
    const kept = decision?.data as { data: Record<string, unknown>; reason: string }
    assert.equal(kept.data['note'], 'secret')
    assert.equal(kept.reason, reason)
    const shopPath = '/v1/dead-letters/view.byShop/x/fix'
    const moved = await send(url, shopPath, { body: { reason, data: { ...data, shop: 'z' } } })
    assert.match(moved.json['detail'] as string, /\/data\/shop.*key/)
  })

  it('are skipped by query, and what fails again is said', async () => {
    const reason = 'a test'
    const alone = await send(url, '/v1/dead-letters/skip', { body: { reason, offset: 1 } })
    assert.match(alone.json['detail'] as string, /\/offset/)
    const again = await send(url, '/v1/dead-letters/retry', { body: {} })
    assert.deepEqual([again.json['tried'], again.json['released']], [3, 0])
    assert.equal((again.json['waiting'] as unknown[]).length, 3)
    const one = await send(url, '/v1/dead-letters/skip', { body: { reason, fold: 'view.byShop' } })
    assert.deepEqual([one.json['tried'], one.json['released']], [1, 0])
    const [left] = one.json['waiting'] as LetterJson[]
    assert.equal(left?.waiting, 2)
    for (let rounds = 0; rounds < 3; rounds++) {
      await send(url, '/v1/dead-letters/skip', { body: { reason } })
    }
    assert.equal((await send(url, '/v1/dead-letters')).json['total'], 0)
    const nothing = await send(url, '/v1/dead-letters/retry', { body: {} })
    assert.deepEqual([nothing.status, nothing.json['tried']], [200, 0])
    assert.equal(await value('byShop', 'y'), 7)
    assert.equal(await value('byShop', 'x'), null)
  })
})
