/**
 * Folding in worlds of a branch: a whole partition, by several lanes side by side, or many keys of one
 * in one pass over their records, from a base where there is one. What would be folded from the first
 * record for every key by itself reads records that popular keys share again and again.
 */
import { TICK_TYPE, type LogRecord } from '@millrace/log'
import { assertKept } from '../past/moment.ts'
import type { Lane } from '../lane.ts'
import { foldOwn } from '../refold-many.ts'
import { restoreFailed, type RefoldPorts } from '../refold.ts'
import type { FoldRunner } from '../runner.ts'
import { Slices } from '../slices.ts'
import { restoreSome } from '../snapshot-codec.ts'
import type { BaseIn } from './base.ts'
import type { Work } from './work.ts'
import type { World } from './world.ts'

const BATCH_RECORDS = 1_000
const CHUNK_RECORDS = 64
/** So many keys, or this share of all, are folded from their own records; more are worth a pass over all. */
const TOGETHER_KEYS = 500
const TOGETHER_SHARE = 1 / 4

/** A lane that nobody else folds, of a world. */
export interface Side {
  readonly world: World
  readonly lane: Lane
}

/** True when a pass over all records of a lane is worth it for so many of its keys. */
export function isMany(keys: number, { shard }: Lane): boolean {
  return keys > Math.max(TOGETHER_KEYS, (shard.keyCount?.() ?? 0) * TOGETHER_SHARE)
}

/**
 * Folds a whole partition up to where the branch begins, and what is added there. `onBatch` is called
 * after each batch with the records that were known; none are the added ones.
 */
export async function passOver(
  sides: readonly Side[],
  runner: FoldRunner,
  partition: number,
  work: Work,
  onBatch: (records: readonly LogRecord[]) => void = () => undefined,
): Promise<void> {
  const { ground } = (sides[0] as Side).world
  const { log, clock, sliceMs } = ground.ports
  const stream = runner.definition.source
  await assertKept(log, stream, partition)
  const bound = await ground.bound(runner, partition)
  const slices = new Slices(clock, sliceMs)
  const isIn = (record: LogRecord): boolean =>
    bound.has(record) || (record.type === TICK_TYPE && record.watermarkMs <= bound.watermarkMs)
  for (let from = 0; from < bound.to;) {
    const recordsMax = Math.min(BATCH_RECORDS, bound.to - from)
    const batch = await log.read({ stream, partition, from, recordsMax })
    if (batch.length === 0) break
    const records = batch.filter(isIn)
    for (const _ of records) work.note()
    for (const { world, lane } of sides) {
      await foldAll(lane, records, world.portsOf(runner, work), slices)
    }
    onBatch(records)
    from += batch.length
  }
  for (const { world, lane } of sides) {
    const added = await world.addedTo(runner, partition)
    await foldAll(lane, added, world.portsOf(runner, work), slices)
  }
  onBatch([])
}

async function foldAll(
  lane: Lane,
  records: readonly LogRecord[],
  ports: RefoldPorts,
  slices: Slices,
): Promise<void> {
  for (let at = 0; at < records.length;) {
    lane.run(records, at, Math.min(at + CHUNK_RECORDS, records.length))
    await restoreFailed(ports, lane)
    await slices.pause()
    while (at < records.length && (records[at] as LogRecord).offset < lane.consumed) at += 1
  }
}

/**
 * Folds keys of a partition together into `lane`, which is empty and of these keys alone. Gives those
 * that have to be folded by themselves: a record of theirs failed, or a row that they had read before
 * the base is another one.
 */
export async function foldSome(
  { world, lane }: Side,
  runner: FoldRunner,
  keys: ReadonlySet<string>,
  work: Work,
  base: BaseIn | undefined,
): Promise<ReadonlySet<string>> {
  const { ground } = world
  const { log, clock, sliceMs } = ground.ports
  const { partition, options } = lane
  const { source: stream } = runner.definition
  await assertKept(log, stream, partition)
  const bound = await ground.bound(runner, partition)
  const slices = new Slices(clock, sliceMs)
  const alone = new Set<string>()
  if (base !== undefined) {
    restoreSome(lane, base.image, keys)
    for (const key of await base.staleIn(lane)) alone.add(key)
  }
  let last: LogRecord | undefined
  const fold = (record: LogRecord): void => {
    last = foldOwn({ lane, copy: lane }, record, keys, alone) ?? last
  }
  const from = base?.image.header.consumed ?? 0
  const request = { stream, tenant: options.tenant, keys: [...keys], from, to: bound.to, isByOffset: true } // prettier-ignore
  for await (const record of log.history(request)) {
    if (!bound.has(record)) continue
    work.note()
    fold(record)
    await slices.pause()
  }
  for (const record of await world.addedTo(runner, partition)) fold(record)
  if (last === undefined && base !== undefined) {
    // Time has passed behind the base: the newest record brought it.
    const place = { stream, partition, from: bound.to - 1, recordsMax: 1 }
    for (const newest of await log.read(place)) last = newest
  }
  if (last !== undefined) lane.passTime(bound.watermarkMs, last)
  for (const key of lane.parked.keys()) alone.add(key)
  return alone
}
