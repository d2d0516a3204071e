import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Changesets, Identity } from '@millrace/product'
import type { Millrace } from '../millrace.ts'
import { type clips, openForTest, watchedBy } from '../testing/clips.ts'
import { send, type TestAnswer } from '../testing/http.ts'

describe('identity over HTTP', () => {
  let millrace: Millrace<typeof clips>
  let url = ''
  before(async () => {
    millrace = await openForTest()
    url = (await millrace.listen()).url
    for (const id of ['i1', 'i2', 'i3']) {
      const body = { title: `Title ${id}`, topics: [], creator: 'cleo' }
      const answer = await send(url, `/v1/items/clip/${id}`, { method: 'PUT', body })
      assert.equal(answer.status, 200, answer.text)
    }
  })
  after(() => millrace.close())

  const track = async (...events: unknown[]): Promise<string> => {
    const answer = await send(url, '/v1/events', { body: events })
    assert.equal(answer.json['invalid'], 0, answer.text)
    return answer.headers.get('millrace-position') as string
  }
  const merge = (id: string, into: string): Promise<TestAnswer> =>
    send(url, `/v1/people/${id}/merge`, { body: { into, reason: 'a test' } })
  const split = (id: string): Promise<TestAnswer> =>
    send(url, `/v1/people/${id}/split`, { body: {} })
  const read = async (path: string): Promise<unknown> => (await send(url, path)).json['value']
  const codeOf = ({ status, json }: TestAnswer): readonly unknown[] => [status, json['code']]
  const interests = async (id: string): Promise<readonly string[]> => {
    const { json } = await send(url, `/v1/people/${id}`)
    return ((json['interests'] ?? []) as { id: string }[]).map(each => each.id).sort()
  }

  it('makes one person of two in views, profile, attributes and what is recommended, and takes it back', async () => {
    const put = (id: string, body: object): Promise<TestAnswer> =>
      send(url, `/v1/people/${id}`, { method: 'PUT', body })
    await put('ana', { name: 'Ana' })
    const { json: row } = await put('visitor', { name: 'Nobody', country: 'FR' })
    assert.notEqual(row['position'], '')
    await track(
      watchedBy('ana', 'i1', { watchedMs: 10 }),
      watchedBy('visitor', 'i2', { watchedMs: 5 }),
    )
    const told = await track(
      watchedBy('ana', 'i1', { watchedMs: 0 }),
      watchedBy('visitor', 'i2', { watchedMs: 0 }),
    )
    const seen = await send(url, `/v1/views/time/ana?atLeast=${told}`)
    const before = seen.headers.get('millrace-position') as string
    await track(watchedBy('visitor', 'i2', { watchedMs: 0 }))
    const merged = await merge('visitor', 'ana')
    assert.equal(merged.status, 200, merged.text)
    assert.deepEqual(merged.json, {
      id: 'visitor',
      person: 'ana',
      into: 'ana',
      aliases: [],
      history: ['ana'],
      isChanged: true,
    })
    assert.equal(await read('/v1/views/time/ana'), 15)
    const redirected = await send(url, '/v1/views/time/visitor')
    assert.deepEqual([redirected.json['key'], redirected.json['value']], ['ana', 15])
    assert.deepEqual(await interests('visitor'), ['i1', 'i2'])
    const person = (await send(url, '/v1/people/visitor')).json
    assert.deepEqual([person['id'], person['aliases']], ['ana', ['visitor']])
    assert.deepEqual(person['attributes'], { name: 'Ana', country: 'FR' })
    const later = await track(watchedBy('visitor', 'i3', { watchedMs: 100 }))
    assert.equal(await read(`/v1/views/time/ana?atLeast=${later}`), 115)
    const home = '/v1/surfaces/home/recommendations'
    const answer = await send(url, `${home}?person=visitor&atLeast=${later}`)
    assert.equal(answer.json['person'], 'ana')
    assert.deepEqual(answer.json['items'], [], 'she has seen all of them')
    assert.deepEqual((await send(url, '/v1/people/ana/identity')).json['aliases'], ['visitor'])

    // What is known now of then.
    assert.equal(await read(`/v1/views/time/visitor?at=${before}`), 15)
    assert.equal((await split('visitor')).json['isChanged'], true)
    assert.equal(await read(`/v1/views/time/visitor?at=${before}`), 5)
    assert.equal(await read('/v1/views/time/ana'), 10)
    assert.equal(await read('/v1/views/time/visitor'), 105)
    assert.deepEqual([await interests('ana'), await interests('visitor')], [['i1'], ['i2', 'i3']])
    const again = (await send(url, '/v1/people/ana')).json
    assert.deepEqual([again['attributes'], again['aliases']], [{ name: 'Ana' }, undefined])
  })

  it('refuses circles, merges of who is merged already, and splits of who is not, by name', async () => {
    assert.deepEqual(codeOf(await merge('x', 'x')), [409, 'MERGE_REFUSED'])
    assert.equal((await merge('x', 'y')).status, 200)
    assert.equal((await merge('y', 'z')).json['person'], 'z')
    const circle = await merge('z', 'x')
    assert.deepEqual(codeOf(circle), [409, 'MERGE_REFUSED'])
    assert.match(circle.text, /x is z already: split them first/)
    const elsewhere = await merge('x', 'w')
    assert.match(elsewhere.text, /it is merged into y: split it first/)
    const twice = await merge('x', 'y')
    assert.deepEqual([twice.status, twice.json['isChanged']], [200, false])
    assert.deepEqual(codeOf(await split('z')), [409, 'NOT_MERGED'])
    const { json } = await send(url, '/v1/people/x/identity')
    assert.deepEqual([json['person'], json['into']], ['z', 'y'])
    assert.equal(millrace.module<Identity>('identity').show('z').aliases.length, 2)
    const audit = await millrace.log.read({ stream: 'access.audit', partition: 0, from: 0 })
    const acts = audit.map(({ data }) => (data as { operation: string }).operation)
    assert.ok(acts.includes('mergePerson') && acts.includes('splitPerson'))
  })

  it('changes many as one, with a dry run, and takes them back as a whole', async () => {
    await track(watchedBy('m1', 'i1', { watchedMs: 1 }), watchedBy('m2', 'i1', { watchedMs: 2 }))
    const rows = [
      { from: 'm1', into: 'm3' },
      { from: 'm2', into: 'm3' },
      { from: 'm3', into: 'm3' },
      { into: 'm3' },
      { from: 'm3', into: 'm1' },
    ]
    const changesets = millrace.module<Changesets>('changesets')
    const request = { id: 'many', kind: 'identities', request: { rows: rows.slice(0, 4) } }
    const planned = await changesets.plan(request, 'host')
    assert.deepEqual([planned.effects, planned.refused], [2, 2])
    await changesets.apply('many', {}, 'host')
    await changesets.settled('many')
    assert.equal(await read('/v1/views/time/m3'), 3)
    const circle = { id: 'circle', kind: 'identities', request: { rows: rows.slice(4) } }
    await changesets.plan(circle, 'host')
    await changesets.apply('circle', {}, 'host')
    assert.equal((await changesets.settled('circle')).run?.refused, 1)
    await changesets.undo('many', {}, 'host')
    await changesets.settled('many')
    assert.deepEqual([await read('/v1/views/time/m1'), await read('/v1/views/time/m2')], [1, 2])
    assert.equal(await read('/v1/views/time/m3'), null)
  })
})
