import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { defineApp, isError } from '@millrace/core'
import type { Changesets } from '@millrace/product'
import { createClient } from '../client/index.ts'
import type { Millrace } from '../millrace.ts'
import { clips, openForTest } from '../testing/clips.ts'
import { send, type TestAnswer } from '../testing/http.ts'

const app = defineApp({ ...clips.options, approvals: [{ above: 1 }] })
const rows = ['ada', 'ben'].map(id => ({ id, attributes: { name: `${id}'s name` } }))

describe('changesets over HTTP', () => {
  let millrace: Millrace
  let url = ''
  const keys = { ana: '', ben: '', server: '' }
  before(async () => {
    millrace = await openForTest({ app: app as never })
    url = (await millrace.listen()).url
    const make = async (scope: string, key = ''): Promise<string> => {
      const headers: Record<string, string> = key === '' ? {} : { authorization: `Bearer ${key}` }
      const made = await send(url, '/v1/keys', { body: { scope, name: scope }, headers })
      return made.json['key'] as string
    }
    keys.ana = await make('admin')
    keys.ben = await make('admin', keys.ana)
    keys.server = await make('server', keys.ana)
  })
  after(() => millrace.close())

  const as = (who: keyof typeof keys, path: string, body?: unknown): Promise<TestAnswer> =>
    send(url, path, {
      ...(body === undefined ? {} : { body }),
      headers: { authorization: `Bearer ${keys[who]}` },
    })
  const codeOf = ({ status, json }: TestAnswer): readonly unknown[] => [status, json['code']]

  it('are planned, approved by somebody else, applied and taken back, all on record', async () => {
    const request = { table: 'person', rows }
    const plan = { id: 'people', kind: 'catalogue', title: 'names', request }
    assert.deepEqual(codeOf(await as('server', '/v1/changesets', plan)), [403, 'KEY_SCOPE_TOO_SMALL']) // prettier-ignore
    const planned = await as('ana', '/v1/changesets', plan)
    assert.equal(planned.status, 200, planned.text)
    const { hash, plannedBy } = planned.json as { hash: string; plannedBy: string }
    assert.match(plannedBy, /^key:/)
    const path = '/v1/changesets/people'
    assert.deepEqual(codeOf(await as('ana', `${path}/apply`, {})), [409, 'CHANGESET_UNAPPROVED'])
    assert.deepEqual(codeOf(await as('ana', `${path}/approve`, { hash })), [403, 'APPROVAL_REFUSED']) // prettier-ignore
    const approved = await as('ben', `${path}/approve`, { hash })
    assert.equal(approved.status, 200, approved.text)
    const dry = await as('ana', `${path}/dry-run?samples=1`)
    assert.equal(dry.json['adds'], 2)
    // Who may change people need not see what they are called.
    assert.deepEqual(dry.json['samples'], [{ target: 'person/ada', action: 'add', after: { name: '[personal]' } }]) // prettier-ignore
    const begun = await as('ana', `${path}/apply`, { hash, perSecond: 1000 })
    assert.equal(begun.status, 200, begun.text)
    const changesets = millrace.module<Changesets>('changesets')
    await changesets.settled('people')
    const shown = await as('ana', path)
    assert.deepEqual([shown.json['state'], shown.json['applied']], ['applied', 2])
    const entries = await as('ana', `${path}/entries?limit=1`)
    assert.equal(entries.json['next'], 1)
    const last = await as('ana', `${path}/entries?from=1`)
    assert.deepEqual(last.json, { entries: [{ number: 1, isApplied: true, target: 'person/ben', action: 'add', after: { name: '[personal]' } }] }) // prettier-ignore
    assert.equal((await as('ana', `${path}/undo`, {})).status, 200)
    await changesets.settled('people')
    const list = await as('ana', '/v1/changesets?state=undone')
    assert.deepEqual((list.json['changesets'] as { id: string }[]).map(({ id }) => id), ['people']) // prettier-ignore
    for (const verb of ['pause', 'resume', 'cancel']) {
      assert.deepEqual(codeOf(await as('ana', `${path}/${verb}`, {})), [409, 'CHANGESET_STATE'])
    }
    const chunks = await as('ana', '/v1/log/streams/product.changesets.items/0')
    assert.ok(!chunks.text.includes("ada's name"), chunks.text)
    const acts = await as('ana', '/v1/log/streams/access.audit/0')
    const begun_ = (acts.json['records'] as { type: string; data: { operation: string } }[])
      .filter(({ type }) => type === 'act.begun')
      .map(({ data }) => data.operation)
    assert.deepEqual(begun_.slice(3), ['planChangeset', 'applyChangeset', 'approveChangeset', 'approveChangeset', 'applyChangeset', 'undoChangeset', 'pauseChangeset', 'resumeChangeset', 'cancelChangeset']) // prettier-ignore
  })

  it('are planned, run and read through the typed client', async () => {
    const { changesets } = createClient<typeof app>({ url, key: keys.ana })
    const rest = rows.slice(0, 1)
    const request = { table: 'person', rows: rest }
    const { hash, approvalsNeeded } = await changesets.plan({
      id: 'one',
      kind: 'catalogue',
      request,
    })
    assert.equal(approvalsNeeded, 0)
    assert.equal((await changesets.dryRun('one', { samples: 0 })).adds, 1)
    await changesets.apply('one', { hash })
    await millrace.module<Changesets>('changesets').settled('one')
    assert.equal((await changesets.get('one')).applied, 1)
    const targets: string[] = []
    for await (const { target } of changesets.entries('one')) targets.push(target)
    assert.deepEqual(targets, ['person/ada'])
    await changesets.undo('one')
    await millrace.module<Changesets>('changesets').settled('one')
    assert.deepEqual((await changesets.list({ limit: 1 })).map(({ id, state }) => [id, state]), [['one', 'undone']]) // prettier-ignore
    const ben = createClient<typeof app>({ url, key: keys.ben }).changesets
    assert.equal((await ben.approve('one', hash)).approvals.length, 1)
    for (const act of [ben.pause, ben.resume, ben.cancel]) {
      await assert.rejects(act('one'), (error: unknown) => isError(error, 'CHANGESET_STATE'))
    }
  })

  it('refuse what is no request, with its place', async () => {
    const bad = [
      { kind: 'catalogue' },
      { kind: 'catalogue', request: {}, id: 'a/b' },
      { kind: 'catalogue', request: {}, colour: 1 },
    ]
    for (const body of bad) assert.equal((await as('ana', '/v1/changesets', body)).status, 400)
    const body = { kind: 'catalogue', request: [] }
    assert.deepEqual(codeOf(await as('ana', '/v1/changesets', body)), [400, 'CHANGESET_INVALID'])
    assert.deepEqual(codeOf(await as('ana', '/v1/changesets/nobody')), [404, 'CHANGESET_UNKNOWN'])
    const approve = '/v1/changesets/people/approve'
    assert.equal((await as('ben', approve, { hash: 'yes' })).status, 400)
    assert.deepEqual(codeOf(await as('ben', approve, { hash: '0'.repeat(64) })), [409, 'CHANGESET_HASH']) // prettier-ignore
  })
})
