import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { silentLogger } from '@millrace/core'
import { Database, migrate } from '@millrace/log/postgres'
import type { SnapshotStore } from '../snapshots.ts'
import { chunk, chunksOf, meta, testSnapshotStore } from '../suite.ts'
import { openPostgresSnapshotStore, snapshotMigrations } from './index.ts'

const url = process.env['MILLRACE_TEST_POSTGRES']
const reason =
  process.env['MILLRACE_TEST_POSTGRES_ABSENT'] ??
  'MILLRACE_TEST_POSTGRES names no server; `npm test -- --int` starts one'

/** A store in a schema of its own, which is dropped when the store is closed. */
async function openStore(): Promise<{ database: Database; store: SnapshotStore }> {
  const schema = `test_${randomBytes(8).toString('hex')}`
  const database = new Database({ url: url as string, schema, logger: silentLogger })
  await migrate(database, snapshotMigrations)
  const store = openPostgresSnapshotStore(database)
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    await store.close()
    await database.query('DROP SCHEMA $schema CASCADE')
    await database.close()
  }
  return {
    database,
    store: {
      save: (...save) => store.save(...save),
      load: name => store.load(name),
      list: () => store.list(),
      remove: name => store.remove(name),
      close: () => (closing ??= close()),
    },
  }
}

if (url === undefined)
  test('the snapshot store in PostgreSQL', { skip: reason }, () => assert.ok(url))
else {
  testSnapshotStore('postgres', async () => (await openStore()).store)

  test('two processes save one name at once: the later one stays whole, nothing is left over', async () => {
    const { database, store } = await openStore()
    const other = openPostgresSnapshotStore(database)
    await Promise.all(
      Array.from({ length: 10 }, (_, number) => [
        store.save('view', meta(number), [chunk(1000, number), chunk(3, number)]),
        other.save('view', meta(100 + number), [chunk(1000, 100 + number)]),
      ]).flat(),
    ).catch((error: unknown) => assert.fail(String(error)))
    const found = await store.load('view')
    const info = found?.meta.info as { position: Record<string, number> } | undefined
    const number = info?.position['clips/0'] as number
    assert.deepEqual((await chunksOf(found))[0], chunk(1000, number))
    await store.save('view', meta(200), [])
    await store.save('view', meta(201), [])
    const [left] = await database.query('SELECT count(*) FROM $schema.snapshot_chunks')
    assert.equal(left?.[0], '0')
    await store.close()
  })
}
