/** Opening a journal: reading what is there, cutting a torn tail, refusing damage. */
import type { Disk } from '@millrace/core'
import type { DuplicateIndex } from '../duplicates.ts'
import { logErrors } from '../errors.ts'
import { damagedFrame } from './damage.ts'
import type { Bytes } from './bytes.ts'
import { frameField, idOfFrame } from './frames.ts'
import { KIND, UNIT_HEADER_BYTES } from './layout.ts'
import type { Partition } from './partition.ts'
import { checkUnit, isSound, isZero, unitsBehind, unitsInRow } from './scan.ts'
import type { Unit } from './scan.ts'
import { listSegments, loadSegment, removeHalfMade } from './segment.ts'
import type { Segment } from './segment.ts'
import { applyCheckpoint, applyFrame, readStateFrame } from './state.ts'
import type { LogState } from './state.ts'
import { Tail } from './tail.ts'

/** What was found in the journal directory. */
export interface RecoveredJournal {
  /** Segments with units, in order. */
  readonly segments: Segment[]
  /** A segment that was preallocated and not begun. */
  readonly spare: Segment | undefined
  readonly firstUnit: number
  readonly lastUnit: number
  /** Bytes of a torn tail that were cut off. */
  readonly cutBytes: number
  /** Ids that the duplicate index did not have on disk. */
  readonly idsInserted: number
}

export interface RecoveryContext {
  readonly disk: Disk
  readonly directory: string
  readonly state: LogState
  readonly ids: Pick<DuplicateIndex, 'durableMark' | 'insert'>
}

/** Reads the journal into `state`. Refuses damage (LOG_DAMAGED). */
export async function recoverJournal(context: RecoveryContext): Promise<RecoveredJournal> {
  const { disk, directory } = context
  const opened: Segment[] = []
  try {
    await removeHalfMade(disk, directory)
    const walk = await walkJournal(context, opened, 'write')
    const { segments, firstUnit, lastUnit, idsInserted } = walk
    refuseDamage(context, walk)
    const cutBytes = walk.stop === undefined ? 0 : await cutTail(walk.stop)
    // What was found may be in the page cache only: nothing is served that a power cut could take.
    await segments.at(-1)?.file.sync()
    const spare = await keepSpare(disk, walk)
    settleEnds(context.state)
    return { segments, spare, firstUnit, lastUnit, cutBytes, idsInserted }
  } catch (error) {
    for (const segment of opened) await segment.file.close()
    throw error
  }
}

/**
 * Reads the journal that another thread writes into `state`, and changes nothing: what cannot be
 * read yet is left for the next time. Resolves to its segments, to be closed by the caller.
 */
export async function readJournal(context: Omit<RecoveryContext, 'ids'>): Promise<Segment[]> {
  const opened: Segment[] = []
  try {
    await walkJournal({ ...context, ids: NO_IDS }, opened, 'read')
    settleEnds(context.state)
    return opened
  } catch (error) {
    for (const segment of opened) await segment.file.close()
    throw error
  }
}

/** Whoever only reads remembers no ids: all of them are known elsewhere. */
const NO_IDS: Pick<DuplicateIndex, 'durableMark' | 'insert'> = {
  durableMark: () => Infinity,
  insert: () => undefined,
}

async function walkJournal(
  context: RecoveryContext,
  opened: Segment[],
  mode: 'read' | 'write',
): Promise<Walk> {
  const { disk, directory } = context
  const walk: Walk = {
    segments: [],
    empty: [],
    firstUnit: 0,
    lastUnit: 0,
    mark: 0,
    lost: new Map(),
    idsInserted: 0,
  }
  for (const number of await listSegments(disk, directory)) {
    const loaded = await loadSegment(disk, directory, number, mode)
    opened.push(loaded.segment)
    walkSegment(context, walk, loaded)
  }
  return walk
}

function settleEnds({ streams }: LogState): void {
  for (const partition of streams.partitions()) {
    partition.durableEnd = partition.nextOffset
    partition.durableWatermarkMs = partition.watermarkMs
    partition.tail = new Tail(partition.nextOffset)
  }
}

