/**
 * Folding many keys of a standing lane again in one pass over their records, in the order of the log:
 * a record is read and folded once, however many of the keys it carries, and nothing is held of it.
 * Keys of popular things share most of their records, so this costs a part of one pass for each key.
 */
import type { LogRecord } from '@millrace/log'
import type { Beside, Lane } from './lane.ts'
import type { KeyState, RefoldPorts } from './refold.ts'
import { Slices } from './slices.ts'
import { restoreSome, type LaneImage } from './snapshot-codec.ts'

/** Where keys of a lane begin that are folded again. */
export interface Base {
  readonly image: LaneImage
  /** Finds the keys of a copy that begins there for which a row of a table came since. */
  readonly catchUp: (copy: Beside) => Promise<void>
}

/** The records of any of some keys that a lane may want, in log order, before corrections. */
export function recordsOf(
  { log }: RefoldPorts,
  { definition, options, consumed }: Lane,
  keys: Iterable<string>,
  from = options.from ?? 0,
): AsyncIterable<LogRecord> {
  const { tenant } = options
  const { source: stream } = definition
  return log.history({ stream, tenant, keys: [...keys], from, to: consumed, isByOffset: true })
}

/**
 * Folds a record into `copy` as it counts in `lane`, when it carries any of the keys, and gives it as it
 * counts. Its keys are added to `failed` when that throws.
 */
export function foldOwn(
  { lane, copy }: { readonly lane: Lane; readonly copy: Lane },
  record: LogRecord,
  keys: ReadonlySet<string>,
  failed: Set<string>,
): LogRecord | undefined {
  const amended = lane.amended(record)
  const own = lane.wants(amended) ? lane.keysOf(amended).filter(key => keys.has(key)) : []
  if (own.length === 0) return undefined
  copy.advanceTo(amended)
  try {
    copy.foldOne(amended)
  } catch {
    for (const key of own) failed.add(key)
  }
  return amended
}

/**
 * Calls `take` with the state of each key as of where the lane stands, folded from `base` on. Gives the keys that have to be
 * folded by themselves: those that wait, and those of which a record fails or a row came late.
 */
export async function foldTogether(
  ports: RefoldPorts,
  lane: Lane,
  keys: readonly string[],
  take: (key: string, state: KeyState) => void,
  base?: Base,
): Promise<readonly string[]> {
  const wanted = new Set(keys.filter(key => !lane.parked.has(key)))
  const beside: Beside = { lane: lane.createBeside(wanted), stale: new Set() }
  const failed = new Set<string>()
  const slices = new Slices(ports.clock, ports.sliceMs)
  lane.copies.add(beside)
  try {
    const copy = beside.lane
    if (base !== undefined) {
      restoreSome(copy, base.image, wanted)
      await base.catchUp(beside)
    }
    const records =
      wanted.size === 0 ? [] : recordsOf(ports, lane, wanted, base?.image.header.consumed)
    let last: LogRecord | undefined
    for await (const record of records) {
      last = foldOwn({ lane, copy }, record, wanted, failed) ?? last
      await slices.pause()
    }
    // Without records there are no timers either.
    if (last !== undefined) copy.passTime(lane.watermarkMs, last)
    else if (base !== undefined) await passTime(ports, lane, copy)
    const alone: string[] = []
    for (const key of keys) {
      const isSound = wanted.has(key) && !failed.has(key) && !copy.parked.has(key)
      if (isSound && !beside.stale.has(key)) take(key, { bytes: copy.shard.encodeKey(key) })
      else alone.push(key)
      await slices.pause()
    }
    return alone
  } finally {
    lane.copies.delete(beside)
  }
}

/** Time has passed behind a base: the newest record brought it. */
async function passTime({ log }: RefoldPorts, lane: Lane, copy: Lane): Promise<void> {
  const { definition, partition, consumed, watermarkMs } = lane
  const place = { stream: definition.source, partition, from: consumed - 1, recordsMax: 1 }
  for (const newest of await log.read(place)) copy.passTime(watermarkMs, newest)
}
