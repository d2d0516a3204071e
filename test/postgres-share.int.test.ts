/**
 * Two processes over one PostgreSQL, and all three killed again and again while clients send events:
 * every acknowledged event has its effect exactly once, in the views of both processes and in what
 * folds emitted, which equal a naive recomputation. MILLRACE_CRASH_RUNS sets the number of kills
 * (default 3), MILLRACE_CRASH_SEED who is killed when. Then they are restarted one after the other under
 * the same load, of which the rest must not notice anything.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { createSeededRandom, silentLogger } from '@millrace/core'
import { Database } from '@millrace/log/postgres'
import { startServer, type ChildServer } from '../packages/millrace/src/testing/child.ts'
import { watchedBy } from '../packages/millrace/src/testing/clips.ts'
import { send } from '../packages/millrace/src/testing/http.ts'
import { startPostgres } from '../scripts/postgres.ts'

const KILLS = Number(process.env['MILLRACE_CRASH_RUNS'] ?? 3)
const SEED = Number(process.env['MILLRACE_CRASH_SEED'] ?? 5)
const CLIENTS = 4
const BATCH = 10
const CLIPS = 7
/** Acknowledgements between two kills: from 1 to this. */
const BETWEEN_MAX = 60
const STARTS_MAX = 100
/** Looks at a view without a change, after which it is taken for settled. */
const STILL_TURNS = 400
/** Of every partition one. */
const PEOPLE = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l']

const postgres = await startPostgres({ isDurable: false })

