/**
 * Cutting a log behind one of its units: what comes later was never there.
 *
 * The journal is cut off behind the unit. Where the unit was split already, its ledger is cut off
 * instead, the journal goes, and a new segment begins with the state behind the unit, as each
 * segment does. Split files are cut at the ends behind the unit. The result is what a log that
 * crashed right there would have left, so opening it needs nothing new.
 */
import type { Clock, Disk, Position, Random } from '@millrace/core'
import { hasReached, invariant } from '@millrace/core'
import { logErrors } from '../errors.ts'
import { createBytes } from '../file/bytes.ts'
import { frameField } from '../file/frames.ts'
import { Group } from '../file/group.ts'
import { forEachKeyHash } from '../file/key-index.ts'
import { limitsOf } from '../file/options.ts'
import type { Partition } from '../file/partition.ts'
import { createSegment, listSegments, segmentPath } from '../file/segment.ts'
import { createSlices } from '../file/slices.ts'
import { directoryOf, openSplit } from '../file/split-directory.ts'
import type { SplitFile } from '../file/split-file.ts'
import { SplitStore } from '../file/split-store.ts'
import { BLOCK_HEADER_BYTES, rangeOf } from '../file/split-layout.ts'
import type { Unit } from '../file/scan.ts'
import { SplitWriter } from '../file/split-writer.ts'
import { writeCheckpoint, type LogState } from '../file/state.ts'
import { listLedgers } from '../file/unit-ledger.ts'
import { UnitWalk, type UnitFile } from './units.ts'

/** A moment of a log. */
export type RestorePoint =
  /** Everything that the log took up to and including this time. */
  | { readonly kind: 'time'; readonly timeMs: number }
  /** The first moment at which the log had reached this position. */
  | { readonly kind: 'position'; readonly position: Position }

/** A place behind a unit. */
export interface Cut {
  readonly unit: number
  /** The log behind it. */
  readonly state: LogState
  /** The file that holds the unit, and where it ends in it. */
  readonly file: UnitFile
  readonly end: number
  /** Nothing comes behind it. */
  readonly isEnd: boolean
}

/** What cutting works on. */
export interface CutPorts {
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  /** Directory of the log. */
  readonly root: string
}

/** Finds the unit behind which a point lies; its ledgers and its journal must be there. Throws RESTORE_POINT_GONE, RESTORE_POINT_AHEAD, LOG_DAMAGED. */
export async function findCut(
  { disk, root }: CutPorts,
  point: RestorePoint | undefined,
): Promise<Cut> {
  const walk = new UnitWalk(disk, root)
  const cut = (isEnd: boolean): Cut => {
    invariant(walk.last !== undefined, 'a cut is behind a unit')
    const { number: unit, end, file } = walk.last
    return { unit, state: walk.state, file, end, isEnd }
  }
  const gone = (earliestMs: number): Error => {
    const earliest = Number.isFinite(earliestMs) ? new Date(earliestMs).toISOString() : 'nothing'
    return logErrors.create('RESTORE_POINT_GONE', { point: pointText(point), earliest })
  }
  for await (const unit of walk.units()) {
    if (point === undefined || !isBehind(walk, unit, point)) continue
    // Before anything happened, or before what the ledgers tell.
    const isBefore = point.kind === 'time' && !Number.isFinite(walk.state.lastIngestMs)
    if (walk.last === undefined || isBefore) throw gone(unit.ingestTimeMs)
    return cut(false)
  }
  if (walk.last === undefined) throw gone(Infinity)
  if (point?.kind === 'position' && !isReached(walk, point)) {
    const newest = new Date(walk.state.lastIngestMs).toISOString()
    throw logErrors.create('RESTORE_POINT_AHEAD', { point: pointText(point), newest })
  }
  return cut(true)
}

/** True when a unit that is about to be applied lies behind a point. */
function isBehind(walk: UnitWalk, unit: Unit, point: RestorePoint): boolean {
  return point.kind === 'time' ? unit.ingestTimeMs > point.timeMs : isReached(walk, point)
}

/** True when the log behind the last unit has reached a position, which the first one may have before. */
function isReached({ state, last }: UnitWalk, point: { readonly position: Position }): boolean {
  return last !== undefined && hasReached(endsOf(state), point.position)
}

/** The ends of all partitions. */
export function endsOf(state: LogState): Position {
  return new Map([...state.streams.partitions()].map(({ name, nextOffset }) => [name, nextOffset]))
}

