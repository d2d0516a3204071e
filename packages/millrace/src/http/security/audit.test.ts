import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defineApp } from '@millrace/core'
import { defineModule } from '@millrace/product'
import { openForTest } from '../../testing/clips.ts'
import { send } from '../../testing/http.ts'
import type { LogReader } from '../../millrace.ts'
import { AUDIT_STREAM } from './audit.ts'

interface Recorded {
  readonly type: string
  readonly key: string
  readonly data: Readonly<Record<string, unknown>>
}

async function recordsOf(log: LogReader): Promise<Recorded[]> {
  const records = await log.read({ stream: AUDIT_STREAM, partition: 0, from: 0 })
  return records.map(({ type, key, data }) => ({ type, key, data: data as Recorded['data'] }))
}

describe('the audit', () => {
  it('says who did what, from where, and what came of it', async () => {
    const millrace = await openForTest()
    const { url } = await millrace.listen()
    const admin = (await send(url, '/v1/keys', { body: { scope: 'admin', name: 'ops' } })).json
    const headers = { authorization: `Bearer ${String(admin['key'])}`, 'x-request-id': 'r-1' }
    const shop = await send(url, '/v1/keys', { body: { scope: 'server', name: 'shop' }, headers })
    const id = shop.json['id']
    const path = `/v1/keys/${String(id)}`
    assert.equal((await send(url, path, { method: 'DELETE', headers })).status, 200)
    assert.equal((await send(url, '/v1/keys/none', { method: 'DELETE', headers })).status, 404)
    // Reading is no act, and the product's own work is none.
    await send(url, '/v1/keys', { headers })
    await send(url, '/v1/items/clip/c', { method: 'PUT', body: {}, headers })

    const records = await recordsOf(millrace.log)
    const actor = `key:${String(admin['id'])}`
    assert.deepEqual(
      records.map(({ type, key, data }) => [type, key, data['operation'] ?? data['status']]),
      [
        ['act.begun', 'local', 'createKey'],
        ['act.ended', 'local', 201],
        ['act.begun', actor, 'createKey'],
        ['act.ended', actor, 201],
        ['act.begun', actor, 'revokeKey'],
        ['act.ended', actor, 200],
        ['act.begun', actor, 'revokeKey'],
        ['act.ended', actor, 404],
      ],
    )
    const [, made, , , revoke, revoked, , failed] = records.map(({ data }) => data)
    assert.equal(made?.['id'], admin['id'])
    assert.deepEqual(revoke, {
      act: revoked?.['act'],
      actor,
      operation: 'revokeKey',
      params: { id },
      from: '127.0.0.1',
      requestId: 'r-1',
    })
    assert.equal(failed?.['code'], 'KEY_ID_UNKNOWN')
    const written = JSON.stringify(records)
    for (const key of [admin['key'], shop.json['key']]) {
      assert.equal(written.includes(String(key).slice(-38)), false)
    }
    const history = await send(url, `/v1/log/streams/${AUDIT_STREAM}/keys/${actor}`, { headers })
    assert.equal((history.json['records'] as unknown[]).length, 6)
    await millrace.close()
  })

  it('has what a known key tried and may not, and nothing of strangers', async () => {
    const millrace = await openForTest()
    const { url } = await millrace.listen()
    const shop = (await send(url, '/v1/keys', { body: { scope: 'server', name: 'shop' } })).json
    const before = (await recordsOf(millrace.log)).length
    const post = (authorization: string): ReturnType<typeof send> =>
      send(url, '/v1/keys', { body: { scope: 'admin', name: 'x' }, headers: { authorization } })
    assert.equal((await post(`Bearer ${String(shop['key'])}`)).status, 403)
    assert.equal((await post('Bearer nonsense')).status, 401)
    const records = (await recordsOf(millrace.log)).slice(before)
    const actor = `key:${String(shop['id'])}`
    assert.deepEqual(
      records.map(({ type, key, data }) => [type, key, data['operation'], data['code']]),
      [['act.refused', actor, 'createKey', 'KEY_SCOPE_TOO_SMALL']],
    )
    await millrace.close()
  })

  it('comes before the act: what cannot be recorded is not done', async () => {
    let done = 0
    const seen: string[] = []
    const danger = defineModule({
      name: 'danger',
      open: ({ log }) => ({
        api: undefined,
        metrics: [],
        routes: [
          {
            method: 'POST' as const,
            path: '/v1/danger',
            operation: 'doDanger',
            scope: 'admin' as const,
            summary: 'Does it',
            response: { type: 'object' },
            async handle() {
              done += 1
              const [last] = (await recordsOf(log)).slice(-1)
              seen.push(last?.type ?? 'nothing')
              // From here on the log takes no more.
              await log.close()
              return { body: {} }
            },
          },
        ],
      }),
    })
    const app = defineApp({ name: 'danger', events: [], modules: [danger] })
    const millrace = await openForTest({ app })
    const { url } = await millrace.listen()
    // The act itself is answered, though its end could not be recorded.
    assert.equal((await send(url, '/v1/danger', { method: 'POST' })).status, 200)
    assert.deepEqual([done, seen], [1, ['act.begun']])
    assert.equal((await send(url, '/v1/danger', { method: 'POST' })).status, 503)
    assert.equal(done, 1)
    await millrace.close()
  })
})
