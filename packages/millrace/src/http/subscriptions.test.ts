import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import { systemClock } from '@millrace/core'
import type { Exchange } from './operation.ts'
import { createSubscriptions, type Subscription } from './subscriptions.ts'

describe('a subscription', () => {
  it('waits once for a reader that stands still, and ends the wait when it goes', async () => {
    const subscriptions = createSubscriptions({ clock: systemClock, subscriptionsMax: 1 })
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const opened = new Promise<{ subscription: Subscription; response: ServerResponse }>(resolve =>
      server.once('request', (_request, raw) => {
        const reply = { getHeaders: () => ({}), hijack: () => undefined, raw }
        const subscription = subscriptions.open({ reply } as unknown as Exchange)
        resolve({ subscription, response: raw })
      }),
    )
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.pause()
    socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n')
    const { subscription, response } = await opened
    const before = response.listenerCount('drain')
    const data = 'x'.repeat(1 << 20)
    for (let sent = 0; sent < 64 && !subscription.isBehind; sent++) {
      subscription.send({ event: 'value', data })
      await new Promise(setImmediate)
    }
    assert.ok(subscription.isBehind)
    const waits = Array.from({ length: 20 }, () => subscription.drained())
    assert.equal(response.listenerCount('drain'), before + 1)
    socket.resume()
    await Promise.all(waits)
    assert.equal(subscription.isBehind, false)

    socket.pause()
    while (!subscription.isBehind) subscription.send({ event: 'value', data })
    const last = subscription.drained()
    socket.destroy()
    await last
    if (subscription.isOpen) await once(response, 'close')
    assert.equal(subscriptions.size, 0)
    server.close()
    server.closeAllConnections()
  })
})
