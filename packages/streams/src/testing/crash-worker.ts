/**
 * The process that the crash test kills: the file log, the file snapshot store and the runtime with
 * the views of the oracle, under a stream of events. Writes `ready`, then the count of events that
 * were acknowledged, each on a line.
 */
import {
  createSeededRandom,
  deriveId,
  silentLogger,
  systemClock,
  systemRandom,
} from '@millrace/core'
import type { EventLog, NewEvent } from '@millrace/log'
import { openNodeDisk } from '@millrace/log/disk'
import { openFileLog } from '@millrace/log/file'
import type { SnapshotStore } from '@millrace/store'
import { openFileSnapshotStore } from '@millrace/store/file'
import { openStreams } from '../runtime.ts'
import type { Streams } from '../streams.ts'
import { compiled } from './oracle.ts'
import { PARTITIONS } from './world.ts'

const BATCH = 20
const START_MS = 1_000_000

/** Opens everything in a directory. */
export async function openAll(
  directory: string,
): Promise<{ log: EventLog; snapshots: SnapshotStore; streams: Streams }> {
  const disk = openNodeDisk(directory)
  const ports = { disk, clock: systemClock, random: systemRandom, logger: silentLogger }
  const options = { segmentBytes: 256 * 1024 }
  const log = await openFileLog({ ...ports, directory: 'log', options })
  const snapshots = await openFileSnapshotStore({ ...ports, directory: 'snapshots' })
  await log.declare([
    ...['person', 'clip'].map(name => ({ name, partitions: PARTITIONS })),
    ...compiled.streams,
  ])
  const streams = await openStreams({
    log,
    snapshots,
    clock: systemClock,
    logger: silentLogger,
    folds: compiled.folds,
    tables: compiled.tables,
    options: { batchRecords: 64, snapshotEveryRecords: 150 },
  })
  return { log, snapshots, streams }
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

async function work(directory: string, first: number): Promise<void> {
  const { log } = await openAll(directory)
  process.stdout.write('ready\n')
  for (let number = first; ; number += BATCH) {
    const events = Array.from({ length: BATCH }, (_, index) => eventOf(number + index))
    await log.commit({ events })
    process.stdout.write(`${number + BATCH}\n`)
    // Other work gets a turn, as between two requests.
    await new Promise<void>(resolve => systemClock.soon(resolve))
  }
}

const [, script, directory, first] = process.argv
if (script?.endsWith('crash-worker.ts') && directory !== undefined) {
  await work(directory, Number(first))
}
