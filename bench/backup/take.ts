/** Takes one backup of a log that another process holds, as it is told by a message; says how far it is. */
import { systemClock, systemRandom, type Position } from '@millrace/core'
import { takeBackup } from '@millrace/log/backup'
import { openNodeDisk } from '@millrace/log/disk'
import { openDirectoryStore } from '@millrace/log/objects/directory'

/** What to back up. */
export interface BackupOrder {
  readonly directory: string
  readonly place: string
  /** 0 for no limit. */
  readonly bytesPerSecond: number
  readonly hold: {
    readonly unit: number
    readonly ingestTimeMs: number
    readonly position: readonly (readonly [string, number])[]
    readonly files: readonly { readonly path: string; readonly bytes: number }[]
  }
}

/** How far the backup is. */
export interface BackupNews {
  /** Bytes that were read. */
  readonly done: number
  readonly isWhole: boolean
}

function tell(news: BackupNews): Promise<void> {
  return new Promise(resolve => process.send?.(news, () => resolve()))
}

async function take({ directory, place, bytesPerSecond, hold }: BackupOrder): Promise<void> {
  const { bytes } = await takeBackup({
    store: await openDirectoryStore(place),
    disk: openNodeDisk(directory),
    clock: systemClock,
    random: systemRandom,
    hold: { ...hold, position: new Map(hold.position) satisfies Position },
    beside: [],
    identity: { app: 'bench', origin: 'bench', term: 0, dataFormat: 2 },
    bytesPerSecond,
    onProgress: ({ done }) => void tell({ done, isWhole: false }),
  })
  await tell({ done: bytes, isWhole: true })
  process.disconnect()
}

// Not once: while it listens, it is alive.
process.on('message', (order: BackupOrder) => void take(order))
process.send?.('ready')
