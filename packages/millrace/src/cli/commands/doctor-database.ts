/** What doctor finds in the database that holds the log. */
import { readConfig } from '../../config.ts'
import { inspectDatabase } from '../../wiring/inspect-database.ts'
import type { CommandContext } from '../context.ts'
import type { Finding } from './doctor.ts'

const check = 'database'

/** Findings about the database that is set, and who does what on it; none where none is set. */
export async function checkDatabase({
  environment,
}: Pick<CommandContext, 'environment'>): Promise<Finding[]> {
  const { database } = readConfig({}, environment)
  if (database === '') return []
  const { host, pathname } = new URL(database)
  const { version, leases } = await inspectDatabase(database)
  const message = `PostgreSQL ${version} at ${host}${pathname}`
  const findings: Finding[] = [{ check, status: 'ok', message }]
  const byOwner = Map.groupBy(leases, ({ owner, address }) => address ?? owner)
  for (const [owner, held] of byOwner) {
    const numbers = held.map(({ partition }) => partition).join(', ')
    const partitions = `${held.length === 1 ? 'partition' : 'partitions'} ${numbers}`
    findings.push(
      owner === undefined
        ? {
            check,
            status: 'warning',
            message: `nobody processes ${partitions}`,
            remedy: 'Start a process; one that was killed is replaced within three seconds.',
          }
        : { check, status: 'ok', message: `${owner} processes ${partitions}` },
    )
  }
  return findings
}
