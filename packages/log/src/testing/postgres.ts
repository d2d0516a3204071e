/**
 * A real PostgreSQL for tests: `npm test -- --int` starts one and names it in MILLRACE_TEST_POSTGRES,
 * or says in MILLRACE_TEST_POSTGRES_ABSENT why it could not.
 */
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { silentLogger } from '@millrace/core'
import { Database } from '../postgres/index.ts'

/** A schema of its own in the server of the tests. */
export interface TestDatabase {
  readonly database: Database
  /** Opens it again, as another process does; close it before `dispose`. */
  open(): Database
  /** Drops the schema. */
  dispose(): Promise<void>
}

/** Registers tests that need the server, or one skipped test that says why there is none. */
export function withPostgres(
  title: string,
  register: (create: () => Promise<TestDatabase>, url: string) => void,
): void {
  withServer('MILLRACE_TEST_POSTGRES', title, register)
}

/** As `withPostgres`, through a pooler in transaction mode. */
export function withPooler(
  title: string,
  register: (create: () => Promise<TestDatabase>, url: string) => void,
): void {
  withServer('MILLRACE_TEST_PGBOUNCER', title, register)
}

function withServer(
  name: string,
  title: string,
  register: (create: () => Promise<TestDatabase>, url: string) => void,
): void {
  const url = process.env[name]
  if (url !== undefined) return register(async () => createSchema(url), url)
  const reason =
    process.env[`${name}_ABSENT`] ?? `${name} names no server; \`npm test -- --int\` starts one`
  test(title, { skip: reason }, () => undefined)
}

function createSchema(url: string): TestDatabase {
  const schema = `test_${randomBytes(8).toString('hex')}`
  const open = (): Database => new Database({ url, schema, logger: silentLogger })
  const database = open()
  return {
    database,
    open,
    async dispose() {
      await database.query('DROP SCHEMA IF EXISTS $schema CASCADE')
      await database.close()
    },
  }
}
