/**
 * The only place that chooses backends: what a data directory is made of, or its doubles in memory.
 */
import type { App, Clock, Logger, Random } from '@millrace/core'
import { lockDirectory, type DirectoryLock, type EventLog } from '@millrace/log'
import { openNodeDisk } from '@millrace/log/disk'
import { openFileLog } from '@millrace/log/file'
import { openMemoryLog } from '@millrace/log/memory'
import type { SnapshotStore } from '@millrace/store'
import { openFileSnapshotStore } from '@millrace/store/file'
import { createMemorySnapshotStore } from '@millrace/store/memory'
import type { Limits } from '../config.ts'
import { operatorTokenOf } from '../http/security/operator.ts'
import { claimDirectory, createIdentity, type Identity } from './identity.ts'

/**
 * Newest records that the log keeps decoded for folds. At 20,000 events a second of the demo, each of
 * which makes two more records, 8 MiB last for 0.2 s, and folds decode what they are late for again.
 */
const FOLDED_TAIL_BYTES_MAX = 32 * 1024 * 1024

/** What a Millrace keeps, opened. */
export interface Backends {
  readonly identity: Identity
  readonly log: EventLog
  readonly snapshots: SnapshotStore
  /** Shown by commands of this machine; undefined where no directory is shared. */
  readonly operatorToken: string | undefined
  /** Tells other processes where this one answers. */
  announce(url: string): Promise<void>
  /** Closes all of it, the log last but for the lock. */
  close(): Promise<void>
}

/** What backends are opened with. */
export interface BackendOptions {
  readonly app: App
  /** A directory, or `memory`. */
  readonly data: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly limits: Limits
}

/** Opens the backends of a data directory, or of memory. */
export async function openBackends(options: BackendOptions): Promise<Backends> {
  return options.data === 'memory' ? openInMemory(options) : openDirectory(options)
}

async function openDirectory(options: BackendOptions): Promise<Backends> {
  // Before anything is read: two owners would destroy each other's journal.
  const lock = lockDirectory(options.data)
  try {
    return await openLocked(options, lock)
  } catch (error) {
    lock.release()
    throw error
  }
}

async function openLocked(options: BackendOptions, lock: DirectoryLock): Promise<Backends> {
  const { app, data: directory, clock, random, logger, limits } = options
  const disk = openNodeDisk(directory)
  const identity = await claimDirectory(directory, app, random)
  const snapshots = await openFileSnapshotStore({ disk, logger, directory: 'snapshots' })
  const log = await openFileLog({
    disk,
    clock,
    random,
    logger,
    directory: 'log',
    options: {
      queueBytesMax: limits.queueBytesMax,
      ...(isFolded(app) ? { tailBytesMax: FOLDED_TAIL_BYTES_MAX } : {}),
    },
  })
  return {
    identity,
    log,
    snapshots,
    operatorToken: operatorTokenOf(directory, identity.secret),
    announce: async url => lock.setAddress(url.replace(/^http:\/\//, '')),
    async close() {
      try {
        await snapshots.close()
        await log.close()
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

function openInMemory(options: BackendOptions): Backends {
  const { app, clock, random, limits } = options
  const log = openMemoryLog({ clock, queueBytesMax: limits.queueBytesMax })
  const snapshots = createMemorySnapshotStore()
  return {
    identity: createIdentity(app, random),
    log,
    snapshots,
    operatorToken: undefined,
    announce: async () => undefined,
    async close() {
      await snapshots.close()
      await log.close()
    },
  }
}
