/**
 * The only place that chooses backends: what a data directory is made of, or its doubles in memory.
 */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import {
  silentLogger,
  systemRandom,
  type App,
  type Clock,
  type Disk,
  type Logger,
  type Random,
} from '@millrace/core'
import { lockDirectory, type DirectoryLock, type EventLog, type Leases } from '@millrace/log'
import { openNodeDisk } from '@millrace/log/disk'
import { RESTORING } from '@millrace/log/backup'
import {
  createSplitThread,
  openFileLog,
  openFileLogView,
  type FileEventLog,
  type LogHold,
} from '@millrace/log/file'
import { openMemoryLog } from '@millrace/log/memory'
import type * as postgresLog from '@millrace/log/postgres'
import {
  openFileKeys,
  openFileKeysView,
  openMemoryKeys,
  type KeyStore,
} from '@millrace/log/sealing'
import type { SnapshotStore } from '@millrace/store'
import { newestSnapshots, openFileSnapshotStore } from '@millrace/store/file'
import { createMemorySnapshotStore } from '@millrace/store/memory'
import type { Limits } from '../config.ts'
import { operatorTokenOf } from '../http/security/operator.ts'
import { serverErrors } from '../errors.ts'
import {
  IDENTITY_FILE,
  claimDirectory,
  createIdentity,
  followApp,
  identityText,
  parseIdentity,
  type Identity,
} from './identity.ts'
import { markOfDatabase, markOfDirectory, refuseMarked } from './move-marker.ts'
import { openDatabase, unreachable } from './postgres.ts'
import { besideLog } from './beside-log.ts'
import { openSealed, sealStored, type Sealed } from './privacy.ts'

/**
 * Newest records that the log keeps decoded for folds. At 20,000 events a second of the demo, each of
 * which makes two more records, 8 MiB last for 0.2 s, and folds decode what they are late for again.
 */
const FOLDED_TAIL_BYTES_MAX = 32 * 1024 * 1024

const SNAPSHOTS = 'snapshots'
const READER_SEGMENT_BYTES = 1024 * 1024

/** What a Millrace keeps, opened; what is personal is sealed below it. */
export interface Backends extends Omit<Opened, keyof Sealed>, Sealed {}

/** The same before anything is sealed. */
interface Opened {
  readonly identity: Identity
  readonly log: EventLog
  readonly snapshots: SnapshotStore
  readonly keys: KeyStore
  /** How processes share the work on one log; undefined where there is one process. */
  readonly leases?: Leases
  /** The files of the log, where it is in a data directory. */
  readonly files?: LogFiles
  /** Shown by commands of this machine; undefined where no directory is shared. */
  readonly operatorToken: string | undefined
  /** Called when closing begins: nothing of it waits for a database that is away for longer than seconds. */
  hurry?(): void
  /** Tells other processes where this one answers. */
  announce(url: string): Promise<void>
  /** Closes all of it, the log last but for the lock. */
  close(): Promise<void>
}

export type { LogHold }

/** A log of files, to be copied while it runs. */
export interface LogFiles {
  /** Absolute path of the data directory. */
  readonly directory: string
  /** Names the files that hold the log, keeps them, and names those beside it. */
  hold(): Promise<{ readonly hold: LogHold; readonly beside: readonly string[] }>
}

/** What backends are opened with. */
export interface BackendOptions {
  readonly app: App
  /** A directory, or `memory`. */
  readonly data: string
  /** The address of a PostgreSQL that holds log and snapshots; none when absent or empty. */
  readonly database?: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly limits: Limits
}

/** Opens the backends of a data directory, of a database, or of memory. */
export async function openBackends(options: BackendOptions): Promise<Backends> {
  const { data, app, random } = options
  const opened = data === 'memory' ? openInMemory(options) : await openDirectory(options)
  try {
    const beside = data === 'memory' ? undefined : besideLog(openNodeDisk(data))
    return { ...opened, ...(await sealStored({ ...opened, beside }, app, random)) }
  } catch (error) {
    await opened.close()
    throw error
  }
}

async function openDirectory(options: BackendOptions): Promise<Opened> {
  // Before anything is read: two owners would destroy each other's journal.
  const lock = lockDirectory(options.data)
  try {
    return await openLocked(options, lock)
  } catch (error) {
    lock.release()
    throw error
  }
}

