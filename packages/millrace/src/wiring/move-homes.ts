/** The two homes that data moves between: a data directory, and a PostgreSQL. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { silentLogger, type Clock, type Random } from '@millrace/core'
import { livingOwner, lockDirectory, type EventLog } from '@millrace/log'
import { openNodeDisk } from '@millrace/log/disk'
import { openFileLog, openFileLogView } from '@millrace/log/file'
import type { MoveSource } from '@millrace/log/move'
import type { PostgresLog } from '@millrace/log/postgres'
import { openFileKeys, type KeyStore } from '@millrace/log/sealing'
import type { SnapshotStore } from '@millrace/store'
import { openFileSnapshotStore } from '@millrace/store/file'
import {
  identityText,
  parseIdentity,
  readIdentity,
  writeIdentity,
  type Identity,
} from './identity.ts'
import { markDatabase, markDirectory, markOfDatabase, markOfDirectory, type MoveMark } from './move-marker.ts' // prettier-ignore
import { openDatabase } from './postgres.ts'

/** One end of a move. */
export interface MoveHome {
  /** For people; without a password. */
  readonly place: string
  mark(): Promise<MoveMark | undefined>
  putMark(mark: MoveMark | undefined): Promise<void>
  /** True when nothing was ever kept there. */
  isEmpty(): Promise<boolean>
  identity(): Promise<Identity | undefined>
  putIdentity(identity: Identity): Promise<void>
  /** Who serves it now, for people; empty when nobody does. */
  servers(): Promise<readonly string[]>
  /** Asks the servers that can be asked from here to stop. */
  stopServers(): void
  /** Keeps servers out from now on, until `close`. */
  seize(other: string): Promise<void>
  openSource(): Promise<MoveSource>
  openTarget(): Promise<EventLog>
  openSnapshots(): Promise<SnapshotStore>
  /** Keys of people; once nobody else serves. */
  openKeys(): Promise<KeyStore>
  close(): Promise<void>
}

interface HomePorts {
  readonly clock: Clock
  readonly random: Random
}

const logger = silentLogger

/** A data directory. */
export function directoryHome(directory: string, { clock, random }: HomePorts): MoveHome {
  const disk = openNodeDisk(directory)
  const closers: (() => Promise<void> | void)[] = []
  const openLog = (): Promise<EventLog> =>
    openFileLog({ disk, clock, random, logger, directory: 'log' })
  const kept = <T extends { close(): Promise<void> }>(opened: T): T => {
    closers.unshift(() => opened.close())
    return opened
  }
  return {
    place: directory,
    mark: async () => markOfDirectory(directory),
    putMark: mark => markDirectory(directory, mark),
    isEmpty: async () => !existsSync(join(directory, 'log')),
    identity: () => readIdentity(directory),
    putIdentity: identity => writeIdentity(directory, identity),
    async servers() {
      const owner = livingOwner(directory)
      return owner === undefined ? [] : [`process ${owner.pid}`]
    },
    stopServers() {
      const owner = livingOwner(directory)
      if (owner !== undefined) process.kill(owner.pid, 'SIGTERM')
    },
    async seize() {
      const lock = lockDirectory(directory)
      closers.push(() => lock.release())
      if (!existsSync(join(directory, 'log'))) return
      // Opened as a server would: a torn tail is cut, and damage refused.
      await openLog().then(log => log.close())
    },
    openSource: async () => kept(await openFileLogView({ disk, directory: 'log' })),
    openTarget: async () => kept(await openLog()),
    openSnapshots: async () =>
      kept(await openFileSnapshotStore({ disk, logger, directory: 'snapshots' })),
    openKeys: async () => kept(await openFileKeys({ disk, random })),
    async close() {
      for (const close of closers.splice(0)) await close()
    },
  }
}

/** A PostgreSQL. Throws DATABASE_DRIVER_MISSING, DATABASE_UNREACHABLE. */
export async function databaseHome(url: string, { clock, random }: HomePorts): Promise<MoveHome> {
  const { postgres, store, database } = await openDatabase(url, logger)
  const address = new URL(url)
  const place = `${address.hostname}${address.pathname}`
  const closers: (() => Promise<void>)[] = [() => database.close()]
  const kept = <T extends { close(): Promise<void> }>(opened: T): T => {
    closers.unshift(() => opened.close())
    return opened
  }
  const openLog = async (): Promise<PostgresLog> =>
    // What was moved is compared with what the database gives back.
    kept(
      await postgres.openPostgresLog({ database, clock, logger, options: { recentBytesMax: 0 } }),
    )
  const putMark = (mark: MoveMark | undefined): Promise<void> =>
    markDatabase(postgres, database, mark)
  return {
    place,
    mark: () => markOfDatabase(postgres, database),
    putMark,
    isEmpty: async () =>
      (await postgres.readSetting(database, 'identity')) === undefined &&
      !(await postgres.hasStreams(database)),
    async identity() {
      const text = await postgres.readSetting(database, 'identity')
      return text === undefined ? undefined : parseIdentity(place, text)
    },
    putIdentity: identity => postgres.putSetting(database, 'identity', identityText(identity)),
    servers: () => postgres.servingMembers(database),
    stopServers: () => undefined,
    async seize(other) {
      await putMark({ state: 'leaving', other })
      // A server that looked for the mark before it was there has to enter again, and sees it.
      await postgres.forgetMembers(database)
    },
    openSource: openLog,
    openTarget: openLog,
    openSnapshots: async () => kept(store.openPostgresSnapshotStore(database)),
    openKeys: async () => kept(await postgres.openPostgresKeys(database, random)),
    async close() {
      for (const close of closers.splice(0)) await close()
    },
  }
}