/** How far the reading came, and where it had to stop. */
interface Walk {
  readonly segments: Segment[]
  /** Segments without units. */
  readonly empty: Segment[]
  firstUnit: number
  lastUnit: number
  /** The segment behind whose last good unit there is something that is not the next unit. */
  stop?: Loaded
  /** Greatest durable mark found behind the stop. */
  mark: number
  /** Offsets known to be missing, by partition. */
  readonly lost: Map<string, [number, number]>
  idsInserted: number
}

function walkSegment(context: RecoveryContext, walk: Walk, loaded: Loaded): void {
  const { segment, bytes, size } = loaded
  const isBehindStop = walk.stop !== undefined
  if (!isBehindStop) {
    const firstUnit = readSegment(context, walk, loaded)
    walk.firstUnit ||= firstUnit
    walk.lastUnit = segment.lastUnit || walk.lastUnit
  }
  if (segment.lastUnit > 0) walk.segments.push(segment)
  else walk.empty.push(segment)
  if (isZero(bytes, segment.fill, size)) return
  walk.stop ??= loaded
  // A segment is begun after all of the one before it is durable.
  if (isBehindStop) walk.mark = Math.max(walk.mark, walk.lastUnit + 1)
  for (const unit of unitsBehind(bytes, segment.fill, size, segment.salt)) {
    walk.mark = Math.max(walk.mark, unit.durableMark)
    noteLost(context, bytes, unit, walk.lost)
  }
}

/** Keeps the segment that was preallocated for the next roll; removes others without units. */
async function keepSpare(disk: Disk, { segments, empty }: Walk): Promise<Segment | undefined> {
  const wanted = segments.at(-1)?.number
  let spare: Segment | undefined
  for (const segment of empty) {
    if (spare === undefined && (wanted === undefined || segment.number === wanted + 1)) {
      spare = segment
      continue
    }
    await segment.file.close()
    await disk.remove(segment.path)
  }
  return spare
}

interface Loaded {
  readonly segment: Segment
  readonly bytes: Bytes
  readonly size: number
}

function readSegment(
  context: RecoveryContext,
  walk: Walk,
  { segment, bytes, size }: Loaded,
): number {
  const { lastUnit } = walk
  let firstUnit = 0
  const expected = lastUnit === 0 ? undefined : lastUnit + 1
  for (const unit of unitsInRow(bytes, size, segment.salt, expected)) {
    checkUnit(segment.path, bytes, unit)
    if (lastUnit === 0 && firstUnit === 0) readFirstUnit(context, segment, bytes, unit)
    else walk.idsInserted += readUnit(context, segment, bytes, unit)
    if (firstUnit === 0) firstUnit = unit.number
    segment.lastUnit = unit.number
    segment.fill = unit.at + unit.length
    segment.recoveredTo = segment.fill
    segment.durableTo = segment.fill
    segment.isBegun = true
  }
  return firstUnit
}

/** The first unit of the oldest segment holds nothing but the checkpoint. */
function readFirstUnit(context: RecoveryContext, segment: Segment, bytes: Bytes, unit: Unit): void {
  const at = unit.at + UNIT_HEADER_BYTES
  const isCheckpoint =
    unit.length > UNIT_HEADER_BYTES && frameField.kind(bytes, at) === KIND.checkpoint
  if (!isCheckpoint) throw damagedFrame(segment.path, at, 'a segment begins without its checkpoint')
  applyCheckpoint(context.state, readStateFrame(bytes, at, segment.path))
}

/** Takes over a unit; returns how many ids the duplicate index did not have on disk. */
function readUnit(context: RecoveryContext, segment: Segment, bytes: Bytes, unit: Unit): number {
  const { state, ids } = context
  let inserted = 0
  const isRemembered = unit.number <= ids.durableMark()
  const end = unit.at + unit.length
  for (let at = unit.at + UNIT_HEADER_BYTES; at < end; at += frameField.length(bytes, at)) {
    const kind = frameField.kind(bytes, at)
    if (kind === KIND.record) {
      readRecord(context, segment, bytes, at)
      if (!isRemembered && insertId(context, bytes, at)) inserted += 1
    } else if (kind !== KIND.checkpoint) {
      applyFrame(state, kind, readStateFrame(bytes, at, segment.path))
    }
  }
  if (unit.ingestTimeMs > state.lastIngestMs) state.lastIngestMs = unit.ingestTimeMs
  return inserted
}

