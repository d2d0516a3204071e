/** A database of its own for a test, on the server that `npm test -- --int` starts. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '@millrace/core'
import { Database } from '@millrace/log/postgres'

/** Runs with an empty database in the environment, and a directory for what stays on the machine. */
export async function withDatabase(
  server: string,
  run: (directory: string, url: string) => Promise<void>,
): Promise<void> {
  const admin = new Database({ url: server, logger: silentLogger })
  const name = `millrace_${randomBytes(6).toString('hex')}`
  const directory = await mkdtemp(join(tmpdir(), 'millrace-postgres-'))
  await admin.query(`CREATE DATABASE ${name}`)
  const url = new URL(server)
  url.pathname = name
  process.env['DATABASE_URL'] = url.href
  try {
    await run(directory, url.href)
  } finally {
    delete process.env['DATABASE_URL']
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`)
    await admin.close()
    await rm(directory, { recursive: true })
  }
}
