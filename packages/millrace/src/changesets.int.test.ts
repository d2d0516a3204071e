/** Two processes over one PostgreSQL: when the one that carries out a changeset is killed, the other goes on. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { partitionOf, systemClock } from '@millrace/core'
import type { ChangesetView } from '@millrace/product'
import { startServer, type ChildServer } from './testing/child.ts'
import { clips } from './testing/clips.ts'
import { withDatabase } from './testing/database.ts'
import { send } from './testing/http.ts'

const server = process.env['MILLRACE_TEST_POSTGRES']
const reason =
  process.env['MILLRACE_TEST_POSTGRES_ABSENT'] ??
  'MILLRACE_TEST_POSTGRES names no server; `npm test -- --int` starts one'
const ROWS = 600

if (server === undefined) {
  test('changesets on PostgreSQL', { skip: reason }, () => assert.ok(server))
} else {
  test('a changeset goes on in another process when the one that carries it out is killed', () =>
    withDatabase(server, async directory => {
      const first = await startServer(join(directory, 'one'))
      const second = await startServer(join(directory, 'two'))
      try {
        await goesOn(first, second)
      } finally {
        await Promise.all([first, second].map(one => one.stop('SIGKILL')))
      }
    }))
}

async function goesOn(first: ChildServer, second: ChildServer): Promise<void> {
  const rows = Array.from({ length: ROWS }, (_, number) => ({
    id: `c${number}`,
    attributes: { title: `Clip ${number}`, topics: [], creator: 'x' },
  }))
  const id = await ownedBy(first)
  const request = { table: 'clip', rows }
  const body = { id, kind: 'catalogue', request }
  // Whichever process takes a command, the one that leads carries it out.
  assert.equal((await send(second.url, '/v1/changesets', { body })).status, 200)
  const path = `/v1/changesets/${id}`
  const begun = await send(second.url, `${path}/apply`, { body: { perSecond: 400 } })
  assert.equal(begun.status, 200, begun.text)
  const show = async (): Promise<ChangesetView> =>
    (await send(second.url, path)).json as unknown as ChangesetView
  await until(async () => ((await show()).run?.processed ?? 0) > 0)
  assert.equal((await show()).run?.hasEnded, false)
  await first.stop('SIGKILL')
  await until(async () => (await show()).run?.hasEnded === true)
  const view = await show()
  assert.deepEqual([view.state, view.applied, view.run?.refused], ['applied', ROWS, 0])
  const log = await send(second.url, '/v1/log/streams/clip/keys/c599')
  assert.equal((log.json['records'] as unknown[]).length, 1)
  assert.equal((await send(second.url, `${path}/undo`, { body: {} })).status, 200)
  await until(async () => (await show()).run?.hasEnded === true)
  assert.equal((await show()).state, 'undone')
}

/** An id of a changeset that a process leads. */
async function ownedBy({ url }: ChildServer): Promise<string> {
  let found: string | undefined
  await until(async () => {
    const { json } = await send(url, '/v1/leases')
    const leases = json['leases'] as { partition: number; isOwn: boolean; owner: string | null }[]
    // Both have some by now: who has one keeps it while the other lives.
    const own = new Set(leases.filter(({ isOwn }) => isOwn).map(({ partition }) => partition))
    const isShared = leases.every(({ owner }) => owner !== null) && own.size < leases.length
    const names = Array.from({ length: 20 }, (_, number) => `changeset-${number}`)
    found = isShared ? names.find(name => own.has(partitionOf(name, clips.partitions))) : undefined
    return found !== undefined
  })
  return found as string
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 1_200; turn++) {
    if (await isSo()) return
    await new Promise<void>(resolve => systemClock.after(50, resolve))
  }
  assert.fail('it did not come about')
}
