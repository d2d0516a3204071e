/** What folds emit lies in blocks, and is read, found, taken back and seen by SQL like any other record. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { partitionOf, silentLogger, systemClock } from '@millrace/core'
import type { EventLog, LogRecord, NewEvent } from '../log.ts'
import { START_MS, event, historyOf, plain } from '../suite/harness.ts'
import { withPostgres } from '../testing/postgres.ts'
import { BLOCK_RECORDS_MAX } from './layout.ts'
import { logMigrations, migrate, openPostgresLog } from './index.ts'

const STREAM = 'clicks'
const COUNT = 300
/** The one whose payload has a line feed between its members, which a line cannot have. */
const APART = 200
/** Of the view `records`, as `plain` names them. */
const COLUMNS = `partition, "offset", event_ms, ingest_ms, watermark_ms, tenant, type, key, id,
  definition, generation, payload, extras`

withPostgres('blocks of emitted records in PostgreSQL', create => {
  it('hold what rows hold, for the log, for SQL and for the tables of the build before', async () => {
    const context = await create()
    const { database } = context
    const open = (recentBytesMax = 0): ReturnType<typeof openPostgresLog> =>
      openPostgresLog({ database, clock: systemClock, logger: silentLogger, options: { recentBytesMax } }) // prettier-ignore
    const names = Array.from({ length: 50 }, (_, index) => `kö"y\\${index}`)
    const [own = '', often = '', seldom = ''] = names.filter(name => partitionOf(name, 2) === 0)
    const emission = (index: number): NewEvent => ({
      ...event({ id: `emitted-${index}`, partition: 0, key: own, generation: 2 }),
      eventTimeMs: START_MS + ((index * 7) % 100),
      data: { index, text: 'a\tb\nc \u2028 ü' },
      headers: { cause: `${index}\u0000` },
      ...(index % 3 === 0 ? {} : { keys: index % 60 === 7 ? [often, seldom] : [often] }),
      ...(index % 50 === 1 ? { tenant: 'other' } : {}),
      ...(index === 5 ? { sealed: { person: 'p', bytes: new Uint8Array([0, 1, 255]) } } : {}),
      ...(index === APART ? { payload: Buffer.from('{\n"index":200}'), data: undefined } : {}),
    })
    const first = await open(undefined)
    await first.declare([{ name: STREAM, partitions: 2 }])
    await first.commit({ events: [event({ id: 'cause', partition: 1 })] })
    const emitted = Array.from({ length: COUNT }, (_, index) => emission(index))
    const source = { stream: STREAM, partition: 1 }
    const step = { processor: 'rekey', generation: 2, source, from: 0, to: 1, emitted }
    await first.commit({ step })
    const known = (await first.read({ stream: STREAM, partition: 0, from: 0 })).map(plain)
    const blocks = await database.query('SELECT first_offset, count FROM $schema.blocks ORDER BY 1')
    assert.deepEqual(blocks.map(row => row.map(Number)), [
      [0, BLOCK_RECORDS_MAX],
      [BLOCK_RECORDS_MAX, APART - BLOCK_RECORDS_MAX],
      [APART + 1, COUNT - APART - 1],
    ]) // prettier-ignore
    await first.close()

    const inOrder = (records: readonly Record<string, unknown>[]): unknown[] =>
      records.map(({ offset }) => offset)
    const look = async (log: EventLog): Promise<unknown> => {
      const read = (from: number, recordsMax: number): Promise<readonly LogRecord[]> =>
        log.read({ stream: STREAM, partition: 0, from, recordsMax })
      assert.deepEqual((await read(0, COUNT)).map(plain), known)
      for (const [from, recordsMax] of [
        [0, 1],
        [100, 60],
        [127, 2],
        [APART, 1],
        [APART - 1, 3],
        [299, 9],
      ] as const)
        // prettier-ignore
        assert.deepEqual(
          (await read(from, recordsMax)).map(plain),
          known.slice(from, from + recordsMax),
        )
      return {
        own: inOrder(await historyOf(log, [own])),
        seldom: inOrder(await historyOf(log, [seldom], { from: 8, to: 188 })),
        byTime: await historyOf(log, [often, own]),
        of: inOrder(await historyOf(log, [often], { tenant: 'other' })),
        versions: await Promise.all([own, often, seldom].map(key => log.version({ stream: STREAM, key }))), // prettier-ignore
        sought: await log.seek({ stream: STREAM, partition: 0, timeMs: 0 }),
        end: await log.seek({ stream: STREAM, partition: 0, timeMs: 9e15 }),
      }
    }
    const rows = (): Promise<readonly unknown[]> =>
      database.query(`SELECT ${COLUMNS} FROM $schema.records ORDER BY 1, 2`)

    const log = await open()
    const found = await look(log)
    const ofOthers = emitted.flatMap(({ tenant }, index) => (tenant === 'other' ? [index] : []))
    const byTime = emitted
      .map(({ eventTimeMs, id, tenant }, offset) => ({ eventTimeMs, id, tenant, offset }))
      .filter(({ tenant }) => tenant !== 'other')
      .sort((a, b) => a.eventTimeMs - b.eventTimeMs || (a.id < b.id ? -1 : 1))
    assert.deepEqual(found, {
      own: emitted.flatMap(({ keys, tenant }, index) => keys === undefined && tenant !== 'other' ? [index] : []), // prettier-ignore
      seldom: [67, 127, 187],
      byTime: byTime.map(({ offset }) => known[offset]),
      of: ofOthers.filter(index => index % 3 > 0),
      versions: [COUNT - 2, COUNT, 247 + 1],
      sought: 0,
      end: COUNT,
    })
    await log.close()

    const seen = await rows()
    assert.equal(seen.length, COUNT + 1)
    await migrate(database, logMigrations, { log: 3 })
    const [table] = await database.query(`SELECT relkind FROM pg_class WHERE oid = '$schema.records'::regclass`) // prettier-ignore
    assert.deepEqual(table, ['r'])
    assert.deepEqual(await rows(), seen)
    await migrate(database, logMigrations)
    assert.deepEqual(await rows(), seen)
    // As a process of the build before goes on to write, and goes back with what it wrote.
    await database.query(
      `INSERT INTO $schema.records SELECT partition, "offset" + 1, event_ms, ingest_ms, watermark_ms,
        generation, flags, tenant, type, key, 'later', definition, payload, extras
        FROM $schema.records WHERE id = 'emitted-299'`,
    )
    await database.query('UPDATE $schema.partitions SET next_offset = next_offset + 1 WHERE partition = 0') // prettier-ignore
    const again = await open()
    const [later] = await again.read({ stream: STREAM, partition: 0, from: COUNT })
    assert.equal(later?.id, 'later')
    await again.close()
    await context.dispose()
  })
})
