/** `data`: the format of a data directory, or of the database that is set. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { DATA_FORMAT, readIdentity, writeIdentity } from '../../wiring/identity.ts'
import { readConfig } from '../../config.ts'
import {
  downgradeDatabase,
  inspectDatabase,
  type DatabaseReport,
} from '../../wiring/inspect-database.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import type { Run } from '../run-command.ts'
import { inLockedDirectory } from './backup.ts'

/** Registers `data`. */
export function addData(program: Command, run: Run): void {
  const group = program
    .command('data')
    .summary('the format of the data directory')
    .description(
      'A data directory has a format, a number; the tables of a database have one for each part. ' +
        'This version reads and upgrades the one before when it opens it, and refuses a later one. ' +
        'With DATABASE_URL the database is meant.',
    )
  group.command('format').summary('the format of the data directory').action(run<[object]>(format))
  group
    .command('downgrade')
    .summary('make it readable for the version before')
    .description(
      'Makes the data directory one of the format before. Events stay; the units of past commits go, ' +
        'with which backups are restored to a moment. With DATABASE_URL its tables become those of the ' +
        'version before; what is in them stays.',
    )
    .action(run<[object]>(downgrade))
}

async function formatOf(context: CommandContext): Promise<number> {
  const identity = await readIdentity(context.data)
  if (identity !== undefined) return identity.format
  const next = 'Name the data directory with --data.'
  const reason = `There is no data in ${context.data}.`
  throw cliErrors.create('CLI_REFUSED', { reason, next, code: 'DATA_MISSING' })
}

async function format(context: CommandContext): Promise<void> {
  const url = databaseOf(context)
  if (url !== '') return showDatabase(context, url, await inspectDatabase(url))
  const found = await formatOf(context)
  const text = `${context.data} has format ${found}; this version writes ${DATA_FORMAT}.`
  context.output.result({ directory: context.data, format: found, writes: DATA_FORMAT }, text)
}

async function downgrade(context: CommandContext): Promise<void> {
  const { data } = context
  const url = databaseOf(context)
  if (url !== '') return showDatabase(context, url, await downgradeDatabase(url))
  await formatOf(context)
  await inLockedDirectory(data, async () => {
    const identity = await readIdentity(data)
    if (identity === undefined || identity.format < DATA_FORMAT) return
    // The number first: a directory of the format before may have units, which are of no use to it.
    await writeIdentity(data, { ...identity, format: DATA_FORMAT - 1 })
    await rm(join(data, 'log', 'units'), { recursive: true, force: true })
  })
  const found = await formatOf(context)
  context.output.result({ directory: data, format: found }, `${data} has format ${found} now.`)
}

function databaseOf({ environment }: CommandContext): string {
  return readConfig({}, environment).database
}

function showDatabase(
  { output }: CommandContext,
  url: string,
  { migrations, known }: DatabaseReport,
): void {
  const { host, pathname } = new URL(url)
  const database = `${host}${pathname}`
  const listed = (numbers: ReadonlyMap<string, number>): string =>
    [...numbers].map(([part, number]) => `${part} ${number}`).join(', ') || 'no tables'
  output.result(
    { database, format: Object.fromEntries(migrations), writes: Object.fromEntries(known) },
    `${database} has ${listed(migrations)}; this version writes ${listed(known)}.`,
  )
}
