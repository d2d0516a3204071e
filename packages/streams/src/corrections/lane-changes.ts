/** What a correction does to one lane: which keys it touches, and how its shard takes it. */
import type { EventLog } from '@millrace/log'
import type { Beside, Lane } from '../lane.ts'
import type { RecordChange } from './originals.ts'

/** How many records of corrections all of these lanes reflect. */
export function leastCorrected(lanes: readonly { readonly lane: Lane }[]): number {
  let least = Infinity
  for (const { lane } of lanes) least = Math.min(least, lane.corrections.position)
  return least
}

/** True for a record that the lane has yet to fold. */
export function isBehind(
  { definition, partition, consumed }: Lane,
  { origin }: RecordChange,
): boolean {
  const isOwn = origin.stream === definition.source && origin.partition === partition
  return isOwn && origin.offset >= consumed
}

/** The keys that records had and have. */
export function keysOf(lane: Lane, changes: readonly RecordChange[]): ReadonlySet<string> {
  const keys = new Set<string>()
  for (const { before, after } of changes) {
    for (const record of [before, after]) {
      if (record === undefined || !lane.takes(record)) continue
      for (const key of lane.keysOf(record)) keys.add(key)
    }
  }
  return keys
}

/** Before which offset none of the records is; where the lane stands when there are none, 0 when that is not known. */
export async function firstOffset(
  log: Pick<EventLog, 'seek'>,
  { definition, partition, consumed }: Lane,
  changes: readonly RecordChange[],
): Promise<number> {
  if (changes.length === 0) return consumed
  let timeMs = Infinity
  for (const { arrivedMs = -Infinity } of changes) timeMs = Math.min(timeMs, arrivedMs)
  return Number.isFinite(timeMs) ? await log.seek({ stream: definition.source, partition, timeMs }) : 0 // prettier-ignore
}

/** True when the shard did it; otherwise its keys are to be folded again. */
export function invertOne(
  lane: Lane,
  { before, after }: RecordChange,
  keys: ReadonlySet<string>,
): boolean {
  const { shard } = lane
  lane.capture?.keep([...keys])
  lane.revision += 1
  try {
    if (before !== undefined && shard.invert?.(before) !== true) return false
    return after === undefined || shard.insert?.(after) === true
  } catch {
    // Code of the fold that cannot undo what it did: its history tells.
    return false
  }
}

/** Of a build beside a lane, and of the copies in which keys of it are being folded again. */
export function bringOn({ lane, stale }: Beside, to: number, keys: ReadonlySet<string>): void {
  lane.corrections = lane.corrections.at(to)
  for (const key of keys) stale.add(key)
  for (const copy of lane.copies) bringOn(copy, to, keys)
}
