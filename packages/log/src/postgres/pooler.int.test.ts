/** The log through a pooler in transaction mode: everything works but notifications. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { silentLogger, systemClock, type Logger } from '@millrace/core'
import { event } from '../suite/harness.ts'
import { logSuite } from '../suite.ts'
import { withPooler } from '../testing/postgres.ts'
import { openPostgresLog } from './index.ts'

withPooler('the log through PgBouncer in transaction mode', create => {
  logSuite('postgres, pooled', async ({ clock, beforeSync, queueBytesMax }) => {
    const { database, dispose } = await create()
    // Here the suite reads from the database what it appended.
    const options = { queueBytesMax, beforeCommit: beforeSync, recentBytesMax: 0 }
    return {
      open: () => openPostgresLog({ database, clock, logger: silentLogger, options }),
      dispose,
    }
  })

  it('says that it polls, hears of others all the same, and hands leases over', async () => {
    const context = await create()
    const warnings: string[] = []
    const logger: Logger = { ...silentLogger, warn: message => void warnings.push(message) }
    const opened = []
    for (const one of [logger, silentLogger]) {
      const database = context.open()
      const options = { pollMs: 50, leaseMs: 800 }
      const log = await openPostgresLog({ database, clock: systemClock, logger: one, options })
      await log.declare([{ name: 'clicks', partitions: 2 }])
      await log.leases.stand({ lineage: 'same', onRelease: async () => undefined })
      opened.push({ log, database })
    }
    const [first, second] = opened.map(({ log }) => log)
    await second?.commit({ events: [event({ stream: 'clicks', partition: 0 })] })
    const isTold = (): boolean => warnings.some(text => text.includes('polled'))
    const isHeard = (): boolean => first?.ends().get('clicks/0') === 1
    const isShared = (): boolean => first?.leases.list().filter(one => one.isOwn).length === 1
    for (let turn = 0; turn < 6_000 && !(isTold() && isHeard() && isShared()); turn++) {
      await new Promise<void>(resolve => systemClock.after(10, resolve))
    }
    assert.deepEqual([isTold(), isHeard(), isShared()], [true, true, true])
    assert.equal(first?.stats().gauges['isNotified'], 0)
    for (const { log, database } of opened) {
      await log.close()
      await database.close()
    }
    await context.dispose()
  })
})
