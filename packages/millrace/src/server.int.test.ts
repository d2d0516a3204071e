/** The server with its log in PostgreSQL, chosen by DATABASE_URL alone. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, test } from 'node:test'
import { isError, silentLogger } from '@millrace/core'
import { Database } from '@millrace/log/postgres'
import { openForTest } from './testing/clips.ts'
import { startServer } from './testing/child.ts'
import { crashSuite } from './testing/crash-suite.ts'

const server = process.env['MILLRACE_TEST_POSTGRES']
const reason =
  process.env['MILLRACE_TEST_POSTGRES_ABSENT'] ??
  'MILLRACE_TEST_POSTGRES names no server; `npm test -- --int` starts one'

/** Runs with an empty database in the environment, and a directory for what stays on the machine. */
async function withDatabase(run: (directory: string) => Promise<void>): Promise<void> {
  const admin = new Database({ url: server as string, logger: silentLogger })
  const name = `millrace_${randomBytes(6).toString('hex')}`
  const directory = await mkdtemp(join(tmpdir(), 'millrace-postgres-'))
  await admin.query(`CREATE DATABASE ${name}`)
  const url = new URL(server as string)
  url.pathname = name
  process.env['DATABASE_URL'] = url.href
  try {
    await run(directory)
  } finally {
    delete process.env['DATABASE_URL']
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`)
    await admin.close()
    await rm(directory, { recursive: true })
  }
}

if (server === undefined) {
  test('the server on PostgreSQL', { skip: reason }, () => assert.ok(server))
} else {
  crashSuite('data in PostgreSQL', withDatabase)

  describe('a server on PostgreSQL', () => {
    it('owns the log: a second one is refused while it lives, and welcome after', () =>
      withDatabase(async directory => {
        const first = await openForTest({ data: directory })
        const owned = (error: unknown): boolean => isError(error, 'DATABASE_OWNED')
        await assert.rejects(openForTest({ data: join(directory, 'other') }), owned)
        await first.track('watched', { viewer: 'p', clip: 'c', watchedMs: 5 })
        await first.close()
        const second = await openForTest({ data: join(directory, 'other') })
        assert.equal(second.view('time').get('p').value, 5)
        await second.close()
      }))

    it('that was paused for longer than its lease commits nothing afterwards', () =>
      withDatabase(async directory => {
        const paused = await startServer(join(directory, 'paused'))
        const send = (id: string): Promise<number> =>
          fetch(`${paused.url}/v1/events`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({
              type: 'watched',
              id,
              data: { viewer: 'p', clip: 'c', watchedMs: 1 },
            }),
          }).then(answer => answer.status)
        assert.ok((await send('before')) < 300)
        paused.process.kill('SIGSTOP')
        const late = send('late')
        const next = await openForTest({ data: join(directory, 'next') })
        paused.process.kill('SIGCONT')
        const status = await late
        const found = [await next.log.find('before'), await next.log.find('late')]
        await next.close()
        await paused.stop('SIGKILL')
        assert.equal(status, 503)
        assert.deepEqual(
          found.map(record => record?.id),
          ['before', undefined],
        )
      }))
  })
}
