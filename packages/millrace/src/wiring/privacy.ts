/** The log and the snapshots of an app as all but the backends see them: what is personal is sealed below. */
import type { App, Random } from '@millrace/core'
import type { EventLog, Leases } from '@millrace/log'
import { OTHER_KEYS, sealingLog, sealingReads, type KeyStore } from '@millrace/log/sealing'
import type { Peers, Privacy } from '@millrace/product'
import type { SnapshotStore } from '@millrace/store'
import type { Streams } from '@millrace/streams'
import type { BesideLog } from './beside-log.ts'
import { ensureSnapshotKey, erasableSnapshots, type ErasableSnapshots } from './sealed-snapshots.ts'
import { hasSealed, sealingOf } from './sealing.ts'

/** What is kept, before anything is sealed. */
export interface Stored {
  readonly log: EventLog
  readonly snapshots: SnapshotStore
  readonly keys: KeyStore
  /** Present where processes share the log, which is in a database then. */
  readonly leases?: Leases
  /** What of the data directory is beside the log; absent in memory. */
  readonly beside?: BesideLog | undefined
}

/** See the head of the file. */
export interface Sealed {
  readonly log: EventLog
  readonly snapshots: ErasableSnapshots
  /** What erasures need, once there are folds. */
  privacy(streams: Pick<Streams, 'snapshot'>): Privacy
}

/** Seals what is personal. */
export async function sealStored(
  { log: stored, snapshots: plain, keys, leases, beside }: Stored,
  app: App,
  random: Random,
): Promise<Sealed> {
  const sealing = sealingOf(app)
  const log = sealingLog(stored, { keys, random, ...sealing })
  const isSealed = hasSealed(sealing.personal)
  if (isSealed) await ensureSnapshotKey(keys)
  const snapshots = erasableSnapshots(plain, { keys, random, isSealed })
  const privacy = (streams: Pick<Streams, 'snapshot'>): Privacy => ({
    shut: people => log.shut(people),
    async destroy(people) {
      await snapshots.renew(() => streams.snapshot())
      await keys.destroy(people)
    },
    follow: people => keys.load(people),
    isErased: person => log.isShut(person),
    *destroyed() {
      for (const name of keys.destroyed()) if (!name.startsWith(OTHER_KEYS)) yield name
    },
    ...(leases === undefined ? {} : { peers: peersOf(leases) }),
    tidy: async () => beside?.tidy(),
    remains: async () => [
      ...(leases === undefined ? IN_FILES : IN_DATABASE),
      ...((await beside?.remains()) ?? []),
    ],
  })
  return { log, snapshots, privacy }
}

function peersOf(leases: Leases): Peers {
  return {
    own: () => leases.member,
    async others() {
      const members = await leases.census()
      return members.map(({ name }) => name).filter(name => name !== leases.member)
    },
    refresh: () => leases.refresh(),
  }
}

/** A log that is read alone, with what is sealed in it open. */
export function openSealed<Log extends Pick<EventLog, 'read' | 'history' | 'ends' | 'stats'>>(
  log: Log,
  keys: KeyStore,
  app: App,
): Pick<EventLog, 'read' | 'history' | 'ends' | 'stats'> {
  const reads = sealingReads(log, { keys, ...sealingOf(app) })
  return { ...reads, ends: () => log.ends(), stats: () => log.stats() }
}

const IN_FILES = [
  {
    what: 'bytes of keys that the disk itself keeps after they were overwritten (flash, copy-on-write, snapshots of the volume)',
    remedy: 'encrypt the volume, and remove its snapshots',
  },
] as const

const IN_DATABASE = [
  {
    what: 'keys in the write-ahead log of PostgreSQL, in its archives and in physical backups',
    remedy: 'keep archives and physical backups no longer than you may keep erased data',
  },
] as const
