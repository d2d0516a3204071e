/** Several logs over one database, as several processes have them, and a database that goes away. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { isError, partitionOf, silentLogger, systemClock } from '@millrace/core'
import type { EventLog, LogRecord, NewEvent } from '../log.ts'
import { START_MS, event, historyOf } from '../suite/harness.ts'
import { withPostgres, type TestDatabase } from '../testing/postgres.ts'
import { KEY_PLACES_MAX } from './layout.ts'
import { logMigrations, migrate, newestOf, openPostgresLog, type Database } from './index.ts'

const STREAM = 'clicks'
const PARTITIONS = 3

withPostgres('several processes on one PostgreSQL', create => {
  /** Runs a test with some logs over one database. */
  async function withLogs(
    count: number,
    run: (logs: readonly EventLog[], context: TestDatabase) => Promise<void>,
  ): Promise<void> {
    const context = await create()
    const opened: { log: EventLog; database: Database }[] = []
    try {
      for (let index = 0; index < count; index++) {
        const database = context.open()
        const log = await openPostgresLog({
          database,
          clock: systemClock,
          logger: silentLogger,
        })
        opened.push({ log, database })
        await log.declare([{ name: STREAM, partitions: PARTITIONS }])
      }
      await run(
        opened.map(({ log }) => log),
        context,
      )
    } finally {
      for (const { log, database } of opened) {
        await log.close()
        await database.close()
      }
      await context.dispose()
    }
  }

  /** Reads a partition while others append to it, until `total` records were seen. */
  async function follow(log: EventLog, partition: number, total: number): Promise<LogRecord[]> {
    const seen: LogRecord[] = []
    while (seen.length < total) {
      const advanced = new Promise<void>(resolve => {
        const stop = log.onAdvance(() => {
          stop()
          resolve()
        })
      })
      const records = await log.read({ stream: STREAM, partition, from: seen.length })
      for (const record of records) {
        assert.equal(record.offset, seen.length, 'there is no gap')
        seen.push(record)
      }
      if (records.length === 0) await advanced
    }
    return seen
  }

  it('readers see concurrent appends without gaps, each once, in one order', () =>
    withLogs(3, async logs => {
      const [first, second, third] = logs as [EventLog, EventLog, EventLog]
      const rounds = 40
      const write = async (log: EventLog): Promise<void> => {
        for (let round = 0; round < rounds; round++) {
          await log.commit({ events: [0, 1, 2, 0].map(partition => event({ partition })) })
        }
      }
      const [a, b, c] = await Promise.all([
        follow(first, 0, 6 * rounds),
        follow(second, 0, 6 * rounds),
        follow(third, 0, 6 * rounds),
        ...logs.map(write),
      ])
      const ids = (records: LogRecord[]): string[] => records.map(record => record.id)
      assert.equal(new Set(ids(a)).size, 6 * rounds)
      assert.deepEqual(ids(b), ids(a))
      assert.deepEqual(ids(c), ids(a))
      const times = a.map(record => record.ingestTimeMs)
      assert.deepEqual(times, times.toSorted((x, y) => x - y)) // prettier-ignore
    }))

  it('an event that two send at once is appended once, and other content is a conflict', () =>
    withLogs(2, async logs => {
      for (let round = 0; round < 30; round++) {
        const one = event({ id: `same-${round}`, data: { round } })
        const two = event({ id: `other-${round}`, partition: 1 })
        const results = await Promise.all(
          logs.flatMap((log, index) => [
            log.commit({ events: [one] }),
            log.commit({ events: [{ ...two, data: { index } }] }),
          ]),
        )
        const kinds = results.map(({ results: [result] }) => result?.status)
        assert.deepEqual([kinds[0], kinds[2]].sort(), ['appended', 'duplicate'])
        assert.deepEqual([kinds[1], kinds[3]].sort(), ['appended', 'conflict'])
        const places = [results[0], results[2]].map(answer => answer?.results[0])
        assert.deepEqual(
          places.map(place => place?.status !== 'conflict' && place?.offset),
          [places[0], places[0]].map(place => place?.status !== 'conflict' && place?.offset),
        )
      }
    }))

  it('of appends that expect the same version one is accepted', () =>
    withLogs(2, async logs => {
      const key = 'account'
      let accepted = 0
      while (accepted < 20) {
        const version = await (logs[0] as EventLog).version({ stream: STREAM, key })
        const results = await Promise.all(
          logs.map(log => log.commit({ events: [event({ key, expectedVersion: version })] })),
        )
        const appended = results.filter(({ results: [one] }) => one?.status === 'appended')
        assert.ok(appended.length <= 1)
        accepted += appended.length
      }
      // The last one may be the other process's: this one hears of it a moment later.
      await follow(logs[1] as EventLog, partitionOf(key, PARTITIONS), accepted)
      assert.equal((await historyOf(logs[1] as EventLog, [key])).length, accepted)
    }))

  it('a processor that another process has moved on is told so, and sees how far', () =>
    withLogs(2, async logs => {
      const [one, other] = logs as [EventLog, EventLog]
      const source = { stream: STREAM, partition: 0 }
      await one.commit({ events: Array.from({ length: 9 }, () => event({ partition: 0 })) })
      const step = (from: number, to: number) => ({
        processor: 'totals',
        generation: 1,
        source,
        from,
        to,
        emitted: [event({ stream: STREAM, partition: 2 })],
        parked: [{ key: 'k', offset: from, error: 'no', attempts: 1 }],
      })
      await follow(other, 0, 9)
      await one.commit({ step: step(0, 4) })
      const stale = (error: unknown): boolean => isError(error, 'STEP_STALE')
      await assert.rejects(other.commit({ step: step(0, 6), events: [event({ id: 'no' })] }), stale)
      const query = { processor: 'totals', generation: 1, ...source }
      const [newest] = other.steps(query)
      assert.equal(newest?.consumed, 4)
      assert.deepEqual(new Map(newest?.ends), new Map([[`${STREAM}/2`, 1]]))
      assert.equal(newest?.parked[0]?.key, 'k')
      assert.equal(await other.find('no'), undefined)
      await other.commit({ step: step(4, 6) })
      await assert.rejects(one.commit({ step: step(4, 5) }), stale)
      assert.equal(one.steps(query)[0]?.consumed, 6)
      assert.equal(one.ends().get(`${STREAM}/2`), 2)
    }))

  it('nothing is lost or doubled when connections are cut in the middle of commits', () =>
    withLogs(2, async (logs, { database }) => {
      const cut = (): Promise<unknown> =>
        database.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name = 'millrace' AND pid <> pg_backend_pid()
              AND query LIKE '%' || $1 || '%'`,
          [database.schema],
        )
      const sent: string[] = []
      const write = async (log: EventLog): Promise<void> => {
        for (let round = 0; round < 25; round++) {
          const events = [0, 1].map(partition => event({ partition, eventTimeMs: START_MS }))
          const [{ results }] = await Promise.all([log.commit({ events }), cut()])
          for (const result of results) assert.equal(result.status, 'appended')
          sent.push(...events.map(({ id }) => id))
        }
      }
      await write(logs[0] as EventLog)
      await write(logs[1] as EventLog)
      const rows = await database.query('SELECT id FROM $schema.records')
      assert.deepEqual(rows.map(([id]) => id).sort(), sent.sort())
      const retries = logs.map(log => log.stats().counters['commitRetries'] ?? 0)
      assert.ok(Math.max(...retries) > 0, 'a connection was cut')
    }))

  it('migrations go forward, back and forward again; a newer schema is refused', async () => {
    const { database, dispose } = await create()
    const tables = async (): Promise<string[]> => {
      const rows = await database.query(
        `SELECT table_name FROM information_schema.tables WHERE table_schema = $1`,
        [database.schema],
      )
      return rows.map(([name]) => name as string).sort()
    }
    await Promise.all([1, 2, 3].map(() => migrate(database, logMigrations)))
    const full = await tables()
    const parts = newestOf(logMigrations)
    const none = Object.fromEntries([...parts.keys()].map(part => [part, 0]))
    await migrate(database, logMigrations, none)
    assert.deepEqual(await tables(), ['migrations'])
    await migrate(database, logMigrations)
    assert.deepEqual(await tables(), full)
    const newest = parts.get('log') as number
    const newer = { part: 'log', number: newest + 1, forward: 'CREATE TABLE $schema.more ()', back: 'DROP TABLE $schema.more' } // prettier-ignore
    await migrate(database, [...logMigrations, newer])
    await assert.rejects(migrate(database, logMigrations), error =>
      isError(error, 'LOG_FORMAT_UNKNOWN'),
    )
    await migrate(database, logMigrations, { log: newest })
    assert.deepEqual(await tables(), full)
    await migrate(database, logMigrations)
    const failing = { ...newer, forward: `${newer.forward}; SELECT 1 / 0` }
    await assert.rejects(migrate(database, [...logMigrations, failing]))
    assert.deepEqual(await tables(), full)
    await dispose()
  })

  it('what was written goes back to the tables of the build before, and forward again', async () => {
    const context = await create()
    const { database } = context
    const open = (): ReturnType<typeof openPostgresLog> =>
      openPostgresLog({ database, clock: systemClock, logger: silentLogger })
    const first = await open()
    await first.declare([{ name: STREAM, partitions: PARTITIONS }])
    const events = [0, 1, 2].map(partition => event({ id: `kept-${partition}`, partition }))
    await first.commit({ events })
    await first.close()
    await migrate(database, logMigrations, { log: 1 })
    const functions = await database.query(
      `SELECT p.proname, p.pronargs FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = $1 ORDER BY p.proname`,
      [database.schema],
    )
    assert.deepEqual(functions.map(([name]) => name), ['append', 'retain', 'seek']) // prettier-ignore
    assert.equal((await database.query('SELECT 1 FROM $schema.records')).length, 3)
    const again = await open()
    const { results } = await again.commit({ events })
    assert.deepEqual(results.map(({ status }) => status), ['duplicate', 'duplicate', 'duplicate']) // prettier-ignore
    await again.leases.stand({ lineage: 'same', onRelease: async () => undefined })
    assert.deepEqual(again.leases.list().map(({ isOwn }) => isOwn), [true, true, true]) // prettier-ignore
    await again.close()
    await context.dispose()
  })

  it('keys of records go back to the tables of the build before, and forward again', async () => {
    const context = await create()
    const { database } = context
    const open = (): ReturnType<typeof openPostgresLog> =>
      openPostgresLog({ database, clock: systemClock, logger: silentLogger })
    const first = await open()
    await first.declare([{ name: STREAM, partitions: PARTITIONS }])
    const names = Array.from({ length: 50 }, (_, index) => `k${index}`)
    const [home, ...others] = names.filter(name => partitionOf(name, PARTITIONS) === 0)
    const keyed = (index: number, ...keys: string[]): NewEvent =>
      event({ id: `keyed-${index}`, key: home as string, keys, partition: 0 })
    const count = 2 * KEY_PLACES_MAX + 3
    const [often, seldom, never] = others as [string, string, string]
    await first.commit({
      events: Array.from({ length: count }, (_, index) =>
        keyed(index, often, ...(index % 100 === 7 ? [seldom] : [])),
      ),
    })
    await first.commit({
      events: [keyed(count, often, seldom), event({ key: never, partition: 0 })],
    })
    const read = async (log: EventLog): Promise<unknown> => ({
      often: (await historyOf(log, [often])).map(({ offset }) => offset),
      both: (await historyOf(log, [often, seldom])).length,
      seldom: (await historyOf(log, [seldom], { from: 8, to: 208 })).map(({ offset }) => offset), // prettier-ignore
      own: (await historyOf(log, [home as string])).length,
      versions: await Promise.all([often, seldom, never].map(key => log.version({ stream: STREAM, key }))), // prettier-ignore
    })
    const expected = {
      often: Array.from({ length: count + 1 }, (_, offset) => offset),
      both: count + 1,
      seldom: [107, 207],
      own: 0,
      versions: [count + 1, count + 1, count + 2],
    }
    assert.deepEqual(await read(first), expected)
    const rowsOf = (table: string): Promise<readonly unknown[]> =>
      database.query(`SELECT partition, key, "offset" FROM $schema.${table} ORDER BY 1, 2, 3`)
    const rows = await rowsOf('record_keys')
    assert.equal(rows.length, count + 1 + 7)
    const together = await database.query('SELECT count(*) FROM $schema.key_places')
    assert.deepEqual(together, [['6']])
    await first.close()
    await migrate(database, logMigrations, { log: 2 })
    assert.deepEqual(await rowsOf('record_keys'), rows)
    await migrate(database, logMigrations)
    assert.deepEqual(await rowsOf('record_keys'), rows)
    // As a process of the build before goes on to write.
    await database.query('INSERT INTO $schema.record_keys SELECT partition, $1, "offset" FROM $schema.record_keys WHERE key = $2', [never, seldom]) // prettier-ignore
    const again = await open()
    assert.deepEqual(await read(again), expected)
    assert.equal((await historyOf(again, [never])).length, 8)
    await again.close()
    await context.dispose()
  })

  it('what a process appended itself is read from its memory, or from the database when that is asked for', async () => {
    const context = await create()
    const { database } = context
    for (const [recentBytesMax, expected] of [
      [undefined, { n: 1 }],
      [0, { n: 2 }],
    ] as const) {
      // prettier-ignore
      const options = recentBytesMax === undefined ? {} : { recentBytesMax }
      const log = await openPostgresLog({ database, clock: systemClock, logger: silentLogger, options }) // prettier-ignore
      await log.declare([{ name: STREAM, partitions: PARTITIONS }])
      const { results } = await log.commit({ events: [event({ partition: 0, data: { n: 1 } })] })
      const from = results[0]?.status === 'appended' ? results[0].offset : assert.fail()
      await database.query(`UPDATE $schema.record_rows SET payload = '{"n":2}'`)
      const [record] = await log.read({ stream: STREAM, partition: 0, from })
      assert.deepEqual(record?.data, expected)
      await log.close()
    }
    await context.dispose()
  })

  it('old records of a transient stream are removed for everybody; their ids stay known', async () => {
    const context = await create()
    const { database } = context
    const open = (): ReturnType<typeof openPostgresLog> =>
      openPostgresLog({ database, clock: systemClock, logger: silentLogger })
    const reader = await open()
    const spec = { name: 'traces', partitions: 1, transient: { maxBytes: 2_000 } }
    await reader.declare([spec])
    const at = { stream: 'traces', partition: 0 }
    const events = Array.from({ length: 100 }, (_, index) =>
      event({ ...at, id: `trace-${index}`, data: { text: 'x'.repeat(100) } }),
    )
    await reader.commit({ events })
    // Retention is looked after when a log is opened, and every minute.
    const cleaner = await open()
    const [{ start, end } = { start: 0, end: 0 }] =
      cleaner.stats().streams.find(({ stream }) => stream === 'traces')?.partitions ?? []
    assert.equal(end, 100)
    assert.ok(start > 70 && start < 99, `it starts at ${start}`)
    const gone = (error: unknown): boolean => isError(error, 'LOG_OFFSET_GONE')
    await assert.rejects(reader.read({ ...at, from: start - 1 }), gone)
    assert.equal((await reader.read({ ...at, from: start })).length, end - start)
    const [result] = (await cleaner.commit({ events: events.slice(0, 1) })).results
    assert.equal(result?.status, 'duplicate')
    const rows = await database.query(`SELECT min("offset") FROM $schema.records`)
    assert.deepEqual(rows, [[String(start)]])
    await cleaner.close()
    await reader.close()
    await context.dispose()
  })

  it('appends of others are found by polling when nothing can be heard', async () => {
    const context = await create()
    const warnings: string[] = []
    const logger = { ...silentLogger, warn: (message: string) => void warnings.push(message) }
    const deaf = context.open()
    deaf.listen = () => Promise.reject(new Error('LISTEN is not allowed here'))
    const ports = { clock: systemClock, options: { pollMs: 20 } }
    const hearing = await openPostgresLog({ ...ports, database: context.database, logger: silentLogger }) // prettier-ignore
    await hearing.declare([{ name: STREAM, partitions: PARTITIONS }])
    const log = await openPostgresLog({ ...ports, database: deaf, logger })
    await hearing.commit({ events: [event({ partition: 1 })] })
    const records = await follow(log, 1, 1)
    assert.equal(records.length, 1)
    assert.deepEqual(warnings, ['notifications of the database are not heard: the log is polled'])
    assert.equal(log.stats().counters['notices'], 0)
    await log.close()
    await deaf.close()
    await hearing.close()
    await context.dispose()
  })
})
