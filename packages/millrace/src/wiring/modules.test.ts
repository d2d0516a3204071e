import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defineApp, event, id, isError } from '@millrace/core'
import { defineModule, type ProductModule, type RouteDefinition } from '@millrace/product'
import { openForTest } from '../testing/clips.ts'
import { send } from '../testing/http.ts'
import { orderModules } from './modules.ts'

const named = (name: string, uses: readonly string[] = []): ProductModule =>
  defineModule({ name, uses, open: () => ({ api: undefined, routes: [], metrics: [] }) })

describe('modules', () => {
  it('come after what they use', () => {
    const ordered = orderModules([named('c', ['a', 'b']), named('b', ['a']), named('a')])
    assert.deepEqual(
      ordered.map(({ name }) => name),
      ['a', 'b', 'c'],
    )
  })

  it('with faults are refused by name', () => {
    const faulty: ProductModule[][] = [
      [named('Bad')],
      [named('a'), named('a')],
      [named('a', ['missing'])],
      [named('a', ['b']), named('b', ['a'])],
      [{ name: 'a' } as unknown as ProductModule],
    ]
    for (const modules of faulty) {
      assert.throws(
        () => orderModules(modules),
        error => isError(error, 'MODULE_INVALID'),
      )
    }
  })

  it('of a team get routes, events and metrics like ours', async () => {
    const cheered = event('cheered', { fan: id('person') }, { key: 'fan' })
    const cheers = defineModule({
      name: 'cheers',
      events: [cheered],
      uses: ['catalogue'],
      open: context => ({
        api: { uses: [...context.modules.keys()] },
        routes: [
          {
            method: 'POST' as const,
            path: '/v1/cheers/:fan',
            operation: 'cheer',
            scope: 'server' as const,
            summary: 'Cheers',
            query: { type: 'object', properties: { times: { type: 'integer', minimum: 1 } } },
            body: {
              type: 'object',
              properties: { loud: { type: 'boolean' } },
              additionalProperties: false,
            },
            response: {
              type: 'object',
              properties: { text: { type: 'string' } },
              required: ['text'],
            },
            handle: ({ params, query, body }) => ({
              status: 202,
              body: { text: JSON.stringify([params['fan'], query['times'], body]), hidden: 1 },
            }),
          },
        ],
        metrics: [
          {
            name: 'millrace_cheers_count',
            help: 'Cheers.',
            type: 'gauge',
            collect: () => [{ labels: { tone: 'a"b' }, value: 3 }],
          },
        ],
      }),
    })
    const app = defineApp({ name: 'team', events: [], modules: [cheers] })
    const millrace = await openForTest<typeof app>({ app })
    const { url } = await millrace.listen()
    assert.deepEqual(millrace.module('cheers'), { uses: ['catalogue'] })
    const answer = await send(url, '/v1/cheers/ann?times=2', { body: { loud: true } })
    assert.equal(answer.status, 202)
    // What the response schema does not name is not sent.
    assert.deepEqual(answer.json, { text: '["ann",2,{"loud":true}]' })
    assert.equal(
      (await send(url, '/v1/cheers/ann?times=none', { body: {} })).json['code'],
      'REQUEST_INVALID',
    )
    assert.equal(
      (await send(url, '/v1/cheers/ann', { body: { quiet: 1 } })).json['code'],
      'REQUEST_INVALID',
    )
    assert.equal(
      (await send(url, '/v1/cheers/ann', { method: 'POST', body: '' })).json['code'],
      'BODY_MISSING',
    )
    const event1 = await send(url, '/v1/events', {
      body: { type: 'cheered', data: { fan: 'ann' } },
    })
    assert.equal(event1.status, 201)
    assert.ok((await send(url, '/metrics')).text.includes('millrace_cheers_count{tone="a\\"b"} 3'))
    await millrace.close()
  })

  it('whose routes do not say who may call them refuse the start', async () => {
    const route = {
      method: 'GET',
      path: '/v1/loose',
      operation: 'loose',
      summary: 'Loose',
      response: {},
      handle: () => ({ body: {} }),
    } as unknown as RouteDefinition
    const loose = defineModule({
      name: 'loose',
      open: () => ({ api: undefined, routes: [route], metrics: [] }),
    })
    const app = defineApp({ name: 'loose', events: [], modules: [loose] })
    await assert.rejects(openForTest({ app }), error => isError(error, 'MODULE_INVALID'))
  })
})
