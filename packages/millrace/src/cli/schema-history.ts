/**
 * The schema history as a command reads it: from the running server of the data directory, or from
 * the directory itself, or from the database that DATABASE_URL names. Nothing is registered and no definition is checked by opening it.
 */
import { existsSync } from 'node:fs'
import type { LogRecord } from '@millrace/log'
import {
  SCHEMA_STREAM,
  readSchemaHistory,
  type BrokenVersion,
  type SchemaHistory,
} from '@millrace/log/schemas'
import { readConfig } from '../config.ts'
import { openDatabaseForReading, openForReading } from '../wiring/backends.ts'
import { findBroken } from '../wiring/schemas.ts'
import { connect, findServer } from './connect.ts'
import type { CommandContext } from './context.ts'

/** What is known of a log's definitions. */
export interface OpenedHistory {
  readonly history: SchemaHistory
  /** Those of the broken versions that bind: of which the log holds events, where that can be seen. */
  readonly find: (broken: readonly BrokenVersion[]) => Promise<readonly BrokenVersion[]>
}

/** Reads the history and hands it on while the log is open. */
export async function readHistory<T>(
  context: CommandContext,
  use: (opened: OpenedHistory) => Promise<T>,
): Promise<T> {
  const server = await findServer(context)
  if (server !== undefined) return use(await fromServer(context))
  const { database } = readConfig({}, context.environment)
  if (database === '' && !existsSync(context.data)) {
    return use({
      history: { versions: new Map(), definitions: new Map() },
      find: () => Promise.resolve([]),
    })
  }
  const opened =
    database === ''
      ? await openForReading(context)
      : await openDatabaseForReading(database, context.clock)
  try {
    const history = await readSchemaHistory(opened.log)
    const find: OpenedHistory['find'] = async broken =>
      (await findBroken(opened.log, broken, history)).map(({ fault }) => fault)
    return await use({ history, find })
  } finally {
    await opened.close()
  }
}

async function fromServer(context: CommandContext): Promise<OpenedHistory> {
  const connection = await connect(context)
  try {
    const path = `/v1/log/streams/${SCHEMA_STREAM}/0`
    const page = async (from: number): Promise<{ records: readonly LogRecord[]; end: number }> => {
      const query = { from: String(from), limit: '1000' }
      const { body } = await connection.request({ method: 'GET', path, query })
      return body as { records: readonly LogRecord[]; end: number }
    }
    const { end } = await page(0)
    const history = await readSchemaHistory({
      ends: () => new Map([[`${SCHEMA_STREAM}/0`, end]]),
      read: async ({ from }) => (await page(from)).records,
    })
    // Which versions the log holds events of is not asked for: all of them bind.
    return { history, find: broken => Promise.resolve(broken) }
  } finally {
    await connection.close()
  }
}
