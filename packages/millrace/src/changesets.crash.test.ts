/**
 * A server that applies, takes back and cancels changesets is killed at random moments of it. Each one
 * that starts after it goes on by itself, and the rows are what the changesets say: all of one that is
 * applied, none of one that is undone, and of one that was cancelled those that it counts.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { createSeededRandom, systemClock } from '@millrace/core'
import type { ChangesetView, EntryView } from '@millrace/product'
import { startServer, type ChildServer } from './testing/child.ts'
import { openForTest } from './testing/clips.ts'
import { send } from './testing/http.ts'

const ROUNDS = Math.min(Number(process.env['MILLRACE_CRASH_RUNS'] ?? 3), 10)
const SEED = Number(process.env['MILLRACE_CRASH_SEED'] ?? 5)
const ROWS = 1500
const PATH = '/v1/changesets/all'
const ids = Array.from({ length: ROWS }, (_, number) => `c${number}`)

const rowOf = (id: string, title: string): object => ({
  id,
  attributes: { title, topics: [id], creator: 'x' },
})

const request = { table: 'clip', rows: ids.map(id => rowOf(id, 'new')) }
const planned = { id: 'all', kind: 'catalogue', request }

it(`changesets survive ${ROUNDS} kills (seed ${SEED})`, async () => {
  const random = createSeededRandom(SEED)
  const next = (below: number): number => Math.floor(random.next() * below)
  const data = await mkdtemp(join(tmpdir(), 'millrace-changesets-'))
  try {
    const first = await openForTest({ data })
    const { url } = await first.listen()
    const put = await send(url, '/v1/items/clip', { body: ids.map(id => rowOf(id, 'old')) })
    assert.equal(put.status, 200, put.text)
    assert.equal((await send(url, '/v1/changesets', { body: planned })).status, 200)
    await first.close()
    let killed = 0
    for (let round = 0; round < ROUNDS; round++) {
      const isCut = await withServer(data, async server => {
        const { applied } = await compare(server)
        await begin(server, applied > 0 ? 'undo' : 'apply')
        return untilMoment(server, { entries: next(ROWS), isCancelled: round % 3 === 2 }, next)
      })
      if (isCut) killed += 1
    }
    assert.ok(killed > 0, 'some were killed in the middle')
    await withServer(data, async server => {
      if ((await compare(server)).applied > 0) await begin(server, 'undo')
      assert.equal((await compare(server)).applied, 0)
    })
  } finally {
    await rm(data, { recursive: true, force: true })
  }
})

async function withServer<T>(data: string, work: (server: ChildServer) => Promise<T>): Promise<T> {
  const server = await startServer(data)
  try {
    return await work(server)
  } finally {
    await server.stop('SIGKILL')
  }
}

const show = async ({ url }: ChildServer): Promise<ChangesetView> =>
  (await send(url, PATH)).json as unknown as ChangesetView

const pause = (delayMs: number): Promise<void> =>
  new Promise(resolve => systemClock.after(delayMs, resolve))

async function begin({ url }: ChildServer, verb: 'apply' | 'undo'): Promise<void> {
  const begun = await send(url, `${PATH}/${verb}`, { body: {} })
  if (begun.status === 200) return
  // A run that was cancelled before it wrote anything leaves nothing to apply: it is planned again.
  assert.equal(begun.json['code'], 'CHANGESET_STATE', begun.text)
  assert.equal((await send(url, '/v1/changesets', { body: planned })).status, 200)
  await begin({ url } as ChildServer, verb)
}

/** Waits until so many entries are done; true when the run is still under way. */
async function untilMoment(
  server: ChildServer,
  { entries, isCancelled }: { readonly entries: number; readonly isCancelled: boolean },
  next: (below: number) => number,
): Promise<boolean> {
  let view = await show(server)
  while (view.run?.hasEnded === false && view.run.processed < entries) {
    await pause(1)
    view = await show(server)
  }
  if (isCancelled) await send(server.url, `${PATH}/cancel`, { body: {} })
  await pause(next(10))
  return view.run?.hasEnded === false
}

async function settled(server: ChildServer): Promise<ChangesetView> {
  for (;;) {
    const view = await show(server)
    if (view.run?.hasEnded !== false) return view
    await pause(20)
  }
}

/** Waits for the end of what was interrupted, and compares every row with its entry. */
async function compare(server: ChildServer): Promise<ChangesetView> {
  const view = await settled(server)
  const applied = new Map<string, boolean>()
  for (let from: number | undefined = 0; from !== undefined;) {
    const { json } = await send(server.url, `${PATH}/entries?from=${from}&limit=1000`)
    for (const { target, isApplied } of json['entries'] as EntryView[]) {
      applied.set(target, isApplied)
    }
    from = json['next'] as number | undefined
  }
  let count = 0
  // It reads the rows as of the end of the log.
  const dry = await send(server.url, `${PATH}/dry-run?samples=0`)
  assert.deepEqual(dry.json['moved'], { count: 0, targets: [] })
  for (let after = ''; ;) {
    const page = after === '' ? '' : `&after=${after}`
    const { json } = await send(server.url, `/v1/items/clip?limit=1000${page}`)
    const items = json['items'] as { id: string; attributes: { title: string } }[]
    for (const { id, attributes } of items) {
      const isApplied = applied.get(`clip/${id}`) === true
      assert.equal(attributes.title, isApplied ? 'new' : 'old', id)
      count += 1
    }
    if (json['next'] === undefined) break
    after = json['next'] as string
  }
  assert.equal(count, ROWS)
  const held = [...applied.values()].filter(Boolean).length
  assert.equal(held, view.applied)
  if (view.run?.isCancelled === false && view.run.direction === 'apply') assert.equal(held, ROWS)
  if (view.run?.isCancelled === false && view.run.direction === 'undo') assert.equal(held, 0)
  return view
}
