import { Argument, type Command } from 'commander'
import { readConfig } from '../../config.ts'
import { moveData } from '../../wiring/move.ts'
import { databaseHome, directoryHome } from '../../wiring/move-homes.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { count } from '../output.ts'
import { createProgress, duration } from '../progress.ts'
import type { Run } from '../run-command.ts'

type Direction = 'to-postgres' | 'from-postgres'

/** `move`: between a data directory and PostgreSQL. */
export function addMove(program: Command, run: Run): void {
  program
    .command('move')
    .summary('move the product between its data directory and PostgreSQL')
    .description(
      'Moves every record, step and state while the servers run, compares each record, waits until the servers are stopped, moves the rest, and says how long nobody served. Killed at any time, the same command goes on.',
    )
    .addArgument(new Argument('<direction>').choices(['to-postgres', 'from-postgres']))
    .option('--database <address>', 'the PostgreSQL; DATABASE_URL')
    .option('--stop', 'stop the server of the data directory when only the newest records are left')
    .action(run<[Direction, { database?: string; stop?: boolean }]>(move))
}

async function move(
  context: CommandContext,
  direction: Direction,
  options: { database?: string; stop?: boolean },
): Promise<void> {
  const { output, clock, environment, data } = context
  const { database: url } = readConfig(
    options.database === undefined ? {} : { database: options.database },
    environment,
  )
  if (url === '' || data === 'memory') {
    const reason = url === '' ? 'No PostgreSQL is named.' : 'What is in memory cannot be moved.'
    const next = 'Set DATABASE_URL or --database, and --data to a directory.'
    throw cliErrors.create('CLI_USAGE', { reason, next })
  }
  const directory = directoryHome(data, context)
  const database = await databaseHome(url, context)
  const [from, to] = direction === 'to-postgres' ? [directory, database] : [database, directory]
  const progress = createProgress(output, clock)
  progress.begin('Moving', 'rows')
  try {
    const report = await moveData({
      from,
      to,
      clock,
      random: context.random,
      stopsServers: options.stop === true,
      onProgress: (moved, all) => progress.update(moved, all, moved),
      onWaiting(servers) {
        progress.end()
        const wish = options.stop === true ? 'Stopping' : 'Stop'
        output.note(`All but the newest records are moved. ${wish} now: ${servers.join(', ')}`)
      },
    })
    const { partitions, stoodStillMs, recordsLast, ...rest } = report
    const records = partitions.reduce((sum, each) => sum + each.records, 0)
    const start = direction === 'to-postgres' ? 'with DATABASE_URL' : 'without DATABASE_URL'
    output.result(
      { from: from.place, to: to.place, records, stoodStillMs, recordsLast, ...rest, partitions },
      [
        `${count(records)} records are at ${to.place}, each compared with the one at ${from.place}.`,
        `Nobody served for ${duration(stoodStillMs / 1000)}, in which ${count(recordsLast)} records were moved.`,
        `Start the server ${start}. What is at ${from.place} stays as it was, and is not opened any more.`,
      ].join('\n'),
    )
  } finally {
    progress.end()
    await to.close()
    await from.close()
  }
}
