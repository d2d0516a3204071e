import { TICK_TYPE, type LogRecord } from '@millrace/log'
import type { Corrections } from '../corrections/contract.ts'
import type { FoldShard, TableLookup } from '../fold.ts'
import { Lane } from '../lane.ts'
import { foldSpan, historyOf } from '../refold.ts'
import type { FoldRunner } from '../runner.ts'
import type { Bound } from './bound.ts'
import type { PastPorts } from './moment.ts'

/** True when the record at an offset, at which a key was parked, was known. */
export async function isKnown(
  { log }: PastPorts,
  { definition, partition }: Lane,
  bound: Bound,
  offset: number,
): Promise<boolean> {
  if (offset >= bound.to) return false
  const request = { stream: definition.source, partition, from: offset, recordsMax: 1 }
  const [record] = await log.read(request)
  if (record?.type === TICK_TYPE) return record.watermarkMs <= bound.watermarkMs
  return record !== undefined && bound.has(record)
}

/** A key folded up to a bound. */
export interface FoldedKey {
  /** Holds this key alone, at that moment. */
  readonly shard: FoldShard
  readonly isParked: boolean
  /** Records of the key that were known. */
  readonly records: number
}

/** Looks on while a key is folded. */
export interface Watcher {
  /** The lane is folded up to `record`. False: that is enough. */
  before(beside: Lane, record: LogRecord): boolean
  /** The last record is folded. */
  end(beside: Lane): void
}

/** How a key is folded up to a bound. */
export interface FoldingOptions {
  /** Gives a new one for each attempt. */
  readonly createWatcher?: (() => Watcher) | undefined
  /** Default: what the live lane reflects. */
  readonly corrections?: Corrections | undefined
}

/**
 * Folds a key from its history up to a bound, beside the live lane and silent. A key that waits now
 * since before the bound waits there.
 */
export async function foldToBound(
  ports: PastPorts,
  runner: FoldRunner,
  key: string,
  bound: Bound,
  tables: TableLookup,
  { createWatcher, corrections }: FoldingOptions = {},
): Promise<FoldedKey> {
  const { lane } = runner.laneOf(key)
  const parked = lane.parked.get(key)
  const isParked = parked !== undefined && (await isKnown(ports, lane, bound, parked.offset))
  const to = isParked ? parked.offset : bound.to
  // A copy before each record is dear; histories seldom need one.
  for (let isGuarded = false; ; isGuarded = true) {
    const beside = new Lane({
      ...lane.options,
      definition: lane.definition,
      corrections: corrections ?? lane.corrections,
      tables,
    })
    beside.mutedBefore = Infinity
    const watcher = createWatcher?.()
    let count = 0
    const records = (async function* () {
      for await (const record of historyOf(ports.log, beside, key, 0, to)) {
        if (!bound.has(record)) continue
        if (watcher?.before(beside, record) === false) return
        count += 1
        yield bound.asKnown?.(record) ?? record
      }
      watcher?.end(beside)
    })()
    const span = { records, to, watermarkMs: bound.watermarkMs, isParked }
    const state = await foldSpan(ports, beside, key, span, isGuarded)
    if (state === undefined) continue
    const { failure } = state
    const isWaiting = isParked || failure !== undefined
    return { shard: beside.shard, isParked: isWaiting, records: count }
  }
}
