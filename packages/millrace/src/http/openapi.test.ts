import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { compileSchema, type JsonSchema } from '@millrace/core'
import { Validator } from '@seriousme/openapi-schema-validator'
import type { Millrace } from '../millrace.ts'
import { clips, openForTest } from '../testing/clips.ts'
import { send } from '../testing/http.ts'

interface Document {
  readonly openapi: string
  readonly paths: Record<
    string,
    Record<
      string,
      {
        operationId: string
        parameters?: readonly { name: string; schema: JsonSchema }[]
        responses: Record<string, unknown>
        requestBody?: { content: Record<string, { schema: JsonSchema }> }
      }
    >
  >
  readonly components: { readonly schemas: Record<string, unknown> }
}

describe('/openapi.json', () => {
  let millrace: Millrace<typeof clips>
  let document: Document
  let url: string
  before(async () => {
    millrace = await openForTest()
    url = (await millrace.listen()).url
    document = (await send(url, '/openapi.json')).json as unknown as Document
  })
  after(() => millrace.close())

  it('is valid OpenAPI 3.1', async () => {
    const result = await new Validator().validate(
      structuredClone(document) as unknown as Record<string, unknown>,
    )
    assert.deepEqual(result.errors ?? [], [])
    assert.equal(result.valid, true)
    assert.match(document.openapi, /^3\.1/)
  })

  it('has every operation once, with a refusal', () => {
    const operations = Object.values(document.paths).flatMap(path => Object.values(path))
    const ids = operations.map(operation => operation.operationId)
    assert.equal(new Set(ids).size, ids.length)
    assert.deepEqual(
      ids.toSorted(),
      millrace.server.operations.map(({ operation }) => operation).toSorted(),
    )
    for (const id of [
      'trackEvents',
      'recommend',
      'putItem',
      'getPerson',
      'readView',
      'watchView',
      'readHistory',
      'tailStream',
      'metrics',
    ]) {
      assert.ok(ids.includes(id), id)
    }
    for (const operation of operations) assert.ok('default' in operation.responses)
  })

  it('bounds every whole number of a query by what JavaScript holds exactly', () => {
    const unbounded = Object.values(document.paths)
      .flatMap(path => Object.values(path))
      .flatMap(({ operationId, parameters = [] }) =>
        parameters
          .filter(({ schema }) => schema['type'] === 'integer')
          .filter(
            ({ schema: { minimum, maximum } }) => ![minimum, maximum].every(Number.isSafeInteger),
          )
          .map(({ name }) => `${operationId} ${name}`),
      )
    assert.deepEqual(unbounded, [])
  })

  it('has a schema for every event type, and resolves all references', () => {
    for (const type of clips.events.keys()) {
      assert.ok(`event.${type}` in document.components.schemas, type)
    }
    const references = [...JSON.stringify(document).matchAll(/"#\/([^"]+)"/g)].map(
      ([, path]) => path as string,
    )
    assert.ok(references.length > 10)
    for (const path of references) {
      let at: unknown = document
      for (const part of path.split('/')) at = (at as Record<string, unknown> | undefined)?.[part]
      assert.notEqual(at, undefined, path)
    }
  })

  it('says of each body what is taken: attributes as the app declares them, and no more than that', async () => {
    const schemaOf = (path: string, method: string): JsonSchema =>
      document.paths[path]?.[method]?.requestBody?.content['application/json']?.schema as JsonSchema
    const { tables } = clips
    assert.deepEqual(schemaOf('/v1/people/{id}', 'put'), tables.get('person')?.schema)
    assert.deepEqual(schemaOf('/v1/items/{kind}/{id}', 'put'), tables.get('clip')?.schema)
    const key = compileSchema(schemaOf('/v1/keys', 'post'))
    const skip = compileSchema(schemaOf('/v1/dead-letters/skip', 'post'))
    const web = { scope: 'public', name: 'web' }
    const server = { scope: 'server', name: 'shop' }
    for (const [path, validator, body, isTaken] of [
      ['/v1/keys', key, web, false],
      ['/v1/keys', key, { ...web, origins: ['https://shop.example/'] }, false],
      ['/v1/keys', key, { ...web, origins: ['https://Shop.example'] }, false],
      ['/v1/keys', key, { ...web, origins: ['https://256.0.0.1'] }, false],
      ['/v1/keys', key, { ...web, origins: ['https://shop.example:65536'] }, false],
      ['/v1/keys', key, { ...server, origins: ['*'] }, false],
      ['/v1/keys', key, { ...server, burst: 2 }, false],
      ['/v1/dead-letters/skip', skip, { reason: 'x', offset: 1 }, false],
      ['/v1/dead-letters/skip', skip, { reason: 'x' }, true],
    ] as const) {
      assert.equal(validator.check(body), isTaken, JSON.stringify(body))
      assert.equal((await send(url, path, { body })).status, isTaken ? 200 : 400)
    }
    const origins = ['*', 'https://shop.example:443', 'http://127.0.0.1:8080', 'http://[::1]:3000']
    assert.ok(key.check({ ...web, origins }))
    const made = await send(url, '/v1/keys', { body: { ...web, origins } })
    assert.deepEqual(made.json['origins'], ['*', 'https://shop.example', ...origins.slice(2)])
  })
})
