import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { isError, systemClock } from '@millrace/core'
import { createClient } from '../client/index.ts'
import type { Millrace } from '../millrace.ts'
import { type clips, openForTest, watchedBy } from '../testing/clips.ts'
import { send } from '../testing/http.ts'

describe('reads of the past over HTTP', () => {
  let nowMs = 1_800_000_000_000
  let millrace: Millrace<typeof clips>
  let url = ''
  before(async () => {
    millrace = await openForTest({ clock: { ...systemClock, nowMs: () => nowMs } })
    url = (await millrace.listen()).url
  })
  after(() => millrace.close())

  /** Appends an event a second later; gives the position. */
  const track = async (...events: unknown[]): Promise<string> => {
    nowMs += 1_000
    const { json, headers, text } = await send(url, '/v1/events', { body: events })
    assert.equal(json['invalid'], 0, text)
    return headers.get('millrace-position') as string
  }
  const put = async (path: string, body: unknown): Promise<void> => {
    nowMs += 1_000
    const { status, text } = await send(url, path, { method: 'PUT', body })
    assert.equal(status, 200, text)
  }

  it('give the value that a key had, by time and by position, and say which position that is', async () => {
    await track(watchedBy('p1', 'k1'))
    const thenMs = nowMs
    const then = await send(url, `/v1/views/plays/k1?atLeast=${await track(watchedBy('p2', 'k2'))}`)
    const position = then.headers.get('millrace-position') as string
    const newest = await track(watchedBy('p3', 'k1'))
    assert.equal((await send(url, `/v1/views/plays/k1?atLeast=${newest}`)).json['value'], 2)
    for (const at of [thenMs, new Date(thenMs).toISOString(), position]) {
      const past = await send(url, `/v1/views/plays/k1?at=${encodeURIComponent(at)}`)
      assert.deepEqual([past.status, past.json['view'], past.json['value']], [200, 'plays', 1], past.text) // prettier-ignore
      const exact = past.headers.get('millrace-position') as string
      assert.equal((await send(url, `/v1/views/plays/k1?at=${exact}`)).json['value'], 1)
    }
    const nothing = await send(url, `/v1/views/time/p3?at=${thenMs}`)
    assert.equal(nothing.json['value'], null)
  })

  it('give items and people as they were', async () => {
    const clip = (title: string): unknown => ({ title, topics: ['a'], creator: 'c' })
    await put('/v1/items/clip/i1', clip('First'))
    await put('/v1/people/ana', { name: 'Ana', country: 'PT' })
    await track(watchedBy('ana', 'i1'))
    const thenMs = nowMs
    await put('/v1/items/clip/i1', clip('Second'))
    await put('/v1/people/ana', { name: 'Ana', country: 'FR' })
    await track(watchedBy('ana', 'i2'))
    const item = await send(url, `/v1/items/clip/i1?at=${thenMs}`)
    assert.equal((item.json['attributes'] as { title: string }).title, 'First')
    assert.notEqual(item.headers.get('millrace-position'), null)
    assert.equal((await millrace.items('clip').at({ timeMs: thenMs }).get('i1'))?.title, 'First')
    assert.equal(millrace.items('clip').get('i1')?.title, 'Second')
    const ana = await send(url, `/v1/people/ana?at=${thenMs}`)
    assert.equal(ana.json['signals'], 1, ana.text)
    assert.equal((ana.json['attributes'] as { country: string }).country, 'PT')
    assert.deepEqual((ana.json['interests'] as { id: string }[]).map(({ id }) => id), ['i1']) // prettier-ignore
    const unknown = await send(url, `/v1/items/clip/i9?at=${thenMs}`)
    assert.deepEqual([unknown.status, unknown.json['code']], [404, 'ITEM_UNKNOWN'])
    const nobody = await send(url, `/v1/people/nobody?at=${thenMs}`)
    assert.deepEqual([nobody.status, nobody.json['code']], [404, 'PERSON_UNKNOWN'])
  })

  it('refuse what is no moment', async () => {
    await track(watchedBy('p1', 'k1'))
    for (const [at, status, code] of [
      ['yesterday', 400, 'REQUEST_INVALID'],
      ['p1.cnViYmlzaA', 409, 'POSITION_INVALID'],
      [String(nowMs + 1), 409, 'MOMENT_AHEAD'],
      ['1990-01-01T00:00:00Z', 404, 'MOMENT_EMPTY'],
    ] as const) {
      const answer = await send(url, `/v1/views/plays/k1?at=${at}`)
      assert.deepEqual([answer.status, answer.json['code']], [status, code], answer.text)
    }
  })

  it('tell what changed a key, in pages', async () => {
    await track(watchedBy('q1', 'm1'))
    const fromMs = nowMs
    for (let count = 0; count < 3; count++) await track(watchedBy(`q${count}`, 'm1'))
    const path = `/v1/views/plays/m1/changes?from=${fromMs}&limit=2`
    const first = await send(url, path)
    const changes = first.json['changes'] as { kind: string; before: number; after: number; record: { type: string } }[] // prettier-ignore
    assert.deepEqual(
      changes.map(({ kind, before, after, record }) => [kind, before, after, record.type]),
      [['record', 1, 2, 'watched'], ['record', 2, 3, 'watched']], // prettier-ignore
    )
    const rest = await send(url, `${path}&after=${first.json['next'] as number}`)
    assert.equal((rest.json['changes'] as unknown[]).length, 1)
    assert.deepEqual([rest.json['next'], rest.json['isParked']], [undefined, false])
    assert.equal((await send(url, '/v1/views/missing/x/changes')).json['code'], 'VIEW_UNKNOWN')
    const back = await send(url, `/v1/views/plays/m1/changes?from=${nowMs}&to=${fromMs}`)
    assert.equal(back.json['code'], 'REPLAY_INVALID')
  })

  it('tell what changed, and why, of a key and of all', async () => {
    await track(watchedBy('r1', 'n1'))
    const fromMs = nowMs
    nowMs += 1
    await track(watchedBy('r2', 'n1'), watchedBy('r3', 'n2'))
    const one = await send(url, `/v1/causes/plays/n1?from=${fromMs}`)
    const traffic = { kind: 'traffic', name: 'watched', records: 1, effects: [{ field: '', without: 1, with: 2, amount: 1 }] } // prettier-ignore
    assert.deepEqual(one.json['causes'], [traffic], one.text)
    assert.deepEqual(one.json['fields'], [{ field: '', before: 1, after: 2, difference: 1, together: 0 }]) // prettier-ignore
    assert.deepEqual([one.json['key'], one.json['unmeasured'], one.json['isParked']], ['n1', [], false]) // prettier-ignore
    const all = await send(url, `/v1/causes/plays?from=${fromMs}`)
    assert.equal((all.json['fields'] as { difference: number }[])[0]?.difference, 2)
    assert.deepEqual((all.json['keys'] as { key: string }[]).map(({ key }) => key).sort(), ['n1', 'n2']) // prettier-ignore
    const rate = await send(url, `/v1/causes/plays?from=${fromMs}&of=a&per=b`)
    assert.equal((rate.json['rate'] as { before: unknown }).before, null)
    for (const [path, code] of [
      ['missing?from=1', 'VIEW_UNKNOWN'],
      ['plays', 'REQUEST_INVALID'],
      [`plays?from=${fromMs}&of=a`, 'REQUEST_INVALID'],
      [`plays/n1?from=${nowMs}&to=${fromMs}`, 'REPLAY_INVALID'],
    ]) {
      assert.equal((await send(url, `/v1/causes/${path}`)).json['code'], code)
    }
  })

  it('tell what changed of a person and of an item, and why', async () => {
    const item = (title: string): unknown => ({ title, topics: [], creator: 'cr' })
    await put('/v1/items/clip/y1', item('Old'))
    await track(watchedBy('q9', 'y1'))
    const fromMs = nowMs
    nowMs += 1
    await track(watchedBy('q9', 'y1'), watchedBy('q9', 'y2'))
    await put('/v1/items/clip/y1', item('New'))
    type Told = { fields: { field: string; before?: unknown; after?: unknown }[]; causes: { kind: string; name: string; records: number; effects: { field: string; amount?: number }[] }[] } // prettier-ignore
    const ask = async (path: string): Promise<Told> => {
      const { status, json, text } = await send(url, `${path}/causes?from=${fromMs}`)
      assert.equal(status, 200, text)
      return json as unknown as Told
    }
    const person = await ask('/v1/people/q9')
    const signals = person.fields.find(({ field }) => field === 'signals')
    assert.deepEqual([signals?.before, signals?.after], [1, 3])
    assert.ok(person.fields.some(({ field }) => field.startsWith('interests.clip/y2')))
    const [traffic] = person.causes
    assert.deepEqual([traffic?.kind, traffic?.name, traffic?.records], ['traffic', 'watched', 2])
    const clip = await ask('/v1/items/clip/y1')
    assert.deepEqual(
      clip.fields.map(({ field, before, after }) => [field, before, after]),
      [['signals', 1, 2], ['attributes.title', 'Old', 'New']], // prettier-ignore
    )
    assert.deepEqual(clip.causes.map(({ kind, name }) => `${kind} ${name}`).sort(), ['traffic clip.put', 'traffic item-signal']) // prettier-ignore
    assert.deepEqual((await ask('/v1/items/clip/none')).fields, [])
    const kind = await send(url, `/v1/items/none/z1/causes?from=${fromMs}`)
    assert.equal(kind.json['code'], 'KIND_UNKNOWN')
  })

  it('are there for the typed client', async () => {
    const client = createClient<typeof clips>({ url })
    await track(watchedBy('z1', 'z1'))
    const then = new Date(nowMs)
    await put('/v1/items/clip/z1', { title: 'Old', topics: [], creator: 'c' })
    const old = nowMs
    await put('/v1/items/clip/z1', { title: 'New', topics: [], creator: 'c' })
    await track(watchedBy('z2', 'z1'))
    const past = await client.view('plays').get('z1', { at: then })
    assert.equal(past.value, 1)
    assert.equal((await client.view('plays').get('z1', { at: past.position as string })).value, 1)
    assert.equal((await client.items('clip').get('z1', { at: old }))?.title, 'Old')
    const ahead = client.view('plays').get('z1', { at: nowMs + 1_000_000 })
    await assert.rejects(ahead, error => isError(error, 'MOMENT_AHEAD'))
    await client.close()
  })
})
