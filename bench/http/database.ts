/** A PostgreSQL of its own for a measurement, with what it costs. */
import { readFileSync, readdirSync } from 'node:fs'
import { silentLogger } from '@millrace/core'
import { Database } from '@millrace/log/postgres'
import { startPostgres } from '../../scripts/postgres.ts'

/** A server under measurement, named by DATABASE_URL from now on. */
export interface BenchDatabase {
  /** Processor time of all its processes so far, seconds. */
  cpuSeconds(): number
  /** Bytes of its journal so far. */
  walBytes(): Promise<number>
  stop(): Promise<void>
}

const TICKS_PER_SECOND = 100

/** Starts it. */
export async function startBenchDatabase(): Promise<BenchDatabase> {
  const server = await startPostgres()
  if ('reason' in server) throw new Error(server.reason)
  process.env['DATABASE_URL'] = server.url
  const database = new Database({ url: server.url, logger: silentLogger })
  return {
    cpuSeconds: () => familyTicks(server.pid) / TICKS_PER_SECOND,
    async walBytes() {
      const [row] = await database.query(`SELECT pg_current_wal_lsn() - '0/0'::pg_lsn`)
      return Number(row?.[0])
    },
    async stop() {
      await database.close()
      await server.stop()
    },
  }
}

/** Processor time of a process, of the children that ended, and of those that live. */
function familyTicks(pid: number): number {
  let ticks = 0
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const fields = fieldsOf(name)
    if (fields === undefined) continue
    const [own = 0, system = 0, ended = 0, endedSystem = 0] = fields.slice(11, 15).map(Number)
    if (Number(name) === pid) ticks += own + system + ended + endedSystem
    else if (Number(fields[1]) === pid) ticks += own + system
  }
  return ticks
}

/** The fields of a process after its name, which may hold blanks; undefined when it has just ended. */
function fieldsOf(name: string): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}
