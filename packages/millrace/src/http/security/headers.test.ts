import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Millrace } from '../../millrace.ts'
import { createClient } from '../../client/index.ts'
import { type clips, openForTest, watchedBy } from '../../testing/clips.ts'
import { send, type TestAnswer } from '../../testing/http.ts'

const SHOP = 'https://shop.example'

describe('what answers tell browsers', () => {
  let millrace: Millrace<typeof clips>
  let url = ''
  let key = ''
  before(async () => {
    millrace = await openForTest()
    ;({ url } = await millrace.listen())
    const body = { scope: 'public', name: 'web', origins: [SHOP], requestsPerSecond: 1, burst: 3 }
    key = String((await send(url, '/v1/keys', { body })).json['key'])
  })
  after(() => millrace.close())

  const post = (origin: string, event: object = watchedBy('a', 'b')): Promise<TestAnswer> =>
    send(url, '/v1/events', {
      body: event,
      headers: { origin, authorization: `Bearer ${key}` },
    })
  const preflight = (origin: string, path = '/v1/events'): Promise<TestAnswer> =>
    send(url, path, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST' },
    })

  it('a page of an allowed origin may send events and read the answer, refusals too', async () => {
    const asked = await preflight(SHOP)
    assert.equal(asked.status, 204)
    assert.equal(asked.headers.get('access-control-allow-origin'), SHOP)
    assert.equal(asked.headers.get('access-control-allow-methods'), 'POST')
    assert.match(asked.headers.get('access-control-allow-headers') ?? '', /authorization/)
    const answers = [await post(SHOP), await post(SHOP, { type: 'nonsense' }), await post(SHOP)]
    answers.push(await post(SHOP), await post(SHOP))
    assert.deepEqual(
      answers.slice(0, 2).map(({ status }) => status),
      [201, 400],
    )
    const limited = answers.find(({ status }) => status === 429)
    assert.notEqual(limited?.headers.get('retry-after') ?? null, null)
    for (const { headers } of answers) {
      assert.equal(headers.get('access-control-allow-origin'), SHOP)
      assert.equal(headers.get('vary'), 'origin')
      assert.match(headers.get('access-control-expose-headers') ?? '', /retry-after/)
      assert.equal(headers.get('access-control-allow-credentials'), null)
    }
  })

  it('a page of another origin may not, and no page may read anything else', async () => {
    const asked = await preflight('https://evil.example')
    assert.deepEqual([asked.status, asked.json['code']], [403, 'ORIGIN_REFUSED'])
    const sent = await post('https://evil.example')
    assert.equal(sent.status, 403)
    for (const answer of [asked, sent, await preflight(SHOP, '/v1/views')]) {
      assert.equal(answer.headers.get('access-control-allow-origin'), null)
    }
    const read = await send(url, '/healthz', { headers: { origin: SHOP } })
    assert.equal(read.headers.get('access-control-allow-origin'), null)
  })

  it('every answer is what it says it is, and pages run their own scripts in no frame', async () => {
    for (const path of ['/healthz', '/v1/nothing', '/v1/views', '/docs/']) {
      const { headers } = await send(url, path)
      assert.equal(headers.get('x-content-type-options'), 'nosniff', path)
      assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin', path)
      assert.equal(headers.get('strict-transport-security'), null, path)
      assert.equal(headers.get('x-powered-by'), null, path)
    }
    const { headers } = await send(url, '/docs/')
    assert.match(
      headers.get('content-security-policy') ?? '',
      /default-src 'self'.*frame-ancestors/,
    )
    assert.equal(headers.get('x-frame-options'), 'DENY')
    assert.equal(headers.get('referrer-policy'), 'no-referrer')
  })

  it('the client shows its key', async () => {
    const without = createClient<typeof clips>({ url, retry: { attemptsMax: 1 } })
    await assert.rejects(without.view('plays').get('c1'), /has no key/)
    const shown: (string | null)[] = []
    const own = createClient<typeof clips>({
      url,
      key,
      retry: { attemptsMax: 1 },
      fetch: (target, init) => {
        shown.push(new Headers(init?.headers).get('authorization'))
        return fetch(target, init)
      },
    })
    await assert.rejects(own.view('plays').get('c1'))
    assert.deepEqual(shown, [`Bearer ${key}`])
  })
})
