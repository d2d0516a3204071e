import assert from 'node:assert/strict'
import { createServer, request } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { isError } from '@millrace/core'
import type { Millrace } from '../millrace.ts'
import { type clips, openForTest, watchedBy } from '../testing/clips.ts'
import { send, sendRaw } from '../testing/http.ts'

const POST = 'POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n'

describe('a hostile client', () => {
  let millrace: Millrace<typeof clips>
  let url = ''
  let port = 0
  before(async () => {
    millrace = await openForTest({
      limits: {
        bodyBytesMax: 100_000,
        bodiesBytesMax: 1_048_576,
        headersTimeoutMs: 300,
        requestTimeoutMs: 300,
        headerBytesMax: 8192,
        subscriptionsMax: 2,
      },
    })
    ;({ url, port } = await millrace.listen())
  })
  after(() => millrace.close())

  const assertAlive = async (): Promise<void> => {
    assert.equal((await send(url, '/healthz')).status, 200)
  }
  const codeOf = (answer: string): string => /"code":"([A-Z_0-9]+)"/.exec(answer)?.[1] ?? answer

  it('that sends no HTTP gets problem details', async () => {
    const answer = await sendRaw(port, ['\u0000\u0001 nonsense\r\n\r\n'])
    assert.match(answer, /^HTTP\/1\.1 400 /)
    assert.equal(codeOf(answer), 'REQUEST_MALFORMED')
    await assertAlive()
  })

  it('that breaks off in the body appends nothing', async () => {
    const body = JSON.stringify(watchedBy('cut', 'c', { id: 'cut-1' }))
    await sendRaw(port, [`${POST}content-length: ${body.length + 10}\r\n\r\n${body}`], {
      isCut: true,
    })
    await sendRaw(port, [`${POST}content-length: ${body.length + 10}\r\n\r\n${body}`], {
      isHalfClosed: true,
    })
    assert.equal(await millrace.log.find('cut-1'), undefined)
    await assertAlive()
  })

  it('that announces too few bytes is told that the rest is no request', async () => {
    const body = JSON.stringify(watchedBy('short', 'c', { id: 'short-1' }))
    const answer = await sendRaw(port, [
      `${POST}content-length: ${body.length}\r\n\r\n${body}garbage\r\n\r\n`,
    ])
    assert.equal(codeOf(answer), 'REQUEST_MALFORMED')
    await assertAlive()
  })

  it('that announces too many bytes is told at once', async () => {
    const answer = await sendRaw(port, [`${POST}content-length: 99999999\r\n\r\n`])
    assert.match(answer, /^HTTP\/1\.1 413 /)
    assert.equal(codeOf(answer), 'BODY_TOO_LARGE')
  })

  it('that sends an endless body is stopped at the limit', async () => {
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`
    const answer = await sendRaw(port, [
      `${POST}transfer-encoding: chunked\r\n\r\n`,
      ...Array.from({ length: 10 }, () => chunk),
    ])
    assert.match(answer, /^HTTP\/1\.1 413 /)
    await assertAlive()
  })

  it('that contradicts itself about the length is refused', async () => {
    const answer = await sendRaw(port, [
      `${POST}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    ])
    assert.match(answer, /^HTTP\/1\.1 400 /)
  })

  it('that sends too slowly is cut off', async () => {
    const head = await sendRaw(port, ['GET /healthz HTTP/1.1\r\nhost: loc'])
    assert.equal(codeOf(head), 'REQUEST_TIMEOUT')
    const body = await sendRaw(port, [`${POST}content-length: 50\r\n\r\n{"type"`])
    assert.match(body, /^$|408|REQUEST_TIMEOUT|BODY_INCOMPLETE/)
    await assertAlive()
  })

  it('that sends all of a body that was refused hears why', async () => {
    // With time to spare: how long nine megabytes take is the machine's affair.
    const own = await openForTest({ limits: { bodyBytesMax: 100_000 } })
    const { port: ownPort } = await own.listen()
    const head = `${POST}content-length: 9000000\r\n`
    const body = Buffer.alloc(9_000_000, 'x')
    const next = 'GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'
    const kept = await sendRaw(ownPort, [`${head}\r\n`, body, next])
    assert.deepEqual(kept.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 413', 'HTTP/1.1 200'])
    const closed = await sendRaw(ownPort, [`${head}connection: close\r\n\r\n`, body])
    assert.match(closed, /^HTTP\/1\.1 413 /)
    assert.equal(codeOf(closed), 'BODY_TOO_LARGE')
    await own.close()
  })

  it('that sends lines may take its time, but not for a line', async () => {
    const own = await openForTest({ limits: { headersTimeoutMs: 4000, requestTimeoutMs: 4000 } })
    const { port: ownPort } = await own.listen()
    const lines = POST.replace('application/json', 'application/x-ndjson')
    const socket = connect({ host: '127.0.0.1', port: ownPort })
    const answer = new Promise<string>(resolve =>
      socket.once('data', data => resolve(String(data))),
    )
    socket.write(`${lines}transfer-encoding: chunked\r\n\r\n`)
    const line = `${JSON.stringify(watchedBy('slow', 'c'))}\n`
    for (let sent = 0; sent < 12; sent++) {
      socket.write(`${line.length.toString(16)}\r\n${line}\r\n`)
      await new Promise(resolve => setTimeout(resolve, 400))
    }
    socket.write('0\r\n\r\n')
    assert.match(await answer, /^HTTP\/1\.1 200 [^]*"appended":12/)
    // The same connection, and bytes that are no line.
    const late = new Promise<string>(resolve => socket.once('data', data => resolve(String(data))))
    socket.write(`${lines}transfer-encoding: chunked\r\n\r\n`)
    const drip = setInterval(() => socket.write('1\r\nx\r\n'), 100)
    assert.match(await late, /^HTTP\/1\.1 408 [^]*REQUEST_TIMEOUT/)
    clearInterval(drip)
    socket.destroy()
    await own.close()
  })

  it('that sends nothing is cut off', async () => {
    assert.equal(codeOf(await sendRaw(port, [])), 'REQUEST_TIMEOUT')
    await assertAlive()
  })

  it('that does not take its answers is cut off', async () => {
    // Only the time of an idle connection is short here.
    const own = await openForTest({ limits: { idleTimeoutMs: 300, waitMsMax: 0 } })
    const socket = connect({ host: '127.0.0.1', port: (await own.listen()).port })
    socket.pause()
    const gone = new Promise<void>(resolve => {
      socket.on('error', () => resolve())
      socket.on('close', () => resolve())
    })
    let isGone = false
    void gone.then(() => (isGone = true))
    // Asks until the server no longer reads, then for as long as it keeps the connection.
    const ask = 'GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(50)
    while (!isGone) {
      if (!socket.writableNeedDrain) socket.write(ask)
      await new Promise(resolve => setImmediate(resolve))
    }
    assert.equal(isGone, true)
    await own.close()
  })

  it('that sends large headers is refused', async () => {
    const answer = await sendRaw(port, [
      `GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
    ])
    assert.match(answer, /^HTTP\/1\.1 431 /)
    assert.equal(codeOf(answer), 'HEADERS_TOO_LARGE')
  })

  it('that names another host, as after DNS rebinding, is refused', async () => {
    for (const host of [
      'evil.example',
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      '10.0.0.1',
      '',
    ]) {
      const answer = await sendRaw(port, [
        `GET /v1/views HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
      ])
      assert.equal(codeOf(answer), 'HOST_REFUSED', host)
    }
    for (const host of ['localhost:1', '127.0.0.1', '[::1]:80', 'app.localhost']) {
      const answer = await sendRaw(port, [
        `GET /healthz HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
      ])
      assert.match(answer, /^HTTP\/1\.1 200 /, host)
    }
  })

  it('in a page of another site cannot write', async () => {
    for (const origin of ['https://evil.example', 'null']) {
      const answer = await send(url, '/v1/events', {
        body: watchedBy('p', 'c'),
        headers: { origin },
      })
      assert.equal(answer.status, 403)
      assert.equal(answer.json['code'], 'ORIGIN_REFUSED')
    }
    const own = await send(url, '/v1/events', {
      body: watchedBy('p', 'c'),
      headers: { origin: url },
    })
    assert.equal(own.status, 201)
    assert.equal(own.headers.get('access-control-allow-origin'), null)
  })

  it('that asks for odd paths gets problem details', async () => {
    for (const path of [
      '/%',
      '/v1/views/%ff/x',
      '/../../etc/passwd',
      `/v1/views/plays/${'k'.repeat(5000)}`,
      '/v1/items/clip/%00',
    ]) {
      const answer = await sendRaw(port, [
        `GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`,
      ])
      assert.match(answer, /^HTTP\/1\.1 4\d\d /, path)
      assert.match(codeOf(answer), /^[A-Z_]+$/, path)
    }
  })

  it('that opens many live streams is told to close some', async () => {
    const aborts = [new AbortController(), new AbortController()]
    for (const { signal } of aborts) await fetch(`${url}/v1/live`, { signal })
    const third = await send(url, '/v1/live')
    assert.equal(third.status, 503)
    assert.equal(third.json['code'], 'SUBSCRIPTIONS_TOO_MANY')
    for (const abort of aborts) abort.abort()
  })

  it('that sends many large bodies at a time is told when to come back', async () => {
    const opened = Array.from({ length: 11 }, () => {
      const pending = request(`${url}/v1/events`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-length': '100000' },
      })
      pending.on('error', () => undefined)
      pending.write(' '.repeat(99_000))
      return pending
    })
    let answer = await send(url, '/healthz')
    for (let tries = 0; tries < 200 && answer.status !== 503; tries++) {
      answer = await send(url, '/v1/events', { body: `${' '.repeat(90_000)}{}` })
    }
    assert.equal(answer.status, 503)
    assert.equal(answer.json['code'], 'SERVER_BUSY')
    assert.ok(Number(answer.headers.get('retry-after')) >= 1)
    for (const pending of opened) pending.destroy()
    await assertAlive()
  })
})

describe('listening', () => {
  it('is refused on anything but loopback until there is a key', async () => {
    const millrace = await openForTest()
    for (const host of ['0.0.0.0', '::', '192.168.1.5', 'example.org']) {
      await assert.rejects(millrace.listen({ host }), error => isError(error, 'LISTEN_REFUSED'))
    }
    const local = createServer(millrace.handler)
    await new Promise<void>(resolve => local.listen(0, '127.0.0.1', resolve))
    const { port } = local.address() as AddressInfo
    const made = await send(`http://127.0.0.1:${port}`, '/v1/keys', {
      body: { scope: 'server', name: 'shop' },
    })
    await new Promise(resolve => {
      local.close(resolve)
      local.closeAllConnections()
    })
    const { url } = await millrace.listen({ host: '0.0.0.0' })
    assert.match(url, /^http:\/\/127\.0\.0\.1:/)
    assert.equal((await send(url, '/v1/views')).status, 401)
    const authorization = `Bearer ${String(made.json['key'])}`
    // The name of the server is that of a proxy or of DNS: a key says more than it.
    const headers = { authorization, host: 'api.shop.example' }
    assert.equal((await send(url, '/v1/views', { headers })).status, 200)
    await millrace.close()
  })

  it('says when a port is taken', async () => {
    const first = await openForTest()
    const { port } = await first.listen()
    const second = await openForTest()
    await assert.rejects(second.listen({ port }), error => isError(error, 'PORT_IN_USE'))
    await Promise.all([first.close(), second.close()])
  })

  it('ends with the server: connections that are idle, and live streams', async () => {
    const millrace = await openForTest()
    const { url, port } = await millrace.listen()
    const idle = connect({ host: '127.0.0.1', port })
    const live = await fetch(`${url}/v1/live`)
    const ended = live.text()
    await millrace.close()
    assert.match(await ended, /event: closing/)
    idle.destroy()
    await assert.rejects(fetch(`${url}/healthz`))
    await assert.rejects(
      millrace.track('watched', { viewer: 'p', clip: 'c', watchedMs: 1 }),
      error => isError(error, 'MILLRACE_CLOSED'),
    )
  })
})
