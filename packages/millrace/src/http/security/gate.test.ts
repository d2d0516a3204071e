import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, describe, it } from 'node:test'
import type { RouteScope } from '@millrace/product'
import type { Millrace } from '../../millrace.ts'
import { type clips, openForTest, watchedBy } from '../../testing/clips.ts'
import { send, type TestAnswer } from '../../testing/http.ts'

const SHOP = 'https://shop.example'

interface MadeKey {
  readonly id: string
  readonly key: string
}

async function makeKey(
  url: string,
  body: Record<string, unknown>,
  admin?: MadeKey,
): Promise<MadeKey> {
  const headers: Record<string, string> =
    admin === undefined ? {} : { authorization: `Bearer ${admin.key}` }
  const answer = await send(url, '/v1/keys', { body: { name: 'test', ...body }, headers })
  assert.equal(answer.status, 201, answer.text)
  return answer.json as unknown as MadeKey
}

/** A path that the route takes, up to the check of what it names. */
const pathOf = (path: string): string => path.replaceAll(/:\w+/g, 'x').replace(/\*$/, 'x')

describe('with keys', () => {
  let millrace: Millrace<typeof clips>
  let url = ''
  const keys = new Map<RouteScope, MadeKey>()
  before(async () => {
    millrace = await openForTest()
    ;({ url } = await millrace.listen())
    const admin = await makeKey(url, { scope: 'admin' })
    keys.set('admin', admin)
    keys.set('server', await makeKey(url, { scope: 'server' }, admin))
    keys.set('public', await makeKey(url, { scope: 'public', origins: [SHOP] }, admin))
  })
  after(() => millrace.close())

  const call = (
    method: string,
    path: string,
    key?: string,
    more: Record<string, string> = {},
  ): Promise<TestAnswer> => {
    const headers = { origin: SHOP, ...more }
    const body = method === 'POST' || method === 'PUT' ? '{}' : undefined
    return send(url, path, {
      method,
      ...(body === undefined ? {} : { body }),
      headers: key === undefined ? headers : { ...headers, authorization: `Bearer ${key}` },
    })
  }

  it('every route says who may call it, and there is none besides', () => {
    const { routes, operations } = millrace.server
    assert.ok(operations.length > 20)
    for (const { method, path, scope } of operations) {
      assert.ok(
        routes.some(
          route => route.method === method && route.path === path && route.scope === scope,
        ),
        `${method} ${path}`,
      )
    }
    const open = routes.filter(({ scope }) => scope === 'open')
    for (const { method, path } of open) {
      const files = /^(GET|HEAD) \/(|healthz|readyz|openapi\.json|docs(\/.*)?)$/
      // What a browser asks before it sends events: answered by its origin alone.
      assert.ok(files.test(`${method} ${path}`) || `${method} ${path}` === 'OPTIONS /v1/events')
    }
    // What a browser may do with a key that everybody can read: send events, and nothing else.
    const atBrowsers = routes.filter(({ scope }) => scope === 'public')
    assert.deepEqual(
      atBrowsers.map(({ method, path }) => `${method} ${path}`),
      ['POST /v1/events'],
    )
  })

  it('every route refuses who has none, a wrong one, a revoked one, and one of a lesser scope', async () => {
    const admin = keys.get('admin') as MadeKey
    const revoked = await makeKey(url, { scope: 'admin' }, admin)
    assert.equal((await call('DELETE', `/v1/keys/${revoked.id}`, admin.key)).status, 200)
    const wrong = `${admin.key.slice(0, -1)}${admin.key.endsWith('0') ? '1' : '0'}`
    for (const { method, path, scope } of millrace.server.routes) {
      if (scope === 'open') continue
      const place = `${method} ${path}`
      const codes = async (key?: string, more?: Record<string, string>): Promise<unknown[]> => {
        const { status, json } = await call(method, pathOf(path), key, more)
        return method === 'HEAD' ? [status] : [status, json['code']]
      }
      const expected = (status: number, code: string): unknown[] =>
        method === 'HEAD' ? [status] : [status, code]
      assert.deepEqual(await codes(), expected(401, 'KEY_MISSING'), place)
      for (const key of [wrong, 'x', revoked.key, '']) {
        assert.deepEqual(await codes(key), expected(401, 'KEY_INVALID'), place)
      }
      const basic = { authorization: `Basic ${Buffer.from(`:${admin.key}`).toString('base64')}` }
      assert.deepEqual(await codes(undefined, basic), expected(401, 'KEY_INVALID'), place)
      const lesser = (['public', 'server'] as const).slice(
        0,
        ['public', 'server', 'admin'].indexOf(scope),
      )
      for (const held of lesser) {
        const { key } = keys.get(held) as MadeKey
        assert.deepEqual(await codes(key), expected(403, 'KEY_SCOPE_TOO_SMALL'), place)
      }
    }
  })

  it('every route lets in who has its scope or a greater one', async () => {
    const streaming = /\/live$|\/tail$/
    for (const { method, path, scope } of millrace.server.routes) {
      if (scope === 'open' || streaming.test(path) || path.startsWith('/v1/keys')) continue
      for (const held of ['public', 'server', 'admin'].slice(
        ['public', 'server', 'admin'].indexOf(scope),
      )) {
        const { key } = keys.get(held as RouteScope) as MadeKey
        const { status } = await call(method, pathOf(path), key)
        assert.ok(status !== 401 && status !== 403 && status < 500, `${method} ${path}: ${status}`)
      }
    }
  })

  it('open routes answer everybody, unknown paths tell nothing', async () => {
    assert.equal((await send(url, '/healthz')).status, 200)
    assert.equal((await send(url, '/openapi.json')).status, 200)
    assert.equal((await send(url, '/docs/')).status, 200)
    assert.equal((await send(url, '/v1/nothing')).json['code'], 'ROUTE_UNKNOWN')
  })

  it('a refusal says how to send one', async () => {
    const answer = await call('GET', '/v1/views')
    assert.equal(answer.headers.get('www-authenticate'), 'Bearer realm="millrace"')
    assert.match(String(answer.json['remedy']), /Authorization: Bearer/)
  })

  it('a host process that passes requests on needs one too', async () => {
    const host = createServer(millrace.handler)
    await new Promise<void>(resolve => host.listen(0, '127.0.0.1', resolve))
    const { port } = host.address() as { port: number }
    const here = `http://127.0.0.1:${port}`
    assert.equal((await send(here, '/v1/views')).json['code'], 'KEY_MISSING')
    const { key } = keys.get('server') as MadeKey
    const authorization = `Bearer ${key}`
    assert.equal((await send(here, '/v1/views', { headers: { authorization } })).status, 200)
    host.closeAllConnections()
    await new Promise(resolve => host.close(resolve))
  })

  it('a public one sends events from the pages that it names, and no others', async () => {
    const { key } = keys.get('public') as MadeKey
    const post = (origin?: string, path = '/v1/events'): Promise<TestAnswer> =>
      send(url, path, {
        body: watchedBy('ann', 'c1'),
        headers: {
          authorization: `Bearer ${key}`,
          ...(origin === undefined ? {} : { origin }),
        },
      })
    assert.equal((await post(SHOP)).status, 201)
    for (const origin of ['https://evil.example', 'http://shop.example', 'null', undefined]) {
      const answer = await post(origin)
      assert.deepEqual([answer.status, answer.json['code']], [403, 'ORIGIN_REFUSED'])
    }
    const past = await post(SHOP, '/v1/events?history=true')
    assert.deepEqual([past.status, past.json['code']], [403, 'KEY_SCOPE_TOO_SMALL'])
  })

  it('above its rate it is told when to come back', async () => {
    const admin = keys.get('admin') as MadeKey
    const slow = await makeKey(url, { scope: 'server', requestsPerSecond: 1, burst: 2 }, admin)
    const answers: TestAnswer[] = []
    for (let count = 0; count < 4; count++) answers.push(await call('GET', '/v1/views', slow.key))
    const refused = answers.filter(({ status }) => status === 429)
    assert.ok(refused.length >= 1)
    for (const { headers, json } of refused) {
      assert.equal(headers.get('retry-after'), '1')
      assert.equal(json['code'], 'RATE_LIMITED')
      assert.ok(Number(json['retryAfterMs']) <= 1000)
    }
    // A HEAD counts once, like a GET.
    const twice = await makeKey(url, { scope: 'server', requestsPerSecond: 1, burst: 2 }, admin)
    assert.equal((await call('HEAD', '/v1/views', twice.key)).status, 200)
    assert.equal((await call('HEAD', '/v1/views', twice.key)).status, 200)
  })

  it('rotated, it takes both secrets until the grace ends', async () => {
    const admin = keys.get('admin') as MadeKey
    const first = await makeKey(url, { scope: 'server' }, admin)
    const rotate = async (graceSeconds: number): Promise<MadeKey> => {
      const answer = await send(url, `/v1/keys/${first.id}/rotate`, {
        body: { graceSeconds },
        headers: { authorization: `Bearer ${admin.key}` },
      })
      return answer.json as unknown as MadeKey
    }
    const statusOf = async (key: string): Promise<number> =>
      (await call('GET', '/v1/views', key)).status
    assert.equal(await statusOf(first.key), 200)
    const second = await rotate(3600)
    assert.deepEqual([await statusOf(first.key), await statusOf(second.key)], [200, 200])
    // Without a grace every secret before ends, also one that had been given time.
    const third = await rotate(0)
    assert.deepEqual(
      [await statusOf(first.key), await statusOf(second.key), await statusOf(third.key)],
      [401, 401, 200],
    )
  })

  it('refusals are counted', async () => {
    const { key } = keys.get('server') as MadeKey
    const { text } = await call('GET', '/metrics', key)
    assert.match(text, /millrace_http_refused_total\{code="KEY_MISSING"\} [1-9]/)
    assert.match(text, /millrace_http_refused_total\{code="RATE_LIMITED"\} [1-9]/)
  })
})

