import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { silentLogger, systemRandom } from '@millrace/core'
import { Database } from '../../postgres/database.ts'
import { migrate } from '../../postgres/migrations.ts'
import { logMigrations } from '../../postgres/schema.ts'
import { keySuite } from '../suite.ts'
import { openPostgresKeys } from './index.ts'

const url = process.env['MILLRACE_TEST_POSTGRES']
const reason =
  process.env['MILLRACE_TEST_POSTGRES_ABSENT'] ??
  'MILLRACE_TEST_POSTGRES names no server; `npm test -- --int` starts one'

/** A database with the tables in a schema of its own. */
async function openDatabase(): Promise<{ database: Database; dispose: () => Promise<void> }> {
  const schema = `test_${randomBytes(8).toString('hex')}`
  const database = new Database({ url: url as string, schema, logger: silentLogger })
  await migrate(database, logMigrations)
  const dispose = async (): Promise<void> => {
    await database.query('DROP SCHEMA $schema CASCADE')
    await database.close()
  }
  return { database, dispose }
}

if (url === undefined)
  test('the store of keys in PostgreSQL', { skip: reason }, () => assert.ok(url))
else {
  keySuite('postgres', async () => {
    const { database, dispose } = await openDatabase()
    return { store: await openPostgresKeys(database, systemRandom), dispose }
  })

  test('processes agree on keys, and hear that one was destroyed', async () => {
    const { database, dispose } = await openDatabase()
    const [one, two] = [
      await openPostgresKeys(database, systemRandom),
      await openPostgresKeys(database, systemRandom),
    ]
    await Promise.all([one.ensure(['ana', 'ben']), two.ensure(['ben', 'ana'])])
    assert.deepEqual([one.get('ana'), one.get('ben')], [two.get('ana'), two.get('ben')])
    await one.destroy(['ana'])
    await two.load(['ana'])
    assert.deepEqual([two.get('ana'), two.isDestroyed('ana')], [undefined, true])
    const [row] = await database.query(
      "SELECT count(*), count(key) FROM $schema.person_keys WHERE name = 'ana'",
    )
    assert.deepEqual(row, ['1', '0'])
    await dispose()
  })

  for (const isElsewhere of [false, true]) {
    const where = isElsewhere ? 'one of another database' : 'a transaction'
    test(`a key is in no file any more, though ${where} could still see it`, () =>
      assertGone(isElsewhere))
  }

  /** Destroys a key while a transaction goes on, of this or of another database of the server. */
  async function assertGone(isElsewhere: boolean): Promise<void> {
    const { database, dispose } = await openDatabase()
    const elsewhere = `other_${randomBytes(8).toString('hex')}`
    if (isElsewhere) await database.query(`CREATE DATABASE ${elsewhere}`)
    const place = new URL(url as string)
    if (isElsewhere) place.pathname = `/${elsewhere}`
    const beside = new Database({ url: place.href, logger: silentLogger })
    const keys = await openPostgresKeys(database, systemRandom)
    await keys.ensure(['ana', 'ben'])
    const secret = Buffer.from(keys.get('ana') as Uint8Array).toString('hex')
    const fileText = async (): Promise<string> => {
      await database.query('CHECKPOINT')
      const [[text] = []] = await database.query(
        "SELECT encode(pg_read_binary_file(pg_relation_filepath('$schema.person_keys')), 'hex')",
      )
      return text as string
    }
    assert.ok((await fileText()).includes(secret))
    let destroyed: Promise<void> | undefined
    await beside.transaction(async query => {
      await query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ')
      // A snapshot, though of another table: the one of keys is not locked. And a number, as who writes has.
      await query('SELECT count(*) FROM pg_class')
      if (isElsewhere) await query('SELECT pg_current_xact_id()')
      destroyed = keys.destroy(['ana'])
      // It has taken the key out of the row, and waits for this transaction.
      for (let left = 1; left > 0;) {
        const rows = await database.query("SELECT count(key) FROM $schema.person_keys WHERE name = 'ana'") // prettier-ignore
        left = Number(rows[0]?.[0])
      }
      assert.ok((await fileText()).includes(secret))
    })
    await destroyed
    assert.ok(!(await fileText()).includes(secret))
    await beside.close()
    if (isElsewhere) await database.query(`DROP DATABASE ${elsewhere}`)
    await dispose()
  }
}
