import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import express from 'express'
import { openForTest, watchedBy } from '../testing/clips.ts'
import { send } from '../testing/http.ts'

async function serve(server: Server): Promise<string> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const closed = (server: Server): Promise<void> =>
  new Promise(resolve => {
    server.close(() => resolve())
    server.closeAllConnections()
  })

describe('inside a host process', () => {
  it('serves under a path of an Express app, body parsers before it or not', async () => {
    const millrace = await openForTest()
    const app = express()
    app.get('/own', (_request, response) => void response.send('mine'))
    app.use('/plain', millrace.handler)
    app.use('/parsed', express.json(), millrace.handler)
    const server = createServer(app)
    const url = await serve(server)
    assert.equal((await send(url, '/own')).text, 'mine')
    for (const [index, mount] of ['/plain', '/parsed'].entries()) {
      const answer = await send(url, `${mount}/v1/events`, {
        body: watchedBy('p', 'c', { id: `e${index}` }),
        // The host answers for who may call: its own name is no loopback.
        headers: { 'x-forwarded-host': 'shop.example' },
      })
      assert.equal(answer.status, 201, answer.text)
      const position = answer.headers.get('millrace-position')
      const read = await send(url, `${mount}/v1/views/plays/c?atLeast=${position}`)
      assert.equal(read.json['value'], index + 1)
      for (const [document, servers] of [
        ['openapi.json', mount],
        ['docs/json', '../'],
      ]) {
        const { json } = await send(url, `${mount}/${document}`)
        assert.deepEqual(json['servers'], [{ url: servers }])
      }
    }
    assert.equal((await send(url, '/plain/nothing')).json['code'], 'ROUTE_UNKNOWN')
    await closed(server)
    await millrace.close()
  })

  it('serves as the handler of http.createServer, for any host name', async () => {
    const millrace = await openForTest()
    const server = createServer(millrace.handler)
    const url = await serve(server)
    const tracked = await millrace.track('watched', { viewer: 'p', clip: 'x', watchedMs: 3 })
    await millrace.reached(tracked.position, { timeoutMs: 60_000 })
    assert.equal(millrace.view('plays').get('x').value, 1)
    assert.equal((await send(url, '/v1/views/plays/x')).json['value'], 1)
    assert.deepEqual((await send(url, '/openapi.json')).json['servers'], [{ url: '/' }])
    await closed(server)
    await millrace.close()
  })
})