function readRecord({ state }: RecoveryContext, segment: Segment, bytes: Bytes, at: number): void {
  const stream = frameField.stream(bytes, at)
  const number = frameField.partition(bytes, at)
  const partition = state.streams.at(stream)?.partitions[number]
  const offset = frameField.offset(bytes, at)
  if (partition?.nextOffset !== offset) throw notNext(segment, at, partition)
  const part = partition.partOf(segment)
  part.add(at, frameField.length(bytes, at))
  part.recovered = part.count
  partition.nextOffset = offset + 1
  partition.watermarkMs = frameField.watermarkMs(bytes, at)
}

function notNext(segment: Segment, at: number, partition: Partition | undefined): Error {
  const reason =
    partition === undefined
      ? 'a record names a partition that was not declared before'
      : `a record of ${partition.name} is not the one at offset ${partition.nextOffset}`
  return damagedFrame(segment.path, at, reason)
}

/** Gives the id of a record to the duplicate index; false when the id is known to be unique. */
function insertId({ ids }: RecoveryContext, bytes: Bytes, at: number): boolean {
  if (frameField.isUnique(bytes, at)) return false
  const stream = frameField.stream(bytes, at)
  const partition = frameField.partition(bytes, at)
  ids.insert(idOfFrame(bytes, at), { stream, partition, offset: frameField.offset(bytes, at) })
  return true
}

/** Overwrites everything behind the last unit that is kept, so that it can never come back. */
async function cutTail({ segment, bytes, size }: Loaded): Promise<number> {
  let end = size
  while (end > segment.fill && bytes.u8[end - 1] === 0) end -= 1
  const length = end - segment.fill
  await segment.file.write(Buffer.alloc(length), 0, length, segment.fill)
  await segment.file.sync()
  return length
}

function refuseDamage({ ids, directory }: RecoveryContext, walk: Walk): void {
  const mark = Math.max(walk.mark, ids.durableMark())
  const { lastUnit, lost, stop } = walk
  if (mark <= lastUnit) return
  const ranges = [...lost].map(([name, [from, to]]) => `${name} from offset ${from} to ${to}`)
  const segment = stop?.segment ?? walk.segments.at(-1)
  const path = segment?.path ?? directory
  const at = segment?.fill ?? 0
  throw logErrors.create('LOG_DAMAGED', {
    file: path,
    at,
    reason: `unit ${lastUnit + 1} cannot be read, and unit ${mark} was acknowledged`,
    affected: ranges.length > 0 ? ranges.join(', ') : `units ${lastUnit + 1} to ${mark}`,
    goOn:
      `cut ${path} at byte ${at} (truncate -s ${at}), and remove the later segments of its ` +
      'directory and the directory ids beside it, which is built again; what came later is lost',
  })
}

/** Records between what was read and what a later unit goes on with. */
function noteLost(
  { state }: RecoveryContext,
  bytes: Bytes,
  unit: Unit,
  lost: Map<string, [number, number]>,
): void {
  if (!isSound(bytes, unit)) return
  const end = unit.at + unit.length
  for (let at = unit.at + UNIT_HEADER_BYTES; at < end; at += frameField.length(bytes, at)) {
    if (frameField.kind(bytes, at) !== KIND.record) continue
    const stream = state.streams.at(frameField.stream(bytes, at))
    const partition = stream?.partitions[frameField.partition(bytes, at)]
    if (partition === undefined || lost.has(partition.name)) continue
    const offset = frameField.offset(bytes, at)
    if (offset > partition.nextOffset) lost.set(partition.name, [partition.nextOffset, offset - 1])
  }
}
