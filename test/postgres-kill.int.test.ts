/**
 * The processes of a PostgreSQL are killed under a log that is written to: each time the server ends
 * all sessions and repairs itself from its journal. A server of its own, so that nobody else is hit.
 * MILLRACE_CRASH_RUNS sets the number of kills (default 3).
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { silentLogger, systemClock } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import { Database, openPostgresLog } from '@millrace/log/postgres'
import { startPostgres } from '../scripts/postgres.ts'

const KILLS = Number(process.env['MILLRACE_CRASH_RUNS'] ?? 3)
const WRITERS = 4
const PARTITIONS = 3

const server = await startPostgres({ isDurable: false })

if ('reason' in server) {
  test('a server that is killed', { skip: server.reason }, () => assert.fail('it was skipped'))
} else {
  after(() => server.stop())
  test('a log survives its server being killed: what was acknowledged is there once', async () => {
    const database = new Database({ url: server.url, logger: silentLogger })
    const ports = { database, clock: systemClock, logger: silentLogger }
    const log = await openPostgresLog(ports)
    await log.declare([{ name: 'clicks', partitions: PARTITIONS }])
    const acknowledged = new Map<string, string>()
    let kills = 0
    const write = async (writer: number): Promise<void> => {
      for (let round = 0; kills < KILLS; round++) {
        const events = Array.from({ length: 5 }, (_, index) => ({
          stream: 'clicks',
          type: 'clicked',
          key: `k${(writer + round + index) % 50}`,
          id: `${writer}-${round}-${index}`,
          eventTimeMs: round,
          data: { writer, round },
        }))
        const { results } = await log.commit({ events })
        results.forEach((result, index) => {
          assert.ok(result.status === 'appended', `${writer}-${round}: ${result.status}`)
          const id = events[index]?.id as string
          acknowledged.set(id, `${result.partition}/${result.offset}`)
        })
        // A kill follows so many commits: it meets others on their way.
        if (writer === 0 && round % 10 === 9) {
          await killOne(database)
          kills += 1
        }
      }
    }
    await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)))
    assert.ok((log.stats().counters['commitRetries'] ?? 0) > 0, 'a commit met a kill')
    await log.close()
    const again = await openPostgresLog(ports)
    assert.deepEqual(await placesOf(again), acknowledged)
    await again.close()
    await database.close()
  })
}

/** Kills the process of some session that has just worked for the log; not our own. */
async function killOne(database: Database): Promise<void> {
  for (;;) {
    try {
      const [row] = await database.query(
        `SELECT pid FROM pg_stat_activity WHERE application_name = 'millrace'
          AND pid <> pg_backend_pid() ORDER BY state_change DESC LIMIT 1`,
      )
      if (row !== undefined) return void process.kill(Number(row[0]), 'SIGKILL')
    } catch {
      // The server is still repairing itself from the last kill.
      await new Promise<void>(resolve => systemClock.after(20, resolve))
    }
  }
}

async function placesOf(log: EventLog): Promise<Map<string, string>> {
  const places = new Map<string, string>()
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const end = log.ends().get(`clicks/${partition}`) ?? 0
    for (let from = 0; from < end;) {
      for (const record of await log.read({ stream: 'clicks', partition, from })) {
        assert.equal(record.offset, from++)
        assert.ok(!places.has(record.id), `${record.id} is there once`)
        places.set(record.id, `${partition}/${record.offset}`)
      }
    }
  }
  return places
}
