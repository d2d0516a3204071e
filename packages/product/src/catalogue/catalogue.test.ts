import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isError } from '@millrace/core'
import fc from 'fast-check'
import type { RouteAnswer, RouteDefinition } from '../module.ts'
import type { RowResult } from '../table-writer.ts'
import { audience, clips, clipsApp } from '../testing/clips-app.ts'
import { openTestProduct, type TestProduct } from '../testing/open-product.ts'
import { SortedIds } from './sorted-ids.ts'

let product: TestProduct
before(async () => {
  product = await openTestProduct(clipsApp())
})
after(() => product.close())

interface Ask {
  readonly params?: Record<string, string>
  readonly query?: Record<string, unknown>
  readonly body?: unknown
}

async function ask(operation: string, request: Ask = {}): Promise<RouteAnswer> {
  const route = product.routes.find(entry => entry.operation === operation) as RouteDefinition
  const { params = {}, query = {}, body } = request
  const answer = await route.handle({ params, query, body })
  await product.settle()
  return answer
}

const refused = (code: string) => (error: unknown) => isError(error, code)
const [first] = clips(1)
const attributes = first?.attributes as Record<string, unknown>

test('an item is put, read, replaced and removed', async () => {
  const params = { kind: 'clip', id: 'one' }
  const put = await ask('putItem', { params, body: attributes })
  assert.equal((put.body as RowResult).status, 'put')
  assert.equal(
    [...(put.position ?? new Map<string, number>()).keys()][0]?.startsWith('clip/'),
    true,
  )
  assert.deepEqual((await ask('getItem', { params })).body, { ...params, attributes })
  await ask('putItem', { params, body: { ...attributes, title: 'Second' } })
  const second = (await ask('getItem', { params })).body as { attributes: { title: string } }
  assert.equal(second.attributes.title, 'Second')
  assert.equal(((await ask('removeItem', { params })).body as RowResult).status, 'removed')
  await assert.rejects(ask('getItem', { params }), refused('ITEM_UNKNOWN'))
  await assert.rejects(ask('removeItem', { params }), refused('ITEM_UNKNOWN'))
})

test('the same event id again changes nothing; with other content it is a conflict', async () => {
  const params = { kind: 'clip', id: 'once' }
  const query = { eventId: 'e1', at: 1_700_000_000_000 }
  await ask('putItem', { params, query, body: attributes })
  const again = await ask('putItem', { params, query, body: attributes })
  assert.equal((again.body as RowResult).status, 'duplicate')
  await assert.rejects(
    ask('putItem', { params, query, body: { ...attributes, title: 'Other' } }),
    refused('ROW_CONFLICT'),
  )
})

test('an event id sent again later, both times without a time, changes nothing', async () => {
  const params = { kind: 'clip', id: 'resent' }
  const query = { eventId: 'e2' }
  await ask('putItem', { params, query, body: attributes })
  product.clock.timeMs += 60_000
  const again = await ask('putItem', { params, query, body: attributes })
  assert.equal((again.body as RowResult).status, 'duplicate')
  const removal = { params, query: { eventId: 'e3' } }
  await ask('removeItem', removal)
  await ask('putItem', { params, query: { eventId: 'e4' }, body: attributes })
  product.clock.timeMs += 60_000
  assert.equal(((await ask('removeItem', removal)).body as RowResult).status, 'duplicate')
})

test('a version that is older by event time does not replace a newer one', async () => {
  const params = { kind: 'clip', id: 'late' }
  const at = (text: string, title: string): Promise<RouteAnswer> =>
    ask('putItem', { params, query: { at: text }, body: { ...attributes, title } })
  await at('2026-01-02T00:00:00Z', 'new')
  await at('2026-01-01T00:00:00Z', 'old')
  const found = (await ask('getItem', { params })).body as { attributes: { title: string } }
  assert.equal(found.attributes.title, 'new')
})

