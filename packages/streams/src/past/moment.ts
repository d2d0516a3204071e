/**
 * Moments of the past. A moment says what was known: the records that the log had taken by then, in
 * the order in which it took them, whatever their event times. It is a position of the streams that
 * come from outside, or a time, which stands for the position that the log had at that time.
 */
import { isError, partitionName, type Clock, type Position } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import { streamsErrors } from '../errors.ts'
import type { FoldRunner } from '../runner.ts'
import type { TableWatch } from '../table-watch.ts'

/** A time of arrival in milliseconds since the epoch, what arrived then included; or a position. */
export type Moment = { readonly timeMs: number } | { readonly position: Position }

/** What reading the past needs. */
export interface PastPorts {
  readonly log: EventLog
  readonly clock: Clock
  readonly sliceMs: number
  readonly runners: readonly FoldRunner[]
  readonly watch: Pick<TableWatch, 'tablesOf' | 'kindsOf'>
  reached(request: {
    position: Position
    folds: readonly string[]
    timeoutMs: number
  }): Promise<void>
}

/** A moment in terms of the streams that a fold reads through. */
export interface Instant {
  /** End offsets of the streams from outside; a missing one is 0. */
  readonly position: Position
  /** End offsets of re-keyed streams behind which nothing counts, of a moment at which they were noted. */
  readonly emitted?: Position
  /** When the newest of these records had arrived. */
  readonly timeMs: number
}

/** The fold that re-keys what `runner` reads; undefined when that comes from outside. Throws MOMENT_UNSUPPORTED. */
export function hopBefore(ports: PastPorts, runner: FoldRunner): FoldRunner | undefined {
  const { source } = runner.definition
  const emitters = ports.runners.filter(({ definition }) => definition.targets?.includes(source))
  const hop = emitters.find(({ definition }) => definition.causeOf !== undefined)
  if (hop !== undefined) return hop
  if (!source.includes('.')) return undefined
  throw streamsErrors.create('MOMENT_UNSUPPORTED', { fold: runner.name, stream: source })
}

/**
 * The offsets of a moment in the streams that a fold depends on. Throws MOMENT_AHEAD for one that the
 * log has not come to, MOMENT_EMPTY when nothing that the fold reads had arrived.
 */
export async function instantOf(
  ports: PastPorts,
  runner: FoldRunner,
  moment: Moment,
): Promise<Instant> {
  const { log, clock } = ports
  if ('timeMs' in moment && moment.timeMs > clock.nowMs()) {
    throw streamsErrors.create('MOMENT_AHEAD', { moment: timeText(moment.timeMs) })
  }
  const first = hopBefore(ports, runner) ?? runner
  const folds = [first, ...ports.watch.tablesOf(runner)]
  const places = folds.flatMap(({ definition: { source: stream }, lanes }) =>
    lanes.map(({ lane: { partition } }) => ({ stream, partition })),
  )
  // Side by side: it is waiting for reads, most of all.
  const found = await Promise.all(places.map(place => placeAt(log, place, moment)))
  if (found.slice(0, first.lanes.length).every(({ offset }) => offset === 0)) {
    const stream = first.definition.source
    throw streamsErrors.create('MOMENT_EMPTY', { fold: runner.name, stream })
  }
  return {
    position: new Map(found.map(({ name, offset }) => [name, offset])),
    timeMs: Math.max(...found.map(({ timeMs }) => timeMs)),
  }
}

/** The offset of a moment in one partition, and when the record before it had arrived. */
async function placeAt(
  log: EventLog,
  { stream, partition }: { readonly stream: string; readonly partition: number },
  moment: Moment,
): Promise<{ readonly name: string; readonly offset: number; readonly timeMs: number }> {
  const name = partitionName(stream, partition)
  const offset = await offsetAt(log, { stream, partition, name }, moment)
  if ('timeMs' in moment) return { name, offset, timeMs: moment.timeMs }
  const last = await recordBefore(log, stream, partition, offset)
  return { name, offset, timeMs: last?.ingestTimeMs ?? Number.NEGATIVE_INFINITY }
}

async function offsetAt(
  log: EventLog,
  { stream, partition, name }: { stream: string; partition: number; name: string },
  moment: Moment,
): Promise<number> {
  if ('timeMs' in moment) {
    return await log.seek({ stream, partition, timeMs: moment.timeMs + 1 })
  }
  const offset = moment.position.get(name) ?? 0
  const end = log.ends().get(name) ?? 0
  if (offset <= end) return offset
  const moments = `${name} at ${offset}, and its end is ${end}`
  throw streamsErrors.create('MOMENT_AHEAD', { moment: moments })
}

/** The record before an offset. Throws MOMENT_GONE when its stream keeps it no longer. */
export async function recordBefore(
  log: Pick<EventLog, 'read'>,
  stream: string,
  partition: number,
  offset: number,
): Promise<{ readonly watermarkMs: number; readonly ingestTimeMs: number } | undefined> {
  if (offset === 0) return undefined
  const request = { stream, partition, from: offset - 1, recordsMax: 1 }
  const [record] = await keptOnly(stream, () => log.read(request))
  return record
}

/** Throws MOMENT_GONE when a stream has lost its first records: a state is made of all of them. */
export async function assertKept(
  log: Pick<EventLog, 'read'>,
  stream: string,
  partition: number,
): Promise<void> {
  await keptOnly(stream, () => log.read({ stream, partition, from: 0, recordsMax: 1 }))
}

async function keptOnly<T>(stream: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (!isError(error, 'LOG_OFFSET_GONE')) throw error
    throw streamsErrors.create('MOMENT_GONE', { stream, start: Number(error.details['start']) })
  }
}

function timeText(timeMs: number): string {
  const date = new Date(timeMs)
  return Number.isNaN(date.getTime()) ? `${timeMs}` : date.toISOString()
}

/** The moment as offsets, when the folds have come to them. Throws MOMENT_GONE, POSITION_NOT_REACHED, and as `instantOf`. */
export async function reachedInstant(
  ports: PastPorts,
  runner: FoldRunner,
  moment: Moment,
  { partitions, timeoutMs }: { readonly partitions: readonly number[]; readonly timeoutMs: number },
): Promise<Instant> {
  for (const partition of partitions) {
    await assertKept(ports.log, runner.definition.source, partition)
  }
  const instant = await instantOf(ports, runner, moment)
  // Of a hop the emissions must be there; a fold of events from outside reads the log itself.
  const waits = hopBefore(ports, runner) !== undefined || ports.watch.tablesOf(runner).length > 0
  if (waits) {
    await ports.reached({ position: instant.position, folds: [runner.name], timeoutMs })
  }
  return instant
}
