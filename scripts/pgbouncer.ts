/**
 * A PgBouncer in transaction mode in front of a PostgreSQL, for tests: a connection of a client has
 * another one of the server for each transaction. Debian's package, installed in the CI.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { ACCOUNT, freePort, installPackages, isOpen } from './postgres.ts'

/** A running pooler. */
export interface Pooler {
  /** As the address of the server, but through the pooler. */
  readonly url: string
  stop(): Promise<void>
}

const START_TIMEOUT_MS = 10_000

/** Starts one in front of the server at `url`, or says why it cannot. */
export async function startPgBouncer(url: string): Promise<Pooler | { readonly reason: string }> {
  const isThere = (): boolean => spawnSync('pgbouncer', ['--version']).status === 0
  if (!isThere()) installPackages(['pgbouncer'])
  if (!isThere()) return { reason: 'PgBouncer is not installed on this machine' }
  const { hostname, port: serverPort, username } = new URL(url)
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'millrace-pgbouncer-'))
  const settings = join(folder, 'pgbouncer.ini')
  writeFileSync(
    settings,
    [
      '[databases]',
      `* = host=${hostname} port=${serverPort} user=${username}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = any',
      'pool_mode = transaction',
      // Few enough that clients do get connections of each other.
      'default_pool_size = 8',
      'max_client_conn = 500',
    ].join('\n'),
  )
  chmodSync(folder, 0o755)
  // It refuses to run as root, as the server does.
  const account = userInfo().uid === 0 ? ['-u', ACCOUNT] : []
  const child = spawn('pgbouncer', [...account, settings], { stdio: ['ignore', 'ignore', 'pipe'] })
  const stop = async (): Promise<void> => {
    await ended(child)
    rmSync(folder, { recursive: true, force: true })
  }
  const giveUpAt = Date.now() + START_TIMEOUT_MS
  while (!(await isOpen(port))) {
    if (child.exitCode !== null || Date.now() > giveUpAt) {
      await stop()
      return { reason: 'PgBouncer did not start' }
    }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  const pooled = new URL(url)
  pooled.port = String(port)
  return { url: pooled.href, stop }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}
