import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { systemClock } from '@millrace/core'
import type { Millrace } from '../millrace.ts'
import { type clips, openForTest, watchedBy } from '../testing/clips.ts'
import { send } from '../testing/http.ts'
import { readMessages } from '../client/event-stream.ts'

describe('reads over HTTP', () => {
  let millrace: Millrace<typeof clips>
  let url = ''
  before(async () => {
    millrace = await openForTest()
    url = (await millrace.listen()).url
  })
  after(() => millrace.close())

  const track = async (...events: unknown[]): Promise<string> => {
    const answer = await send(url, '/v1/events', { body: events })
    assert.equal(answer.json['invalid'], 0, answer.text)
    return answer.headers.get('millrace-position') as string
  }

  it('reflect at least the position asked for, through re-keyed streams', async () => {
    for (let round = 1; round <= 20; round++) {
      const position = await track(watchedBy('p1', 'k1'))
      const answer = await send(url, `/v1/views/plays/k1?atLeast=${position}`)
      assert.equal(answer.json['value'], round)
      assert.notEqual(answer.headers.get('millrace-position'), null)
    }
  })

  it('say how far they are when a position does not come', async () => {
    const future = 'p1.' + Buffer.from('person/0=zzzz').toString('base64url')
    const answer = await send(url, `/v1/views/plays/k1?atLeast=${future}&timeoutMs=20`)
    assert.equal(answer.status, 504)
    assert.equal(answer.json['code'], 'POSITION_NOT_REACHED')
    assert.equal(answer.json['retryable'], true)
    const broken = await send(url, '/v1/views/plays/k1?atLeast=rubbish')
    assert.deepEqual([broken.status, broken.json['code']], [400, 'REQUEST_INVALID'])
    const unknown = await send(url, '/v1/views/plays/k1?atLeast=p1.cnViYmlzaA')
    assert.deepEqual([unknown.status, unknown.json['code']], [409, 'POSITION_INVALID'])
  })

  it('give views by key, by page and the greatest first', async () => {
    const position = await track(
      watchedBy('q1', 'v1', { watchedMs: 5 }),
      watchedBy('q2', 'v1', { watchedMs: 50 }),
      watchedBy('q3', 'v2', { watchedMs: 500 }),
    )
    const one = await send(url, `/v1/views/time/q3?atLeast=${position}`)
    assert.deepEqual([one.json['view'], one.json['key'], one.json['value']], ['time', 'q3', 500])
    const none = await send(url, '/v1/views/time/nobody')
    assert.equal(none.json['value'], null)
    const page = await send(url, '/v1/views/time?limit=2&after=q1')
    const entries = page.json['entries'] as { key: string }[]
    assert.deepEqual(
      entries.map(({ key }) => key),
      ['q2', 'q3'],
    )
    const top = await send(url, '/v1/views/time?top=true&limit=2')
    const best = top.json['entries'] as { value: number }[]
    assert.ok((best[0]?.value ?? 0) >= (best[1]?.value ?? 0))
    const list = await send(url, '/v1/views')
    assert.deepEqual(
      (list.json['views'] as { name: string }[]).map(({ name }) => name),
      ['plays', 'recent', 'time'],
    )
    assert.equal((await send(url, '/v1/views/missing/x')).json['code'], 'VIEW_UNKNOWN')
    assert.equal((await send(url, '/v1/views/time?limit=0')).json['code'], 'REQUEST_INVALID')
  })

  it('give a view as it changes', async () => {
    const abort = new AbortController()
    const response = await fetch(`${url}/v1/views/plays/w1/live`, { signal: abort.signal })
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/)
    const messages = readMessages(response.body as ReadableStream<Uint8Array>)
    const values: unknown[] = []
    for await (const message of messages) {
      values.push((JSON.parse(message.data) as { value: unknown }).value)
      if (values.at(-1) === 2) break
      await track(watchedBy('p1', 'w1'))
    }
    assert.deepEqual([values[0], values.at(-1)], [null, 2])
    abort.abort()
  })

  it('tell of no change of a view where only time went on', async () => {
    const abort = new AbortController()
    const response = await fetch(`${url}/v1/views/plays/quiet/live`, { signal: abort.signal })
    const messages = readMessages(response.body as ReadableStream<Uint8Array>)
    const values: unknown[] = []
    for await (const message of messages) {
      values.push((JSON.parse(message.data) as { value: unknown }).value)
      if (values.length === 2) break
      for (let other = 0; other < 3; other++) {
        // Each is reflected, and looked at, before the next.
        const position = await track(watchedBy(`p${other}`, `other-${other}`))
        await send(url, `/v1/views/plays/quiet?atLeast=${position}`)
        await new Promise<void>(resolve => systemClock.after(110, resolve))
      }
      await track(watchedBy('p1', 'quiet'))
    }
    assert.deepEqual(values, [null, 1])
    abort.abort()
  })

  it('say as of which position something is not there', async () => {
    for (const path of ['/v1/items/clip/none', '/v1/items/clip/none/similar', '/v1/people/none']) {
      const answer = await send(url, path)
      assert.equal(answer.status, 404, path)
      assert.match(answer.headers.get('millrace-position') ?? '', /^p1\./, path)
    }
  })

  it('refuse a number that is none, and name the request where the path cannot be read', async () => {
    const far = await send(url, '/v1/log/streams/person/0?from=1e99')
    assert.equal(far.json['code'], 'REQUEST_INVALID')
    assert.match(String(far.json['detail']), /\/from: must be integer/)
    const broken = await send(url, '/v1/items/clip/%E0%A4%A')
    assert.equal(broken.status, 400)
    assert.match(String(broken.json['instance']), /^urn:millrace:request:./)
    const id = broken.headers.get('x-request-id')
    assert.equal(broken.json['instance'], `urn:millrace:request:${id}`)
  })

  it('give the log by range, by time and by key, personal fields masked', async () => {
    const before = Date.now()
    await track({ type: 'asked', id: 'ask-1', data: { person: 'h1', question: 'who?' } })
    await track(watchedBy('h1', 'c1', { id: 'seen-1' }))
    const history = await send(url, '/v1/log/streams/person/keys/h1?limit=1')
    const [first] = history.json['records'] as Record<string, unknown>[]
    assert.equal(first?.['id'], 'ask-1')
    assert.deepEqual(first?.['data'], { person: 'h1', question: '[personal]' })
    const rest = await send(
      url,
      `/v1/log/streams/person/keys/h1?from=${Number(history.json['next'])}`,
    )
    assert.deepEqual(
      (rest.json['records'] as { id: string }[]).map(({ id }) => id),
      ['seen-1'],
    )
    assert.equal(rest.json['next'], null)
    const { partition } = first as { partition: number }
    const since = await send(url, `/v1/log/streams/person/${partition}?since=${before}`)
    assert.ok((since.json['records'] as { id: string }[]).some(({ id }) => id === 'seen-1'))
    const streams = await send(url, '/v1/log/streams')
    assert.ok((streams.json['streams'] as { name: string }[]).some(({ name }) => name === 'person'))
    assert.equal((await send(url, '/v1/log/streams/none/0')).json['code'], 'LOG_STREAM_UNKNOWN')
    assert.equal(
      (await send(url, '/v1/log/streams/person/99')).json['code'],
      'LOG_PARTITION_UNKNOWN',
    )
  })

  it('follow the tail and go on after a lost connection', async () => {
    const abort = new AbortController()
    const open = async (
      lastId?: string,
    ): Promise<AsyncGenerator<{ id: string | undefined; data: string }>> => {
      const headers: Record<string, string> =
        lastId === undefined ? {} : { 'last-event-id': lastId }
      const response = await fetch(`${url}/v1/log/streams/person/tail?type=watched`, {
        signal: abort.signal,
        headers,
      })
      return readMessages(response.body as ReadableStream<Uint8Array>)
    }
    const first = await open()
    await track(watchedBy('t1', 'c', { id: 'tail-1' }))
    const one = (await first.next()).value as { id: string; data: string }
    assert.equal((JSON.parse(one.data) as { id: string }).id, 'tail-1')
    await first.return(undefined)
    await track(watchedBy('t2', 'c', { id: 'tail-2' }), watchedBy('t3', 'c', { id: 'tail-3' }))
    const second = await open(one.id)
    const ids = new Set<string>()
    for await (const message of second) {
      ids.add((JSON.parse(message.data) as { id: string }).id)
      if (ids.size === 2) break
    }
    assert.deepEqual([...ids].sort(), ['tail-2', 'tail-3'])
    abort.abort()
  })

  it('recommend, and reflect an event at once', async () => {
    for (const clip of ['r1', 'r2']) {
      const put = await send(url, `/v1/items/clip/${clip}`, {
        method: 'PUT',
        body: { title: clip, topics: [], creator: 'x' },
      })
      assert.equal(put.status, 200, put.text)
    }
    const position = await track(watchedBy('fan', 'r1'))
    const answer = await send(
      url,
      `/v1/surfaces/home/recommendations?person=fan&n=5&explain&atLeast=${position}`,
    )
    assert.equal(answer.status, 200, answer.text)
    const items = answer.json['items'] as { id: string }[]
    assert.ok(items.length > 0 && items.every(({ id }) => id !== 'r1'), 'seen items are left out')
    const wrong = await send(url, '/v1/surfaces/nowhere/recommendations')
    assert.equal(wrong.json['code'], 'SURFACE_UNKNOWN')
    const refused = await send(url, '/v1/items/clip/bad', { method: 'PUT', body: { title: 5 } })
    assert.equal(refused.status, 400)
  })

  it('recommend in UTF-8, its length in bytes, with the headers of every answer', async () => {
    const title = 'Käse für 5 € 🧀 次の'
    const body = { title, topics: [], creator: 'x' }
    const put = await send(url, '/v1/items/clip/u1', { method: 'PUT', body })
    assert.equal(put.status, 200, put.text)
    const position = await track(
      watchedBy('one', 'u0'),
      watchedBy('one', 'u1'),
      watchedBy('other', 'u0'),
    )
    const path = `/v1/surfaces/home/recommendations?person=other&atLeast=${position}`
    const headers = { 'x-request-id': 'mine' }
    const [plain, explained, head] = [
      await send(url, path, { headers }),
      await send(url, `${path}&explain`),
      await send(url, path, { method: 'HEAD' }),
    ]
    for (const answer of [plain, explained]) {
      assert.equal(answer.status, 200, answer.text)
      const items = answer.json['items'] as { id: string; attributes: { title: string } }[]
      assert.equal(items.find(({ id }) => id === 'u1')?.attributes.title, title)
      assert.equal(answer.headers.get('content-length'), String(Buffer.byteLength(answer.text)))
      assert.equal(answer.headers.get('content-type'), 'application/json; charset=utf-8')
      assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
      assert.match(answer.headers.get('millrace-position') ?? '', /^p1\./)
    }
    assert.equal(plain.headers.get('x-request-id'), 'mine')
    assert.deepEqual([head.status, head.text], [200, ''])
    assert.ok(Number(head.headers.get('content-length')) > 100)
  })

  it('tell health, readiness and figures', async () => {
    assert.deepEqual((await send(url, '/healthz')).json, { status: 'alive' })
    assert.deepEqual((await send(url, '/readyz')).json, { status: 'ready' })
    const { text } = await send(url, '/metrics')
    for (const name of [
      'millrace_events_total{status="appended"}',
      'millrace_http_request_duration_seconds_bucket{le="0.001",operation="readView"}',
      'millrace_http_answers_total{operation="trackEvents",status="200"}',
      'millrace_http_answers_total{operation="putItem",status="400"}',
      'millrace_fold_lag_records{fold="view.plays"} 0',
      'millrace_loop_stalls_total 0',
      'millrace_catalogue_items{kind="clip"}',
      'millrace_process_resident_memory_bytes',
    ]) {
      assert.ok(text.includes(name), `${name} is in /metrics`)
    }
    // The naming rules of Prometheus: each with its help, counters alone end in _total.
    const types = [...text.matchAll(/^# HELP (\S+) \S.*\n# TYPE (\S+) (\w+)$/gm)]
    assert.equal(types.length, text.match(/^# TYPE /gm)?.length)
    for (const [, helped = '', name = '', type] of types) {
      assert.equal(helped, name)
      assert.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`)
      assert.match(name, /^millrace_[a-z0-9]+(_[a-z0-9]+)*$/)
    }
    const live = await fetch(`${url}/v1/live`)
    const messages = readMessages(live.body as ReadableStream<Uint8Array>)
    const pulse = (await messages.next()).value as { event: string; data: string }
    assert.equal(pulse.event, 'pulse')
    assert.ok((JSON.parse(pulse.data) as { events: number }).events > 0)
    await messages.return(undefined)
  })

  it('say which methods a path has, and which encodings and ids are understood', async () => {
    const wrong = await send(url, '/v1/items/clip/c1', { method: 'PATCH' })
    assert.deepEqual([wrong.status, wrong.json['code']], [405, 'METHOD_NOT_ALLOWED'])
    assert.equal(wrong.headers.get('allow'), 'DELETE, GET, HEAD, PUT')
    assert.match(String(wrong.json['remedy']), /DELETE, GET, HEAD, PUT/)
    const nowhere = await send(url, '/v1/nowhere', { method: 'PATCH' })
    assert.equal(nowhere.json['code'], 'ROUTE_UNKNOWN')

    const packed = await send(url, '/v1/events', {
      body: { type: 'watched' },
      headers: { 'content-encoding': 'gzip' },
    })
    assert.deepEqual([packed.status, packed.json['code']], [415, 'ENCODING_UNSUPPORTED'])
    const control = await send(url, '/v1/items/clip/%07', { method: 'PUT', body: {} })
    assert.match(String(control.json['detail']), /at the path, \/id: must match pattern/)
    const long = await send(url, `/v1/items/clip/${'x'.repeat(3000)}`)
    assert.match(String(long.json['detail']), /at the path: it is too long/)
  })

  it('serve the documentation without a network, under any path of a host', async () => {
    for (const path of ['/docs', '/docs/']) {
      const page = await send(url, path)
      assert.equal(page.status, 200)
      const assets = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(
        ([, asset]) => asset as string,
      )
      assert.ok(assets.length > 2)
      for (const asset of assets) {
        assert.doesNotMatch(asset, /^(https?:)?\/\//)
        const { pathname } = new URL(asset, `${url}/api${path}`)
        assert.match(pathname, /^\/api\//)
        const answer = await send(url, pathname.slice('/api'.length))
        assert.equal(answer.status, 200, asset)
      }
      assert.doesNotMatch(page.headers.get('content-security-policy') ?? '', /https:/)
    }
  })

  it('carry request ids and the trace of the caller', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
    const answer = await send(url, '/v1/views', {
      headers: { 'x-request-id': 'mine-1', traceparent: `00-${traceId}-00f067aa0ba902b7-01` },
    })
    assert.equal(answer.headers.get('x-request-id'), 'mine-1')
    assert.match(
      answer.headers.get('traceparent') ?? '',
      new RegExp(`^00-${traceId}-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$`),
    )
    const odd = await send(url, '/nowhere', {
      headers: {
        'x-request-id': 'a b<c>',
        traceparent: `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
      },
    })
    assert.equal(odd.status, 404)
    assert.equal(odd.json['code'], 'ROUTE_UNKNOWN')
    assert.doesNotMatch(odd.headers.get('x-request-id') ?? '', /[<> ]/)
    assert.equal(odd.headers.get('traceparent'), null)
    assert.equal(odd.json['instance'], `urn:millrace:request:${odd.headers.get('x-request-id')}`)
  })
})
