/** What a backup is taken of: the files that a running server keeps for it, or the directory itself. */
import { createHash } from 'node:crypto'
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { createIdSource, decodePosition, type Disk } from '@millrace/core'
import { openNodeDisk } from '@millrace/log/disk'
import { readMessages } from '../client/event-stream.ts'
import { readConfig } from '../config.ts'
import { serverErrors } from '../errors.ts'
import { recordAct } from '../http/security/audit.ts'
import { openForReading, type LogHold } from '../wiring/backends.ts'
import { DATA_FORMAT, IDENTITY_FILE, readIdentity, type Identity } from '../wiring/identity.ts'
import { connect, findServer, type Connection } from './connect.ts'
import type { CommandContext } from './context.ts'
import { cliErrors } from './errors.ts'

/** Files that stay as they are until the work with them is done. */
export interface BackupSource {
  readonly disk: Disk
  readonly hold: Omit<LogHold, 'release'>
  /** Identity and snapshots. */
  readonly beside: readonly string[]
  readonly identity: {
    readonly app: string
    readonly origin: string
    readonly term: number
    readonly dataFormat: number
  }
  /** Throws when the files were let go before. */
  readonly checkHold: () => void
}

/** Hands the files to `use` and lets them go afterwards. Throws BACKUP_UNSUPPORTED, BACKUP_NOT_LOCAL, BACKUP_HOLD_LOST. */
export async function withSource<T>(
  context: CommandContext,
  use: (source: BackupSource) => Promise<T>,
): Promise<T> {
  const server = await findServer(context)
  if (server === undefined) return fromDirectory(context, use)
  const connection = await connect(context)
  try {
    return await fromServer(connection, use)
  } finally {
    await connection.close()
  }
}

async function fromDirectory<T>(
  context: CommandContext,
  use: (source: BackupSource) => Promise<T>,
): Promise<T> {
  const { data: directory, clock, random, environment } = context
  if (directory === 'memory' || readConfig({}, environment).database !== '') {
    throw serverErrors.create('BACKUP_UNSUPPORTED')
  }
  const identity = await identityOf(directory)
  const { log, files, close } = await openForReading(context)
  try {
    const ports = { log, clock, newId: createIdSource({ clock, random }) }
    return await recordAct(ports, 'beginBackup', {}, async () => {
      const { hold, beside } = await files.hold()
      const checkHold = (): void => undefined
      return use({ disk: openNodeDisk(directory), hold, beside, identity, checkHold })
    })
  } finally {
    await close()
  }
}

async function fromServer<T>(
  connection: Connection,
  use: (source: BackupSource) => Promise<T>,
): Promise<T> {
  const { body } = await connection.request({ method: 'POST', path: '/v1/backups' })
  const held = body as Held
  const { directory: folder } = held
  const abort = new AbortController()
  const kept = await keep(connection, held.id, abort)
  try {
    const { unit, ingestTimeMs, position, files, beside } = held
    const identity = await readable(folder, () => identityOf(folder))
    return await use({
      disk: openNodeDisk(folder),
      hold: {
        unit,
        ingestTimeMs: ingestTimeMs ?? Number.NEGATIVE_INFINITY,
        position: decodePosition(position),
        files,
      },
      beside,
      identity,
      checkHold: kept,
    })
  } finally {
    abort.abort()
  }
}

interface Held extends Pick<LogHold, 'unit' | 'files'> {
  readonly id: string
  readonly directory: string
  readonly beside: readonly string[]
  readonly ingestTimeMs: number | null
  readonly position: string
}

/** Keeps the files while the connection lasts; gives how to ask whether it does. */
async function keep(
  connection: Connection,
  id: string,
  abort: AbortController,
): Promise<() => void> {
  const answer = await connection.open(`/v1/backups/${id}/hold`, abort.signal)
  let isKept = true
  const lost = (): void => {
    isKept = false
  }
  const listen = async (): Promise<void> => {
    if (answer.body === null) return
    for await (const { event } of readMessages(answer.body)) if (event === 'closing') return
  }
  listen().then(lost, lost)
  return () => {
    if (!isKept) throw serverErrors.create('BACKUP_HOLD_LOST')
  }
}

async function identityOf(directory: string): Promise<BackupSource['identity']> {
  const identity = await readIdentity(directory)
  if (identity === undefined) {
    const reason = `There is no data in ${directory}.`
    const next = 'Name the data directory with --data.'
    throw cliErrors.create('CLI_REFUSED', { reason, next, code: 'DATA_MISSING' })
  }
  const { app, term } = identity
  return { app, term, origin: originOf(identity), dataFormat: DATA_FORMAT }
}

/** Names an installation without telling its secret. */
export function originOf({ secret }: Pick<Identity, 'secret'>): string {
  return createHash('sha256').update('millrace origin').update(secret).digest('hex').slice(0, 32)
}

/** A directory of another machine, or of another user, cannot be backed up from here. */
async function readable<T>(directory: string, read: () => Promise<T>): Promise<T> {
  try {
    accessSync(join(directory, IDENTITY_FILE), constants.R_OK)
  } catch (error) {
    const { message: reason } = error as Error
    throw serverErrors.create('BACKUP_NOT_LOCAL', { directory, reason }, error)
  }
  return read()
}
