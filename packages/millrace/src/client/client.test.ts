import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { isError, timeOfId } from '@millrace/core'
import type { Millrace } from '../millrace.ts'
import { type clips, openForTest } from '../testing/clips.ts'
import { createClient, type Client } from './client.ts'

describe('the client', () => {
  let millrace: Millrace<typeof clips>
  let client: Client<typeof clips>
  let url = ''
  before(async () => {
    millrace = await openForTest()
    url = (await millrace.listen()).url
    client = createClient<typeof clips>({ url })
  })
  after(async () => {
    await client.close()
    await millrace.close()
  })

  it('sends events together and tells when each is durable', async () => {
    const counter = { requests: 0 }
    const counting = createClient<typeof clips>({
      url,
      fetch(target, init) {
        counter.requests += 1
        return fetch(target, init)
      },
    })
    const tracked = await Promise.all(
      Array.from({ length: 300 }, (_, index) =>
        counting.track('watched', { viewer: `v${index % 7}`, clip: 'c1', watchedMs: index }),
      ),
    )
    assert.equal(counter.requests, 1)
    for (const { status, id } of tracked) {
      assert.equal(status, 'appended')
      assert.notEqual(timeOfId(id), undefined)
    }
    const plays = await client.view('plays').get('c1', { atLeast: tracked.at(-1)?.position })
    assert.equal(plays.value, 300)
    const again = await counting
      .track(
        'watched',
        { viewer: 'v0', clip: 'c1', watchedMs: 0 },
        { id: tracked[0]?.id as string, at: 1 },
      )
      .catch((error: unknown) => error)
    assert.ok(isError(again, 'EVENT_CONFLICT'))
    await counting.close()
    await assert.rejects(
      counting.track('watched', { viewer: 'v', clip: 'c', watchedMs: 1 }),
      error => isError(error, 'CLIENT_CLOSED'),
    )
  })

  it('rejects the event that does not fit, and no other', async () => {
    const told: unknown[] = []
    const telling = createClient<typeof clips>({ url, onError: error => told.push(error) })
    const good = telling.track('watched', { viewer: 'x', clip: 'c', watchedMs: 1 })
    const bad = telling.track('watched', { viewer: 'x', clip: 'c', watchedMs: -1 })
    assert.equal((await good).status, 'appended')
    await assert.rejects(
      bad,
      error => isError(error, 'EVENT_INVALID') && error.details['path'] === '/data/watchedMs',
    )
    assert.equal(told.length, 1)
    await telling.close()
  })

  it('puts, gets and removes items, and gets recommendations', async () => {
    const items = client.items('clip')
    const { position } = await items.put('i1', { title: 'One', topics: ['a'], creator: 'z' })
    assert.deepEqual(await items.get('i1', { atLeast: position }), {
      title: 'One',
      topics: ['a'],
      creator: 'z',
    })
    const answer = await client.recommend('home', { person: 'new', n: 3, atLeast: position })
    assert.ok(answer.items.some(item => item.id === 'i1' && item.attributes?.title === 'One'))
    const removed = await items.remove('i1')
    assert.equal(await items.get('i1', { atLeast: removed.position }), undefined)
  })

  it('throws what the server refuses', async () => {
    const wrong = createClient<typeof clips>({ url })
    await assert.rejects(
      wrong.view('nothing' as 'plays').get('x'),
      error => isError(error, 'VIEW_UNKNOWN') && error.status === 404 && error.remedy.length > 0,
    )
    const nobody = createClient<typeof clips>({
      url: 'http://127.0.0.1:1',
      retry: { attemptsMax: 2, pauseMs: 1 },
    })
    await assert.rejects(
      nobody.view('plays').get('x'),
      error => isError(error, 'CONNECTION_FAILED') && error.retryable,
    )
  })

  it('watches a view', async () => {
    const abort = new AbortController()
    const seen: unknown[] = []
    for await (const { value } of client.view('time').watch('w', { signal: abort.signal })) {
      seen.push(value)
      if (value === 10) break
      await client.track('watched', { viewer: 'w', clip: 'c', watchedMs: 10 })
    }
    abort.abort()
    assert.deepEqual([seen[0], seen.at(-1)], [null, 10])
  })
})

describe('the client, when answers are lost', () => {
  it('sends again, and the events are there once', async () => {
    const millrace = await openForTest()
    let requests = 0
    // Takes every request, and loses every second answer.
    const server: Server = createServer((request, response) => {
      requests += 1
      if (requests % 2 === 1) response.end = () => response.destroy()
      millrace.handler(request, response)
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const client = createClient<typeof clips>({ url, retry: { pauseMs: 1 } })
    for (let index = 0; index < 5; index++) {
      const tracked = await client.track('watched', { viewer: 'r', clip: 'once', watchedMs: index })
      assert.equal(tracked.status, 'duplicate')
    }
    await millrace.reached(new Map(millrace.log.ends()), { timeoutMs: 60_000 })
    assert.equal(millrace.view('plays').get('once').value, 5)
    await client.close()
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
    await millrace.close()
  })
})
