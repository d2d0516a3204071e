/**
 * Connections to one PostgreSQL database, in a schema of our own.
 *
 * Every call is one statement, or one transaction that begins and ends here; nothing relies on the
 * state of a session. So it works through a pooler in transaction mode. Only `listen` needs a session
 * of its own; where a pooler swallows notifications, polling stands in for them.
 */
import type { Logger } from '@millrace/core'
import pg from 'pg'
import type { PoolClient } from 'pg'
import { logErrors } from '../errors.ts'

/** Where the database is. */
export interface DatabaseOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly url: string
  /** Everything that Millrace keeps is in this schema. Default `millrace`. */
  readonly schema?: string
  readonly logger: Logger
  /** Connections at most, besides the one that listens. Default 6. */
  readonly connectionsMax?: number
}

/** A row: its columns as text, in the order of the statement. */
export type Row = readonly (string | null)[]

/** What statements are given: text, numbers, `null`, or bytes in PostgreSQL's binary format. */
export type Parameter = string | number | boolean | null | Buffer

/** Runs a statement; `$schema` in its text stands for our schema. */
export type Query = (text: string, parameters?: readonly Parameter[]) => Promise<readonly Row[]>

const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,62}$/
const CONNECTIONS_MAX_DEFAULT = 6
const CONNECT_TIMEOUT_MS = 5_000
/** Columns stay the text that PostgreSQL sends: who reads them knows what they are. */
const asText = { getTypeParser: () => (value: string) => value }

/** See the head of the file. */
export class Database {
  readonly schema: string
  readonly #pool: pg.Pool
  readonly #options: DatabaseOptions

  /** Connects at the first statement. Refuses a malformed schema name (DATABASE_INVALID). */
  constructor(options: DatabaseOptions) {
    this.#options = options
    this.schema = options.schema ?? 'millrace'
    if (!SCHEMA_NAME.test(this.schema)) {
      const reason = `the schema ${this.schema} is not [a-z_][a-z0-9_]*`
      throw logErrors.create('DATABASE_INVALID', { reason })
    }
    this.#pool = new pg.Pool({
      ...connectionOf(options.url),
      max: options.connectionsMax ?? CONNECTIONS_MAX_DEFAULT,
      allowExitOnIdle: true,
    })
    // A session that ends between two statements: the next statement on it says so.
    this.#pool.on('connect', client => client.on('error', () => undefined))
    this.#pool.on('error', error => {
      options.logger.warn('a connection to the database ended', { reason: error.message })
    })
  }

  /** Runs one statement, a transaction of its own. A connection whose statement failed to answer is not used again. */
  async query(text: string, parameters: readonly Parameter[] = []): Promise<readonly Row[]> {
    const client = await this.#pool.connect()
    try {
      const rows = await this.#run(client, text, parameters)
      client.release()
      return rows
    } catch (error) {
      client.release(isLostConnection(error))
      throw error
    }
  }

  /** Runs `work` in one transaction; rolled back when it rejects. */
  async transaction<T>(work: (query: Query) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect()
    try {
      await client.query('BEGIN')
      const result = await work((text, parameters = []) => this.#run(client, text, parameters))
      await client.query('COMMIT')
      client.release()
      return result
    } catch (error) {
      const isBack = !isLostConnection(error) && (await this.#rollBack(client))
      client.release(!isBack)
      throw error
    }
  }

  /**
   * Calls `onNotice` with the text of every notification on `channel`; `onEnd` once, when the session
   * that was had is gone. Rejects when the session cannot be had.
   */
  async listen(
    channel: string,
    onNotice: (text: string) => void,
    onEnd: () => void,
  ): Promise<() => Promise<void>> {
    const client = new pg.Client(connectionOf(this.#options.url))
    let isHad = false
    client.on('error', () => undefined)
    client.on('end', () => {
      if (isHad) onEnd()
      isHad = false
    })
    client.on('notification', notice => onNotice(notice.payload ?? ''))
    try {
      await client.connect()
      await client.query(`LISTEN ${pg.escapeIdentifier(channel)}`)
    } catch (error) {
      // One that connected and may not listen would stay open.
      client.end().catch(() => undefined)
      throw error
    }
    isHad = true
    return async () => {
      isHad = false
      await client.end()
    }
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }

  async #rollBack(client: PoolClient): Promise<boolean> {
    try {
      await client.query('ROLLBACK')
      return true
    } catch (error) {
      this.#options.logger.debug('a connection could not roll back and is dropped', { error })
      return false
    }
  }

  async #run(
    client: PoolClient,
    text: string,
    parameters: readonly Parameter[],
  ): Promise<readonly Row[]> {
    const sql = text.replaceAll('$schema', this.schema)
    // Without parameters several statements may stand in one text; then there is no single result.
    const config = { text: sql, rowMode: 'array' as const, types: asText }
    const answer = await client.query<(string | null)[]>(
      parameters.length === 0 ? config : { ...config, values: [...parameters] },
    )
    return answer.rows ?? []
  }
}

function connectionOf(url: string): pg.ClientConfig {
  return {
    connectionString: url,
    application_name: 'millrace',
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  }
}

/** The SQLSTATE of an error of the server. */
export function stateOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined
}

/** True when the connection failed, so that nobody knows whether the statement was run. */
export function isLostConnection(error: unknown): boolean {
  const state = stateOf(error)
  // 08: connection; 57P01 to 57P05: the server ends or is starting.
  if (state !== undefined) return state.startsWith('08') || state.startsWith('57P')
  const code = (error as { code?: unknown } | undefined)?.code
  if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) return true
  return error instanceof Error && /connection|timeout|not queryable/i.test(error.message)
}

/** True when nobody answered: no server listens there, or the address leads nowhere. */
export function isUnreachable(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown }
  const isRefused = /^E(CONNREFUSED|NOTFOUND|AI_AGAIN|HOSTUNREACH|NETUNREACH|TIMEDOUT)$/
  return isRefused.test(String(code)) || /timeout/.test(String(message))
}

/** True when the same statement may succeed later: the server is away, full, busy, or somebody else was faster. */
export function isPassing(error: unknown): boolean {
  const state = stateOf(error)
  if (state === undefined) return isLostConnection(error)
  // 23505: another process was first; 40: serialisation, deadlock; 53: disk full, too many
  // connections; 25006: a standby that is not promoted yet; 57014: cancelled; 55P03: lock not had.
  return /^(08|40|53|57P)|^(23505|25006|57014|55P03)$/.test(state)
}
