import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createClient } from '../client/index.ts'
import type { Millrace } from '../millrace.ts'
import { type clips, openForTest, watchedBy } from '../testing/clips.ts'
import { send } from '../testing/http.ts'

describe('branches over HTTP', () => {
  let millrace: Millrace<typeof clips>
  let url = ''
  let nowMs = 0
  before(async () => {
    millrace = await openForTest()
    url = (await millrace.listen()).url
    nowMs = Date.parse('2026-01-01T00:00:00Z')
    const events = [
      watchedBy('p1', 'k1', { id: 'w1', at: nowMs }),
      watchedBy('p1', 'k2', { id: 'w2', at: nowMs }),
      watchedBy('p2', 'k1', { id: 'w3', at: nowMs }),
      { type: 'asked', id: 'a1', at: nowMs, data: { person: 'p1', question: 'where?' } },
    ]
    const { headers, text, json } = await send(url, '/v1/events', { body: events })
    assert.equal(json['invalid'], 0, text)
    await send(url, `/v1/views/plays/k1?atLeast=${headers.get('millrace-position')}`)
  })
  after(() => millrace.close())

  const open = async (body: unknown): Promise<string> => {
    const { status, json, text } = await send(url, '/v1/branches', { body })
    assert.equal(status, 200, text)
    return json['id'] as string
  }

  it('are opened, read, compared and thrown away', async () => {
    const body = { corrections: [{ id: 'w1' }, { id: 'none', do: 'hold' }], idleMs: 60_000 }
    const opened = await send(url, '/v1/branches', { body })
    assert.equal(opened.status, 200, opened.text)
    const id = opened.json['id'] as string
    const refused = [{ id: 'none', reason: 'the log has no such event' }]
    assert.deepEqual(opened.json['results'], { corrected: 1, unchanged: 0, refused })
    assert.match(opened.json['at'] as string, /^p1\./)
    const { json } = await send(url, `/v1/branches/${id}`)
    assert.ok((json['expiresInMs'] as number) <= 60_000)
    const listed = await send(url, '/v1/branches')
    assert.deepEqual(
      (listed.json['branches'] as { id: string }[]).map(each => each.id),
      [id],
    )
    const read = await send(url, `/v1/branches/${id}/views/plays/k1`)
    assert.deepEqual([read.status, read.json['view'], read.json['value']], [200, 'plays', 1], read.text) // prettier-ignore
    assert.equal((await send(url, '/v1/views/plays/k1')).json['value'], 2)
    const compared = await send(url, `/v1/branches/${id}/differences?view=plays&samples=1`)
    const samples = [{ view: 'plays', key: 'k1', field: '', before: 2, after: 1 }]
    const plays = { view: 'plays', keys: 1, changed: 1, added: 0, removed: 0, fields: { '': 1 } }
    assert.deepEqual(compared.json['views'], [{ ...plays, samples }], compared.text)
    const lines = await send(url, `/v1/branches/${id}/differences/lines?view=plays`)
    assert.equal(lines.text, `${JSON.stringify(samples[0])}\n`)
    const all = await send(url, `/v1/branches/${id}/differences/lines`)
    assert.ok(all.text.split('\n').length > 2, all.text)
    assert.equal((await send(url, `/v1/branches/${id}`, { method: 'DELETE' })).status, 200)
    const gone = await send(url, `/v1/branches/${id}/differences`)
    assert.deepEqual([gone.status, gone.json['code']], [404, 'BRANCH_UNKNOWN'])
  })

  it('are on record, with who opened, planned and threw them away', async () => {
    const from = millrace.log.ends().get('access.audit/0') ?? 0
    const id = await open({ identities: [{ from: 'p2', into: 'p1' }] })
    const planned = await send(url, `/v1/branches/${id}/changesets`, { body: {} })
    assert.equal(planned.status, 200, planned.text)
    await send(url, `/v1/branches/${id}`, { method: 'DELETE' })
    const records = await millrace.log.read({ stream: 'access.audit', partition: 0, from })
    const acts = records.map(({ data }) => data as Readonly<Record<string, unknown>>)
    assert.deepEqual(
      acts.map(({ operation, params, status, id: told }) => [operation ?? status, params ?? told]),
      [
        ['openBranch', {}],
        [200, id],
        ['planBranch', { branch: id }],
        [200, undefined],
        ['closeBranch', { branch: id }],
        [200, id],
      ],
    )
  })

  it('add events as they would be sent, and begin at a moment', async () => {
    const id = await open({ events: [watchedBy('p9', 'k1', { at: nowMs })] })
    assert.equal((await send(url, `/v1/branches/${id}/views/plays/k1`)).json['value'], 3)
    const early = await open({ at: '1990-01-01T00:00:00Z' })
    assert.equal((await send(url, `/v1/branches/${early}/views/plays/k1`)).json['value'], null)
  })

  it('are there for the client', async () => {
    const { branches, close } = createClient<typeof clips>({ url })
    const { id, estimate } = await branches.open({ corrections: [{ id: 'w1', do: 'hold' }] })
    assert.ok(estimate.keys > 0)
    assert.equal(await branches.read(id, 'plays', 'k1'), 1)
    assert.equal((await branches.get(id)).id, id)
    const [plays] = await branches.differences(id, { view: 'plays', samples: 1 })
    assert.deepEqual(plays?.samples, [{ view: 'plays', key: 'k1', field: '', before: 2, after: 1 }])
    await branches.close(id)
    assert.ok((await branches.list()).every(branch => branch.id !== id))
    await close()
  })

  it('answer surfaces, and show items and people, as they would be', async () => {
    const item = (title: string): unknown => ({ title, topics: [], creator: 'cr' })
    for (const kind of ['k1', 'k2']) {
      const put = await send(url, `/v1/items/clip/${kind}`, { method: 'PUT', body: item(kind) })
      assert.equal(put.status, 200, put.text)
    }
    const items = [
      { kind: 'clip', id: 'k3', attributes: item('New') },
      { kind: 'clip', id: 'k1', attributes: null },
    ]
    const id = await open({ corrections: [{ id: 'w3' }], items })
    const path = `/v1/branches/${id}`
    const answer = await send(url, `${path}/surfaces/home/recommendations?person=p2&n=5&explain=true`) // prettier-ignore
    assert.equal(answer.status, 200, answer.text)
    const shown = answer.json['items'] as { id: string; reasons: string[]; slotBefore?: number }[]
    assert.ok(shown.some(each => each.id === 'k3' && each.slotBefore === undefined))
    assert.ok(shown.every(each => each.id !== 'k1' && each.reasons.length > 0))
    assert.equal(answer.json['isColdStart'], true)
    const k3 = await send(url, `${path}/items/clip/k3`)
    assert.deepEqual(k3.json, { kind: 'clip', id: 'k3', attributes: item('New') })
    assert.equal((await send(url, `${path}/items/clip/k1`)).json['code'], 'ITEM_UNKNOWN')
    assert.equal((await send(url, '/v1/items/clip/k1')).status, 200)
    assert.equal((await send(url, `${path}/people/p2`)).json['code'], 'PERSON_UNKNOWN')
    const p1 = await send(url, `${path}/people/p1`)
    assert.deepEqual([p1.status, p1.json['signals']], [200, 2], p1.text)
    const { branches, close } = createClient<typeof clips>({ url })
    const told = await branches.recommend(id, 'home', { person: 'p2', n: 1 })
    assert.deepEqual([told.items.length, told.surface, told.person], [1, 'home', 'p2'])
    await close()
  })

  it('answer by another definition, of which files are taken from the folder of the app alone', async () => {
    const limits = [{ field: 'creator', max: 1 }]
    const settings = { 'surfaces.home.limits': limits, 'surfaces.home.size.default': 2 }
    const opened = await send(url, '/v1/branches', { body: { definition: { settings } } })
    assert.equal(opened.status, 200, opened.text)
    const { folds, surfaces, added, removed } = opened.json['definition'] as Record<
      string,
      string[]
    >
    assert.deepEqual([folds, surfaces, added, removed], [[], ['home'], [], []])
    const path = `/v1/branches/${opened.json['id'] as string}/surfaces/home/recommendations`
    const answer = await send(url, path)
    const both = [answer.json['items'], answer.json['gone']] as { id: string }[][]
    assert.deepEqual(both.map(each => each.length), [1, 1], answer.text) // prettier-ignore
    const open = (definition: object): ReturnType<typeof send> =>
      send(url, '/v1/branches', { body: { definition } })
    for (const [given, code, reason] of [
      [{ settings: { 'surfaces.none.explore': 1 } }, 'SETTING_INVALID', /no surface none/],
      [{ settings: { 'views.plays.key': 'a' } }, 'SETTING_INVALID', /a path is surfaces/],
      [{ settings: { 'surfaces.home.explore': 2 } }, 'SETTING_INVALID', /between 0 and 1/],
      [{ settings: { 'surfaces.home.explore': 'x' } }, 'SETTING_INVALID', /another type/],
      [{ settings: { 'surfaces.home.sources': [null] } }, 'SETTING_INVALID', /built-in stages/],
      [{ settings: { 'surfaces.home.size.least': 1 } }, 'SETTING_INVALID', /no least/],
      [{ settings: { 'surfaces.home.size.max': '9' } }, 'SETTING_INVALID', /it is 100/],
      [{ file: 'app.ts' }, 'DEFINITION_FILE_REFUSED', /of no file/],
    ] as const) {
      const refused = await open(given)
      assert.equal(refused.json['code'], code, refused.text)
      assert.match(refused.text, reason)
    }
  })

  it('refuse what cannot be, and name it', async () => {
    for (const [body, status, code] of [
      [{ events: [watchedBy('p9', 'k1', { id: 'w1', at: nowMs })] }, 409, 'BRANCH_INVALID'],
      [{ events: [{ type: 'none', data: {} }] }, 400, 'REQUEST_INVALID'],
      [{ events: [watchedBy('p9', 'k1', { watchedMs: -1 })] }, 400, 'REQUEST_INVALID'],
      [{ at: 'yesterday' }, 400, 'REQUEST_INVALID'],
      [{ items: [{ kind: 'none', id: 'k', attributes: null }] }, 404, 'KIND_UNKNOWN'],
      [{ items: [{ kind: 'clip', id: 'k', attributes: {} }] }, 400, 'REQUEST_INVALID'],
      [{ corrections: [{ id: 'w1' }, { id: 'w1' }] }, 409, 'BRANCH_INVALID'],
      [{ corrections: [{ id: 'w1' }], limits: { bytes: 1 } }, 422, 'BRANCH_TOO_LARGE'],
    ] as const) {
      const answer = await send(url, '/v1/branches', { body })
      assert.deepEqual([answer.status, answer.json['code']], [status, code], answer.text)
    }
    const id = await open({})
    for (const path of ['views/none/k', 'differences?view=none', 'differences/lines?view=none']) {
      const answer = await send(url, `/v1/branches/${id}/${path}`)
      assert.deepEqual([answer.status, answer.json['code']], [404, 'VIEW_UNKNOWN'], answer.text)
    }
  })
})
