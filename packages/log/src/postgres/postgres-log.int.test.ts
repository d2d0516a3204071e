import { silentLogger } from '@millrace/core'
import { logSuite } from '../suite.ts'
import { withPostgres } from '../testing/postgres.ts'
import { openPostgresLog } from './index.ts'

withPostgres('the log in PostgreSQL', create => {
  logSuite('postgres', async ({ clock, beforeSync, queueBytesMax }) => {
    const { database, dispose } = await create()
    const options = { queueBytesMax, beforeCommit: beforeSync }
    return {
      open: () => openPostgresLog({ database, clock, logger: silentLogger, options }),
      dispose,
    }
  })
})