/** Cuts the files behind a unit. Each split file that begins before the ends must be there. */
export async function applyCut(ports: CutPorts, cut: Cut): Promise<void> {
  await trimSplits(ports, cut.state)
  const { disk, root } = ports
  const { file, end } = cut
  for (const number of await listSegments(disk, `${root}/journal`)) {
    if (file.kind === 'ledger' || number > file.number) {
      await disk.remove(segmentPath(`${root}/journal`, number))
    }
  }
  for (const ledger of await listLedgers(disk, root)) {
    if (ledger.number > file.number) await disk.remove(ledger.path)
  }
  await truncate(disk, file.path, end)
  if (file.kind === 'ledger') await beginJournal(ports, cut.state, { number: file.number + 1, unit: cut.unit + 1 }) // prettier-ignore
}

/** Makes the segment with which a log begins whose records are all in split files. */
export async function beginJournal(
  { disk, clock, random, root }: CutPorts,
  state: LogState,
  { number, unit }: { readonly number: number; readonly unit: number },
): Promise<void> {
  const { firstSegmentBytes: bytes, preallocateChunkBytes: chunkBytes } = limitsOf({})
  await disk.makeDirectory(`${root}/journal`)
  const ports = { disk, clock, random }
  const segment = await createSegment(ports, `${root}/journal`, number, { bytes, chunkBytes })
  try {
    const group = new Group(segment, segment.fill, createBytes(4_096))
    group.beginUnit()
    writeCheckpoint(group, state)
    group.endUnit(unit, 0, state.lastIngestMs)
    group.seal(unit - 1)
    await segment.file.write(group.bytes.u8, 0, group.at, segment.fill)
    await segment.file.sync()
  } finally {
    await segment.file.close()
  }
}

async function truncate(disk: Disk, path: string, size: number): Promise<void> {
  const file = await disk.open(path, 'write')
  try {
    await file.truncate(size)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Removes the records behind the ends, and takes the watermarks from the last that stay. */
async function trimSplits(ports: CutPorts, state: LogState): Promise<void> {
  const { disk, root } = ports
  const store = new SplitStore({ disk, names: state.names, openMax: 4, blockCacheMax: 1 })
  try {
    for (const partition of state.streams.partitions()) {
      const directory = directoryOf(root, partition)
      for (const name of await disk.list(directory)) {
        const range = rangeOf(name)
        if (range === undefined) continue
        const path = `${directory}/${name}`
        const bytes = (await disk.sizeOf(path)) ?? 0
        const file = openSplit(store, partition, { path, ...range, bytes })
        if (file.end > partition.nextOffset) await trim(ports, partition, file)
        else if (file.end === partition.nextOffset) {
          const [record] = await file.read(file.end - 1, file.end, 1)
          if (record !== undefined) partition.watermarkMs = record.watermarkMs
        }
      }
    }
  } finally {
    await store.close()
  }
}

async function trim(
  { disk, clock }: CutPorts,
  partition: Partition,
  file: SplitFile,
): Promise<void> {
  const { nextOffset: end, stream, number } = partition
  const directory = file.path.slice(0, file.path.lastIndexOf('/'))
  if (file.first < end) {
    const { blockBytes } = limitsOf({})
    const target = { directory, stream: stream.number, partition: number, first: file.first, end, createdMs: clock.nowMs() } // prettier-ignore
    const writer = new SplitWriter(disk, target, { blockBytes, writeBytes: 1024 * 1024 })
    for await (const { bytes } of file.blocks()) {
      const blockEnd = bytes.u32[0] as number
      for (
        let at = BLOCK_HEADER_BYTES;
        at < blockEnd && writer.next < end;
        at += frameField.length(bytes, at)
      ) {
        // prettier-ignore
        writer.add(bytes, at)
        forEachKeyHash(bytes, at, partition.home, hash => writer.addKeyOfLast(hash))
        partition.watermarkMs = frameField.watermarkMs(bytes, at)
        if (writer.isFull) await writer.flush()
      }
      if (writer.next === end) break
    }
    await writer.finish(createSlices(clock, () => 1_000))
  }
  await file.remove()
  await disk.syncDirectory(directory)
}

/** A point as people name it. */
export function pointText(point: RestorePoint | undefined): string {
  if (point === undefined) return 'the end'
  if (point.kind === 'time') return new Date(point.timeMs).toISOString()
  return [...point.position].map(([name, end]) => `${name}=${end}`).join(', ')
}