describe('making keys', () => {
  it('refuses what makes no sense, with the place', async () => {
    const millrace = await openForTest()
    const { url } = await millrace.listen()
    for (const [body, place] of [
      [{ scope: 'root', name: 'x' }, /scope/],
      [{ scope: 'admin' }, /name|the body/],
      [{ scope: 'public', name: 'x' }, /origins/],
      [{ scope: 'public', name: 'x', origins: ['shop.example'] }, /origins\/0/],
      [{ scope: 'public', name: 'x', origins: ['https://shop.example/'] }, /origins\/0/],
      [{ scope: 'public', name: 'x', origins: ['javascript:1'] }, /origins\/0/],
      [{ scope: 'server', name: 'x', origins: [SHOP] }, /origins/],
      [{ scope: 'server', name: 'x', burst: 3 }, /burst/],
      [{ scope: 'server', name: 'x', requestsPerSecond: 0 }, /requestsPerSecond/],
    ] as const) {
      const answer = await send(url, '/v1/keys', { body })
      assert.deepEqual([answer.status, answer.json['code']], [400, 'REQUEST_INVALID'])
      assert.match(String(answer.json['detail']), place)
    }
    // Nothing was made: everybody on loopback may still do everything.
    assert.equal((await send(url, '/v1/keys')).status, 200)
    await millrace.close()
  })
})