async function openLocked(options: BackendOptions, lock: DirectoryLock): Promise<Opened> {
  const { app, data: directory, clock, random, logger, limits } = options
  refuseUnfinished(directory)
  const identity = await claimDirectory(directory, app, random)
  const operatorToken = operatorTokenOf(directory, identity.secret)
  const announce = async (url: string): Promise<void> => {
    lock.setAddress(url.replace(/^http:\/\//, ''))
  }
  const { database = '' } = options
  if (database !== '') {
    const shared = await openInDatabase(options, database)
    const close = async (): Promise<void> => {
      await shared.close().finally(() => lock.release())
    }
    return {
      ...shared,
      operatorToken,
      async announce(url) {
        await announce(url)
        shared.leases.announce(url)
      },
      close,
    }
  }
  refuseMarked(directory, markOfDirectory(directory))
  const disk = openNodeDisk(directory)
  const keys = await openFileKeys({ disk, random })
  const snapshots = await openFileSnapshotStore({ disk, logger, directory: SNAPSHOTS })
  const log = await openFileLog({
    disk,
    clock,
    random,
    logger,
    directory: 'log',
    splitWork: createSplitThread(directory),
    options: {
      queueBytesMax: limits.queueBytesMax,
      ...(isFolded(app) ? { tailBytesMax: FOLDED_TAIL_BYTES_MAX } : {}),
    },
  })
  return {
    identity,
    log,
    snapshots,
    keys,
    files: filesOf(directory, disk, log),
    operatorToken,
    announce,
    async close() {
      try {
        await snapshots.close()
        await log.close()
        await keys.close()
      } finally {
        lock.release()
      }
    },
  }
}

/** True when views or recommendations read what is appended. */
function isFolded(app: App): boolean {
  const { views = {}, signals = [] } = app.options
  return Object.keys(views).length > 0 || signals.length > 0
}

/** Log, snapshots and identity in PostgreSQL, shared by any number of processes. */
async function openInDatabase(
  options: BackendOptions,
  url: string,
): Promise<
  Pick<Opened, 'identity' | 'log' | 'snapshots' | 'keys' | 'hurry' | 'close'> & { leases: Leases }
> {
  const { app, clock, random, logger, limits } = options
  const { postgres, store, database } = await openDatabase(url, logger)
  try {
    const admit = async (): Promise<void> =>
      refuseMarked(placeOf(database), await markOfDatabase(postgres, database))
    await admit()
    const identity = await claimDatabase(postgres, database, { app, random })
    const snapshots = store.openPostgresSnapshotStore(database)
    const keys = await postgres.openPostgresKeys(database, random)
    const { queueBytesMax } = limits
    const log = await postgres.openPostgresLog({
      database,
      clock,
      random,
      logger,
      options: { queueBytesMax, admit },
    })
    return {
      identity,
      log,
      leases: log.leases,
      snapshots,
      keys,
      hurry: () => log.hurry(),
      async close() {
        await snapshots.close()
        await log.close()
        await database.close()
      },
    }
  } catch (error) {
    await database.close()
    throw unreachable(error)
  }
}

const IDENTITY = 'identity'

function placeOf({ schema }: postgresLog.Database): string {
  return `(schema ${schema} of the database)`
}

/** As `claimDirectory`, in the database: its secret signs the tokens of all processes over it. */
async function claimDatabase(
  { claimSetting, putSetting }: typeof postgresLog,
  database: postgresLog.Database,
  { app, random }: Pick<BackendOptions, 'app' | 'random'>,
): Promise<Identity> {
  const place = placeOf(database)
  const first = createIdentity(app, random)
  const text = await claimSetting(database, IDENTITY, identityText(first))
  const claimed = followApp(parseIdentity(place, text), app, place)
  await putSetting(database, IDENTITY, identityText(claimed))
  return claimed
}

function filesOf(directory: string, disk: Disk, log: FileEventLog): LogFiles {
  return {
    directory: resolve(directory),
    async hold() {
      // First, so that none of them is ahead of the log that is held: it would be of another past.
      const beside = [IDENTITY_FILE, ...(await newestSnapshots(disk, SNAPSHOTS))]
      return { hold: log.hold(), beside }
    },
  }
}

/** Refuses a directory that a restore or a standby is still filling (RESTORE_UNFINISHED). */
function refuseUnfinished(directory: string): void {
  if (!existsSync(join(directory, RESTORING))) return
  throw serverErrors.create('RESTORE_UNFINISHED', { directory })
}

/** The log of a data directory, for a command that reads it while no server does. Owns the directory until closed. */
export async function openForReading(
  options: Pick<BackendOptions, 'data' | 'clock' | 'random'>,
): Promise<Pick<Opened, 'log' | 'close'> & { readonly files: LogFiles }> {
  const { data: directory, clock, random } = options
  const lock = lockDirectory(directory)
  try {
    refuseUnfinished(directory)
    const disk = openNodeDisk(directory)
    // It appends a record or two at most: no large segment is prepared for that.
    const options = { segmentBytes: READER_SEGMENT_BYTES }
    const ports = { disk, clock, random, logger: silentLogger, directory: 'log', options }
    const log = await openFileLog(ports)
    return {
      log,
      files: filesOf(directory, disk, log),
      async close() {
        try {
          await log.close()
        } finally {
          lock.release()
        }
      },
    }
  } catch (error) {
    lock.release()
    throw error
  }
}

/** The log of a database, for a command that reads it, beside the servers that share it or alone. */
export async function openDatabaseForReading(
  url: string,
  clock: Clock,
): Promise<Pick<Opened, 'log' | 'keys' | 'close'>> {
  const logger = silentLogger
  const { postgres, database } = await openDatabase(url, logger)
  try {
    const log = await postgres.openPostgresLog({ database, clock, logger })
    return {
      log,
      keys: await postgres.openPostgresKeys(database, systemRandom),
      async close() {
        await log.close()
        await database.close()
      },
    }
  } catch (error) {
    await database.close()
    throw unreachable(error)
  }
}

/** The log of a data directory or of a database, read beside whoever owns it; what is sealed is open in it. */
export async function openBeside(options: {
  readonly app: App
  readonly data: string
  /** The address of a database that holds the log; empty for none. */
  readonly database: string
  readonly clock: Clock
}): Promise<{
  readonly log: Pick<EventLog, 'read' | 'history' | 'ends' | 'stats'>
  close(): Promise<void>
}> {
  const { app, data, database: url, clock } = options
  if (url === '') {
    const disk = openNodeDisk(data)
    const log = await openFileLogView({ disk, directory: 'log' })
    return { log: openSealed(log, await openFileKeysView(disk), app), close: () => log.close() }
  }
  const { log, keys, close } = await openDatabaseForReading(url, clock)
  return { log: openSealed(log, keys, app), close }
}

/**
 * Log and snapshots for a thread that makes a build while another one owns them: the log is read
 * alone, and the thread writes snapshots of names that are its own. Never closed: they end with it.
 */
export async function openForBuilding(options: {
  readonly data: string
  readonly database: string
  readonly clock: Clock
}): Promise<{
  readonly log: Pick<EventLog, 'read' | 'history' | 'ends' | 'stats'>
  readonly snapshots: SnapshotStore
  readonly keys: KeyStore
}> {
  const { data, database: url, clock } = options
  const logger = silentLogger
  if (url !== '') {
    const { Database, openPostgresKeys, openPostgresLog } = await import('@millrace/log/postgres')
    const { openPostgresSnapshotStore } = await import('@millrace/store/postgres')
    const database = new Database({ url, logger })
    const log = await openPostgresLog({ database, clock, logger })
    // Who says how far to read may have heard of an end before this thread has.
    const read: EventLog['read'] = async request => {
      const records = await log.read(request)
      if (records.length > 0) return records
      await log.refresh()
      return await log.read(request)
    }
    const history: EventLog['history'] = request => log.history(request)
    const reads = { read, history, ends: () => log.ends(), stats: () => log.stats() }
    const keys = await openPostgresKeys(database, systemRandom)
    return { log: reads, snapshots: openPostgresSnapshotStore(database), keys }
  }
  const disk = openNodeDisk(data)
  const log = await openFileLogView({ disk, directory: 'log' })
  const snapshots = await openFileSnapshotStore({ disk, logger, directory: 'snapshots' })
  return { log, snapshots, keys: await openFileKeysView(disk) }
}

function openInMemory(options: BackendOptions): Opened {
  const { app, clock, random, limits } = options
  const log = openMemoryLog({ clock, queueBytesMax: limits.queueBytesMax })
  const snapshots = createMemorySnapshotStore()
  return {
    identity: createIdentity(app, random),
    log,
    snapshots,
    keys: openMemoryKeys(random),
    operatorToken: undefined,
    announce: async () => undefined,
    async close() {
      await snapshots.close()
      await log.close()
    },
  }
}