test('bad rows are refused each for itself, with the place', async () => {
  const rows = [
    { id: 'b1', attributes },
    { id: 'b2', attributes: { ...attributes, title: 7 } },
    { id: '', attributes },
    { id: 'x\n', attributes },
    { id: 'b3', attributes, at: 'yesterday' },
    { id: 'b4', attributes, eventId: 'y'.repeat(200) },
    { id: 'b5', attributes: null },
    { id: '__proto__', attributes },
    { id: 'b\n', attributes },
  ]
  const { body } = await ask('putItems', { params: { kind: 'clip' }, body: rows })
  const { results } = body as { results: RowResult[] }
  assert.deepEqual(
    results.map(result => result.status),
    ['put', 'refused', 'refused', 'refused', 'refused', 'refused', 'refused', 'put', 'refused'],
  )
  assert.ok(!('id' in (results.at(-1) as RowResult)))
  const second = results[1] as Extract<RowResult, { status: 'refused' }>
  assert.equal(second.code, 'DATA_INVALID')
  assert.equal(second.issues?.[0]?.path, '/title')
  assert.deepEqual(product.catalogue.get('clip', '__proto__')?.attributes, attributes)
  await assert.rejects(
    ask('putItem', { params: { kind: 'clip', id: 'b9' }, body: {} }),
    refused('REQUEST_INVALID'),
  )
})

test('an unknown kind is refused, people are not items', async () => {
  for (const kind of ['film', 'person', '__proto__', 'x'.repeat(1_000)]) {
    const params = { kind, id: 'a' }
    await assert.rejects(ask('putItem', { params, body: {} }), refused('KIND_UNKNOWN'))
    await assert.rejects(ask('getItem', { params }), refused('KIND_UNKNOWN'))
    await assert.rejects(ask('listItems', { params }), refused('KIND_UNKNOWN'))
  }
})

test('pages follow one another without gaps or repetitions', async () => {
  await product.catalogue.put('clip', clips(57))
  await product.settle()
  const found: string[] = []
  let after: string | undefined
  do {
    const query = { limit: 10, prefix: 'c', ...(after === undefined ? {} : { after }) }
    const { body } = await ask('listItems', { params: { kind: 'clip' }, query })
    const page = body as { items: { id: string }[]; next?: string }
    found.push(...page.items.map(({ id }) => id))
    after = page.next
  } while (after !== undefined)
  assert.deepEqual(
    found,
    clips(57)
      .map(({ id }) => id)
      .sort(),
  )
})

test('ids stay sorted under any additions and removals', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('add', 'remove', 'page'), fc.string({ maxLength: 3 }))),
      fc.string({ maxLength: 1 }),
      (commands, prefix) => {
        const ids = new SortedIds()
        const naive = new Set<string>()
        const check = (): void => {
          const wanted = [...naive].filter(id => id.startsWith(prefix)).sort()
          assert.deepEqual(ids.page({ prefix, limit: 1_000 }), wanted)
          const [middle] = wanted.slice(wanted.length >> 1)
          if (middle === undefined) return
          const later = wanted.filter(id => id > middle).slice(0, 3)
          assert.deepEqual(ids.page({ prefix, after: middle, limit: 3 }), later)
        }
        for (const [command, id] of commands) {
          if (command === 'add') {
            ids.add(id)
            naive.add(id)
          } else if (command === 'remove') {
            ids.remove(id)
            naive.delete(id)
          } else check()
          assert.equal(ids.size, naive.size)
        }
        check()
      },
    ),
    { seed: 1 },
  )
})

test('people have attributes and interests; one of whom nothing is known is unknown', async () => {
  await product.track(audience({ events: 40, people: 2, clips: 20, seed: 3 }))
  const params = { id: 'p1' }
  const put = await ask('putPerson', { params, body: { country: 'ch' } })
  assert.equal((put.body as RowResult).status, 'put')
  const found = (await ask('getPerson', { params })).body as {
    attributes?: unknown
    signals: number
    interests: { title: string }[]
  }
  assert.deepEqual(found.attributes, { country: 'ch' })
  assert.ok(found.signals > 0 && found.interests.length > 0)
  assert.match(found.interests[0]?.title ?? '', /^Clip /)
  await assert.rejects(
    ask('putPerson', { params, body: { country: 7 } }),
    refused('REQUEST_INVALID'),
  )
  await ask('removePerson', { params })
  const rest = (await ask('getPerson', { params })).body as { attributes?: unknown }
  assert.equal(rest.attributes, undefined)
  await assert.rejects(ask('getPerson', { params: { id: 'nobody' } }), refused('PERSON_UNKNOWN'))
})
