import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { decodePosition } from '@millrace/core'
import type { Millrace } from '../millrace.ts'
import { type clips, openForTest, watchedBy } from '../testing/clips.ts'
import { send } from '../testing/http.ts'

describe('POST /v1/events', () => {
  let millrace: Millrace<typeof clips>
  let url = ''
  before(async () => {
    millrace = await openForTest({ limits: { bodyBytesMax: 20_000, eventBytesMax: 5000 } })
    url = (await millrace.listen()).url
  })
  after(() => millrace.close())

  it('appends one event: 201, then 200 for the same, 409 for another with its id', async () => {
    const event = watchedBy('p1', 'c1', { id: 'one' })
    const first = await send(url, '/v1/events', { body: event })
    assert.equal(first.status, 201)
    assert.deepEqual(first.json, { status: 'appended', id: 'one' })
    const position = decodePosition(first.headers.get('millrace-position') as string)
    assert.equal(
      [...position.values()].reduce((sum, end) => sum + end, 0),
      1,
    )
    const again = await send(url, '/v1/events', { body: event })
    assert.equal(again.status, 200)
    assert.deepEqual(again.json, { status: 'duplicate', id: 'one' })
    const other = await send(url, '/v1/events', { body: watchedBy('p1', 'c2', { id: 'one' }) })
    assert.equal(other.status, 409)
    assert.equal(other.json['code'], 'EVENT_CONFLICT')
    assert.equal(other.json['retryable'], false)
    assert.match(other.json['detail'] as string, /id one was appended before: its data differs\./)
  })

  it('takes arrays and lines, with a result for each event', async () => {
    const events = [watchedBy('p2', 'c1', { id: 'b1' }), watchedBy('p2', 'c1', { id: 'b2' })]
    const array = await send(url, '/v1/events', { body: [...events, { type: 'no' }] })
    assert.equal(array.status, 200)
    assert.deepEqual([array.json['appended'], array.json['invalid']], [2, 1])
    const ndjson = events.map(event => JSON.stringify(event)).join('\r\n')
    for (const type of ['application/x-ndjson', 'application/jsonl; charset=utf-8']) {
      const lines = await send(url, '/v1/events', {
        body: ndjson,
        headers: { 'content-type': type },
      })
      assert.equal(lines.status, 200)
      assert.deepEqual([lines.json['appended'], lines.json['duplicates']], [0, 2])
    }
  })

  it('takes lines without end, and answers while they arrive', async () => {
    const count = 30_000
    let read = 0
    const lines = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (read >= count) return controller.close()
        const events = Array.from({ length: 500 }, () => {
          read += 1
          if (read === 25_000) return '{"type":'
          return JSON.stringify(watchedBy(`p${read % 50}`, 'c1', { id: `long-${read}` }))
        })
        controller.enqueue(Buffer.from(`${events.join('\n')}\n`))
      },
    })
    const response = await fetch(`${url}/v1/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines,
      duplex: 'half',
    } as RequestInit)
    assert.equal(response.status, 200)
    const answer = (await response.json()) as Record<string, unknown>
    assert.deepEqual(
      [answer['appended'], answer['duplicates'], answer['conflicts'], answer['invalid']],
      [count - 1, 0, 0, 1],
    )
    const results = answer['results'] as readonly Record<string, unknown>[]
    assert.equal(results.length, count)
    assert.deepEqual(results[0], { status: 'appended', id: 'long-1' })
    const broken = results[24_999] as Record<string, unknown>
    assert.deepEqual(
      [broken['status'], broken['index'], broken['line']],
      ['invalid', 24_999, 25_000],
    )
    assert.equal(answer['error'], undefined)
    const position = decodePosition(answer['position'] as string)
    assert.ok([...position.values()].reduce((sum, end) => sum + end, 0) >= count - 1)
  })

  it('marks imported events as history', async () => {
    await send(url, '/v1/events?history=true', { body: watchedBy('p3', 'c1', { id: 'h', at: 5 }) })
    assert.equal((await millrace.log.find('h'))?.isHistory, true)
  })

  it('refuses with problem details that name code, place and remedy', async () => {
    const cases: [unknown, Record<string, string>, number, string][] = [
      ['{"type":', {}, 400, 'BODY_INVALID'],
      ['', {}, 400, 'BODY_MISSING'],
      ['  \n', {}, 400, 'BODY_MISSING'],
      ['\n\r\n', { 'content-type': 'application/x-ndjson' }, 400, 'BODY_MISSING'],
      [Uint8Array.of(0x22, 0xff, 0x22), {}, 400, 'BODY_NOT_UTF8'],
      ['<x/>', { 'content-type': 'text/xml' }, 415, 'MEDIA_TYPE_UNSUPPORTED'],
      ['x'.repeat(30_000), {}, 413, 'BODY_TOO_LARGE'],
      [`{"type":"watched","data":"${'x'.repeat(6000)}"}`, {}, 413, 'EVENT_TOO_LARGE'],
      ['['.repeat(100), {}, 400, 'REQUEST_INVALID'],
      [`${'['.repeat(100)}${']'.repeat(100)}`, {}, 400, 'REQUEST_INVALID'],
      ['"text"', {}, 400, 'EVENT_INVALID'],
      ['{"type":"unheard","data":{}}', {}, 400, 'EVENT_TYPE_UNKNOWN'],
    ]
    for (const [body, headers, status, code] of cases) {
      const answer = await send(url, '/v1/events', { method: 'POST', body, headers })
      assert.equal(answer.status, status, `${code}: ${answer.text}`)
      assert.equal(answer.json['code'], code)
      assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/)
      for (const field of ['type', 'title', 'detail', 'instance', 'remedy']) {
        assert.equal(typeof answer.json[field], 'string', `${code} has ${field}`)
      }
    }
    const unknown = await send(url, '/v1/events?colour=red', { body: watchedBy('p', 'c') })
    assert.equal(unknown.json['code'], 'REQUEST_INVALID')
  })

  it('never shows a personal value in a refusal', async () => {
    const secret = 'my-secret-illness'
    const bodies = [
      { type: 'asked', data: { person: 'p', question: secret.repeat(700) } },
      { type: 'asked', data: { person: 'p', question: { nested: secret } } },
      { type: 'person.put', data: { id: 'p', attributes: { name: [secret] } } },
    ]
    for (const body of bodies) {
      const answer = await send(url, '/v1/events', { body })
      assert.equal(answer.status, answer.json['code'] === 'EVENT_TOO_LARGE' ? 413 : 400)
      assert.ok(!answer.text.includes(secret), answer.text)
    }
    const broken = await send(url, '/v1/events', { body: `{"question": ${secret}}` })
    assert.ok(!broken.text.includes(secret), broken.text)
  })
})
