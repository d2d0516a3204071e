/**
 * A PostgreSQL of our own for tests and measurements: a new cluster in the temporary folder, on a free
 * port of loopback, with the durability of a real one, gone afterwards. Debian's packages are
 * installed when they are missing, in the CI as root only; elsewhere the caller hears why there is none.
 *
 * `node scripts/postgres.ts` starts one, prints its address and stops it at the end of its input.
 */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'

/** A running server. */
export interface PostgresServer {
  readonly url: string
  /** Its first process. */
  readonly pid: number
  /** Kills it with SIGKILL and starts it again on the same data and port. */
  crash(): Promise<void>
  /** Ends it and removes its data. */
  stop(): Promise<void>
}

const DEBIAN = '/usr/lib/postgresql'
/** The account that Debian's package makes; the server refuses to run as root. */
export const ACCOUNT = 'postgres'
const START_TIMEOUT_MS = 60_000

/**
 * Starts a server, or says why it cannot. Without `isDurable` it leaves out fsync, which processes
 * that are killed cannot tell; only a machine that loses its power can.
 */
export async function startPostgres({
  isDurable = true,
}: { readonly isDurable?: boolean } = {}): Promise<PostgresServer | { readonly reason: string }> {
  const bin = findBin() ?? install()
  if (bin === undefined) return { reason: 'PostgreSQL is not installed on this machine' }
  const isRoot = userInfo().uid === 0
  if (isRoot && spawnSync('id', [ACCOUNT]).status !== 0) {
    return { reason: `PostgreSQL does not run as root, and there is no account ${ACCOUNT}` }
  }
  const asAccount = isRoot ? ['setpriv', `--reuid=${ACCOUNT}`, `--regid=${ACCOUNT}`, '--init-groups'] : [] // prettier-ignore
  const data = mkdtempSync(join(tmpdir(), 'millrace-postgres-'))
  if (isRoot) execFileSync('chown', [ACCOUNT, data])
  const run = (command: readonly string[]): ChildProcess => {
    const [program, ...rest] = [...asAccount, ...command] as [string, ...string[]]
    // The server may not read the folder that we stand in.
    return spawn(program, rest, { cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] })
  }
  try {
    await initialise(run, bin, data)
    return await serve(run, { bin, data, isDurable })
  } catch (error) {
    rmSync(data, { recursive: true, force: true })
    throw error
  }
}

type Run = (command: readonly string[]) => ChildProcess

async function initialise(run: Run, bin: string, data: string): Promise<void> {
  const options = ['-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync']
  const child = run([join(bin, 'initdb'), '-D', data, ...options])
  const text = textOf(child)
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`initdb failed: ${text()}`)
}

async function serve(
  run: Run,
  { bin, data, isDurable }: { bin: string; data: string; isDurable: boolean },
): Promise<PostgresServer> {
  const port = await freePort()
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    shared_buffers: '128MB',
    max_connections: '100',
    max_wal_size: '2GB',
    fsync: isDurable ? 'on' : 'off',
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const command = [join(bin, 'postgres'), '-D', data, ...flags]
  let current = await launch(run, command, port)
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    get pid() {
      return current.child.pid as number
    },
    async crash() {
      current.child.kill('SIGKILL')
      await current.exited
      current = await launch(run, command, port)
    },
    async stop() {
      // SIGINT is its fast shutdown: sessions are ended, what is committed is written.
      if (current.child.exitCode === null) current.child.kill('SIGINT')
      await current.exited
      rmSync(data, { recursive: true, force: true })
    },
  }
}

/** Starts the server; again while the processes of one that was killed hold on to its memory. */
async function launch(
  run: Run,
  command: readonly string[],
  port: number,
): Promise<{ readonly child: ChildProcess; readonly exited: Promise<unknown> }> {
  const giveUpAt = Date.now() + START_TIMEOUT_MS
  for (;;) {
    const child = run(command)
    const text = textOf(child)
    const exited = once(child, 'exit')
    const isReady = (): boolean => /database system is ready to accept connections/.test(text())
    while (child.exitCode === null && Date.now() < giveUpAt) {
      if (isReady() && (await isOpen(port))) return { child, exited }
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    child.kill('SIGKILL')
    await exited
    if (!/still in use/.test(text())) throw new Error(`PostgreSQL did not start: ${text()}`)
  }
}

/** The newest installed one: Debian's place first, then the PATH. */
function findBin(): string | undefined {
  if (existsSync(DEBIAN)) {
    const versions = readdirSync(DEBIAN).toSorted((a, b) => Number(b) - Number(a))
    for (const version of versions) {
      const bin = join(DEBIAN, version, 'bin')
      if (existsSync(join(bin, 'initdb'))) return bin
    }
  }
  const found = spawnSync('pg_config', ['--bindir'], { encoding: 'utf8' })
  const bin = found.status === 0 ? found.stdout.trim() : ''
  return existsSync(join(bin, 'initdb')) ? bin : undefined
}

/** The server's place after its package was installed. */
function install(): string | undefined {
  return installPackages(['postgresql']) ? findBin() : undefined
}

/** Installs Debian's packages in the CI, where root may; elsewhere it does nothing. */
export function installPackages(names: readonly string[]): boolean {
  const isDebian =
    existsSync('/etc/os-release') && /debian|ubuntu/i.test(readFileSync('/etc/os-release', 'utf8'))
  if (process.env['CI'] !== 'true' || userInfo().uid !== 0 || !isDebian) return false
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const lock = ['-o', 'DPkg::Lock::Timeout=300', '-qq']
  const packages = ['install', '-y', '--no-install-recommends', ...names]
  spawnSync('apt-get', [...lock, 'update'], { stdio: 'inherit', env })
  spawnSync('apt-get', [...lock, ...packages], { stdio: 'inherit', env })
  return true
}

function textOf(child: ChildProcess): () => string {
  let text = ''
  child.stderr?.on('data', chunk => (text = (text + String(chunk)).slice(-20_000)))
  return () => text
}

/** A port of loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** True when something listens on a port of loopback. */
export async function isOpen(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

if (import.meta.main) {
  const server = await startPostgres()
  if ('reason' in server) {
    console.error(server.reason)
    process.exitCode = 1
  } else {
    console.log(server.url)
    process.stdin.resume()
    const ended = Promise.race([
      once(process.stdin, 'end'),
      once(process, 'SIGINT'),
      once(process, 'SIGTERM'),
    ])
    await ended
    await server.stop()
    process.exit()
  }
}
