/** What the fuzzer does to this package: the files of snapshots. */
import { crc32 } from 'node:zlib'
import { createSeededRandom, silentLogger } from '@millrace/core'
import { createSimClock, createSimDisk, type FuzzTarget } from '@millrace/sim'
import { openFileSnapshotStore } from '../file/index.ts'
import type { SnapshotStore } from '../snapshots.ts'

const NAME = 'counts'
const CHUNKS = [0, 1, 40, 3000].map(length => Buffer.alloc(length, length))

function seal(input: Buffer): void {
  if (input.length < 16) return
  const metaEnd = 16 + input.readUInt32LE(8)
  if (metaEnd > input.length) return
  input.writeUInt32LE(crc32(input.subarray(16, metaEnd)), 12)
  let whole = crc32(input.subarray(0, 16))
  for (let at = metaEnd; at + 8 <= input.length;) {
    const length = input.readUInt32LE(at)
    const isEnd = length === 0xffffffff
    if (!isEnd && at + 8 + length > input.length) return
    const sum = isEnd ? whole : crc32(input.subarray(at + 8, at + 8 + length))
    input.writeUInt32LE(sum, at + 4)
    if (isEnd) return
    whole = crc32(input.subarray(at, at + 8), whole)
    at += 8 + length
  }
}

function createSnapshots(): FuzzTarget {
  const clock = createSimClock({ seed: 1 })
  const disk = createSimDisk({ clock, random: createSeededRandom(1) })
  const open = (): Promise<SnapshotStore> =>
    openFileSnapshotStore({ disk, logger: silentLogger, directory: 'snapshots' })
  let path = ''
  return {
    name: 'snapshot',
    shortRuns: 500,
    async corpus() {
      await clock.drive(async () => {
        const store = await open()
        await store.save(NAME, { version: 'v', info: { at: 1 } }, CHUNKS)
        await store.close()
      })
      path = disk.paths().find(each => each.endsWith('.snapshot')) as string
      return {
        valid: [disk.peek(path) as Uint8Array],
        words: ['MRSNAP01', '"name":'],
        reseal: seal,
      }
    },
    run(input) {
      disk.place(path, input)
      return clock.drive(async () => {
        const store = await open()
        const found = await store.load(NAME)
        if (found !== undefined) for await (const _ of found.chunks);
        await store.close()
      })
    },
  }
}

/** The targets. */
export const targets: readonly FuzzTarget[] = [createSnapshots()]
