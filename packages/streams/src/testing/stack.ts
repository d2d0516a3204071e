/**
 * The file log, the file snapshot store and the runtime with the views of the oracle, as a whole
 * that can be killed: by the crash test as a process, by the simulation with its machine.
 */
import {
  createSeededRandom,
  deriveId,
  silentLogger,
  type Clock,
  type Disk,
  type Random,
} from '@millrace/core'
import type { EventLog, NewEvent } from '@millrace/log'
import { openFileLog } from '@millrace/log/file'
import type { SnapshotStore } from '@millrace/store'
import { openFileSnapshotStore } from '@millrace/store/file'
import { openStreams } from '../runtime.ts'
import type { Streams } from '../streams.ts'
import { compiled } from './oracle.ts'
import { PARTITIONS } from './world.ts'

const START_MS = 1_000_000

/** Opens everything on a disk. */
export async function openStack(machine: {
  disk: Disk
  clock: Clock
  random: Random
}): Promise<{ log: EventLog; snapshots: SnapshotStore; streams: Streams }> {
  const { disk, clock, random } = machine
  const ports = { disk, clock, random, logger: silentLogger }
  const options = {
    firstSegmentBytes: 16 * 1024,
    segmentBytes: 64 * 1024,
    idMemoryBytesMax: 4 * 1024 * 1024,
  }
  const log = await openFileLog({ ...ports, directory: 'log', options })
  const snapshots = await openFileSnapshotStore({ ...ports, directory: 'snapshots' })
  await log.declare([
    ...['person', 'clip'].map(name => ({ name, partitions: PARTITIONS })),
    ...compiled.streams,
  ])
  const streams = await openStreams({
    log,
    snapshots,
    clock,
    logger: silentLogger,
    folds: compiled.folds,
    tables: compiled.tables,
    options: { batchRecords: 64, snapshotEveryRecords: 150 },
  })
  return { log, snapshots, streams }
}

/** Waits until everything that is durable, and what comes of it, is folded. */
export async function settle(log: EventLog, streams: Streams): Promise<void> {
  for (let before = -1, now = 0; before !== now;) {
    before = now
    await streams.reached({ position: new Map(log.ends()), timeoutMs: 60_000 })
    now = [...log.ends().values()].reduce((sum, end) => sum + end, 0)
  }
}

/** The event with a number: the same for the same number, so that a repeated one is a duplicate. */
export function eventOf(number: number): NewEvent {
  const random = createSeededRandom(number)
  const pick = (count: number): number => Math.floor(random.next() * count)
  const behind = pick(3) === 0 ? pick(100) : 0
  const eventTimeMs = START_MS + number * 3 - behind
  const id = deriveId(eventTimeMs, `event ${number}`)
  if (pick(6) === 0) {
    const key = `c${pick(8)}`
    const data = { id: key, attributes: { topic: `t${pick(4)}` } }
    return { stream: 'clip', type: 'clip.put', key, id, eventTimeMs, data }
  }
  const data = { viewer: `p${pick(30)}`, clip: `c${pick(8)}`, friend: `p${pick(30)}`, ms: pick(9) }
  return { stream: 'person', type: 'watched', key: data.viewer, id, eventTimeMs, data }
}