if ('reason' in postgres) {
  test('processes that are killed', { skip: postgres.reason }, () => assert.fail('skipped'))
} else {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-share-'))
  const places = ['one', 'other']
  let servers: ChildServer[] = []
  /** True when a test failed whose clients go on. */
  let isAbandoned = false
  after(async () => {
    isAbandoned = true
    await Promise.all(servers.map(server => server.stop('SIGKILL')))
    await postgres.stop()
    await rm(folder, { recursive: true })
  })

  process.env['DATABASE_URL'] = postgres.url
  /** As a supervisor does: one that came while the database was down ends, and is started again. */
  const start = async (index: number): Promise<void> => {
    const data = join(folder, places[index] as string)
    for (let attempt = 0; attempt < STARTS_MAX; attempt++) {
      const server = await startServer(data, { isToBeKilled: true }).catch(() => undefined)
      if (server !== undefined) return void (servers[index] = server)
    }
    assert.fail(`the process ended at once, ${STARTS_MAX} times`)
  }
  const acknowledged = new Map<string, Record<string, unknown>>()
  /** Sends the same events again, here or there, until they are acknowledged. */
  const client = async (load: { isOver: boolean }, number: number): Promise<void> => {
    for (let round = 0; !load.isOver && !isAbandoned; round++) {
      const events = Array.from({ length: BATCH }, (_, place) => {
        const id = `${number}-${round}-${place}`
        const at = 1_700_000_000_000 + round
        return watchedBy(`p${number}-${place}`, `c${(round + place) % CLIPS}`, { id, at })
      })
      for (let attempt = number; !isAbandoned; attempt++) {
        const { url } = servers[attempt % servers.length] as ChildServer
        const answer = await send(url, '/v1/events', { body: events }).catch(() => undefined)
        if (answer?.status === 200 && answer.json['failed'] !== BATCH) {
          const { appended, duplicates } = answer.json as Record<string, number>
          assert.equal((appended ?? 0) + (duplicates ?? 0), BATCH, answer.text)
          break
        }
        assert.ok(answer === undefined || answer.status === 503, answer?.text)
        await new Promise(resolve => setTimeout(resolve, 20))
      }
      for (const event of events) acknowledged.set(event['id'] as string, event)
      // Processes that start have something of the processor, too.
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }
  /** Lets clients send until the returned function is called, which waits for their last answers. */
  const startClients = (first: number): (() => Promise<void>) => {
    const load = { isOver: false }
    const clients = Promise.all(
      Array.from({ length: CLIENTS }, (_, number) => client(load, first + number)),
    )
    return async () => {
      load.isOver = true
      await clients
    }
  }

  test(`kills of two processes and of their database lose and double nothing`, async t => {
    t.diagnostic(`seed ${SEED}, ${KILLS} kills`)
    const random = createSeededRandom(SEED)
    const below = (limit: number): number => Math.floor(random.next() * limit)
    const starting = [start(0), start(1)]
    await Promise.all(starting)
    const stopClients = startClients(0)
    for (let kill = 0; kill < KILLS; kill++) {
      const wanted = acknowledged.size + 1 + below(BETWEEN_MAX)
      while (acknowledged.size < wanted) await new Promise(resolve => setTimeout(resolve, 2))
      const index = below(2)
      // A process takes seconds of processor time to start again, a database few tenths.
      if (below(3) > 0) {
        await postgres.crash()
        continue
      }
      // The other one takes what is sent meanwhile, if not before it has started itself.
      await Promise.all(starting)
      await servers[index]?.stop('SIGKILL')
      starting[index] = start(index)
    }
    await Promise.all(starting)
    await stopClients()
    await verify(postgres.url, servers, acknowledged)
    assert.deepEqual(await Promise.all(servers.map(server => server.stop('SIGTERM'))), [0, 0])
    servers = []
  })

  test('a rolling restart under load loses and doubles nothing, and the rest goes on', async () => {
    await Promise.all([start(0), start(1)])
    const stopClients = startClients(CLIENTS)
    for (const index of [0, 1]) {
      const other = servers[1 - index] as ChildServer
      const owners = async (): Promise<number> => {
        const { json } = await send(other.url, '/v1/leases')
        const leases = json['leases'] as { address: string | null }[]
        return new Set(leases.map(({ address }) => address)).size
      }
      while ((await owners()) < 2) await new Promise(resolve => setTimeout(resolve, 20))
      assert.equal(await servers[index]?.stop('SIGTERM'), 0)
      // Of every partition an event, which has to come through a step of whoever leads it now.
      const events = PEOPLE.map(viewer => watchedBy(viewer, 'c0', { id: `${index}-${viewer}` }))
      const sent = await send(other.url, '/v1/events', { body: events })
      assert.equal(sent.json['appended'], events.length, sent.text)
      for (const event of events) acknowledged.set(event['id'] as string, event)
      const path = `/v1/views/plays/c0?atLeast=${sent.headers.get('millrace-position')}`
      let reached = await send(other.url, path)
      for (let again = 0; again < 10 && reached.status === 504; again++) {
        reached = await send(other.url, path)
      }
      assert.equal(reached.status, 200, reached.text)
      await start(index)
    }
    await stopClients()
    await verify(postgres.url, servers, acknowledged)
    assert.deepEqual(await Promise.all(servers.map(server => server.stop('SIGTERM'))), [0, 0])
    servers = []
  })
}

async function verify(
  url: string,
  opened: readonly ChildServer[],
  acknowledged: ReadonlyMap<string, Record<string, unknown>>,
): Promise<void> {
  const plays = new Map<string, number>()
  const times = new Map<string, number>()
  for (const { data } of acknowledged.values()) {
    const { viewer, clip, watchedMs } = data as { viewer: string; clip: string; watchedMs: number }
    plays.set(clip, (plays.get(clip) ?? 0) + 1)
    times.set(viewer, (times.get(viewer) ?? 0) + watchedMs)
  }
  for (const server of opened)
    for (const [view, expected] of [
      ['plays', plays],
      ['time', times],
    ] as const)
      assert.deepEqual(
        await settled(server, view, expected),
        expected,
        `${view} holds every event once`,
      )
  const database = new Database({ url, logger: silentLogger })
  const count = async (sql: string): Promise<string> => String((await database.query(sql))[0])
  const watched = `r.type = 'watched' AND p.number = r.partition`
  const tables = '$schema.records r, $schema.partitions p'
  const people = `FROM ${tables} WHERE ${watched} AND p.stream = 'person'`
  const emitted = `FROM ${tables} WHERE ${watched} AND p.stream = 'clip.from-person'`
  const cause = `r.extras::json->'headers'->>'cause'`
  const all = String(acknowledged.size)
  assert.equal(await count(`SELECT count(*) ${people}`), all, 'every event is there once')
  assert.equal(await count(`SELECT count(DISTINCT r.id) ${people}`), all, 'under its own id')
  assert.equal(await count(`SELECT count(*) ${emitted}`), all, 'every event was emitted once')
  assert.equal(await count(`SELECT count(DISTINCT ${cause}) ${emitted}`), all, 'because of itself')
  const gaps = await database.query(
    `SELECT p.stream FROM $schema.partitions p WHERE p.next_offset <>
      (SELECT count(*) FROM $schema.records r WHERE r.partition = p.number)`,
  )
  assert.deepEqual(gaps, [], 'offsets have no gaps')
  await database.close()
}

/**
 * What a view of a process holds of the keys of `expected`, as soon as it is that, or nothing has changed
 * for `STILL_TURNS` looks: each view is folded at its own pace.
 */
async function settled(
  { url }: ChildServer,
  view: string,
  expected: ReadonlyMap<string, number>,
): Promise<Map<string, number>> {
  let held = new Map<string, number>()
  for (let still = 0; still < STILL_TURNS && !isDeepStrictEqual(held, expected); still++) {
    await new Promise(resolve => setTimeout(resolve, 50))
    const reads = [...expected.keys()].map(async key => {
      const { json } = await send(url, `/v1/views/${view}/${key}`)
      return [key, Number(json['value'] ?? 0)] as const
    })
    const before = held
    held = new Map(await Promise.all(reads))
    if (!isDeepStrictEqual(held, before)) still = 0
  }
  return held
}
