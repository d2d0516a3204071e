/**
 * Brings a lane to where it was: from the newest snapshot that fits, or from nothing. What is
 * missing is folded from the log by the loop; emissions stay muted up to the last durable step.
 */
import { partitionName, type Logger } from '@millrace/core'
import type { EventLog, Leases, ParkedKey } from '@millrace/log'
import type { SnapshotStore } from '@millrace/store'
import type { Lane } from './lane.ts'
import { foldKey, historyOf, retryParked, type RefoldPorts } from './refold.ts'
import { partNameOf } from './rebuilds/events.ts'
import type { FoldRunner, LaneRunner } from './runner.ts'
import { readLanes, restoreLane, type LaneImage, type SeenTables } from './snapshot-codec.ts'

/** What restored states have seen of their tables; empty for a fold built from nothing. */
export type SeenByLane = ReadonlyMap<LaneRunner, SeenTables>

/** What loading needs. */
export interface LoadPorts extends RefoldPorts {
  readonly log: EventLog
  readonly snapshots: SnapshotStore
  readonly logger: Logger
  readonly leases: Leases | undefined
}

/** Restores what a fold's snapshot holds. A snapshot that cannot be read, or does not fit, is left. */
export async function loadFold(ports: LoadPorts, runner: FoldRunner): Promise<SeenByLane> {
  const seen = new Map<LaneRunner, SeenTables>()
  const images = await readImages(ports, runner)
  // Another process may have written them a moment ago, behind steps that were not heard of yet.
  await ports.leases?.refresh()
  for (const laneRunner of runner.lanes) {
    const { lane, writer } = laneRunner
    writer?.adopt()
    const durable = writer?.committed ?? Infinity
    lane.mutedBefore = writer === undefined ? 0 : writer.leads ? writer.committed : Infinity
    const image = images.get(lane.partition)
    const name = partitionName(runner.definition.source, lane.partition)
    const end = ports.log.ends().get(name) ?? 0
    // Ahead of the log or of its own steps: it belongs to another past of this log.
    if (image !== undefined && image.header.consumed <= Math.min(durable, end)) {
      try {
        restoreLane(lane, image)
        seen.set(laneRunner, image.header)
      } catch (error) {
        lane.reset()
        ports.logger.warn('a snapshot cannot be restored', {
          fold: runner.name,
          reason: lane.stopText(error),
        })
      }
    }
    if (writer !== undefined) await agreeOnParked(ports, runner, lane)
    else await retryAll(ports, lane)
  }
  return seen
}

/** A build that was switched to may have nothing yet but what the builder kept, partition by partition. */
function snapshotNamesOf({ name, snapshotName, build, lanes }: FoldRunner): readonly string[] {
  if (build === 0) return [snapshotName]
  return [snapshotName, ...lanes.map(({ lane }) => partNameOf(name, build, lane.partition))]
}

async function readImages(
  ports: { readonly snapshots: SnapshotStore; readonly logger: Logger },
  runner: FoldRunner,
): Promise<ReadonlyMap<number, LaneImage>> {
  // The second try finds the older snapshot when the newer one turned out to be damaged.
  for (let attempt = 0; attempt < 2; attempt++) {
    const images = new Map<number, LaneImage>()
    try {
      for (const name of snapshotNamesOf(runner)) {
        const snapshot = await ports.snapshots.load(name)
        if (snapshot === undefined || snapshot.meta.version !== runner.identity) continue
        for await (const image of readLanes(runner.name, snapshot.chunks)) {
          const { partition, consumed } = image.header
          if (consumed >= (images.get(partition)?.header.consumed ?? 0))
            images.set(partition, image)
        }
      }
      return images
    } catch (error) {
      ports.logger.warn('a snapshot cannot be read', {
        fold: runner.name,
        reason: runner.stopText(error),
      })
    }
  }
  return new Map()
}

/**
 * A fold without targets has no steps that say what waits, only snapshots, which may be older than a
 * retry that went through. Folding all of the log would try these keys as well.
 */
async function retryAll(ports: RefoldPorts, lane: Lane): Promise<void> {
  for (const key of [...lane.parked.keys()]) await retryParked(ports, lane, key, true)
  lane.parkedSince.clear()
  lane.releasedSince.clear()
}

/** What the log's last step says about parked keys holds, whatever snapshot and code say. */
export async function agreeOnParked(
  ports: RefoldPorts & { readonly log: EventLog },
  runner: FoldRunner,
  lane: Lane,
): Promise<void> {
  const [newest] = ports.log.steps({
    processor: runner.name,
    generation: runner.lineage.generation,
    stream: runner.definition.source,
    partition: lane.partition,
  })
  lane.forced.clear()
  const inLog = new Map((newest?.parked ?? []).map(entry => [entry.key, entry]))
  for (const key of [...lane.parked.keys()]) {
    const entry = inLog.get(key)
    // Released since, perhaps to fail again behind what the snapshot holds.
    if (entry === undefined || entry.offset >= lane.consumed) {
      await retryParked(ports, lane, key, true)
    }
  }
  for (const entry of inLog.values()) {
    if (entry.offset >= lane.consumed) forceLater(lane, entry)
    else if (lane.parked.get(entry.key)?.offset !== entry.offset) await parkNow(ports, lane, entry)
  }
  lane.parkedSince.clear()
  lane.releasedSince.clear()
}

function forceLater(lane: Lane, entry: ParkedKey): void {
  const others = lane.forced.get(entry.offset)
  if (others === undefined) lane.forced.set(entry.offset, [entry])
  else others.push(entry)
}

/** A key that was parked back at an earlier record after the snapshot was taken. */
async function parkNow(ports: RefoldPorts, lane: Lane, entry: ParkedKey): Promise<void> {
  const before = await foldKey(ports, lane, entry.key, entry.offset)
  lane.shard.decodeKey(entry.key, before.bytes)
  let waiting = 0
  let sinceMs = ports.clock.nowMs()
  const until = lane.consumed
  for await (const record of historyOf(ports.log, lane, entry.key, entry.offset, until)) {
    waiting += 1
    sinceMs = Math.min(sinceMs, record.ingestTimeMs)
  }
  lane.restoreParked(entry, { waiting, sinceMs })
}
