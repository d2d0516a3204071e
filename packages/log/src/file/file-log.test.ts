import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSeededRandom, silentLogger } from '@millrace/core'
import type { Disk } from '@millrace/core'
import { openNodeDisk } from '../disk/index.ts'
import { logSuite } from '../suite.ts'
import { openFileLog } from './index.ts'

/** A disk whose journal syncs wait for the suite. */
function gated(disk: Disk, beforeSync: () => Promise<void>): Disk {
  return {
    ...disk,
    async open(path, mode) {
      const file = await disk.open(path, mode)
      if (!path.includes('.jnl')) return file
      const sync = async (): Promise<void> => {
        await beforeSync()
        await file.sync()
      }
      return {
        read: (...args) => file.read(...args),
        write: (...args) => file.write(...args),
        truncate: size => file.truncate(size),
        size: () => file.size(),
        close: () => file.close(),
        sync,
      }
    },
  }
}

const TINY = { firstSegmentBytes: 8_192, segmentBytes: 8_192, tailBytesMax: 0, readBytes: 2_000 }

for (const [name, options] of [
  ['file', {}],
  ['file, tiny segments, no tail', TINY],
  [
    'file, splits merged early',
    {
      ...TINY,
      segmentBytes: 2_048,
      blockBytes: 512,
      mergeFiles: 2,
      openFilesMax: 2,
      blockCacheMax: 1,
      idsPerCheckpoint: 3,
    },
  ],
] as const) {
  logSuite(name, async ({ clock, beforeSync, queueBytesMax }) => {
    const root = await mkdtemp(join(tmpdir(), 'millrace-log-'))
    const disk = gated(openNodeDisk(root), beforeSync)
    return {
      open: () =>
        openFileLog({
          disk,
          clock,
          random: createSeededRandom(1),
          logger: silentLogger,
          directory: 'log',
          options: {
            firstSegmentBytes: 65_536,
            segmentBytes: 65_536,
            idMemoryBytesMax: 4 * 1024 * 1024,
            queueBytesMax,
            ...options,
          },
        }),
      dispose: () => rm(root, { recursive: true }),
    }
  })
}
