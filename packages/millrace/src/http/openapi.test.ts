import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import type { Millrace } from '../millrace.ts'
import { clips, openForTest } from '../testing/clips.ts'
import { send } from '../testing/http.ts'

interface Document {
  readonly openapi: string
  readonly paths: Record<
    string,
    Record<string, { operationId: string; responses: Record<string, unknown> }>
  >
  readonly components: { readonly schemas: Record<string, unknown> }
}

describe('/openapi.json', () => {
  let millrace: Millrace<typeof clips>
  let document: Document
  before(async () => {
    millrace = await openForTest()
    const { url } = await millrace.listen()
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
})
