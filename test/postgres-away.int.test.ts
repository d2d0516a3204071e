/** A server whose PostgreSQL has gone for good, with events on their way, is told to stop. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { startServer } from '../packages/millrace/src/testing/child.ts'
import { watchedBy } from '../packages/millrace/src/testing/clips.ts'
import { send } from '../packages/millrace/src/testing/http.ts'
import { startPostgres } from '../scripts/postgres.ts'

const EVENTS = Array.from({ length: 50 }, (_, index) => watchedBy(`p${index % 9}`, 'c1'))

const database = await startPostgres({ isDurable: false })

if ('reason' in database) {
  test('a database that goes', { skip: database.reason }, () => assert.fail('it was skipped'))
} else {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-away-'))
  after(() => rm(folder, { recursive: true, force: true }))
  test('a server that is told to stop while its database is away ends by itself', async t => {
    const server = await startServer(folder, { env: { DATABASE_URL: database.url } })
    t.after(() => server.stop('SIGKILL'))
    const post = async (): Promise<number> =>
      (await send(server.url, '/v1/events', { body: EVENTS })).status
    for (let request = 0; request < 20; request++) assert.equal(await post(), 200)
    await database.stop()
    // Folds are behind, steps and events are on their way, and nobody will take them.
    const waiting = Array.from({ length: 4 }, () => post().catch(() => 0))
    assert.equal(await server.stop('SIGTERM'), 0)
    for (const status of await Promise.all(waiting)) assert.notEqual(status, 200)
  })
}
